//! Fixed VHD files: ours read by QEMU and libvhdi, QEMU's read by us.

mod support;

use std::io::Cursor;

use winlayer_vhdx::{
    Guid, VhdxError,
    vhd::{Chs, FixedFooter, read_footer, write_footer},
};

const ID: Guid = Guid::from_bytes([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
const SIZE: u64 = (10 << 20) + 1536;

#[cfg(target_os = "linux")]
#[test]
fn others_read_what_we_write() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk.vhd");
    let content = support::noise(3, SIZE as usize);
    std::fs::write(&path, &content).unwrap();
    let mut file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    write_footer(&mut file, SIZE, ID, 800_000_000).unwrap();

    let info = support::run("qemu-img", &[&"info", &"-f", &"vpc", &path]);
    assert!(
        info.contains("virtual size: 10 MiB (10487296 bytes)"),
        "{info}"
    );
    let raw = path.with_extension("raw");
    support::run(
        "qemu-img",
        &[&"convert", &"-f", &"vpc", &"-O", &"raw", &path, &raw],
    );
    assert!(std::fs::read(raw).unwrap() == content);
    let info = support::run("vhdiinfo", &[&path]);
    for expected in [
        "Fixed",
        "10487296 bytes",
        "01020304-0506-0708-090a-0b0c0d0e0f10",
    ] {
        assert!(info.contains(expected), "{expected} is missing: {info}");
    }
    let footer = read_footer(&mut file).unwrap();
    assert_eq!(footer, FixedFooter::new(SIZE, ID, 800_000_000).unwrap());
}

#[cfg(target_os = "linux")]
#[test]
fn footers_of_qemu_are_read_and_written_again_byte_by_byte() {
    let folder = tempfile::tempdir().unwrap();
    for (number, (options, size)) in [
        ("subformat=fixed,force_size=on", SIZE),
        ("subformat=fixed", 100 << 20),
        ("subformat=fixed", 3 << 30),
        ("subformat=fixed", 40 << 30),
    ]
    .into_iter()
    .enumerate()
    {
        let path = folder.path().join(format!("{number}.vhd"));
        support::run(
            "qemu-img",
            &[
                &"create",
                &"-q",
                &"-f",
                &"vpc",
                &"-o",
                &options,
                &path,
                &size.to_string(),
            ],
        );
        let mut file = std::fs::File::open(&path).unwrap();
        let footer = read_footer(&mut file).unwrap();
        let mut bytes = [0; 512];
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(-512)).unwrap();
        std::io::Read::read_exact(&mut file, &mut bytes).unwrap();
        assert_eq!(footer.encode(), bytes);
        if !options.contains("force") {
            // QEMU rounds the size up to what cylinders, heads and sectors cover.
            assert_eq!(footer.geometry, Chs::for_size(footer.size), "{footer:?}");
        }
    }
}

#[test]
fn every_byte_of_the_footer_counts() {
    let good = FixedFooter::new(SIZE, ID, 5).unwrap().encode();
    for index in 0..512 {
        let mut bytes = good;
        bytes[index] ^= 1;
        assert!(FixedFooter::decode(&bytes).is_err(), "byte {index}");
    }
}

#[test]
fn impossible_sizes_and_lengths_are_refused() {
    for size in [0, 511, (2040 << 30) + 512] {
        let footer = FixedFooter::new(size, ID, 0);
        assert!(matches!(footer, Err(VhdxError::VhdSize { .. })), "{size}");
    }
    let mut file = Cursor::new(Vec::new());
    write_footer(&mut file, 1024, ID, 0).unwrap();
    assert_eq!(read_footer(&mut file).unwrap().size, 1024);
    let longer = [&[0; 512], &**file.get_ref()].concat();
    assert!(read_footer(&mut Cursor::new(longer)).is_err());
    assert!(read_footer(&mut Cursor::new([0; 100])).is_err());
}

#[test]
fn the_largest_disk_has_the_largest_geometry() {
    let footer = FixedFooter::new(2040 << 30, ID, 0).unwrap();
    let Chs {
        cylinders,
        heads,
        sectors,
    } = footer.geometry;
    assert_eq!((cylinders, heads, sectors), (65535, 16, 255));
}
