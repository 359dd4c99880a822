//! The rules of a layer that need nothing but the tar itself: places, whiteouts, order, streams.
//!
//! Sources: hcsshim `legacy.go` and `ociwclayer/import.go`, go-winio `backuptar`, OCI image-spec
//! `layer.md`. What needs an index of names (duplicates, missing parents, link targets) is up to the
//! caller.

use winlayer_metadata::{FileAttributes, Upcase};

use crate::archive::{EntryType, RawEntry};
use crate::error::{Fault, printable};
use crate::item::{AlternateStream, HardLink, LayerItem, Object, ObjectKind};
use crate::limits::LayerRole;
use crate::path::{LayerPath, PATH_UNITS, PathError, Tree, units};
use crate::windows::{MetadataReader, reparse};

/// Deletion marker before a basename.
const WHITEOUT: &str = ".wh.";
/// What follows [`WHITEOUT`] in the marker of an opaque directory.
const OPAQUE: &str = ".wh..opq";
/// Named streams one object may have; NTFS runs out of attribute records at some thousands.
const STREAMS: usize = 1024;

/// Gives entries their meaning, in tar order.
#[derive(Debug)]
pub(crate) struct LayerRules {
    role: Option<LayerRole>,
    path_units: usize,
    metadata: MetadataReader,
    utility_vm: bool,
    utility_vm_files: bool,
    files: bool,
    owner: StreamOwner,
    notes: Notes,
}

/// The object that streams may be added to.
#[derive(Debug, Default)]
struct StreamOwner {
    path: Option<String>,
    streams: Vec<String>,
}

/// What was skipped or is odd, counted so that a hostile layer cannot make it long.
#[derive(Debug, Default)]
struct Notes {
    tombstones: Note,
    hives: Note,
    encrypted: Note,
}

#[derive(Debug, Default)]
struct Note {
    first: String,
    count: u64,
}

impl Note {
    fn add(&mut self, name: &[u8]) {
        if self.count == 0 {
            self.first = printable(name);
        }
        self.count = self.count.saturating_add(1);
    }

    fn describe(&self, what: &str) -> Option<String> {
        match self.count {
            0 => None,
            1 => Some(format!("{what}: {}", self.first)),
            count => Some(format!(
                "{what}: {} and {} more",
                self.first,
                count.saturating_sub(1)
            )),
        }
    }
}

impl LayerRules {
    pub(crate) fn new(role: Option<LayerRole>, path_units: usize) -> Self {
        Self {
            role,
            path_units,
            metadata: MetadataReader::default(),
            utility_vm: false,
            utility_vm_files: false,
            files: false,
            owner: StreamOwner::default(),
            notes: Notes::default(),
        }
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let tombstones = self
            .notes
            .tombstones
            .describe("skipped a root file of the name Windows uses for deletion lists");
        let encrypted = self
            .notes
            .encrypted
            .describe("the content may be encrypted (attribute ENCRYPTED)");
        let hives = self
            .notes
            .hives
            .describe("skipped the empty directory of registry deltas in a base layer");
        [tombstones, hives, encrypted]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Checks what only the end of the archive can tell.
    pub(crate) fn check_end(&self) -> Result<(), Fault> {
        match self.role {
            Some(LayerRole::Base) if !self.files => Err(Fault::NoFiles),
            _ => Ok(()),
        }
    }

    /// The item an entry stands for, or `None` for an entry to skip. `previous` gives its buffers.
    pub(crate) fn interpret(
        &mut self,
        entry: &RawEntry,
        previous: LayerItem,
    ) -> Result<Option<LayerItem>, Fault> {
        let name = std::str::from_utf8(entry.name()).map_err(|_| Fault::NotUtf8("name"))?;
        let kind = entry.entry_type();
        if name.is_empty() {
            return Err(Fault::EmptyName);
        }
        if kind == EntryType::File
            && !is_whiteout(name)
            && let Some((owner, stream)) = name.split_once(':')
        {
            return self.stream(owner, stream, entry.size()).map(Some);
        }
        self.owner.path = None;
        let path = match LayerPath::parse_reusing(name, spare_buffer(previous)) {
            Ok(path) => path,
            Err(error) => return self.unplaced(entry, name, error),
        };
        if kind != EntryType::Directory && (name.ends_with('/') || name.ends_with("/.")) {
            return Err(Fault::TrailingSlash(kind.describe()));
        }
        self.check_length(&path)?;
        if let Some(hidden) = path.file_name().strip_prefix(WHITEOUT) {
            return self.whiteout(&path, hidden).map(Some);
        }
        // Builders that put it into every layer put it into one made from nothing, too.
        if self.role == Some(LayerRole::Base)
            && path.tree() == Tree::Hives
            && path.is_tree_root()
            && kind == EntryType::Directory
        {
            self.notes.hives.add(entry.name());
            return Ok(None);
        }
        self.check_place(&path, kind)?;
        let item = match kind {
            EntryType::HardLink => self.hard_link(entry, path)?,
            _ => LayerItem::Object(self.object(entry, path)?),
        };
        Ok(Some(item))
    }

    /// The root of the layer is skipped, and so is a deletion list that must never be obeyed.
    fn unplaced(
        &mut self,
        entry: &RawEntry,
        name: &str,
        error: PathError,
    ) -> Result<Option<LayerItem>, Fault> {
        let kind = entry.entry_type();
        if error.is_root() && kind == EntryType::Directory {
            return Ok(None);
        }
        let mut own = name.split('/').filter(|part| !matches!(*part, "" | "."));
        let tombstones = own
            .next()
            .is_some_and(|part| part.eq_ignore_ascii_case("tombstones.txt"));
        if error.is_unknown_top_level()
            && kind == EntryType::File
            && tombstones
            && own.next().is_none()
        {
            self.notes.tombstones.add(entry.name());
            return Ok(None);
        }
        Err(Fault::Path(error))
    }

    fn check_length(&self, path: &LayerPath) -> Result<(), Fault> {
        let limit = self.path_units;
        if limit >= PATH_UNITS || path.as_str().len() <= limit {
            return Ok(());
        }
        let units = units(path.as_str());
        if units > limit {
            Err(Fault::PathTooLong { units, limit })
        } else {
            Ok(())
        }
    }

    fn check_place(&mut self, path: &LayerPath, kind: EntryType) -> Result<(), Fault> {
        let directory = kind == EntryType::Directory;
        if path.is_tree_root() && !directory {
            return Err(Fault::Structure(
                "Files, Hives, UtilityVM and UtilityVM/Files must be directories",
            ));
        }
        match path.tree() {
            Tree::Files => {
                self.files = true;
                Ok(())
            }
            Tree::UtilityVm => {
                self.utility_vm = true;
                Ok(())
            }
            Tree::UtilityVmFiles => self.check_utility_vm(path),
            Tree::Hives if self.role == Some(LayerRole::Base) => Err(Fault::Structure(
                "a base layer cannot have registry deltas in Hives",
            )),
            Tree::Hives if path.is_tree_root() => Ok(()),
            Tree::Hives if kind != EntryType::File || path.below_tree().contains('/') => {
                Err(Fault::Structure("Hives may only hold files"))
            }
            Tree::Hives => Ok(()),
        }
    }

    fn check_utility_vm(&mut self, path: &LayerPath) -> Result<(), Fault> {
        if !self.utility_vm {
            return Err(Fault::UtilityVm("UtilityVM"));
        }
        if path.is_tree_root() {
            self.utility_vm_files = true;
        }
        if !self.utility_vm_files {
            return Err(Fault::UtilityVm("UtilityVM/Files"));
        }
        Ok(())
    }

    fn object(&mut self, entry: &RawEntry, path: LayerPath) -> Result<Object, Fault> {
        let metadata = self.metadata.read(entry)?;
        let directory = metadata.attributes.contains(FileAttributes::DIRECTORY);
        let kind = match entry.entry_type() {
            EntryType::Directory => ObjectKind::Directory,
            EntryType::SymbolicLink => ObjectKind::Link {
                reparse: reparse(entry)?,
                directory,
            },
            EntryType::File | EntryType::HardLink => ObjectKind::File { size: entry.size() },
        };
        if metadata.attributes.contains(FileAttributes::ENCRYPTED) {
            self.notes.encrypted.add(entry.name());
        }
        let linked = matches!(kind, ObjectKind::Link { .. });
        if !linked && path.tree() != Tree::Hives {
            self.owner.begin(path.as_str());
        }
        Ok(Object {
            path,
            kind,
            metadata,
        })
    }

    fn hard_link(&mut self, entry: &RawEntry, path: LayerPath) -> Result<LayerItem, Fault> {
        let name = std::str::from_utf8(entry.link_name())
            .map_err(|_| Fault::NotUtf8("hard-link target"))?;
        if name.ends_with('/') || name.ends_with("/.") {
            return Err(Fault::TrailingSlash("hard-link target"));
        }
        let target = LayerPath::parse(name).map_err(|source| Fault::LinkTarget {
            target: printable(name.as_bytes()),
            source,
        })?;
        self.check_length(&target)?;
        if !holds_files(&path) || !holds_files(&target) {
            return Err(Fault::LinkPlace(printable(name.as_bytes())));
        }
        if Upcase::eq(path.as_str(), target.as_str()) {
            return Err(Fault::SelfLink);
        }
        let metadata = self.metadata.read(entry)?;
        Ok(LayerItem::HardLink(HardLink {
            path,
            target,
            metadata,
        }))
    }

    /// `path` is the marker, `hidden` its name without `.wh.`.
    fn whiteout(&mut self, path: &LayerPath, hidden: &str) -> Result<LayerItem, Fault> {
        if self.role == Some(LayerRole::Base) {
            return Err(Fault::Whiteout(
                "in a base layer, which has nothing below it",
            ));
        }
        match path.tree() {
            Tree::Files => {}
            Tree::UtilityVmFiles => self.check_utility_vm(path)?,
            Tree::UtilityVm | Tree::Hives => {
                return Err(Fault::Whiteout("outside Files and UtilityVM/Files"));
            }
        }
        let directory = path
            .parent_path()
            .ok_or(Fault::Whiteout("outside Files and UtilityVM/Files"))?;
        match hidden {
            OPAQUE => Ok(LayerItem::OpaqueWhiteout(directory)),
            "" | "." | ".." => Err(Fault::Whiteout("names no object")),
            _ if hidden.starts_with(WHITEOUT) => Err(Fault::Whiteout(
                "of an aufs bookkeeping name, expected .wh..wh..opq",
            )),
            _ => directory
                .join(hidden)
                .map(LayerItem::Whiteout)
                .map_err(Fault::Path),
        }
    }

    /// `stream` is what follows the first colon.
    fn stream(&mut self, owner: &str, stream: &str, size: u64) -> Result<LayerItem, Fault> {
        let owner = LayerPath::parse(owner).map_err(Fault::Path)?;
        if self.owner.path.as_deref() != Some(owner.as_str()) {
            return Err(Fault::OrphanStream);
        }
        let name = strip_data_type(stream)?;
        self.owner.add(name)?;
        Ok(LayerItem::Stream(AlternateStream {
            name: name.to_owned(),
            size,
        }))
    }
}

impl StreamOwner {
    fn begin(&mut self, path: &str) {
        let mut buffer = self.path.take().unwrap_or_default();
        buffer.clear();
        buffer.push_str(path);
        self.path = Some(buffer);
        self.streams.clear();
    }

    fn add(&mut self, name: &str) -> Result<(), Fault> {
        if self.streams.iter().any(|known| Upcase::eq(known, name)) {
            return Err(Fault::DuplicateStream(printable(name.as_bytes())));
        }
        if self.streams.len() >= STREAMS {
            return Err(Fault::TooMany {
                what: "streams of one object",
                limit: STREAMS as u64,
            });
        }
        self.streams.push(name.to_owned());
        Ok(())
    }
}

/// The stream's own name from `name` or `name:$DATA` (MS-FSCC 2.1.5.3).
pub(crate) fn strip_data_type(stream: &str) -> Result<&str, Fault> {
    const DATA: &str = "$DATA";
    let name = match stream.split_once(':') {
        None if stream.eq_ignore_ascii_case(DATA) => {
            return Err(Fault::StreamName(
                "$DATA, which is read both as a name and as a type",
            ));
        }
        None => stream,
        Some((name, kind)) if kind.eq_ignore_ascii_case(DATA) => name,
        Some(_) => return Err(Fault::StreamName("followed by a type other than $DATA")),
    };
    check_stream_name(name)?;
    Ok(name)
}

/// What is allowed as the name of a stream.
pub(crate) fn check_stream_name(name: &str) -> Result<(), Fault> {
    if name.is_empty() {
        return Err(Fault::StreamName("empty"));
    }
    if name.contains(['/', '\\', ':']) {
        return Err(Fault::StreamName("not allowed: it has '/', '\\' or ':'"));
    }
    // NTFS allows them here, but no layer has one and a terminal must never see one.
    if name.chars().any(char::is_control) {
        return Err(Fault::StreamName("not allowed: it has a control character"));
    }
    if units(name) > 255 {
        Err(Fault::StreamName("over 255 UTF-16 units"))
    } else {
        Ok(())
    }
}

/// Only the basename counts.
fn is_whiteout(name: &str) -> bool {
    let base = name.rsplit('/').find(|part| !matches!(*part, "" | "."));
    base.is_some_and(|base| base.starts_with(WHITEOUT))
}

/// Whether a file may be linked from or to here.
fn holds_files(path: &LayerPath) -> bool {
    matches!(path.tree(), Tree::Files | Tree::UtilityVmFiles) && !path.is_tree_root()
}

/// The text buffer of an item that is no longer needed.
fn spare_buffer(item: LayerItem) -> String {
    match item {
        LayerItem::Object(Object { path, .. })
        | LayerItem::HardLink(HardLink { path, .. })
        | LayerItem::Whiteout(path)
        | LayerItem::OpaqueWhiteout(path) => path.into_string(),
        LayerItem::Stream(stream) => stream.name,
    }
}
