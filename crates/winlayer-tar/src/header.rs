//! The 512-byte header block (POSIX.1-2001 ustar, and the GNU variant for its long names).
//!
//! Own code and not `tar-core`: that crate resolves what this one must refuse (sparse maps, GNU next
//! to pax names, repeated extension headers) and does not show which source a value came from.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::error::{Fault, printable};

/// Length of a tar block in bytes.
pub(crate) const BLOCK: usize = 512;

/// A header as it lies in the archive. Numbers are octal text ended by NUL or space.
#[derive(Clone, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub(crate) struct Header {
    /// 0: name; ended by NUL unless all 100 bytes are used
    pub(crate) name: [u8; 100],
    /// 100: Unix mode
    pub(crate) mode: [u8; 8],
    /// 108: Unix owner
    pub(crate) uid: [u8; 8],
    /// 116: Unix group
    pub(crate) gid: [u8; 8],
    /// 124: length of the body in bytes
    pub(crate) size: [u8; 12],
    /// 136: last write, seconds since 1970
    pub(crate) mtime: [u8; 12],
    /// 148: sum of all bytes of the header with this field taken as spaces
    pub(crate) checksum: [u8; 8],
    /// 156: type flag
    pub(crate) typeflag: u8,
    /// 157: link target; ended as the name is
    pub(crate) link_name: [u8; 100],
    /// 257: `ustar\0` `00`, or `ustar  \0` for GNU
    pub(crate) magic: [u8; 8],
    /// 265: owner's name
    pub(crate) uname: [u8; 32],
    /// 297: group's name
    pub(crate) gname: [u8; 32],
    /// 329: device numbers
    pub(crate) devmajor: [u8; 8],
    /// 337
    pub(crate) devminor: [u8; 8],
    /// 345: ustar: what comes before the name and a '/'
    pub(crate) prefix: [u8; 155],
    /// 500: zero
    pub(crate) padding: [u8; 12],
}

const _: () = assert!(size_of::<Header>() == BLOCK);

pub(crate) const MAGIC_USTAR: [u8; 8] = *b"ustar\x0000";
const MAGIC_GNU: [u8; 8] = *b"ustar  \0";

/// The numbers of a header that matter here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers {
    pub(crate) size: u64,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
}

impl Header {
    pub(crate) fn zeroed() -> Self {
        zerocopy::FromZeros::new_zeroed()
    }

    /// Checks everything of the header that two readers could see differently.
    pub(crate) fn check(&self) -> Result<Numbers, Fault> {
        self.check_sum()?;
        match self.magic {
            MAGIC_USTAR if self.padding.ends_with(b"tar\0") => return Err(Fault::Star),
            MAGIC_USTAR => {}
            MAGIC_GNU
                if self
                    .prefix
                    .iter()
                    .chain(&self.padding)
                    .any(|&byte| byte != 0) =>
            {
                return Err(Fault::GnuPrefix);
            }
            MAGIC_GNU => {}
            other => {
                return Err(Fault::Magic {
                    found: printable(&other),
                });
            }
        }
        for (field, bytes) in [
            ("mode", &self.mode),
            ("uid", &self.uid),
            ("gid", &self.gid),
            ("devmajor", &self.devmajor),
            ("devminor", &self.devminor),
        ] {
            number(field, bytes)?;
        }
        let size = number("size", &self.size)?.ok_or_else(|| Fault::Number {
            field: "size",
            found: printable(&self.size),
            expected: "octal digits",
        })?;
        let size = u64::try_from(size).map_err(|_| Fault::Number {
            field: "size",
            found: size.to_string(),
            expected: "a number that is not negative",
        })?;
        let mtime = number("mtime", &self.mtime)?.unwrap_or(0);
        Ok(Numbers { size, mtime })
    }

    fn check_sum(&self) -> Result<(), Fault> {
        let expected = self.sum();
        let found = number("checksum", &self.checksum)?;
        match found.and_then(|sum| u64::try_from(sum).ok()) {
            Some(found) if found == expected => Ok(()),
            other => Err(Fault::Checksum {
                expected,
                found: other.unwrap_or(0),
            }),
        }
    }

    fn sum(&self) -> u64 {
        let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
        let blank = u64::from(b' ') * 8;
        // Each byte at most 255, 512 of them: no overflow, and never less than the field's own sum.
        sum(self.as_bytes())
            .saturating_sub(sum(&self.checksum))
            .saturating_add(blank)
    }

    /// Writes the checksum: six octal digits, NUL, space.
    pub(crate) fn seal(&mut self) {
        let text = format!("{:06o}\0 ", self.sum());
        put(&mut self.checksum, text.as_bytes());
    }

    /// Appends the full name to `out`.
    pub(crate) fn copy_name(&self, out: &mut Vec<u8>) {
        let prefix = if self.magic == MAGIC_USTAR {
            text(&self.prefix)
        } else {
            &[]
        };
        if !prefix.is_empty() {
            out.extend_from_slice(prefix);
            out.push(b'/');
        }
        out.extend_from_slice(text(&self.name));
    }
}

/// A text field up to its NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    field.split(|&byte| byte == 0).next().unwrap_or(field)
}

/// Copies as much of `bytes` as fits; the rest of the field keeps its content.
pub(crate) fn put(field: &mut [u8], bytes: &[u8]) {
    for (to, from) in field.iter_mut().zip(bytes) {
        *to = *from;
    }
}

/// Writes zero-padded octal and a NUL, or zero when the value does not fit (as Go's writer does when
/// a pax record carries the value). Returns whether it fitted.
pub(crate) fn put_octal(field: &mut [u8], value: i64) -> bool {
    let digits = field.len().saturating_sub(1);
    let fits = fits_octal(field.len(), value);
    let text = format!("{:0digits$o}\0", if fits { value } else { 0 });
    put(field, text.as_bytes());
    fits
}

/// Whether a value fits a field of `width` bytes as octal digits and a NUL.
pub(crate) fn fits_octal(width: usize, value: i64) -> bool {
    let bits = width.saturating_sub(1).saturating_mul(3);
    value >= 0 && (bits >= 63 || value.checked_shr(u32::try_from(bits).unwrap_or(63)) == Some(0))
}

/// Reads a numeric field: octal text, or base-256 marked by a first byte of 0x80 (0xff when
/// negative) as GNU writes it. `None` when the field is blank.
///
/// Octal text is spaces, digits, then NULs and spaces; what else readers let through they take
/// differently.
fn number(field: &'static str, bytes: &[u8]) -> Result<Option<i64>, Fault> {
    let refuse = |expected| Fault::Number {
        field,
        found: printable(bytes),
        expected,
    };
    if let [0x80 | 0xff, ..] = bytes {
        return base256(bytes)
            .map(Some)
            .ok_or_else(|| refuse("a base-256 number of at most 63 bits"));
    }
    let start = bytes
        .iter()
        .position(|&byte| byte != b' ')
        .unwrap_or(bytes.len());
    let digits = bytes.get(start..).unwrap_or_default();
    let end = digits
        .iter()
        .position(|byte| !byte.is_ascii_digit())
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end).unwrap_or((digits, &[]));
    if rest.iter().any(|&byte| byte != 0 && byte != b' ') || digits.iter().any(|&byte| byte > b'7')
    {
        return Err(refuse("octal digits ended by NUL or space"));
    }
    if digits.is_empty() {
        return Ok(None);
    }
    // At most 12 digits of 3 bits.
    Ok(Some(digits.iter().fold(0, |value, &digit| {
        value << 3 | i64::from(digit & 7)
    })))
}

fn base256(bytes: &[u8]) -> Option<i64> {
    let (first, rest) = bytes.split_first()?;
    let negative = *first == 0xff;
    let fill = if negative { 0xff } else { 0 };
    let (high, low) = rest.split_at_checked(rest.len().saturating_sub(8))?;
    if high.iter().any(|&byte| byte != fill) {
        return None;
    }
    let mut wide = [fill; 8];
    for (to, from) in wide.iter_mut().rev().zip(low.iter().rev()) {
        *to = *from;
    }
    let value = i64::from_be_bytes(wide);
    ((value < 0) == negative).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn octal(bytes: &[u8]) -> Option<Option<i64>> {
        number("size", bytes).ok()
    }

    #[test]
    fn reads_octal_as_the_common_writers_pad_it() {
        assert_eq!(octal(b"00000000017\0"), Some(Some(15)));
        assert_eq!(octal(b"         17 "), Some(Some(15)));
        assert_eq!(octal(b"777777777777"), Some(Some(0o777_777_777_777)));
        assert_eq!(octal(b"17\0\0\0\0\0\0\0\0\0\0"), Some(Some(15)));
        assert_eq!(octal(&[0; 12]), Some(None));
        assert_eq!(octal(&[b' '; 12]), Some(None));
    }

    #[test]
    fn refuses_octal_that_readers_take_differently() {
        for field in [
            b"-0000000017\0",
            b"+0000000017\0",
            b"0x000000017\0",
            b"00000000018\0",
            b"1_000000000\0",
            b"\x0000000017\0\0\0",
            b"17\x0018\0\0\0\0\0\0\0",
            b"17 18       ",
        ] {
            assert_eq!(octal(field), None, "{}", field.escape_ascii());
        }
    }

    #[test]
    fn refuses_base_256_beyond_63_bits() {
        assert_eq!(octal(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(Some(1 << 33)));
        assert_eq!(octal(b"\x80\0\0\0\x80\0\0\0\0\0\0\0"), None);
        assert_eq!(octal(b"\x80\0\0\x01\0\0\0\0\0\0\0\0"), None);
        assert_eq!(
            octal(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe"),
            Some(Some(-2))
        );
        assert_eq!(
            octal(b"\xff\xff\xff\xff\x7f\xff\xff\xff\xff\xff\xff\xfe"),
            None
        );
        assert_eq!(octal(b"\x81\0\0\0\0\0\0\0\0\0\0\0"), None);
    }

    proptest! {
        #[test]
        fn octal_that_fits_survives(value in 0..1_i64 << 36, width in 8_usize..13) {
            let mut field = vec![0; width];
            let fits = put_octal(&mut field, value);
            prop_assert_eq!(fits, value < 1 << (3 * (width - 1)));
            prop_assert_eq!(octal(&field), Some(Some(if fits { value } else { 0 })));
        }
    }
}
