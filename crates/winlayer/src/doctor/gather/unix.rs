//! Linux and macOS.

use std::{
    env,
    path::{Path, PathBuf},
};

use winlayer_sys::Backend;

use crate::doctor::facts::{System, UnixFacts, Volume};

/// Programs that look into what Windows makes of a layer. Nothing here needs them.
const TOOLS: [&str; 3] = ["ntfs-3g", "qemu-img", "qemu-nbd"];

pub(super) fn facts() -> System {
    let name = rustix::system::uname();
    let [system, release] = [name.sysname(), name.release()].map(|text| text.to_string_lossy());
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    System::Unix(UnixFacts {
        kernel: Some(format!("{system} {release}")),
        openat2: openat2(),
        open_files: limit.current,
        user: Some((
            rustix::process::geteuid().as_raw(),
            rustix::process::getegid().as_raw(),
        )),
        fuse: ["/dev/fuse", "/Library/Filesystems/macfuse.fs"]
            .iter()
            .any(|path| Path::new(path).exists()),
        tools: TOOLS.map(|tool| (tool, find_program(tool))).into(),
    })
}

#[cfg(target_os = "linux")]
fn openat2() -> Option<bool> {
    Some(Backend::detect() == Backend::Openat2)
}

#[cfg(not(target_os = "linux"))]
fn openat2() -> Option<bool> {
    let _ = Backend::detect();
    None
}

/// Beside `PATH`, where Debian keeps programs for root.
fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

pub(super) fn volume(path: &Path) -> Volume {
    let limits = rustix::fs::statvfs(path).ok();
    let (file_system, remote) = file_system(path);
    Volume {
        file_system,
        remote,
        free_bytes: limits
            .as_ref()
            .map(|limits| limits.f_bavail.saturating_mul(limits.f_frsize)),
        // File systems that make inodes as they need them report none at all.
        free_inodes: limits
            .as_ref()
            .filter(|limits| limits.f_files > 0)
            .map(|limits| limits.f_favail),
        longest_name: limits.map(|limits| limits.f_namemax),
        ..Volume::default()
    }
}

/// Name and whether it is on another machine, by the magic number (linux/magic.h, statfs(2)).
#[cfg(target_os = "linux")]
fn file_system(path: &Path) -> (Option<String>, Option<bool>) {
    const KNOWN: [(u64, &str, bool); 24] = [
        (0xef53, "ext4", false),
        (0x5846_5342, "xfs", false),
        (0x9123_683e, "btrfs", false),
        (0x0102_1994, "tmpfs", false),
        (0x794c_7630, "overlayfs", false),
        (0x2fc1_2fc1, "zfs", false),
        (0xf2f5_2010, "f2fs", false),
        (0xca45_1a4e, "bcachefs", false),
        (0x7366_746e, "ntfs3", false),
        (0x5346_544e, "ntfs", false),
        (0x4d44, "vfat", false),
        (0x2011_bab0, "exfat", false),
        (0x4244, "hfs", false),
        (0x482b, "hfsplus", false),
        (0x9660, "iso9660", false),
        (0x7371_7368, "squashfs", false),
        (0x6573_5546, "fuse", false),
        (0x6969, "nfs", true),
        (0x517b, "smb", true),
        (0xff53_4d42, "cifs", true),
        (0xfe53_4d42, "smb2", true),
        (0x0102_1997, "9p", true),
        (0x00c3_6400, "ceph", true),
        (0x0bd0_0bd0, "lustre", true),
    ];
    let Ok(found) = rustix::fs::statfs(path) else {
        return (None, None);
    };
    // Signed, unsigned, 32 or 64 bits, by the machine; the numbers have 32.
    let magic = found.f_type as u64 & 0xffff_ffff;
    match KNOWN.iter().find(|(known, ..)| *known == magic) {
        Some((_, name, remote)) => (Some((*name).to_owned()), Some(*remote)),
        None => (Some(format!("file system {magic:#x}")), None),
    }
}

#[cfg(target_vendor = "apple")]
fn file_system(path: &Path) -> (Option<String>, Option<bool>) {
    let Ok(found) = rustix::fs::statfs(path) else {
        return (None, None);
    };
    let name: String = found
        .f_fstypename
        .iter()
        .take_while(|unit| **unit != 0)
        .map(|unit| char::from(unit.to_ne_bytes()[0]))
        .collect();
    let remote = ["nfs", "smbfs", "afpfs", "webdav"].contains(&name.as_str());
    (Some(name), Some(remote))
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn file_system(_: &Path) -> (Option<String>, Option<bool>) {
    (None, None)
}
