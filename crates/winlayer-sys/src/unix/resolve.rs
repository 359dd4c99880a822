//! Opening a directory below a handle without following any link.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::OnceLock,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags},
    io::{Errno, retry_on_intr},
};

/// How the directory part of a path is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// One `openat2` call; the kernel refuses links (Linux 5.6).
    #[cfg(target_os = "linux")]
    Openat2,
    /// One `openat` call a component, each refusing a link.
    Components,
}

impl Backend {
    /// The best one this system has. Found out once a process.
    pub fn detect() -> Self {
        static DETECTED: OnceLock<Backend> = OnceLock::new();
        *DETECTED.get_or_init(probe)
    }
}

#[cfg(target_os = "linux")]
fn probe() -> Backend {
    // Any failure counts: an old kernel says ENOSYS, a system-call filter may say EPERM.
    match openat2(rustix::fs::CWD, ".", Access::Traverse) {
        Ok(_) => Backend::Openat2,
        Err(_) => Backend::Components,
    }
}

#[cfg(not(target_os = "linux"))]
fn probe() -> Backend {
    Backend::Components
}

/// What a directory's handle will be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Only as the starting point of relative calls.
    Traverse,
    /// Also listing and flushing.
    List,
}

impl Access {
    fn flags(self) -> OFlags {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        match self {
            #[cfg(target_os = "linux")]
            Self::Traverse => flags | OFlags::PATH,
            #[cfg(not(target_os = "linux"))]
            Self::Traverse => flags | OFlags::RDONLY,
            Self::List => flags | OFlags::RDONLY,
        }
    }
}

/// Opens the directory `path` below `from`; "" is `from` itself. A link anywhere in it is
/// [`Errno::LOOP`], anything else that is no directory [`Errno::NOTDIR`].
pub(super) fn open_directory(
    from: BorrowedFd<'_>,
    path: &str,
    access: Access,
    backend: Backend,
) -> rustix::io::Result<OwnedFd> {
    match backend {
        _ if path.is_empty() => open_component(from, ".", access),
        #[cfg(target_os = "linux")]
        Backend::Openat2 => open_in_pieces(from, path, access),
        Backend::Components => open_by_component(from, path, access),
    }
}

/// Longest piece of a path given to the kernel at once: PATH_MAX is 4096 with the final NUL.
#[cfg(target_os = "linux")]
const PIECE_BYTES: usize = 4095;

#[cfg(target_os = "linux")]
fn open_in_pieces(from: BorrowedFd<'_>, path: &str, access: Access) -> rustix::io::Result<OwnedFd> {
    let mut pieces = crate::path::pieces(path, PIECE_BYTES).peekable();
    let mut handle: Option<OwnedFd> = None;
    while let Some(piece) = pieces.next() {
        let parent = handle.as_ref().map_or(from, AsFd::as_fd);
        let access = if pieces.peek().is_some() {
            Access::Traverse
        } else {
            access
        };
        handle = Some(match openat2(parent, piece, access) {
            // The kernel could not rule out an escape because something was renamed meanwhile.
            Err(Errno::AGAIN) => open_by_component(parent, piece, access)?,
            result => result?,
        });
    }
    handle.ok_or(Errno::NOENT)
}

#[cfg(target_os = "linux")]
fn openat2(from: BorrowedFd<'_>, path: &str, access: Access) -> rustix::io::Result<OwnedFd> {
    use rustix::fs::ResolveFlags;
    const RESOLVE: ResolveFlags = ResolveFlags::BENEATH
        .union(ResolveFlags::NO_SYMLINKS)
        .union(ResolveFlags::NO_MAGICLINKS);
    // No NOFOLLOW: with it a link in the last place would be ENOTDIR instead of ELOOP.
    retry_on_intr(|| rustix::fs::openat2(from, path, access.flags(), Mode::empty(), RESOLVE))
}

fn open_by_component(
    from: BorrowedFd<'_>,
    path: &str,
    access: Access,
) -> rustix::io::Result<OwnedFd> {
    let mut components = path.split('/').peekable();
    let mut handle: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        let parent = handle.as_ref().map_or(from, AsFd::as_fd);
        let access = if components.peek().is_some() {
            Access::Traverse
        } else {
            access
        };
        handle = Some(open_component(parent, component, access)?);
    }
    handle.ok_or(Errno::NOENT)
}

/// Opens one directory that is no link.
pub(super) fn open_component<P: rustix::path::Arg + Copy>(
    parent: BorrowedFd<'_>,
    name: P,
    access: Access,
) -> rustix::io::Result<OwnedFd> {
    let flags = access.flags() | OFlags::NOFOLLOW;
    match retry_on_intr(|| rustix::fs::openat(parent, name, flags, Mode::empty())) {
        // Linux says so of a link too, when asked for a directory.
        Err(Errno::NOTDIR) if is_or_was_link(parent, name) => Err(Errno::LOOP),
        result => result,
    }
}

/// Whether what was no directory is a link. If it is a directory by now, someone is swapping the two.
fn is_or_was_link<P: rustix::path::Arg>(parent: BorrowedFd<'_>, name: P) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
        let now = FileType::from_raw_mode(stat.st_mode);
        matches!(now, FileType::Symlink | FileType::Directory)
    })
}
