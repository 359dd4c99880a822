//! One volume with everything a volume can have, put there through the driver.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, symlink},
    path::Path,
};

use winlayer_metadata::{ReparsePoint, SecurityDescriptor};

use super::driver::{Image, ea_list, get, set};

pub const SDDL: &str = "O:BAG:SYD:P(A;;FA;;;BA)(A;;0x1200a9;;;BU)S:(ML;;NW;;;HI)";
pub const OBJECT_ID: [u8; 16] = *b"sixteen bytes id";
pub const CREATED: i64 = 132_223_104_001_234_567;
pub const WRITTEN: i64 = 132_223_104_009_999_999;
pub const ACCESSED: i64 = 133_000_000_000_000_001;

/// How much there is of what there is much of.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Bytes of the volume.
    pub volume: u64,
    /// Files in one directory.
    pub names: usize,
    /// Runs of one file.
    pub islands: u64,
}

impl Scale {
    pub const TOWN: Self = Self {
        volume: 256 << 20,
        names: 5_000,
        islands: 2_000,
    };
    /// For what is done to a volume many times.
    pub const SMALL: Self = Self {
        volume: 24 << 20,
        names: 300,
        islands: 400,
    };
}

pub fn name(number: usize) -> String {
    let part = ["alpha", "Bravo", "ÇEDILLE", "дом", "zz"][number % 5];
    format!("{part} {number:05} {}", "x".repeat(number % 60))
}

/// Bytes at an island of the fragmented file.
pub fn island(number: u64) -> [u8; 4096] {
    let mut bytes = [0; 4096];
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = (number as usize * 31 + index) as u8 | 1;
    }
    bytes
}

/// What the driver says of a file when it is done.
#[derive(Debug)]
pub struct Told {
    pub acl: Vec<u8>,
    pub times: Vec<u8>,
}

/// A volume with everything on it.
pub fn build(scale: Scale) -> (Image, Told) {
    let image = Image::formatted(scale.volume, &["-L", "Stadt"]);
    let told = image.mounted(|root| fill(root, scale));
    (image, told)
}

fn fill(root: &Path, scale: Scale) -> Told {
    fs::create_dir_all(root.join("Windows/System32/drivers")).unwrap();
    fs::write(root.join("Windows/win.ini"), b"[fonts]\r\n").unwrap();
    fs::write(root.join("Windows/twin-a"), b"").unwrap();
    fs::write(root.join("Windows/twin-b"), b"").unwrap();
    let content: Vec<u8> = (0..3_000_000_u32).map(|n| ((n * 7) >> 3) as u8).collect();
    fs::write(root.join("Windows/System32/kernel32.dll"), &content).unwrap();
    fs::hard_link(
        root.join("Windows/System32/kernel32.dll"),
        root.join("Windows/kernel-again.dll"),
    )
    .unwrap();

    let many = root.join("many");
    fs::create_dir(&many).unwrap();
    for number in 0..scale.names {
        fs::write(many.join(name(number)), number.to_string()).unwrap();
    }

    let islands = File::create(root.join("islands")).unwrap();
    for number in 0..scale.islands {
        islands.write_at(&island(number), number * 131_072).unwrap();
    }
    drop(islands);
    let mut tail = File::create(root.join("hole")).unwrap();
    tail.set_len(5 << 30).unwrap();
    tail.seek(SeekFrom::Start(4 << 30)).unwrap();
    tail.write_all(b"far out").unwrap();
    drop(tail);

    fs::write(root.join("streams.txt"), b"content").unwrap();
    fs::write(root.join("streams.txt:small"), b"beside it").unwrap();
    fs::write(root.join("streams.txt:large"), &content[..200_000]).unwrap();
    fs::write(root.join("Windows:on a directory"), b"too").unwrap();

    let linked = root.join("linked");
    fs::write(&linked, b"one of many").unwrap();
    fs::create_dir(root.join("links")).unwrap();
    for number in 0..60 {
        fs::hard_link(
            &linked,
            root.join(format!("links/a rather long name of link {number}")),
        )
        .unwrap();
    }

    let facts = root.join("facts");
    fs::write(&facts, b"all of them").unwrap();
    set(&facts, "dos_name", b"FACTS~1.TXT");
    set(&facts, "object_id", &OBJECT_ID);
    set(
        &facts,
        "ea",
        &ea_list(&[("FIRST", 0, &b"value"[..]), ("SECOND.ONE", 0x80, &[7; 300])]),
    );
    let acl = SecurityDescriptor::from_sddl(SDDL).unwrap();
    set(&facts, "acl", acl.as_bytes());
    set(&facts, "attrib", &0x2007_u32.to_le_bytes());
    let times = [CREATED, WRITTEN, ACCESSED, 0];
    set(&facts, "times", &times.map(i64::to_le_bytes).concat());
    let told = Told {
        acl: get(&facts, "acl"),
        times: get(&facts, "times"),
    };

    let junction = root.join("junction");
    fs::create_dir(&junction).unwrap();
    set(
        &junction,
        "reparse_data",
        ReparsePoint::mount_point(r"C:\Windows").unwrap().as_bytes(),
    );
    let link = root.join("link");
    File::create(&link).unwrap();
    set(
        &link,
        "reparse_data",
        ReparsePoint::symlink(r"Windows\win.ini")
            .unwrap()
            .as_bytes(),
    );
    let opaque = root.join("opaque");
    File::create(&opaque).unwrap();
    let mut placeholder = 0x8000_0018_u32.to_le_bytes().to_vec();
    placeholder.extend([4, 0, 0, 0, 1, 2, 3, 4]);
    set(&opaque, "reparse_data", &placeholder);
    symlink("Windows/win.ini", root.join("posix-link")).unwrap();
    told
}
