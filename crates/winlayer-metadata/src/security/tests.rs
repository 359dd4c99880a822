use super::{AclKind, SddlError, SecurityDescriptor, SecurityDescriptorError, SidError};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;

/// SDDL and base64 of descriptors other tools put into Windows layers: buildkit's directory and file (util/winlayers), and the
/// owner-only ones of imgutil.
const KNOWN: [(&str, &str, usize); 4] = [
    (
        "O:BAG:SYD:(A;OICI;FA;;;BA)(A;OICI;FA;;;SY)(A;;FA;;;BA)(A;OICIIO;GA;;;CO)(A;OICI;0x1200a9;;;BU)(A;CI;LC;;;BU)(A;CI;DC;;;BU)",
        "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgCoAAcAAAAAAxgA/wEfAAECAAAAAAAFIAAAACACAAAAAxQA/wEfAAEBAAAAAAAFEgAAAAAAGAD/AR8AAQIAAAAAAAUgAAAAIAIAAAALFAAAAAAQAQEAAAAAAAMAAAAAAAMYAKkAEgABAgAAAAAABSAAAAAhAgAAAAIYAAQAAAABAgAAAAAABSAAAAAhAgAAAAIYAAIAAAABAgAAAAAABSAAAAAhAgAA",
        216,
    ),
    (
        "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)",
        "AQAEgBQAAAAkAAAAAAAAADAAAAABAgAAAAAABSAAAAAgAgAAAQEAAAAAAAUSAAAAAgBMAAMAAAAAABgA/wEfAAECAAAAAAAFIAAAACACAAAAABQA/wEfAAEBAAAAAAAFEgAAAAAAGACpABIAAQIAAAAAAAUgAAAAIQIAAA==",
        124,
    ),
    (
        "O:BAG:BA",
        "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==",
        52,
    ),
    (
        "O:BUG:BU",
        "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAhAgAAAQIAAAAAAAUgAAAAIQIAAA==",
        52,
    ),
];

fn encode(sddl: &str) -> SecurityDescriptor {
    SecurityDescriptor::from_sddl(sddl).unwrap_or_else(|error| panic!("{sddl}: {error}"))
}

/// A descriptor with one ACE in its DACL.
fn with_ace(ace: &[u8]) -> Vec<u8> {
    let mut bytes = vec![
        1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,
    ];
    bytes.extend([4, 0]);
    bytes.extend((8 + ace.len() as u16).to_le_bytes());
    bytes.extend([1, 0, 0, 0]);
    bytes.extend(ace);
    bytes
}

fn sddl_of_ace(ace: &[u8]) -> String {
    SecurityDescriptor::parse(&with_ace(ace)).unwrap().to_sddl()
}

#[test]
fn encodes_what_other_tools_put_into_layers() {
    for (sddl, base64, len) in KNOWN {
        let expected = BASE64_STANDARD.decode(base64).unwrap();
        let made = encode(sddl);
        assert_eq!(made.as_bytes(), expected, "{sddl}");
        assert_eq!(made.as_bytes().len(), len);
        assert_eq!(
            SecurityDescriptor::parse(&expected).unwrap().to_sddl(),
            sddl
        );
    }
}

#[test]
fn lays_out_owner_group_sacl_and_dacl_in_that_order() {
    let made = encode("O:SYG:BAD:(A;;GA;;;WD)S:(AU;SAFA;FA;;;WD)");
    let offset = |at: usize| u32::from_le_bytes(made.as_bytes()[at..at + 4].try_into().unwrap());
    assert_eq!(
        [offset(4), offset(8), offset(12), offset(16)],
        [20, 32, 48, 76]
    );
    assert_eq!(made.control(), 0x8014);
    assert_eq!(made.owner().unwrap().to_string(), "S-1-5-18");
    assert_eq!(made.group().unwrap().to_string(), "S-1-5-32-544");
}

#[test]
fn reads_the_null_dacl_placeholder() {
    let mut bytes = vec![1, 0, 4, 0x80];
    bytes.resize(20, 0);
    let placeholder = SecurityDescriptor::parse(&bytes).unwrap();
    assert_eq!((placeholder.owner(), placeholder.group()), (None, None));
    assert_eq!(placeholder.to_sddl(), "D:NO_ACCESS_CONTROL");
    assert_eq!(encode("D:NO_ACCESS_CONTROL").as_bytes(), bytes);
    // No DACL at all is something else than a NULL DACL, and that than an empty one.
    assert_eq!(encode("").control(), 0x8000);
    assert_eq!(encode("D:").as_bytes()[20..], [2, 0, 8, 0, 0, 0, 0, 0]);
    assert_eq!(encode("D:").to_sddl(), "D:");
}

#[test]
fn sddl_round_trips_in_its_own_spelling() {
    for sddl in [
        "",
        "O:SY",
        "G:S-1-5-21-1-2-3-513",
        "O:S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464G:SYD:PAI(A;;FA;;;SY)",
        "D:PARAI(A;OICINPIOID;CCDCLCSWRPWPDTLOCRSDRCWDWOGAGXGWGR;;;WD)",
        "D:P",
        "D:PAINO_ACCESS_CONTROL",
        "S:NO_ACCESS_CONTROL",
        "D:(D;;FR;;;AN)(A;;FW;;;AU)(A;;FX;;;BU)(A;;KA;;;BA)(A;;KR;;;BU)(A;;KW;;;SO)(A;;0x0;;;AC)(A;;0x100000;;;WD)",
        "D:(A;OICIIO;SDGXGWGR;;;AU)(A;CIID;0xffffffff;;;S-1-0x010000000005-7)",
        "D:(OA;;CR;01234567-89ab-cdef-0123-456789abcdef;;BA)(OD;CI;RPWP;;fedcba98-7654-3210-fedc-ba9876543210;PS)",
        "D:(OA;;0x1;00000000-0000-0000-0000-000000000000;01234567-89ab-cdef-0123-456789abcdef;WD)(OA;;GA;;;WD)"
            .replace("0x1", "CC")
            .as_str(),
        "S:PARAI(AU;SAFA;FA;;;WD)(OU;SA;CR;01234567-89ab-cdef-0123-456789abcdef;;WD)(AL;;FA;;;WD)",
        "S:(ML;;NW;;;LW)(ML;OICI;NWNRNX;;;HI)(ML;;0x8;;;ME)",
        "D:(A;0x20;FA;;;SY)(A;0x33;FA;;;SY)",
        "D:(0x04;OI;#00112233445566778899aabb;;;)(0xff;;#;;;)",
    ] {
        let made = encode(sddl);
        assert_eq!(made.to_sddl(), sddl);
        assert_eq!(SecurityDescriptor::parse(made.as_bytes()).as_ref(), Ok(&made));
    }
}

#[test]
fn accepts_other_spellings() {
    for (spelled, same) in [
        (
            "o:ba g:sy d:p(a;oici;fa;;;ba)",
            "O:BAG:SYD:P(A;OICI;FA;;;BA)",
        ),
        (
            " D: ( A ; OI ; FA ; ; ; SY ) ( A ; ; FA ; ; ; BA ) O: SY ",
            "O:SYD:(A;OI;FA;;;SY)(A;;FA;;;BA)",
        ),
        ("D:AIPAR(A;;FRFX;;;BU)", "D:PARAI(A;;0x1200a9;;;BU)"),
        ("D:NO_ACCESS_CONTROLP", "D:PNO_ACCESS_CONTROL"),
        (
            "D:(A;;2032127;;;BU)(A;;0X1F01FF;;;BU)(A;;;;;BU)",
            "D:(A;;FA;;;BU)(A;;FA;;;BU)(A;;0x0;;;BU)",
        ),
        (
            "D:(A;;KX;;;BU)(A;;1;;;BU)(A;3;0;;;BU)",
            "D:(A;;KR;;;BU)(A;;CC;;;BU)(A;OICI;0x0;;;BU)",
        ),
        ("O:S-1-5-18D:(A;;FA;;;S-1-5-32-545)", "O:SYD:(A;;FA;;;BU)"),
        ("S:(ML;;NX;;;SI)O:s-1-1-0", "O:WDS:(ML;;NX;;;SI)"),
        ("D:(A;;NWNRNX;;;BU)", "D:(A;;CCDCLC;;;BU)"),
    ] {
        assert_eq!(encode(spelled).to_sddl(), same, "{spelled}");
    }
}

#[test]
fn encodes_object_aces_with_guids_in_mixed_byte_order() {
    let made = encode("D:(OA;CI;RP;01234567-89ab-cdef-0123-456789abcdef;;SY)");
    let dacl = &made.as_bytes()[20..];
    assert_eq!(
        dacl[..8],
        [4, 0, 48, 0, 1, 0, 0, 0],
        "object ACEs need revision 4"
    );
    let guid = [
        0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd,
        0xef,
    ];
    assert_eq!(dacl[8..20], [5, 2, 40, 0, 0x10, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(dacl[20..36], guid);
}

#[test]
fn writes_aces_sddl_cannot_express_without_loss() {
    let sid = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    // A conditional ACE, data after the SID, unknown object flags, and a type nobody knows.
    let conditional = [&[9, 0, 24, 0, 1, 0, 0, 0][..], &sid, b"artx"].concat();
    let trailing = [&[0, 0, 20 + 4, 0, 1, 0, 0, 0][..], &sid, &[0; 4]].concat();
    let object = [&[5, 0, 24, 0, 1, 0, 0, 0, 4, 0, 0, 0][..], &sid].concat();
    let unknown = [0x7f, 0x10, 8, 0, 1, 2, 3, 4];
    for (ace, sddl) in [
        (
            &conditional[..],
            "D:(0x09;;#0100000001010000000000010000000061727478;;;)",
        ),
        (
            &trailing,
            "D:(0x00;;#0100000001010000000000010000000000000000;;;)",
        ),
        (
            &object,
            "D:(0x05;;#0100000004000000010100000000000100000000;;;)",
        ),
        (&unknown, "D:(0x7f;ID;#01020304;;;)"),
    ] {
        assert_eq!(sddl_of_ace(ace), sddl);
        let made = encode(sddl);
        assert_eq!(made.as_bytes()[28..], *ace, "{sddl}");
    }
}

#[test]
fn says_why_sddl_is_refused() {
    let message = |sddl: &str| SecurityDescriptor::from_sddl(sddl).unwrap_err().to_string();
    assert_eq!(
        message("X:BA"),
        r#"SDDL has "X:BA" at position 0, expected O:, G:, D: or S:"#
    );
    assert_eq!(
        message("O:BAO:BA"),
        "SDDL gives O: a second time at position 4"
    );
    assert_eq!(
        message("D:(A;;FA;;;ZZ)"),
        r#"SDDL has "ZZ" at position 11, expected a SID or one of its two-letter aliases"#
    );
    assert_eq!(
        message("D:(A;;FAX;;;BA)"),
        r#"SDDL has "FAX" at position 6, expected rights such as FA or 0x1200a9"#
    );
    assert_eq!(
        message("D:(A;OIXX;FA;;;BA)"),
        r#"SDDL has "OIXX" at position 5, expected ACE flags such as OICI"#
    );
    assert_eq!(
        message("D:(\u{1b};;FA;;;BA)"),
        r#"SDDL has "\u{1b}" at position 3, expected an ACE type such as A or D"#
    );
}

#[test]
fn refuses_aliases_that_need_a_domain() {
    for alias in [
        "DA", "DU", "DG", "DC", "DD", "LA", "LG", "CA", "EA", "SA", "PA", "RS",
    ] {
        let error = SecurityDescriptor::from_sddl(&format!("O:{alias}")).unwrap_err();
        assert_eq!(
            error,
            SddlError::DomainRelative {
                position: 2,
                alias: alias.into()
            }
        );
    }
    let error = SecurityDescriptor::from_sddl("D:(A;;FA;;;da)").unwrap_err();
    assert_eq!(
        error,
        SddlError::DomainRelative {
            position: 11,
            alias: "da".into()
        }
    );
}

#[test]
fn refuses_conditional_aces() {
    for kind in ["XA", "XD", "XU", "ZA", "RA"] {
        let sddl = format!(r#"D:({kind};;FX;;;S-1-1-0;(@User.Title=="PM"))"#);
        let error = SecurityDescriptor::from_sddl(&sddl).unwrap_err();
        assert_eq!(
            error,
            SddlError::Conditional {
                position: 3,
                kind: kind.into()
            }
        );
    }
}

#[test]
fn refuses_malformed_sddl() {
    for sddl in [
        "O",
        "O:",
        "O:B",
        "O:é",
        "BA",
        "O:BAx",
        "D:(",
        "D:(A;;FA;;;BA",
        "D:()",
        "D:(A)",
        "D:(A;;FA;;;BA;)",
        "D:(A;;FA;;BA)",
        "D:(A;;FA;;;BABU)",
        "D:(A;;FA;;;)",
        "D:(A;;FA;01234567-89ab-cdef-0123-456789abcdef;;BA)",
        "D:(OA;;FA;0123;;BA)",
        "D:(OA;;FA;0123456789ab-cdef-0123-456789abcdef----;;BA)",
        "D:(A;;0x;;;BA)",
        "D:(A;;0x123456789;;;BA)",
        "D:(A;;0x+1;;;BA)",
        "D:(A;;010;;;BA)",
        "D:(A;;4294967296;;;BA)",
        "D:(A;256;FA;;;BA)",
        "D:(A;;Fé;;;BA)",
        "D:(0x100;;#;;;)",
        "D:(0x7f;;;;;)",
        "D:(0x7f;;#0102;;;)",
        "D:(0x7f;;#0102030g;;;)",
        "D:(0x7f;;#01020304;;;BA)",
        "D:NO_ACCESS_CONTROL(A;;FA;;;BA)",
        "D:PQ",
        "D:D:",
        "S:(ML;;NW;;;LW)S:",
        "O:S-1-5-18-",
    ] {
        assert!(
            SecurityDescriptor::from_sddl(sddl).is_err(),
            "{sddl:?} was accepted"
        );
    }
    // Readable, but not an ACE of its type.
    let error = SecurityDescriptor::from_sddl("D:(0x00;;#01000000;;;)").unwrap_err();
    assert!(matches!(
        error,
        SddlError::Invalid(
            SecurityDescriptorError::AceSize { .. } | SecurityDescriptorError::AceSid { .. }
        )
    ));
}

#[test]
fn refuses_sddl_that_gives_too_long_an_acl() {
    let many = format!("D:{}", "(A;;FA;;;SY)".repeat(3277));
    assert_eq!(
        SecurityDescriptor::from_sddl(&many),
        Err(SddlError::TooLong { len: 8 + 20 * 3277 })
    );
    let two = format!("D:{0}S:{0}", "(A;;FA;;;SY)".repeat(2000));
    assert_eq!(
        SecurityDescriptor::from_sddl(&two),
        Err(SddlError::Invalid(SecurityDescriptorError::Length {
            len: 20 + 2 * 40_008
        }))
    );
}

#[test]
fn refuses_bad_headers() {
    let good = encode(KNOWN[1].0).as_bytes().to_vec();
    for len in 0..20 {
        let error = SecurityDescriptor::parse(&good[..len]).unwrap_err();
        assert_eq!(error, SecurityDescriptorError::Length { len });
    }
    let long = [&good[..], &vec![0; 65_537 - good.len()]].concat();
    assert_eq!(
        SecurityDescriptor::parse(&long),
        Err(SecurityDescriptorError::Length { len: 65_537 })
    );
    assert!(
        SecurityDescriptor::parse(&long[..65_536]).is_ok(),
        "slack after the parts is allowed"
    );
    let patched = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        SecurityDescriptor::parse(&bytes)
    };
    assert_eq!(
        patched(0, 2),
        Err(SecurityDescriptorError::Revision { found: 2 })
    );
    assert_eq!(
        patched(3, 0),
        Err(SecurityDescriptorError::NotSelfRelative { control: 4 })
    );
}

#[test]
fn refuses_offsets_in_the_header_outside_or_unaligned() {
    let good = encode("O:SYG:BAD:(A;;GA;;;WD)S:(AU;SAFA;FA;;;WD)")
        .as_bytes()
        .to_vec();
    for (at, part) in [(4, "owner"), (8, "group"), (12, "SACL"), (16, "DACL")] {
        for offset in [
            1,
            4,
            16,
            22,
            good.len() as u32,
            0x8000_0000,
            u32::MAX,
            u32::MAX - 3,
        ] {
            let mut bytes = good.clone();
            bytes[at..at + 4].copy_from_slice(&offset.to_le_bytes());
            let error = SecurityDescriptorError::Offset {
                part,
                offset,
                len: good.len(),
            };
            assert_eq!(SecurityDescriptor::parse(&bytes), Err(error));
        }
    }
}

#[test]
fn refuses_every_cut_of_a_descriptor_without_slack() {
    for (sddl, ..) in KNOWN {
        let good = encode(sddl).as_bytes().to_vec();
        for len in 0..good.len() {
            assert!(
                SecurityDescriptor::parse(&good[..len]).is_err(),
                "{sddl} cut to {len}"
            );
        }
    }
}

#[test]
fn refuses_malformed_sids() {
    let mut bytes = encode("O:SY").as_bytes().to_vec();
    bytes[21] = 16;
    let source = SidError::SubAuthorities { found: 16 };
    assert_eq!(
        SecurityDescriptor::parse(&bytes),
        Err(SecurityDescriptorError::Sid {
            part: "owner",
            offset: 20,
            source
        })
    );
}

#[test]
fn refuses_malformed_acls_and_aces() {
    let good = encode("D:(A;;GA;;;WD)(A;;GA;;;SY)").as_bytes().to_vec();
    let patched = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        SecurityDescriptor::parse(&bytes).unwrap_err()
    };
    let acl = AclKind::Dacl;
    assert_eq!(
        patched(20, 5),
        SecurityDescriptorError::AclRevision {
            acl,
            offset: 20,
            found: 5
        }
    );
    for size in [0, 7, 49, 255] {
        let error = SecurityDescriptorError::AclSize {
            acl,
            offset: 20,
            size: size.into(),
            left: 48,
        };
        assert_eq!(patched(22, size), error);
    }
    // The second ACE of 20 bytes starts at 48.
    for size in [0, 3, 18, 21, 24] {
        let error = SecurityDescriptorError::AceSize {
            acl,
            index: 1,
            offset: 48,
            size: size.into(),
            least: 16,
            left: 20,
        };
        assert_eq!(patched(50, size), error);
    }
    let count = SecurityDescriptorError::AceSize {
        acl,
        index: 2,
        offset: 68,
        size: 4,
        least: 4,
        left: 0,
    };
    assert_eq!(patched(24, 3), count);
    let source = SidError::Truncated {
        needed: 16,
        left: 12,
    };
    assert_eq!(
        patched(57, 2),
        SecurityDescriptorError::AceSid {
            acl,
            index: 1,
            offset: 48,
            source
        }
    );
}

#[test]
fn refuses_object_aces_too_short_for_their_guids() {
    let sid = [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    for flags in 1..=3 {
        let ace = [&[5, 0, 24, 0, 1, 0, 0, 0, flags, 0, 0, 0][..], &sid].concat();
        let error = SecurityDescriptorError::AceSize {
            acl: AclKind::Dacl,
            index: 0,
            offset: 28,
            size: 24,
            least: 36,
            left: 24,
        };
        assert_eq!(SecurityDescriptor::parse(&with_ace(&ace)), Err(error));
    }
}

#[test]
fn ignores_an_acl_that_is_not_marked_as_present() {
    let mut bytes = encode("O:SYD:(A;;GA;;;WD)").as_bytes().to_vec();
    bytes[2] = 0;
    bytes[32] = 9; // the revision of the ACL
    let read = SecurityDescriptor::parse(&bytes).unwrap();
    assert_eq!(
        (read.as_bytes(), read.to_sddl().as_str()),
        (&bytes[..], "O:SY")
    );
}

fn any_ace() -> impl Strategy<Value = String> {
    let sid = prop_oneof![
        prop::sample::select(vec!["BA", "SY", "WD", "BU", "CO"]).prop_map(str::to_owned),
        prop::collection::vec(any::<u32>(), 0..=15).prop_map(|all| all
            .iter()
            .fold("S-1-5".to_owned(), |sid, number| format!("{sid}-{number}"))),
    ];
    let guid = prop_oneof![
        Just(String::new()),
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    ];
    let basic = (
        prop::sample::select(vec!["A", "D", "AU", "AL", "ML", "SP", "TL"]),
        any::<u8>(),
        any::<u32>(),
        sid.clone(),
    )
        .prop_map(|(kind, flags, mask, sid)| format!("({kind};{flags};{mask:#x};;;{sid})"));
    let object = (
        prop::sample::select(vec!["OA", "OD", "OU", "OL"]),
        any::<u8>(),
        any::<u32>(),
        guid.clone(),
        guid,
        sid,
    )
        .prop_map(|(kind, flags, mask, a, b, sid)| {
            format!("({kind};{flags};{mask:#x};{a};{b};{sid})")
        });
    let raw = (0x16..=255_u8, any::<u8>(), "([0-9a-f]{8}){0,6}")
        .prop_map(|(kind, flags, body)| format!("({kind:#04x};{flags};#{body};;;)"));
    prop_oneof![basic, object, raw]
}

fn any_sddl() -> impl Strategy<Value = String> {
    let acl = || {
        (
            prop::sample::subsequence(vec!["P", "AR", "AI"], 0..=3),
            prop::collection::vec(any_ace(), 0..6),
        )
    };
    (acl(), acl()).prop_map(|((dacl_flags, dacl), (sacl_flags, sacl))| {
        format!(
            "O:BAG:SYD:{}{}S:{}{}",
            dacl_flags.concat(),
            dacl.concat(),
            sacl_flags.concat(),
            sacl.concat()
        )
    })
}

proptest! {
    #[test]
    fn descriptors_round_trip_through_sddl(sddl in any_sddl()) {
        let made = encode(&sddl);
        prop_assert_eq!(encode(&made.to_sddl()), made);
    }

    #[test]
    fn damaged_descriptors_are_refused_or_stay_as_they_are(sddl in any_sddl(), at: prop::sample::Index, byte: u8) {
        let mut bytes = encode(&sddl).as_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = SecurityDescriptor::parse(&bytes) {
            prop_assert_eq!(read.as_bytes(), &bytes);
            let canonical = encode(&read.to_sddl());
            prop_assert_eq!(canonical.to_sddl(), read.to_sddl());
            prop_assert_eq!((canonical.owner(), canonical.group()), (read.owner(), read.group()));
        }
    }

    #[test]
    fn parsing_never_panics(tail in prop::collection::vec(any::<u8>(), 0..100), text in "\\PC{0,40}|[OGDS:()A;FBYPI0-9x#]{0,40}") {
        let _ = SecurityDescriptor::parse(&tail);
        let mut bytes = vec![1, 0, 0x14, 0x80, 20, 0, 0, 0, 20, 0, 0, 0, 24, 0, 0, 0, 20, 0, 0, 0];
        bytes.extend(tail);
        let _ = SecurityDescriptor::parse(&bytes);
        let _ = SecurityDescriptor::from_sddl(&text);
    }
}

#[test]
fn an_acl_that_is_not_present_may_have_any_offset() {
    let mut bytes = [
        1, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    bytes[12] = 200;
    bytes[16] = 3;
    let descriptor = SecurityDescriptor::parse(&bytes).unwrap();
    assert_eq!(descriptor.to_sddl(), "");
    bytes[2] = 0x04;
    SecurityDescriptor::parse(&bytes).unwrap_err();
}
