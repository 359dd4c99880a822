//! The deltas of a layer, merged into the full hives of the volume.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
};

use winlayer_metadata::ExtendedAttributes;

use winlayer_ntfs::{NtfsObject, ObjectMetadata, Volume};
use winlayer_tar::{Body, LayerPath, Object};

use super::{Applied, Own};
use crate::{
    Error, Result,
    error::escape,
    registry::{CONFIG, RegistryHive, delta, merge_over, spool},
};

/// Deltas that have come by.
#[derive(Default)]
pub(super) struct Deltas {
    known: Vec<(RegistryHive, LayerPath, File)>,
    warnings: Vec<String>,
}

impl Deltas {
    pub(super) fn take(&mut self, object: &Object, body: &mut Body<'_>) -> Result<()> {
        if !matches!(object.kind, winlayer_tar::ObjectKind::File { .. }) {
            return Ok(());
        }
        match delta(&object.path) {
            Some(hive) => {
                let content = spool(&mut *body)?;
                self.known.push((hive, object.path.clone(), content));
            }
            None => {
                let entry = escape(object.path.as_str());
                let text = format!("{entry}: not merged: no hive is known by this name");
                self.warnings.push(text);
            }
        }
        Ok(())
    }
}

impl<D: Read + Write + Seek> Applied<D> {
    /// Replaces the hives that this layer changes; gives warnings of those that could not be.
    pub(super) fn merge_hives(&mut self) -> Result<Vec<String>> {
        let Deltas {
            known,
            mut warnings,
        } = std::mem::take(&mut self.deltas);
        for (hive, entry, delta) in known {
            if let Some(why) = self.merge_hive(hive, delta)? {
                let entry = escape(entry.as_str());
                warnings.push(format!("{entry}: not merged into {}: {why}", hive.root()));
            }
        }
        Ok(warnings)
    }

    /// Says why a hive could not be merged.
    fn merge_hive(&mut self, hive: RegistryHive, delta: File) -> Result<Option<String>> {
        let path = format!("{CONFIG}/{}", hive.file_name());
        let node = self.tree.find(&path);
        let spot = node.map(|node| self.spot(node)).unwrap_or_default();
        let (Some(node), Some(before)) = (node, &self.before) else {
            return Ok(Some(format!("no layer has the file Files/{path}")));
        };
        if spot.own == Own::Object {
            return Ok(Some("the full hive is in the same layer".to_owned()));
        }
        let Some(name) = spot
            .lower
            .filter(|_| spot.below.is_some_and(|below| !below.is_directory))
        else {
            return Ok(Some(format!("no layer has the file Files/{path}")));
        };
        let mut below = before.open()?;
        let Some(file) = below.lookup(&path)? else {
            return Ok(Some(format!("the disk below does not have {path}")));
        };
        let object = below.object(file)?;
        let base = content(&mut below, &object)?;
        let merged = match merge_over(base, &[], Some(delta))? {
            Ok(Some(merged)) => merged,
            Ok(None) => return Ok(None),
            Err(why) => return Ok(Some(why)),
        };
        let security = below.descriptor_of(&object)?;
        let security = security.ok_or_else(|| Error::damaged(&path, "has no descriptor"))?;
        let none = ExtendedAttributes::default();
        let metadata = ObjectMetadata {
            attributes: object.attributes,
            times: object.times,
            security: &security,
            extended_attributes: object.extended_attributes.as_ref().unwrap_or(&none),
            reparse: None,
        };
        self.volume.remove_name(name)?;
        let parent = self.parent_of(node)?;
        let name = self.tree.name(node).to_owned();
        let made = self
            .volume
            .begin_file(parent, &name, &metadata, merged.len() as u64)?;
        let written = self.volume.write_all(&merged);
        written.map_err(|error| Error::io(format!("write {path}"), error))?;
        self.set(node, Own::Object, Some(made));
        Ok(None)
    }
}

/// The content of a file, in a temporary one.
fn content<D: Read + Seek>(volume: &mut Volume<D>, object: &NtfsObject) -> Result<File> {
    let failed = |error| Error::io("copy a hive", error);
    let mut file = tempfile::tempfile().map_err(failed)?;
    std::io::copy(&mut volume.stream(object, "")?, &mut file).map_err(failed)?;
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    Ok(file)
}
