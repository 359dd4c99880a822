//! The utility VM of a layer that is not a base: a complete tree of its own.
//!
//! Windows boots the utility VM from one layer folder only, so a layer that changes anything in it
//! gets all of it: what the tar does not bring is hard-linked from the nearest layer below that has a
//! utility VM. Four files are copied instead, because the platform edits them while it processes
//! the layer, and a shared file would change in the layer below too.
//! Source: hcsshim `legacy.go`, `initUtilityVM` and `cloneTree`.

use std::collections::HashMap;

use winlayer_digest::ChainId;
use winlayer_metadata::Upcase;
use winlayer_tar::{LayerPath, Tree};

use super::{
    assembly::Assembly,
    below::{Below, PublishedLayer},
    implicit::not_a_directory_below,
    index::{IndexWriter, take_over_lines},
    tombstones::{Tombstones, Whiteouts},
};
use crate::{
    Error, Result,
    layer_names::{LayerNames, NameKind, Named},
};

const BOOT_DIRECTORY: &str = "EFI/Microsoft/Boot";

/// The files the platform edits, below the boot directory, and their untouched copies in the layer
/// folder (hcsshim `pkg/ociwclayer/import.go`).
const EDITED: [(&str, &str); 4] = [
    ("BCD", "bcd.bak"),
    ("BCD.LOG", "bcd.log.bak"),
    ("BCD.LOG1", "bcd.log1.bak"),
    ("BCD.LOG2", "bcd.log2.bak"),
];

/// The file in the layer folder that gets an untouched copy of this one, if it should have one.
pub(super) fn backup_name(path: &LayerPath) -> Option<&'static str> {
    if path.tree() != Tree::UtilityVmFiles {
        return None;
    }
    backup_of(path.below_tree())
}

/// Whether a file of the layer folder is such an untouched copy.
#[cfg(windows)]
pub(crate) fn is_backup(name: &str) -> bool {
    EDITED.iter().any(|(_, backup)| *backup == name)
}

/// Whether the platform edits this object of the utility VM.
pub(crate) fn is_edited(path: &str) -> bool {
    let below_os_files = path.splitn(3, '/').nth(2).unwrap_or_default();
    backup_of(below_os_files).is_some()
}

/// The untouched copy of a file that the platform edits, by the file's path.
#[cfg(windows)]
pub(crate) fn backup_of_path(path: &str) -> Option<&'static str> {
    let (tree, below) = path.split_at_checked("UtilityVM/Files/".len())?;
    if !Upcase::eq(tree, "UtilityVM/Files/") {
        return None;
    }
    backup_of(below)
}

fn backup_of(below_os_files: &str) -> Option<&'static str> {
    let (directory, name) = below_os_files.rsplit_once('/')?;
    if !Upcase::eq(directory, BOOT_DIRECTORY) {
        return None;
    }
    EDITED
        .iter()
        .find(|(edited, _)| Upcase::eq(edited, name))
        .map(|(_, backup)| *backup)
}

/// Completes the utility VM of a layer; gives the layer the rest came from.
///
/// Does nothing when the layer neither has a utility VM nor deletes something in one.
pub(super) fn complete(
    assembly: &dyn Assembly,
    names: &mut LayerNames,
    whiteouts: &Whiteouts,
    below: &Below<'_>,
    index: &mut IndexWriter,
) -> Result<Option<ChainId>> {
    let deletions = in_utility_vm(&whiteouts.names);
    let opaque = in_utility_vm(&whiteouts.opaque);
    let untouched = deletions.is_empty() && opaque.is_empty();
    if untouched && names.find("UtilityVM").is_none() {
        return Ok(None);
    }
    let Some(source) = below.utility_vm()? else {
        return match deletions.first() {
            Some(path) => Err(Error::refused_entry(
                path,
                "no layer below has a utility VM",
            )),
            None => Ok(None),
        };
    };
    let source_names = source.names()?;
    for path in &deletions {
        if source_names.find(path).is_none() {
            let rule = "whites out an object the utility VM below does not have";
            return Err(Error::refused_entry(path, rule));
        }
    }
    let mut clone = Clone {
        assembly,
        source,
        deleted: Tombstones::from_paths(&deletions)?,
        opaque: Tombstones::from_paths(&opaque)?,
        cloned: HashMap::new(),
    };
    clone.tree(source_names, names)?;
    take_over_lines(source, &clone.cloned, index, |line| line.cloned = true)?;
    Ok(Some(source.id()))
}

fn in_utility_vm(whiteouts: &[LayerPath]) -> Vec<String> {
    let wanted = |path: &&LayerPath| path.tree() == Tree::UtilityVmFiles;
    whiteouts
        .iter()
        .filter(wanted)
        .map(|path| path.as_str().to_owned())
        .collect()
}

/// One cloning in progress.
struct Clone<'a> {
    assembly: &'a dyn Assembly,
    source: &'a PublishedLayer,
    deleted: Tombstones,
    opaque: Tombstones,
    /// Their path, our path (which may be spelled otherwise).
    cloned: HashMap<String, String>,
}

impl Clone<'_> {
    fn tree(&mut self, source: &LayerNames, names: &mut LayerNames) -> Result<()> {
        let Some(root) = source.find("UtilityVM") else {
            return Ok(());
        };
        let mut open = vec![(root, String::new())];
        while let Some((node, parent)) = open.pop() {
            let theirs = source.path(node);
            if self.deleted.hide(&theirs) {
                continue;
            }
            let separator = if parent.is_empty() { "" } else { "/" };
            let wanted = format!("{parent}{separator}{}", source.name(node));
            let Some(ours) = self.object(&theirs, source.get(node), wanted, names)? else {
                continue;
            };
            if !self.opaque.hide(&ours) {
                open.extend(source.children(node).map(|child| (child, ours.clone())));
            }
        }
        Ok(())
    }

    /// Clones one object unless this layer has its own; gives our path of a directory to go on in.
    fn object(
        &mut self,
        theirs: &str,
        named: Named,
        wanted: String,
        names: &mut LayerNames,
    ) -> Result<Option<String>> {
        let go_on = named.kind.is_directory();
        let own = names.find(&wanted);
        let (ours, own_kind) = match own {
            Some(node) => (names.path(node), Some(names.get(node).kind)),
            None => (wanted, None),
        };
        match own_kind {
            None => {
                let (from, kind) = (self.source, named.kind);
                self.assembly.clone_object(from, theirs, &ours, kind)?;
            }
            // Only used so far: it is the directory below, so it has that one's metadata.
            Some(NameKind::ImplicitDirectory) if go_on => {
                self.assembly.adopt_directory(self.source, theirs, &ours)?;
            }
            Some(NameKind::ImplicitDirectory) => {
                return Err(not_a_directory_below(&ours, theirs, named.kind));
            }
            Some(kind) => return Ok((go_on && kind.is_directory()).then_some(ours)),
        }
        names.insert(
            &ours,
            Named {
                cloned: true,
                ..named
            },
        )?;
        self.cloned.insert(theirs.to_owned(), ours.clone());
        Ok(go_on.then_some(ours))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edited_files_are_told_in_any_case() {
        let backup = |path| backup_name(&LayerPath::parse(path).unwrap());
        assert_eq!(
            backup("UtilityVM/Files/EFI/Microsoft/Boot/BCD"),
            Some("bcd.bak")
        );
        assert_eq!(
            backup("utilityvm/files/efi/microsoft/BOOT/bcd.Log2"),
            Some("bcd.log2.bak")
        );
        assert_eq!(backup("UtilityVM/Files/EFI/Microsoft/Boot/BCD.LOG3"), None);
        assert_eq!(backup("UtilityVM/Files/Boot/BCD"), None);
        assert_eq!(backup("Files/EFI/Microsoft/Boot/BCD"), None);
    }
}
