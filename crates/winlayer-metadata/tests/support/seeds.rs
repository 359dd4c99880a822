//! Inputs the fuzz targets start from.

use winlayer_metadata::backup_stream::BackupStreamWriter;
use winlayer_metadata::{ExtendedAttributes, ReparsePoint, SecurityDescriptor};

use super::oracle;

/// A target's function by its name, and its seeds.
pub type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

const SDDL: [&str; 3] = [
    "O:BAG:SYD:(A;;FA;;;BA)(A;;FA;;;SY)(A;;0x1200a9;;;BU)",
    "O:S-1-5-21-1-2-3-1001D:PAI(D;OICIIO;GA;;;WD)S:(AU;SAFA;FA;;;WD)",
    "D:NO_ACCESS_CONTROL",
];

/// A record of an unknown kind, whose name is nothing but the NULs that may end one.
const NAME_OF_NULS: [u8; 24] = [
    10, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0,
];

/// All targets.
pub fn targets() -> Vec<Target> {
    let descriptors: Vec<SecurityDescriptor> = SDDL
        .iter()
        .map(|text| SecurityDescriptor::from_sddl(text).expect("a good seed"))
        .collect();
    let points = [
        ReparsePoint::symlink(r"..\b").expect("a good seed"),
        ReparsePoint::mount_point(r"C:\a").expect("a good seed"),
    ];
    let attributes = b"\x14\0\0\0\0\x01\x03\0A\0xyz\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\0B\0";
    vec![
        (
            "security_descriptor",
            oracle::security_descriptor,
            descriptors
                .iter()
                .map(|descriptor| descriptor.as_bytes().to_vec())
                .collect(),
        ),
        (
            "sddl",
            oracle::sddl,
            SDDL.iter().map(|text| text.as_bytes().to_vec()).collect(),
        ),
        (
            "reparse_point",
            oracle::reparse_point,
            points
                .iter()
                .map(|point| point.as_bytes().to_vec())
                .collect(),
        ),
        (
            "extended_attributes",
            oracle::extended_attributes,
            vec![attributes.to_vec()],
        ),
        (
            "backup_stream",
            oracle::backup_stream,
            vec![
                stream(&descriptors[0], &points[0], attributes),
                sparse(),
                NAME_OF_NULS.to_vec(),
            ],
        ),
    ]
}

fn stream(descriptor: &SecurityDescriptor, point: &ReparsePoint, attributes: &[u8]) -> Vec<u8> {
    let list = ExtendedAttributes::parse(attributes).expect("a good seed");
    let mut writer = BackupStreamWriter::new(Vec::new());
    let mut write = || {
        writer.security(descriptor)?;
        writer.extended_attributes(&list)?;
        writer.reparse(point)?;
        writer.begin_data(3)?;
        std::io::Write::write_all(&mut writer, b"abc")?;
        writer.begin_alternate("s", 0)
    };
    write().expect("a good seed");
    writer.finish().expect("a good seed")
}

fn sparse() -> Vec<u8> {
    let mut writer = BackupStreamWriter::new(Vec::new());
    let mut write = || {
        writer.sparse_data()?;
        writer.begin_sparse_block(0x1_0000, 1)?;
        std::io::Write::write_all(&mut writer, b"x")?;
        writer.begin_sparse_block(0x2_0000, 0)
    };
    write().expect("a good seed");
    writer.finish().expect("a good seed")
}
