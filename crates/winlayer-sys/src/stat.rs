//! What the system says about a file.

use std::{ffi::OsString, time::SystemTime};

/// What kind of object a name stands for. A link is a link, never what it points to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A device, pipe or socket.
    Other,
}

/// What [`Dir::stat`](crate::Dir::stat) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The kind of the object itself.
    pub kind: FileKind,
    /// Length of the content in bytes.
    pub size: u64,
    /// How many names (hard links) the object has.
    pub links: u64,
    /// Device and inode number: equal for two names of one object.
    pub inode: (u64, u64),
    /// Time of the last change of the content.
    pub modified: SystemTime,
}

/// One name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name, one component.
    pub name: OsString,
    /// The kind of the object itself.
    pub kind: FileKind,
}

/// A point in time as Unix file systems keep it: `seconds` since 1970-01-01T00:00:00Z, floored, and
/// `nanos` (0 to 999,999,999) after that second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime {
    /// Whole seconds since 1970, negative before.
    pub seconds: i64,
    /// Nanoseconds to add; a value of a second or more counts as 999,999,999.
    pub nanos: u32,
}
