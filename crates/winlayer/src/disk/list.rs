//! `list_disk`: the names on a volume.

use winlayer_metadata::Upcase;
use winlayer_ntfs::{Namespace, NtfsObject, ObjectKind, ObjectName};

use super::{
    DiskFile, OpenDisk,
    walk::{Name, Walk, join},
};
use crate::{
    Error, ListedObject, Result,
    error::escape,
    target::tree::link_kind,
    view::{Spelled, no_path},
};

/// Lists the volume of a disk, sorted as [`list`](crate::list) sorts an image; the volume's own files (`$MFT` and so on) are
/// left out.
///
/// `path` is written as `Windows\System32`, `C:\Windows` or `/Windows`, in any case; `None` stands for the root. What is a
/// directory is listed with what is directly in it, or with all below it when `recursive`; the directory itself is left out.
///
/// # Errors
///
/// The file is no disk, has no NTFS volume or a damaged one; the path does not exist.
pub fn list_disk(
    disk: &DiskFile,
    path: Option<&str>,
    recursive: bool,
) -> Result<Vec<ListedObject>> {
    let place = DiskPlace::parse(path.unwrap_or_default())?;
    if place.stream.is_some() {
        let what = "streams cannot be listed; print one with cat";
        return Err(Error::not_found(what));
    }
    let mut open = disk.open()?;
    let (top, path) = place.find(&mut open, disk)?;
    let listed = list_below(&mut open, &top, &path, recursive);
    listed.map_err(|error| error.on_disk(&disk.path))
}

fn list_below(
    open: &mut OpenDisk,
    top: &NtfsObject,
    path: &str,
    recursive: bool,
) -> Result<Vec<ListedObject>> {
    if top.kind != ObjectKind::Directory {
        return Ok(vec![listed(top, path.to_owned())]);
    }
    let mut walk = Walk::default();
    walk.enter(&mut open.volume, top.reference, path)?;
    let mut all = Vec::new();
    while let Some(Name { path, entry, .. }) = walk.next() {
        let object = open.volume.object(entry.reference)?;
        if recursive && object.kind == ObjectKind::Directory {
            walk.enter(&mut open.volume, entry.reference, &path)?;
        }
        all.push(listed(&object, path));
    }
    Ok(all)
}

fn listed(object: &NtfsObject, path: String) -> ListedObject {
    let reparse = object
        .reparse
        .as_ref()
        .and_then(|point| point.as_ref().ok());
    ListedObject {
        path,
        kind: match (object.kind, reparse) {
            (ObjectKind::Link, Some(reparse)) => link_kind(reparse),
            (ObjectKind::Directory, _) => "directory",
            _ => "file",
        },
        size: match object.kind {
            ObjectKind::File => object.size,
            _ => 0,
        },
        attributes: object.attributes.bits(),
        written: object.times.written.to_string(),
        target: reparse.and_then(|reparse| reparse.target().map(str::to_owned)),
        layer: 1,
    }
}

/// How the volume spells `name`, which may be the short name of an object.
fn spelling<'a>(object: &'a NtfsObject, name: &'a str) -> &'a str {
    let long = |known: &&ObjectName| known.namespace != Namespace::DOS;
    let mut names = object.names.iter().filter(long);
    let same = names.clone().find(|known| Upcase::eq(&known.name, name));
    same.or_else(|| names.next())
        .map_or(name, |known| &known.name)
}

/// A place on a volume that somebody asked for.
pub(super) struct DiskPlace {
    names: Vec<String>,
    pub(super) stream: Option<String>,
}

impl DiskPlace {
    pub(super) fn parse(text: &str) -> Result<Self> {
        const DISK: &str = "a disk";
        let Spelled { names, stream, .. } = Spelled::parse(text, DISK)?;
        match names.iter().any(|name| name == "..") {
            true => Err(no_path(text, DISK, "it has a '..'")),
            false => Ok(Self { names, stream }),
        }
    }

    /// The object, and its path as the volume spells it.
    pub(super) fn find(
        &self,
        open: &mut OpenDisk,
        disk: &DiskFile,
    ) -> Result<(NtfsObject, String)> {
        let find = |open: &mut OpenDisk| -> Result<Option<_>> {
            let mut object = open.volume.object(open.volume.root())?;
            let (mut asked, mut path) = (String::new(), String::new());
            for name in &self.names {
                asked = join(&asked, name);
                let Some(found) = open.volume.lookup(&asked)? else {
                    return Ok(None);
                };
                object = open.volume.object(found)?;
                path = join(&path, spelling(&object, name));
            }
            Ok(Some((object, path)))
        };
        let found = find(open).map_err(|error| error.on_disk(&disk.path))?;
        found.ok_or_else(|| {
            let path = escape(&self.names.join("/"));
            Error::not_found(format!("no \"{path}\" on the disk"))
        })
    }
}
