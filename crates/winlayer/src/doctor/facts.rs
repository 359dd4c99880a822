//! What is known of a machine: plain data, whoever found it out. `None` is "could not be found out".

use std::path::PathBuf;

use super::Needs;

#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) destination: Destination,
    pub(super) system: System,
    pub(super) needs: Option<Needs>,
}

#[derive(Clone, Debug)]
pub(super) enum System {
    #[cfg_attr(windows, allow(dead_code, reason = "made on other systems"))]
    Unix(UnixFacts),
    #[cfg_attr(not(windows), allow(dead_code, reason = "made on Windows"))]
    Windows(WindowsFacts),
}

/// The place something is to be unpacked to.
#[derive(Clone, Debug)]
pub(super) struct Destination {
    /// Absolute.
    pub(super) path: PathBuf,
    /// The path itself, or the nearest parent that is there.
    pub(super) existing: PathBuf,
    /// `existing` without links.
    pub(super) resolved: Option<PathBuf>,
    pub(super) volume: Volume,
    /// What a few small files in `existing` told, or why they could not be made.
    pub(super) probe: Result<Probe, String>,
}

/// The file system of the destination.
#[derive(Clone, Debug, Default)]
pub(super) struct Volume {
    /// `NTFS`, `ext4`, …
    pub(super) file_system: Option<String>,
    /// On another machine.
    pub(super) remote: Option<bool>,
    /// What this user may still write.
    pub(super) free_bytes: Option<u64>,
    /// Files and directories that may still be made; none where there is no fixed number.
    pub(super) free_inodes: Option<u64>,
    /// Longest name; in bytes on Unix, in UTF-16 units on Windows.
    pub(super) longest_name: Option<u64>,
    /// Abilities a layer needs that it does not have, by Windows' names for them.
    pub(super) lacks: Vec<&'static str>,
    /// Where the volume is mounted, such as `C:\`; only asked for on Windows.
    pub(super) root: Option<PathBuf>,
    /// Links, junctions and mount points on the way; only asked for on Windows.
    pub(super) links: Vec<PathBuf>,
}

/// What the file system did with a few small files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// `a` and `A` are two files.
    pub(super) case_sensitive: bool,
    /// A file can have a second name.
    pub(super) hard_links: bool,
    /// A symbolic link can be made.
    pub(super) symbolic_links: bool,
    /// A name of 255 characters that are not ASCII can be stored.
    pub(super) long_names: bool,
}

/// Linux and macOS.
#[derive(Clone, Debug, Default)]
pub(super) struct UnixFacts {
    /// `Linux 6.1.0-13-amd64`.
    pub(super) kernel: Option<String>,
    /// Whether `openat2` answers; none where the system never had it.
    pub(super) openat2: Option<bool>,
    /// How many files this process may have open.
    pub(super) open_files: Option<u64>,
    /// User and group of this process.
    pub(super) user: Option<(u32, u32)>,
    /// Whether `/dev/fuse`, or what macOS has for it, is there.
    pub(super) fuse: bool,
    /// Useful programs, and where they were found.
    pub(super) tools: Vec<(&'static str, Option<PathBuf>)>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct WindowsFacts {
    /// The version of Wine, when this is not Windows.
    pub(super) wine: Option<String>,
    /// Build and revision: 20348, 2113.
    pub(super) build: Option<(u32, Option<u32>)>,
    pub(super) libraries: Vec<Library>,
    /// The process runs with the full token of an administrator.
    pub(super) elevated: Option<bool>,
    /// Names such as `SeBackupPrivilege`, and whether the token has them.
    pub(super) privileges: Vec<(&'static str, bool)>,
    /// `LongPathsEnabled` of the registry.
    pub(super) long_paths: Option<bool>,
    /// File system filters, and CBFS drivers.
    pub(super) drivers: Option<Vec<Driver>>,
    /// Folders that Defender leaves alone; none when this cannot be read.
    pub(super) defender_exclusions: Option<Vec<String>>,
}

/// A DLL of the container platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Library {
    pub(super) name: &'static str,
    pub(super) present: bool,
    /// Functions we call that it does not have.
    pub(super) missing: Vec<String>,
}

/// A driver between programs and the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Driver {
    /// The name of its service.
    pub(super) name: String,
    /// Its load order group, such as `FSFilter Anti-Virus`.
    pub(super) group: Option<String>,
    /// Its place among the filters, such as `328010`.
    pub(super) altitude: Option<String>,
}
