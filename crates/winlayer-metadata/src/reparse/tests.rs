use super::{ReparseError, ReparsePoint, ReparseTag};
use proptest::prelude::*;

fn hex(text: &str) -> Vec<u8> {
    text.split_whitespace()
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

/// A link buffer with the given names, without NULs between them.
fn link(tag: ReparseTag, flags: Option<u32>, substitute: &str, print: &str) -> Vec<u8> {
    let (mut paths, mut data) = (Vec::new(), Vec::new());
    crate::text::push_utf16le(substitute, &mut paths);
    let split = paths.len() as u16;
    crate::text::push_utf16le(print, &mut paths);
    for field in [0, split, split, paths.len() as u16 - split] {
        data.extend(field.to_le_bytes());
    }
    data.extend(flags.map(u32::to_le_bytes).into_iter().flatten());
    data.extend(paths);
    buffer(tag, &data)
}

fn buffer(tag: ReparseTag, data: &[u8]) -> Vec<u8> {
    let mut bytes = tag.0.to_le_bytes().to_vec();
    bytes.extend((data.len() as u32).to_le_bytes());
    bytes.extend(data);
    bytes
}

fn symlink(flags: u32, substitute: &str, print: &str) -> ReparsePoint {
    ReparsePoint::parse(&link(ReparseTag::SYMLINK, Some(flags), substitute, print)).unwrap()
}

#[test]
fn writes_a_relative_symlink_as_go_winio() {
    let expected = hex("0c 00 00 a0 20 00 00 00 00 00 08 00 0a 00 08 00 01 00 00 00
                        2e 00 2e 00 5c 00 62 00 00 00 2e 00 2e 00 5c 00 62 00 00 00");
    let made = ReparsePoint::symlink(r"..\b").unwrap();
    assert_eq!(made.as_bytes(), expected);
    assert_eq!(ReparsePoint::symlink("../b").as_ref(), Ok(&made));
    assert_eq!(ReparsePoint::parse(&expected).as_ref(), Ok(&made));
    assert_eq!(
        (made.tag(), made.target(), made.is_relative()),
        (ReparseTag::SYMLINK, Some(r"..\b"), true)
    );
}

#[test]
fn writes_an_absolute_symlink_as_go_winio() {
    let expected = hex("0c 00 00 a0 28 00 00 00 00 00 10 00 12 00 08 00 00 00 00 00
                        5c 00 3f 00 3f 00 5c 00 43 00 3a 00 5c 00 61 00 00 00 43 00 3a 00 5c 00 61 00 00 00");
    let made = ReparsePoint::symlink(r"C:\a").unwrap();
    assert_eq!(made.as_bytes(), expected);
    assert_eq!(ReparsePoint::parse(&expected).as_ref(), Ok(&made));
    assert_eq!((made.target(), made.is_relative()), (Some(r"C:\a"), false));
}

#[test]
fn writes_a_mount_point_as_go_winio() {
    let expected = hex("03 00 00 a0 24 00 00 00 00 00 10 00 12 00 08 00
                        5c 00 3f 00 3f 00 5c 00 43 00 3a 00 5c 00 61 00 00 00 43 00 3a 00 5c 00 61 00 00 00");
    let made = ReparsePoint::mount_point(r"C:\a").unwrap();
    assert_eq!(made.as_bytes(), expected);
    assert_eq!(ReparsePoint::parse(&expected).as_ref(), Ok(&made));
    assert_eq!(
        (made.tag(), made.target(), made.is_relative()),
        (ReparseTag::MOUNT_POINT, Some(r"C:\a"), false)
    );
}

#[test]
fn substitutes_names_by_the_form_of_the_target() {
    for (target, substitute, relative) in [
        (r"\\?\C:\a", r"\??\C:\a", false),
        (r"\\?\Volume{1}\a", r"\??\Volume{1}\a", false),
        (r"\\server\share", r"\??\UNC\server\share", false),
        (r"\\.\pipe\x", r"\??\UNC\.\pipe\x", false),
        (r"c:\a", r"\??\c:\a", false),
        (r"c:a", r"\??\c:a", false),
        (r"\a", r"\a", true),
        (r"a\..\b", r"a\..\b", true),
        (r"é:\a", r"é:\a", true),
        (r"ab:\a", r"ab:\a", true),
        (r"\??\C:\a", r"\??\C:\a", true),
    ] {
        let made = ReparsePoint::symlink(target).unwrap();
        assert_eq!(
            made.substitute_name().as_deref(),
            Some(substitute),
            "{target}"
        );
        assert_eq!(made.print_name().as_deref(), Some(target));
        assert_eq!(made.is_relative(), relative, "{target}");
        assert!(made.names_agree(), "{target}");
        match ReparsePoint::mount_point(target) {
            Ok(made) => assert_eq!(
                (made.substitute_name().as_deref(), relative),
                (Some(substitute), false)
            ),
            Err(error) => {
                assert!(
                    relative && matches!(error, ReparseError::RelativeMountPoint { .. }),
                    "{target}: {error}"
                );
            }
        }
    }
}

#[test]
fn prefers_the_print_name_and_else_derives_the_target() {
    for (substitute, print, target) in [
        (r"\??\C:\a", r"D:\b", r"D:\b"),
        (r"\??\C:\a", "", r"C:\a"),
        (r"\??\UNC\server\share", "", r"\\server\share"),
        (r"\??\Volume{1}\", "", r"\\?\Volume{1}\"),
        (r"\??\", "", r"\\?\"),
        (r"..\b", "", r"..\b"),
        ("", r"..\b", r"..\b"),
    ] {
        assert_eq!(symlink(0, substitute, print).target(), Some(target));
    }
}

#[test]
fn tells_when_the_print_name_hides_another_target() {
    assert!(symlink(0, r"\??\C:\a", r"C:\a").names_agree());
    assert!(symlink(0, r"\??\C:\A", r"C:\a").names_agree());
    assert!(symlink(0, r"\??\C:\a", "").names_agree());
    assert!(symlink(1, r"..\a", r"..\a").names_agree());
    assert!(!symlink(0, r"\??\C:\evil", r"C:\a").names_agree());
    assert!(
        !symlink(0, r"..\a", r"..\a").names_agree(),
        "the flag contradicts the name"
    );
    assert!(
        !symlink(1, r"\??\C:\a", r"C:\a").names_agree(),
        "the flag contradicts the name"
    );
    assert!(!symlink(0, "", r"C:\a").names_agree());
    let junction = |substitute, print| {
        ReparsePoint::parse(&link(ReparseTag::MOUNT_POINT, None, substitute, print)).unwrap()
    };
    assert!(junction(r"\??\C:\a", "").names_agree());
    assert!(!junction(r"C:\a", r"C:\a").names_agree());
    assert!(!junction(r"..\a", r"..\a").names_agree());
}

#[test]
fn refuses_targets_that_cannot_be_stored() {
    assert_eq!(ReparsePoint::symlink(""), Err(ReparseError::EmptyTarget));
    let nul = ReparseError::NulInTarget {
        target: r"a\0b".into(),
    };
    assert_eq!(ReparsePoint::symlink("a\0b"), Err(nul));
    // 8 + 12 + 2 * (2 n + 2) bytes for a relative target of n units.
    let longest = "x".repeat(4_090);
    assert_eq!(
        ReparsePoint::symlink(&longest).unwrap().as_bytes().len(),
        16_384
    );
    assert_eq!(
        ReparsePoint::symlink(&format!("{longest}x")),
        Err(ReparseError::TooLong { len: 16_388 })
    );
    let huge = "x".repeat(100_000);
    assert!(matches!(
        ReparsePoint::symlink(&huge),
        Err(ReparseError::TooLong { .. })
    ));
}

#[test]
fn refuses_buffers_of_the_wrong_length() {
    let whole = ReparsePoint::symlink("a").unwrap();
    for len in 0..whole.as_bytes().len() {
        let found = ReparsePoint::parse(&whole.as_bytes()[..len]);
        assert!(
            matches!(found, Err(ReparseError::Length { .. })),
            "{len}: {found:?}"
        );
    }
    let longer = [whole.as_bytes(), &[0]].concat();
    let error = ReparseError::Length {
        tag: ReparseTag::SYMLINK,
        expected: 28,
        found: 29,
    };
    assert_eq!(ReparsePoint::parse(&longer), Err(error));
    assert_eq!(
        ReparsePoint::parse(&vec![0; 16_385]),
        Err(ReparseError::TooLong { len: 16_385 })
    );
}

#[test]
fn refuses_names_outside_the_buffer_or_cut_through() {
    let good = ReparsePoint::mount_point(r"C:\a").unwrap();
    // Offset of the field, value, and which name is then wrong; the names take 28 bytes.
    for (at, value, name) in [
        (8, 14, "substitute"),
        (8, 1, "substitute"),
        (8, 0xffff, "substitute"),
        (10, 30, "substitute"),
        (10, 3, "substitute"),
        (12, 22, "print"),
        (12, 0xfffe, "print"),
        (14, 12, "print"),
        (14, 5, "print"),
        (14, 0xffff, "print"),
    ] {
        let mut bytes = good.as_bytes().to_vec();
        bytes[at..at + 2].copy_from_slice(&u16::to_le_bytes(value));
        let found = ReparsePoint::parse(&bytes);
        assert!(
            matches!(found, Err(ReparseError::NameOutOfRange { name: wrong, .. }) if wrong == name),
            "{at} = {value}: {found:?}"
        );
    }
}

#[test]
fn refuses_names_that_are_not_text() {
    let mut bytes = ReparsePoint::symlink("ab").unwrap().as_bytes().to_vec();
    bytes[20..22].copy_from_slice(&[0x00, 0xd8]);
    assert_eq!(
        ReparsePoint::parse(&bytes),
        Err(ReparseError::NotText { name: "substitute" })
    );
    bytes[20..22].copy_from_slice(&[0, 0]);
    assert_eq!(
        ReparsePoint::parse(&bytes),
        Err(ReparseError::NotText { name: "substitute" })
    );
    let empty = link(ReparseTag::SYMLINK, Some(0), "", "");
    assert_eq!(ReparsePoint::parse(&empty), Err(ReparseError::EmptyTarget));
}

#[test]
fn keeps_other_tags_opaque() {
    // Placeholder of the container filter, as published from a Windows Sandbox base layer.
    let mut data =
        hex("01 00 00 00 00 00 00 00 77 f6 64 82 b0 40 a5 4c bf 9a 94 4a c2 da 80 87 3a 00");
    crate::text::push_utf16le(r"Windows\System32\kernel32.dll", &mut data);
    assert_eq!(data.len(), 0x54);
    let bytes = buffer(ReparseTag::WCI_1, &data);
    let placeholder = ReparsePoint::parse(&bytes).unwrap();
    assert_eq!(placeholder.tag(), ReparseTag::WCI_1);
    assert!(placeholder.tag().is_container_filter());
    assert_eq!(
        (
            placeholder.target(),
            placeholder.guid(),
            placeholder.is_relative()
        ),
        (None, None, false)
    );
    assert!(placeholder.names_agree());
    assert_eq!(
        (placeholder.data(), placeholder.as_bytes()),
        (&data[..], &bytes[..])
    );

    let tombstone = ReparsePoint::parse(&buffer(ReparseTag::WCI_TOMBSTONE, &[])).unwrap();
    assert!(tombstone.data().is_empty());
}

#[test]
fn finds_the_guid_of_foreign_tags() {
    let guid: Vec<u8> = (1..=16).collect();
    let mut bytes = hex("34 12 00 00 03 00 00 00");
    bytes.extend(&guid);
    bytes.extend(b"abc");
    let foreign = ReparsePoint::parse(&bytes).unwrap();
    assert_eq!(
        (foreign.guid(), foreign.data()),
        (Some(&guid[..]), &b"abc"[..])
    );
    let error = ReparseError::Length {
        tag: ReparseTag(0x1234),
        expected: 27,
        found: 11,
    };
    assert_eq!(
        ReparsePoint::parse(&[&bytes[..8], b"abc"].concat()),
        Err(error)
    );
}

#[test]
fn refuses_reserved_tags() {
    for tag in [0, 1] {
        let tag = ReparseTag(tag);
        let bytes = [&buffer(tag, &[])[..], &[0; 16]].concat();
        assert_eq!(
            ReparsePoint::parse(&bytes),
            Err(ReparseError::ReservedTag { tag })
        );
    }
}

#[test]
fn names_tags_and_reads_their_bits() {
    assert_eq!(ReparseTag::SYMLINK.to_string(), "SYMLINK (0xA000000C)");
    assert_eq!(ReparseTag(0x1234).to_string(), "0x00001234");
    for (tag, microsoft, surrogate, directory) in [
        (ReparseTag::SYMLINK, true, true, false),
        (ReparseTag::WCI_1, true, false, true),
        (ReparseTag::WOF, true, false, false),
        (ReparseTag(0x1234), false, false, false),
    ] {
        assert_eq!(
            (
                tag.is_microsoft(),
                tag.is_name_surrogate(),
                tag.is_directory_capable()
            ),
            (microsoft, surrogate, directory),
            "{tag}"
        );
    }
    assert!(!ReparseTag::SYMLINK.is_container_filter());
}

fn target() -> impl Strategy<Value = String> {
    r"(\\\\\?\\|\\\\|[A-Za-z]:|\\|)[^\x00/]{1,40}"
}

proptest! {
    #[test]
    fn links_round_trip(target in target()) {
        let made = ReparsePoint::symlink(&target).unwrap();
        prop_assert_eq!(made.target(), Some(target.as_str()));
        prop_assert!(made.names_agree());
        prop_assert_eq!(ReparsePoint::parse(made.as_bytes()), Ok(made));
        if let Ok(made) = ReparsePoint::mount_point(&target) {
            prop_assert_eq!(ReparsePoint::parse(made.as_bytes()), Ok(made));
        }
    }

    #[test]
    fn a_target_derived_from_the_substitute_name_leads_to_the_same_place(target in target()) {
        let made = ReparsePoint::symlink(&target).unwrap();
        let substitute = made.substitute_name().unwrap();
        let derived = symlink(u32::from(made.is_relative()), &substitute, "");
        if made.is_relative() != substitute.starts_with(r"\??\") {
            prop_assert!(derived.names_agree(), "{:?}", derived.target());
        }
    }

    #[test]
    fn parsing_never_panics(
        tag in prop::sample::select(vec![0xA000_000C_u32, 0xA000_0003, 0x9000_1018, 0x1234, 0]),
        data in prop::collection::vec(any::<u8>(), 0..120),
        raw in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let _ = ReparsePoint::parse(&raw);
        let bytes = buffer(ReparseTag(tag), &data);
        if let Ok(read) = ReparsePoint::parse(&bytes) {
            prop_assert_eq!(read.as_bytes(), &bytes);
            let _ = (read.names_agree(), read.print_name(), read.guid());
        }
    }
}
