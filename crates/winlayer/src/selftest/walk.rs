//! What the system shows of a folder, compared with what a merged tar says should be there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, Metadata},
    io::{self, Read},
    path::Path,
};

use winlayer_digest::{Digest, Hasher};
use winlayer_tar::{LayerItem, ObjectKind};

use super::inventory::{Entry, Inventory};
use crate::{Error, Result, error::escape};

/// What NTFS and the container platform keep in the root of a volume (containerd continuity,
/// `fstest/compare_windows.go`).
const NOT_OF_THE_IMAGE: [&str; 3] = [
    "System Volume Information",
    "WcSandboxState",
    "$RECYCLE.BIN",
];

/// Every name below a folder, `Files/…` as the tar has it.
pub(super) type Walk = BTreeMap<String, Walked>;

/// One object as the system shows it.
#[derive(Debug)]
pub(super) struct Walked {
    kind: Kind,
    size: u64,
    /// Of files.
    content: Option<Digest>,
    /// Names of one file have the same.
    file: Option<(u64, u64)>,
    #[cfg(windows)]
    attributes: u32,
    /// Created and written, in ticks of 100 ns since 1601.
    #[cfg(windows)]
    times: (i64, i64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    File,
    Directory,
    Link,
}

impl Walked {
    /// Reads every file below `root`, which is `Files` of the image.
    pub(super) fn below(root: &Path) -> Result<Walk> {
        let mut found = Walk::new();
        let mut open = vec![(root.to_owned(), "Files".to_owned())];
        while let Some((folder, name)) = open.pop() {
            let failed = |error| Error::io(format!("list {}", folder.display()), error);
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let own_name = entry.file_name().to_string_lossy().into_owned();
                let at_the_root = folder == root;
                if at_the_root && NOT_OF_THE_IMAGE.contains(&own_name.as_str()) {
                    continue;
                }
                let path = format!("{name}/{own_name}");
                let walked = Self::look_at(&entry.path()).map_err(|error| {
                    Error::io(format!("read {}", entry.path().display()), error)
                })?;
                if walked.kind == Kind::Directory {
                    open.push((entry.path(), path.clone()));
                }
                found.insert(path, walked);
            }
        }
        Ok(found)
    }

    fn look_at(path: &Path) -> io::Result<Self> {
        let metadata = path.symlink_metadata()?;
        let kind = kind(&metadata);
        let content = match kind {
            Kind::File => Some(digest(path)?),
            _ => None,
        };
        Ok(Self {
            kind,
            size: metadata.len(),
            content,
            file: identity(&metadata),
            #[cfg(windows)]
            attributes: std::os::windows::fs::MetadataExt::file_attributes(&metadata),
            #[cfg(windows)]
            times: {
                use std::os::windows::fs::MetadataExt as _;
                (
                    metadata.creation_time().cast_signed(),
                    metadata.last_write_time().cast_signed(),
                )
            },
        })
    }
}

/// On Windows every reparse point counts as a link, junctions too.
fn kind(metadata: &Metadata) -> Kind {
    #[cfg(windows)]
    {
        use std::os::windows::fs::MetadataExt as _;
        if metadata.file_attributes() & 0x400 != 0 {
            return Kind::Link;
        }
    }
    if metadata.is_symlink() {
        Kind::Link
    } else if metadata.is_dir() {
        Kind::Directory
    } else {
        Kind::File
    }
}

#[cfg(unix)]
#[allow(clippy::unnecessary_wraps, reason = "other systems have none")]
fn identity(metadata: &Metadata) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_: &Metadata) -> Option<(u64, u64)> {
    None
}

fn digest(path: &Path) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
}

/// What of the merged image is missing or different in `found`, and what is there beside.
///
/// `native`: the folder is Windows' own view of the layers, so attributes, times and links count
/// too. A tree keeps those in its metadata file, and its links are relative ones or placeholders.
pub(super) fn differences(merged: &Inventory, found: &Walk, native: bool) -> Vec<String> {
    let mut differences = Vec::new();
    let in_files = || merged.iter().filter(|(path, _)| path.starts_with("Files/"));
    for (path, expected) in in_files() {
        let mut tell = |what: String| differences.push(format!("{}: {what}", escape(path)));
        let Some(walked) = found.get(path) else {
            tell("missing".to_owned());
            continue;
        };
        match merged.object_of(expected) {
            Some(entry) => compare(entry, walked, native, &mut tell),
            None => tell("its hard link leads nowhere".to_owned()),
        }
    }
    let expected: BTreeSet<&str> = in_files().map(|(path, _)| path).collect();
    for path in found
        .keys()
        .filter(|path| !expected.contains(path.as_str()))
    {
        differences.push(format!("{}: not expected", escape(path)));
    }
    hard_links(merged, found, &mut differences);
    differences
}

fn compare(expected: &Entry, found: &Walked, native: bool, tell: &mut dyn FnMut(String)) {
    let LayerItem::Object(object) = &expected.item else {
        return tell("its hard link leads to no object".to_owned());
    };
    let kind = match object.kind {
        ObjectKind::Directory => Kind::Directory,
        ObjectKind::File { .. } => Kind::File,
        ObjectKind::Link { .. } => Kind::Link,
    };
    if kind != found.kind {
        // A link of the tree that would leave it is an empty placeholder, a file or a directory.
        let is_empty = found.kind == Kind::Directory || found.size == 0;
        if native || kind != Kind::Link || !is_empty {
            tell(format!("expected a {kind:?}, found a {:?}", found.kind).to_lowercase());
        }
        return;
    }
    if let ObjectKind::File { size } = object.kind {
        if size != found.size {
            tell(format!("size: expected {size}, found {}", found.size));
        } else if found.content != Some(expected.body) {
            tell(format!(
                "content: expected {}, found another",
                expected.body
            ));
        }
    }
    #[cfg(windows)]
    if native {
        native_metadata(&object.metadata, found, tell);
    }
}

/// The access time moves when files are read, and the change time is not to be had from std.
#[cfg(windows)]
fn native_metadata(
    expected: &winlayer_tar::Metadata,
    found: &Walked,
    tell: &mut dyn FnMut(String),
) {
    use winlayer_metadata::{FileAttributes, FileTime};
    let attributes = FileAttributes::from_bits_retain(found.attributes);
    // Set by the file system for itself; NORMAL says that nothing else is set.
    let own = FileAttributes::SPARSE_FILE | FileAttributes::NORMAL | FileAttributes::COMPRESSED;
    if expected.attributes - own != attributes - own {
        tell(format!(
            "attributes: expected {}, found {attributes}",
            expected.attributes
        ));
    }
    let times = [
        ("created", expected.times.created, found.times.0),
        ("written", expected.times.written, found.times.1),
    ];
    for (name, expected, found) in times {
        let found = FileTime::from_ticks(found);
        if expected != found {
            tell(format!("{name}: expected {expected}, found {found}"));
        }
    }
}

/// Names that should be one file, and names that should not.
fn hard_links(merged: &Inventory, found: &Walk, differences: &mut Vec<String>) {
    for (path, entry) in merged.iter() {
        let LayerItem::HardLink(link) = &entry.item else {
            continue;
        };
        let file = |path: &str| found.get(path).and_then(|walked| walked.file);
        if let (Some(one), Some(other)) = (file(path), file(link.target.as_str()))
            && one != other
        {
            let (path, target) = (escape(path), escape(link.target.as_str()));
            differences.push(format!("{path}: is not the same file as {target}"));
        }
    }
}
