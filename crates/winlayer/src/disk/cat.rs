//! `cat_disk`: the content of one file or stream of a volume.

use std::io::Write;

use winlayer_metadata::Upcase;
use winlayer_ntfs::ObjectKind;

use super::{DiskFile, content::copy_stream, list::DiskPlace, stands_in};
use crate::{Error, Result, error::escape};

/// Writes the content of a file on the volume of a disk to `out`.
///
/// `path` is written as for [`list_disk`](crate::list_disk); `PATH:STREAM` names an alternate stream. Links are not followed,
/// the error names their target.
///
/// # Errors
///
/// The file is no disk, has no NTFS volume or a damaged one; the path does not exist or is no file; the stream is compressed
/// or encrypted, or the content is not in the file but made by a filter driver of Windows.
pub fn cat_disk(disk: &DiskFile, path: &str, out: &mut dyn Write) -> Result<()> {
    let place = DiskPlace::parse(path)?;
    let mut open = disk.open()?;
    let (object, path) = place.find(&mut open, disk)?;
    let refuse = |what: String, hint| {
        Err(Error::refused(
            format!("\"{}\" {what}", escape(&path)),
            hint,
        ))
    };
    let name = match &place.stream {
        Some(stream) => {
            let mut streams = object.streams.iter().filter(|known| !known.is_content());
            let found = streams.find(|known| Upcase::eq(&known.name, stream));
            let found = found.ok_or_else(|| {
                let (stream, path) = (escape(stream), escape(&path));
                Error::not_found(format!("no stream \"{stream}\" of \"{path}\""))
            })?;
            found.name.as_str()
        }
        None => {
            let target = match &object.reparse {
                Some(Ok(point)) => point.target(),
                _ => None,
            };
            match (object.kind, target) {
                (ObjectKind::Link, target) => {
                    let target = escape(target.unwrap_or("something unknown"));
                    return refuse(format!("is a link to \"{target}\""), "name a file");
                }
                (ObjectKind::Directory, _) => {
                    return refuse("is a directory".to_owned(), "name a file");
                }
                (ObjectKind::File, _) => {}
            }
            if let Some(tag) = stands_in(&object) {
                let what = format!("has its content elsewhere: reparse point {tag}");
                return refuse(what, "only Windows can read it");
            }
            ""
        }
    };
    let copied = match object.streams.iter().any(|stream| stream.name == name) {
        true => copy_stream(&mut open.volume, &object, name, out),
        // A file without any content attribute.
        false => Ok(()),
    };
    copied.map_err(|error| error.on_disk(&disk.path))
}
