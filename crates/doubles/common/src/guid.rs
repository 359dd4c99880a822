//! GUIDs in Windows' memory layout, and a fixed stand-in for NameToGuid.

use std::fmt;

/// A GUID as C sees it: three little-endian integers and eight bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Guid {
    /// Bytes 0 to 3.
    pub data1: u32,
    /// Bytes 4 and 5.
    pub data2: u16,
    /// Bytes 6 and 7.
    pub data3: u16,
    /// Bytes 8 to 15.
    pub data4: [u8; 8],
}

/// Layer ids that real systems gave to these names (public logs of hcsshim, moby and containerd).
const KNOWN: [(&str, &str); 19] = [
    (
        "b2b88bc2a47abcc682e422507abbba9c9b6d826d34e67b9e4e3144cc125a1f80",
        "1532b584-8431-5b5a-8735-5e1b4fe9c2a9",
    ),
    (
        "5caaedbced1f546bccd01c9d31ea6eea4d30701ebba7b95ee8faa8c098a6845a",
        "a64b8da5-cd6e-5540-bc73-d81acae6da54",
    ),
    (
        "1c2240b93fb931b077034e69a1d7e283096e29e5fced79bebcf55c839b141693",
        "d54387b5-f568-5cd1-aac0-4ad1b196cea6",
    ),
    (
        "93d550dd79e79f050d7631152477dc435540306289effead715a12abc921bc3a",
        "458fd2e2-c938-5003-aca1-781fb436ac82",
    ),
    (
        "6e2f677d79dd67832b11ab81068fe66b0b121d13bc55d54eb90ab5e2c0c333b2",
        "9c2cb086-af18-56d1-9024-e59158a354a1",
    ),
    (
        "4e3c0eecb91d8fc28eda07ff06c6910a592b0ce4539476fb943b48e6934e9976",
        "cd22d128-903e-550a-9d8f-aa8134ca1c9b",
    ),
    (
        "CN=Microsoft_WindowsServerCore_10.0.10586.0",
        "84ea5d62-64ed-574d-a0b6-2d19ec831a27",
    ),
    ("4", "bd9c3ef9-f239-59b5-a27e-15c523b1d149"),
    (
        "7face195d55b1c4c45220fb9e193b96754015b378823bb4d3158fffd7d01f48d",
        "9120bb2e-4670-51a7-ab7b-cda51ef23d50",
    ),
    (
        "fec9f4c73d5fe093161c5993fb6c43434a6e4b69b38a2dd501065143e58d2d1c",
        "fff03c3b-5d10-545c-99ca-0f2e8984d2d3",
    ),
    (
        "82f6b18dfe22ce24ac65ec5023f3c1044b2b7b1f6170d99c73d0122f330dafb9",
        "1b43484f-df68-5ff9-a25a-4a1c97a2b105",
    ),
    (
        "5bda1565205b9c2be87fbf72b2b190eac281b618d1638584c76d0f38e66f88d5",
        "752b605a-852f-5ed0-8dc4-600a46637308",
    ),
    (
        "65bf96e5760a09edf1790cb229e2dfb2dbd0fcdc0bf7451bae099106bfbfea0c",
        "18955d65-d45a-557b-bf1c-49d6dfefc526",
    ),
    (
        "32edab1efa68baa09704a37907101757b37d2bbd227fabb3be122aec0e014896",
        "85a82a94-bc58-51f6-b36f-70b089bca922",
    ),
    (
        "e206d2514a6265a76645b9d6b3dc6a78777c34dbf5da9fa2d564651645685881",
        "f8bc427f-7aa3-59c6-b271-7331713e9451",
    ),
    (
        "0f21f1e28ef13030bbf0d87cbc97d1bc75f82ea53c842e9a3250a2156ced12d5",
        "a6f35e41-a86c-5e4d-a19a-a6c2464bfb47",
    ),
    (
        "4d9e2ad969fbd74fd58c98b5ab61e55a523087910da5200920e2b6f641d00c67",
        "4f624ca7-2c6d-5c42-b73f-be6e6baf2530",
    ),
    (
        "e2a46135ff011a2ef9f193590ccddde95806850a0cdd7638b913e003c28e7fd0",
        "8f9dd02a-0f67-598e-921b-59884f08b5af",
    ),
    (
        "3030b7a20c848d1553700c1ccf0369b0f5d9b3d9a4c37ea6652fd54809a60a07",
        "4d2dfb6d-2f3b-5926-adf1-4bd7e162b91f",
    ),
];

impl Guid {
    /// Reads `8-4-4-4-12` in lower or upper case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let groups: Vec<&str> = text.split('-').collect();
        let lengths = [8, 4, 4, 4, 12];
        if groups.len() != 5
            || !groups
                .iter()
                .zip(lengths)
                .all(|(group, length)| group.len() == length)
        {
            return None;
        }
        let value = u128::from_str_radix(&groups.concat(), 16).ok()?;
        Some(Self::of_value(value))
    }

    fn of_value(value: u128) -> Self {
        let [a, b, c, d, e, f, g, h, data4 @ ..] = value.to_be_bytes();
        Self {
            data1: u32::from_be_bytes([a, b, c, d]),
            data2: u16::from_be_bytes([e, f]),
            data3: u16::from_be_bytes([g, h]),
            data4,
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, rest @ ..] = self.data4;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{a:02x}{b:02x}-",
            self.data1, self.data2, self.data3
        )?;
        rest.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The layer id of `name`: the real one where it is known, else one that looks like it (version 5,
/// RFC 4122 variant, a function of the name alone). The real algorithm is not public.
#[must_use]
pub fn name_to_guid(name: &str) -> Guid {
    if let Some(known) = KNOWN.iter().find(|(known, _)| *known == name)
        && let Some(guid) = Guid::parse(known.1)
    {
        return guid;
    }
    let hash = fnv128(name.encode_utf16().flat_map(u16::to_le_bytes));
    let version = hash & !(0xF << 76) | (5 << 76);
    Guid::of_value(version & !(0x3 << 62) | (0x2 << 62))
}

/// FNV-1a of 128 bits: short, and nothing here needs more.
#[must_use]
pub fn fnv128(bytes: impl IntoIterator<Item = u8>) -> u128 {
    bytes
        .into_iter()
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_have_their_real_ids_and_others_look_alike() {
        assert_eq!(
            name_to_guid("4").to_string(),
            "bd9c3ef9-f239-59b5-a27e-15c523b1d149"
        );
        let other = name_to_guid("another").to_string();
        assert_eq!(other.as_bytes()[14], b'5', "{other}");
        assert!(b"89ab".contains(&other.as_bytes()[19]), "{other}");
        assert_eq!(Guid::parse(&other), Some(name_to_guid("another")));
        assert_ne!(name_to_guid("another"), name_to_guid("Another"));
    }
}
