//! Deletions: from the whiteouts of a tar to the `tombstones.txt` of a layer folder, and back.
//!
//! `tombstones.txt` has the form the platform exports (hcsshim `legacy.go`, `readTombstones`): a byte
//! order mark, `Version 1.0`, then one path per line, relative to `Files`, with backslashes. A
//! tombstone deletes the object of the layers below together with everything in it, so two things
//! of the tar need another form: an opaque whiteout, and a whiteout of a directory that this layer
//! makes anew. Both become tombstones of the names below that are not made anew.

use std::io::{BufRead as _, BufReader};

use winlayer_sys::Dir;
use winlayer_tar::{LayerPath, Tree};

use super::{
    below::{Below, Seen},
    index::{IndexLine, IndexWriter, LineKind},
};
use crate::{
    Error, Result,
    error::escape,
    layer_names::{LayerNames, NameKind},
    names::{NameTree, NodeId},
};

pub(crate) const TOMBSTONES_FILE: &str = "tombstones.txt";

/// The same in a layer folder the platform has finished, where nothing should take it for its own.
pub(crate) const DELETIONS_FILE: &str = "layer-deletions.txt";

const HEADER: &str = "\u{feff}Version 1.0\n";

/// The whiteouts of one layer, in the order of its tar.
#[derive(Debug, Default)]
pub(crate) struct Whiteouts {
    pub(crate) names: Vec<LayerPath>,
    pub(crate) opaque: Vec<LayerPath>,
}

impl Whiteouts {
    /// What the whiteouts hide of the layers below.
    pub(super) fn hidden(&self) -> Result<Hidden> {
        let tree = |paths: &[LayerPath]| {
            let mut tree = Tombstones::none();
            paths
                .iter()
                .try_for_each(|path| tree.insert(path.as_str()))?;
            Ok::<_, Error>(tree)
        };
        Ok(Hidden {
            removed: tree(&self.names)?,
            emptied: tree(&self.opaque)?,
        })
    }

    /// Refuses what reaches its name through a file or a link of this layer or of the layers below.
    pub(super) fn check(
        &self,
        names: &LayerNames,
        below: &Below<'_>,
        hidden: &Hidden,
    ) -> Result<()> {
        for path in &self.names {
            names.check_whiteout(path)?;
            check_below(path, false, names, below, hidden)?;
        }
        for directory in &self.opaque {
            names.check_whiteout(directory)?;
            let kind = names
                .find(directory.as_str())
                .map(|node| names.get(node).kind);
            if let Some(kind) = kind.filter(|kind| !kind.is_directory()) {
                let rule = format!("opaque whiteout in {}", kind.describe());
                return Err(Error::refused_entry(directory.as_str(), rule));
            }
            check_below(directory, true, names, below, hidden)?;
        }
        Ok(())
    }

    /// What the layers below lose under `Files`: paths from the layer root, sorted, none of them in
    /// this layer.
    pub(super) fn tombstones(&self, names: &LayerNames, below: &Below<'_>) -> Result<Vec<String>> {
        let mut tombstones = Vec::new();
        for path in self.names.iter().filter(|path| path.tree() == Tree::Files) {
            match names.find(path.as_str()).map(|node| names.get(node).kind) {
                None => tombstones.push(path.as_str().to_owned()),
                Some(kind) if kind.is_directory() => {
                    hide_contents(path.as_str(), names, below, &mut tombstones)?;
                }
                // The new object replaces the old one by itself.
                Some(_) => {}
            }
        }
        for path in self.opaque.iter().filter(|path| path.tree() == Tree::Files) {
            hide_contents(path.as_str(), names, below, &mut tombstones)?;
        }
        tombstones.sort();
        tombstones.dedup();
        Ok(tombstones)
    }
}

/// Refuses a whiteout whose name, or with `within` whose directory, is not one to the layers below.
fn check_below(
    path: &LayerPath,
    within: bool,
    names: &LayerNames,
    below: &Below<'_>,
    hidden: &Hidden,
) -> Result<()> {
    let seen = match path.tree() {
        Tree::UtilityVmFiles => below.look_up_in_utility_vm(path.as_str())?,
        _ => below.look_up(path.as_str())?,
    };
    let (found, kind) = match seen {
        Seen::Behind { path, kind } => (path, kind),
        Seen::Object(found) if within && !found.named.kind.is_directory() => {
            (found.path, found.named.kind)
        }
        _ => return Ok(()),
    };
    let own = names.find(&found).map(|node| names.get(node).kind);
    if hidden.hides(&found) || own == Some(NameKind::Directory) {
        return Ok(());
    }
    let rule = format!(
        "whites out behind \"{}\", which is {} in a layer below",
        escape(&found),
        kind.describe()
    );
    Err(Error::refused_entry(path.as_str(), rule))
}

/// Tombstones for all that the layers below have in `directory` and this layer does not.
fn hide_contents(
    directory: &str,
    names: &LayerNames,
    below: &Below<'_>,
    out: &mut Vec<String>,
) -> Result<()> {
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for (path, kind) in below.children(&directory)? {
            match names.find(&path).map(|node| names.get(node).kind) {
                None => out.push(path),
                Some(own) if own.is_directory() && kind.is_directory() => open.push(path),
                Some(_) => {}
            }
        }
    }
    Ok(())
}

/// Writes `tombstones.txt`, which may have another name, and its line in the index.
pub(super) fn write(
    dir: &Dir,
    name: &'static str,
    tombstones: &[String],
    index: &mut IndexWriter,
) -> Result<()> {
    let text = text_of(tombstones);
    super::write_file(dir, name, text.as_bytes())?;
    let (size, crc32) = (text.len() as u64, crc32fast::hash(text.as_bytes()));
    index.write(&IndexLine::new(name, LineKind::SideFile, size, crc32))
}

fn text_of(tombstones: &[String]) -> String {
    let mut text = String::from(HEADER);
    for path in tombstones {
        let below_files = path.split_once('/').map_or("", |(_, rest)| rest);
        text.push('\\');
        text.extend(below_files.chars().map(|c| if c == '/' { '\\' } else { c }));
        text.push('\n');
    }
    text
}

/// What of the layers below a layer's whiteouts hide from it.
#[derive(Debug)]
pub(super) struct Hidden {
    removed: Tombstones,
    emptied: Tombstones,
}

impl Hidden {
    pub(super) fn hides(&self, path: &str) -> bool {
        let parent = path.rsplit_once('/').map(|(parent, _)| parent);
        self.removed.hide(path) || parent.is_some_and(|parent| self.emptied.hide(parent))
    }
}

/// The deletions of a published layer, for asking whether a path is among or below them.
#[derive(Debug)]
pub(crate) struct Tombstones(NameTree<bool>);

impl Tombstones {
    pub(crate) fn none() -> Self {
        Self(NameTree::new(false, u64::MAX))
    }

    pub(crate) fn from_paths(paths: &[String]) -> Result<Self> {
        let mut tombstones = Self::none();
        for path in paths {
            tombstones.insert(path)?;
        }
        Ok(tombstones)
    }

    /// Reads the deletions of a layer folder; a base layer has none.
    pub(crate) fn read(dir: &Dir) -> Result<Self> {
        Self::from_paths(&Self::list(dir)?)
    }

    /// The paths a layer folder's `tombstones.txt` lists, from the layer root.
    pub(crate) fn list(dir: &Dir) -> Result<Vec<String>> {
        for name in [TOMBSTONES_FILE, DELETIONS_FILE] {
            if dir.stat(name)?.is_some() {
                return Self::list_in(dir, name);
            }
        }
        Ok(Vec::new())
    }

    fn list_in(dir: &Dir, name: &str) -> Result<Vec<String>> {
        let mut tombstones = Vec::new();
        let path = dir.path().join(name);
        let damaged = |what: &str| Error::damaged(path.display(), what);
        let mut lines = BufReader::new(dir.open_file(name)?).lines();
        let mut next = || match lines.next() {
            Some(Ok(line)) => Ok(Some(line)),
            Some(Err(error)) => Err(Error::io(format!("read {}", path.display()), error)),
            None => Ok(None),
        };
        let header = next()?.unwrap_or_default();
        if header.trim_end_matches('\r') != HEADER.trim_end() {
            return Err(damaged(
                "does not begin with a byte order mark and \"Version 1.0\"",
            ));
        }
        while let Some(line) = next()? {
            let line = line.trim_end_matches('\r');
            if line.is_empty() {
                continue;
            }
            let name = line
                .strip_prefix('\\')
                .ok_or_else(|| damaged("line without a leading \\"))?;
            tombstones.push(format!("Files/{}", name.replace('\\', "/")));
        }
        Ok(tombstones)
    }

    fn insert(&mut self, path: &str) -> Result<()> {
        let mut node = NodeId::ROOT;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            (node, _) = self.0.child_or_insert(node, name, || false)?;
        }
        if let Some(deleted) = self.0.data_mut(node) {
            *deleted = true;
        }
        Ok(())
    }

    /// True when the path, or a directory it is in, is deleted.
    pub(crate) fn hide(&self, path: &str) -> bool {
        let mut node = NodeId::ROOT;
        for name in path.split('/') {
            match self.0.child(node, name) {
                Some(child) if self.0.data(child) == Some(&true) => return true,
                Some(child) => node = child,
                None => return false,
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        (folder, dir)
    }

    #[test]
    fn the_file_has_the_form_of_an_export() {
        let paths = [
            "Files/Users/x/file.txt".to_owned(),
            "Files/dir/sub".to_owned(),
        ];
        let expected = "\u{feff}Version 1.0\n\\Users\\x\\file.txt\n\\dir\\sub\n";
        assert_eq!(text_of(&paths), expected);
    }

    #[test]
    fn a_tombstone_hides_all_below_in_any_case() {
        let (_folder, dir) = folder();
        let mut index = IndexWriter::create(&dir).unwrap();
        write(
            &dir,
            TOMBSTONES_FILE,
            &["Files/Dir/Sub".to_owned()],
            &mut index,
        )
        .unwrap();
        let tombstones = Tombstones::read(&dir).unwrap();
        assert!(tombstones.hide("Files/dir/SUB/deep/file"));
        assert!(tombstones.hide("files/dir/sub"));
        assert!(!tombstones.hide("Files/dir"));
        assert!(!tombstones.hide("Files/dir/subway"));
    }

    #[test]
    fn reads_both_line_ends_and_skips_empty_lines() {
        let (folder, dir) = folder();
        let path = folder.path().join(TOMBSTONES_FILE);
        std::fs::write(&path, "\u{feff}Version 1.0\r\n\\a\r\n\r\n\\b\n").unwrap();
        let tombstones = Tombstones::read(&dir).unwrap();
        assert!(tombstones.hide("Files/a") && tombstones.hide("Files/b"));
        std::fs::write(&path, "\u{feff}Version 1.0\nC:\\a\n").unwrap();
        Tombstones::read(&dir).unwrap_err();
        std::fs::write(&path, "Version 2.0\n").unwrap();
        Tombstones::read(&dir).unwrap_err();
    }

    proptest::proptest! {
        #[test]
        fn what_is_written_is_read_again(
            paths in proptest::collection::vec(r"Files(/[a-zA-Z0-9 .'é€ß$-]{1,20}){1,5}", 1..20),
        ) {
            let (_folder, dir) = folder();
            let mut index = IndexWriter::create(&dir).unwrap();
            write(&dir, TOMBSTONES_FILE, &paths, &mut index).unwrap();
            let tombstones = Tombstones::read(&dir).unwrap();
            for path in &paths {
                assert!(tombstones.hide(path), "{path}");
                assert!(tombstones.hide(&format!("{path}/below")), "{path}");
            }
            assert!(!tombstones.hide("Files"));
        }
    }
}
