//! A volume as the tar of one base layer.

use std::{
    collections::HashMap,
    io::{self, Read, Seek, Write},
};

use winlayer_metadata::{FileAttributes, FileTimes};
use winlayer_ntfs::{FileReference, Namespace, NtfsError, NtfsObject, Volume};
use winlayer_tar::{
    AlternateStream, HardLink, LayerPath, LayerTarWriter, Metadata, Object, ObjectKind,
};

use super::{
    content::each_piece,
    entry,
    lost::{Loss, Losses},
    stands_in,
    walk::{Name, Walk},
};
use crate::{Error, Result};

/// Writes the objects of a volume as a layer tar to `out`; gives what that cannot hold.
///
/// Objects are in the order of a sorted walk. One with several names is written at the first of its record, which is the one
/// it was made with; the others follow at the end.
pub(super) fn present<D: Read + Seek>(volume: &mut Volume<D>, out: impl Write) -> Result<Losses> {
    let mut presenter = Presenter {
        volume,
        tar: LayerTarWriter::new(out),
        lost: Losses::default(),
        carriers: HashMap::new(),
        later: Vec::new(),
    };
    presenter.root()?;
    presenter.walk()?;
    presenter.further_names()?;
    presenter.tar.finish().map_err(tar_failed)?;
    Ok(presenter.lost)
}

struct Presenter<'a, D, W: Write> {
    volume: &'a mut Volume<D>,
    tar: LayerTarWriter<W>,
    lost: Losses,
    /// Objects with several names that were written, by record.
    carriers: HashMap<u64, Carrier>,
    /// Further names.
    later: Vec<(FileReference, Place)>,
}

/// The name that has the content, with what its hard links repeat.
struct Carrier {
    path: LayerPath,
    attributes: FileAttributes,
    times: FileTimes,
}

/// A name on the volume and in the layer.
struct Place {
    on_disk: String,
    in_layer: LayerPath,
}

impl<D: Read + Seek, W: Write> Presenter<'_, D, W> {
    fn root(&mut self) -> Result<()> {
        let root = self.volume.object(self.volume.root())?;
        let in_layer = LayerPath::parse("Files");
        let in_layer =
            in_layer.map_err(|error| Error::refused_entry("Files", error.to_string()))?;
        let place = Place {
            on_disk: String::new(),
            in_layer,
        };
        self.object(&root, &place)?;
        Ok(())
    }

    fn walk(&mut self) -> Result<()> {
        let mut walk = Walk::default();
        walk.enter(self.volume, self.volume.root(), "")?;
        while let Some(name) = walk.next() {
            let in_layer = match entry::layer_path(&name.path, &name.entry.name) {
                _ if name.is_twin => Err(Loss::Twin),
                parsed => parsed,
            };
            let place = match in_layer {
                Ok(in_layer) => Place {
                    on_disk: name.path.clone(),
                    in_layer,
                },
                Err(loss) => {
                    self.lost.add(loss, &name.path);
                    continue;
                }
            };
            let object = self.volume.object(name.entry.reference)?;
            if has_other_names(&object) && !is_first_name(&object, &name) {
                self.later.push((object.reference, place));
            } else if self.object(&object, &place)? == Written::Directory {
                walk.enter(self.volume, object.reference, &name.path)?;
            }
        }
        Ok(())
    }

    /// Hard links; where the name that should carry the content was left out, the first of them carries it.
    fn further_names(&mut self) -> Result<()> {
        for (reference, place) in std::mem::take(&mut self.later) {
            let Some(carrier) = self.carriers.get(&reference.record()) else {
                let object = self.volume.object(reference)?;
                self.object(&object, &place)?;
                continue;
            };
            let link = HardLink {
                path: place.in_layer,
                target: carrier.path.clone(),
                metadata: Metadata {
                    attributes: carrier.attributes,
                    times: carrier.times,
                    ..Metadata::default()
                },
            };
            self.tar.hard_link(&link).map_err(tar_failed)?;
        }
        Ok(())
    }

    fn object(&mut self, object: &NtfsObject, place: &Place) -> Result<Written> {
        let path = &place.on_disk;
        if let Some(why) = self.unreadable(object)? {
            self.lost.add(Loss::Content(why), path);
            return Ok(Written::Nothing);
        }
        let security = self.volume.descriptor_of(object)?;
        let (kind, metadata) = entry::describe(object, security, path, &mut self.lost);
        let header = Object {
            path: place.in_layer.clone(),
            kind,
            metadata,
        };
        self.tar.object(&header).map_err(tar_failed)?;
        if has_other_names(object) {
            let carrier = Carrier {
                path: header.path,
                attributes: header.metadata.attributes,
                times: header.metadata.times,
            };
            self.carriers.insert(object.reference.record(), carrier);
        }
        match header.kind {
            ObjectKind::Link { .. } => return Ok(Written::Other),
            ObjectKind::File { size: 0 } | ObjectKind::Directory => {}
            ObjectKind::File { .. } => self.copy(object, "")?,
        }
        self.streams(object, path)?;
        Ok(match header.kind {
            ObjectKind::Directory => Written::Directory,
            _ => Written::Other,
        })
    }

    /// Why the content cannot be read, though nothing is damaged.
    fn unreadable(&mut self, object: &NtfsObject) -> Result<Option<String>> {
        if object.attributes.contains(FileAttributes::DIRECTORY) {
            return Ok(None);
        }
        if let Some(tag) = stands_in(object) {
            return Ok(Some(format!("it is where reparse point {tag} says")));
        }
        if !object.streams.iter().any(|stream| stream.is_content()) {
            return Ok(None);
        }
        match self.volume.stream(object, "") {
            Ok(_) => Ok(None),
            Err(NtfsError::Unsupported { what, .. }) => {
                Ok(Some(format!("{what} is not supported")))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn streams(&mut self, object: &NtfsObject, path: &str) -> Result<()> {
        for name in entry::streams(object, path, &mut self.lost) {
            let size = match self.volume.stream(object, name) {
                Ok(stream) => stream.size(),
                Err(NtfsError::Unsupported { what, .. }) => {
                    self.lost
                        .add(Loss::Stream(format!("{what} is not supported")), path);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let header = AlternateStream {
                name: name.to_owned(),
                size,
            };
            self.tar.stream(&header).map_err(tar_failed)?;
            self.copy(object, name)?;
        }
        Ok(())
    }

    fn copy(&mut self, object: &NtfsObject, stream: &str) -> Result<()> {
        let Self { volume, tar, .. } = self;
        each_piece(volume, object, stream, &mut |piece| {
            tar.write_all(piece).map_err(tar_failed)
        })
    }
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Nothing,
    /// What is in it comes next.
    Directory,
    Other,
}

fn has_other_names(object: &NtfsObject) -> bool {
    let long = |name: &&winlayer_ntfs::ObjectName| name.namespace != Namespace::DOS;
    object.names.iter().filter(long).count() > 1
        && !object.attributes.contains(FileAttributes::DIRECTORY)
}

fn is_first_name(object: &NtfsObject, name: &Name) -> bool {
    let long = |name: &&winlayer_ntfs::ObjectName| name.namespace != Namespace::DOS;
    let first = object.names.iter().find(long);
    first.is_some_and(|first| first.parent == name.directory && first.name == name.entry.name)
}

fn tar_failed(source: io::Error) -> Error {
    Error::io("hand the volume on as a layer", source)
}
