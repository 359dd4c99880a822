//! What of a hostile image is on a volume.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use winlayer_ntfs::{FileReference, NtfsObject, ObjectKind, Volume};
use winlayer_testkit::Fact;

/// A volume, and which directory of the image became its root.
pub(crate) struct Held {
    volume: Volume<File>,
    below: &'static str,
}

impl Held {
    pub(crate) fn open(file: &Path, below: &'static str) -> Self {
        let volume = Volume::open(File::open(file).unwrap()).unwrap();
        Self { volume, below }
    }

    pub(crate) fn holds(&mut self, fact: &Fact) -> bool {
        match fact {
            Fact::Missing(path) => self.find(path).is_none(),
            Fact::Directory(path) => self.is(path, |object| object.kind == ObjectKind::Directory),
            Fact::Link(path) => self.is(path, |object| object.kind == ObjectKind::Link),
            Fact::File(path, content) => self
                .content(path, "")
                .is_some_and(|found| found == *content),
            Fact::Stream(path, stream, content) => self
                .content(path, stream)
                .is_some_and(|found| found == *content),
            Fact::SameFile(one, other) => {
                let one = self.find(one);
                one.is_some() && one == self.find(other)
            }
            Fact::Modified(path, seconds) => self.is(path, |object| {
                let since = (seconds + 11_644_473_600) * 10_000_000;
                (since..since + 10_000_000).contains(&object.times.written.ticks())
            }),
            Fact::Spelled(path) if path == self.below => true,
            Fact::Spelled(path) => {
                let (_, name) = path.rsplit_once('/').unwrap_or(("", path));
                self.is(path, |object| {
                    object.names.iter().any(|known| known.name == name)
                })
            }
        }
    }

    fn is(&mut self, path: &str, rule: impl Fn(&NtfsObject) -> bool) -> bool {
        self.object(path).is_some_and(|object| rule(&object))
    }

    fn content(&mut self, path: &str, stream: &str) -> Option<Vec<u8>> {
        let object = self
            .object(path)
            .filter(|object| object.kind != ObjectKind::Link)?;
        let mut bytes = Vec::new();
        self.volume
            .stream(&object, stream)
            .ok()?
            .read_to_end(&mut bytes)
            .ok()?;
        Some(bytes)
    }

    fn object(&mut self, path: &str) -> Option<NtfsObject> {
        let reference = self.find(path)?;
        Some(self.volume.object(reference).unwrap())
    }

    fn find(&mut self, path: &str) -> Option<FileReference> {
        let path = path.strip_prefix(self.below)?.trim_start_matches('/');
        match path {
            "" => Some(self.volume.root()),
            path => self.volume.lookup(path).unwrap(),
        }
    }
}
