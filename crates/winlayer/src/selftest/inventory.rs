//! What is in a layer tar, and how two of them differ.

use std::{collections::BTreeMap, io::Write};

use winlayer_digest::{Digest, Hasher};
use winlayer_metadata::{FileTime, FileTimes, Upcase};
use winlayer_tar::{LayerItem, LayerReader, Metadata, ObjectKind};

#[cfg(any(windows, test))]
use crate::registry::is_full_hive;
use crate::{Error, Result, error::escape, merge::copy_body};

/// Every name of a tar, found in any case.
#[derive(Clone, Debug, Default)]
pub(super) struct Inventory(BTreeMap<String, Entry>);

/// An object, a link, or a whiteout, with a digest in the place of its content.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) item: LayerItem,
    pub(super) body: Digest,
    /// Length and content of each, by name.
    streams: BTreeMap<String, (u64, Digest)>,
}

impl Inventory {
    pub(super) fn read(mut reader: LayerReader) -> Result<Self> {
        let mut entries = BTreeMap::new();
        let mut last = String::new();
        while let Some(mut entry) = reader.next_entry()? {
            let mut body = HashingWriter(Hasher::new());
            copy_body(&mut entry.body, &mut body, || "a digest".to_owned())?;
            let digest = body.0.finish();
            if let LayerItem::Stream(stream) = entry.item {
                let owner: Option<&mut Entry> = entries.get_mut(&last);
                let missing = || Error::not_found(format!("no owner of stream {}", stream.name));
                let streams = &mut owner.ok_or_else(missing)?.streams;
                streams.insert(stream.name.clone(), (stream.size, digest));
                continue;
            }
            last = key(entry.item);
            let entry = Entry {
                item: entry.item.clone(),
                body: digest,
                streams: BTreeMap::new(),
            };
            entries.insert(last.clone(), entry);
        }
        reader.finish()?;
        Ok(Self(entries))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.0.values().map(|entry| (path(&entry.item), entry))
    }

    pub(super) fn get(&self, path: &str) -> Option<&Entry> {
        self.0.get(&folded(path))
    }

    /// Takes the registry's hives as `layer` has them; those it lacks stay.
    #[cfg(any(windows, test))]
    pub(super) fn take_hives_of(&mut self, layer: Self) {
        for (key, hive) in layer.0 {
            let is_hive = match &hive.item {
                LayerItem::Object(object) => is_full_hive(&object.path),
                _ => false,
            };
            if is_hive {
                self.0.entry(key).and_modify(|entry| *entry = hive);
            }
        }
    }

    /// What of `self` is missing or different in `found`, and what is there beside.
    pub(super) fn differences(&self, found: &Self) -> Vec<String> {
        self.compare(found, |expected, found| expected.differences(found))
    }

    /// The same for what Windows has had in its hands: it tells no link from what it leads to when
    /// that is in another layer, and gives objects without a descriptor one. Without `native`, which
    /// Wine is not, times and attributes do not count.
    #[cfg(any(windows, test))]
    pub(super) fn differences_in_content(&self, found: &Self, native: bool) -> Vec<String> {
        self.compare(found, |expected, theirs| {
            match (self.object_of(expected), found.object_of(theirs)) {
                (Some(expected), Some(found)) => expected.differences_in_content(found, native),
                _ => vec!["is another kind of entry".to_owned()],
            }
        })
    }

    /// What a name stands for.
    pub(super) fn object_of<'a>(&'a self, entry: &'a Entry) -> Option<&'a Entry> {
        match &entry.item {
            LayerItem::HardLink(link) => self.get(link.target.as_str()),
            LayerItem::Object(_) => Some(entry),
            _ => None,
        }
    }

    fn compare(
        &self,
        found: &Self,
        differences_of: impl Fn(&Entry, &Entry) -> Vec<String>,
    ) -> Vec<String> {
        let mut differences = Vec::new();
        for (key, expected) in &self.0 {
            let title = title(&expected.item);
            match found.0.get(key) {
                Some(found) => {
                    let tell = |what: String| format!("{title}: {what}");
                    differences.extend(differences_of(expected, found).into_iter().map(tell));
                }
                None => differences.push(format!("{title}: missing")),
            }
        }
        for (_, found) in found.0.iter().filter(|(key, _)| !self.0.contains_key(*key)) {
            differences.push(format!("{}: not expected", title(&found.item)));
        }
        differences
    }
}

fn path(item: &LayerItem) -> &str {
    match item {
        LayerItem::Object(object) => object.path.as_str(),
        LayerItem::HardLink(link) => link.path.as_str(),
        LayerItem::Whiteout(path) | LayerItem::OpaqueWhiteout(path) => path.as_str(),
        LayerItem::Stream(stream) => &stream.name,
    }
}

/// A whiteout and an object of the same name are two things.
fn suffix(item: &LayerItem) -> &'static str {
    match item {
        LayerItem::Whiteout(_) => " (whiteout)",
        LayerItem::OpaqueWhiteout(_) => " (opaque)",
        _ => "",
    }
}

fn key(item: &LayerItem) -> String {
    folded(path(item)) + suffix(item)
}

fn title(item: &LayerItem) -> String {
    escape(path(item)) + suffix(item)
}

/// As NTFS compares names.
fn folded(path: &str) -> String {
    let units: Vec<u16> = path.encode_utf16().map(Upcase::unit).collect();
    String::from_utf16_lossy(&units)
}

impl Entry {
    fn differences(&self, found: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        match (&self.item, &found.item) {
            (LayerItem::Object(expected), LayerItem::Object(found)) => {
                if expected.kind != found.kind {
                    differences.push(format!(
                        "expected {}, found {}",
                        kind(&expected.kind),
                        kind(&found.kind)
                    ));
                }
                metadata(&expected.metadata, &found.metadata, &mut differences);
            }
            (LayerItem::HardLink(expected), LayerItem::HardLink(found)) => {
                let (expected, found) = (expected.target.as_str(), found.target.as_str());
                if !Upcase::eq(expected, found) {
                    differences.push(format!(
                        "expected a hard link to {}, found one to {}",
                        escape(expected),
                        escape(found)
                    ));
                }
            }
            (LayerItem::Whiteout(_), LayerItem::Whiteout(_))
            | (LayerItem::OpaqueWhiteout(_), LayerItem::OpaqueWhiteout(_)) => {}
            _ => differences.push("is another kind of entry".to_owned()),
        }
        self.compare_bodies(found, &mut differences);
        differences
    }

    #[cfg(any(windows, test))]
    fn differences_in_content(&self, found: &Self, native: bool) -> Vec<String> {
        let mut differences = Vec::new();
        if let (LayerItem::Object(expected), LayerItem::Object(found)) = (&self.item, &found.item) {
            if expected.kind != found.kind {
                let (expected, found) = (kind(&expected.kind), kind(&found.kind));
                differences.push(format!("expected {expected}, found {found}"));
            }
            let mut found = found.metadata.clone();
            if !native {
                found.attributes = expected.metadata.attributes;
                found.times = expected.metadata.times;
            }
            if expected.metadata.security.is_none() {
                found.security = None;
            }
            metadata(&expected.metadata, &found, &mut differences);
        }
        self.compare_bodies(found, &mut differences);
        differences
    }

    fn compare_bodies(&self, found: &Self, differences: &mut Vec<String>) {
        if self.body != found.body {
            differences.push(format!(
                "content: expected {}, found {}",
                self.body, found.body
            ));
        }
        if self.streams != found.streams {
            let names = |entry: &Self| entry.streams.keys().cloned().collect::<Vec<_>>().join(", ");
            differences.push(format!(
                "alternate streams: expected [{}], found [{}], or their contents differ",
                escape(&names(self)),
                escape(&names(found))
            ));
        }
    }
}

fn kind(kind: &ObjectKind) -> String {
    match kind {
        ObjectKind::Directory => "a directory".to_owned(),
        ObjectKind::File { size } => format!("a file of {size} bytes"),
        ObjectKind::Link { reparse, .. } => {
            format!("a link to {}", escape(reparse.target().unwrap_or("?")))
        }
    }
}

fn metadata(expected: &Metadata, found: &Metadata, differences: &mut Vec<String>) {
    if expected.attributes != found.attributes {
        differences.push(format!(
            "attributes: expected {}, found {}",
            expected.attributes, found.attributes
        ));
    }
    times(&expected.times, &found.times, differences);
    if expected.security != found.security {
        differences.push("the security descriptor differs".to_owned());
    }
    if expected.extended_attributes != found.extended_attributes {
        differences.push("the extended attributes differ".to_owned());
    }
}

fn times(expected: &FileTimes, found: &FileTimes, differences: &mut Vec<String>) {
    type Part = fn(&FileTimes) -> FileTime;
    let parts: [(&str, Part); 4] = [
        ("created", |times| times.created),
        ("accessed", |times| times.accessed),
        ("written", |times| times.written),
        ("changed", |times| times.changed),
    ];
    for (name, part) in parts {
        let (expected, found) = (part(expected), part(found));
        if expected != found {
            differences.push(format!("{name}: expected {expected}, found {found}"));
        }
    }
}

struct HashingWriter(Hasher);

impl Write for HashingWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use winlayer_tar::{LayerRole, ReadOptions};

    use super::*;
    use crate::testing::{Item, dir, file, hard_link, stream, tar, whiteout};

    fn inventory(items: &[Item]) -> Inventory {
        let options = ReadOptions {
            role: Some(LayerRole::Diff),
            ..ReadOptions::default()
        };
        let tar = std::io::Cursor::new(tar(items));
        Inventory::read(LayerReader::open(tar, options)).unwrap()
    }

    fn layer() -> Vec<Item> {
        vec![
            dir("Files"),
            file("Files/a", "a"),
            stream("s", "stream"),
            hard_link("Files/b", "Files/a"),
            whiteout("Files/c"),
        ]
    }

    #[test]
    fn a_layer_does_not_differ_from_itself() {
        let layer = inventory(&layer());
        assert_eq!(layer.len(), 4);
        assert_eq!(layer.differences(&layer), Vec::<String>::new());
    }

    #[test]
    fn names_are_the_same_in_any_case() {
        let mut other = layer();
        other[3] = hard_link("Files/B", "Files/A");
        other[4] = whiteout("Files/C");
        let differences = inventory(&layer()).differences(&inventory(&other));
        assert_eq!(differences, Vec::<String>::new());
    }

    #[test]
    fn a_link_is_as_good_as_a_copy_but_not_as_other_content() {
        let expected = inventory(&layer()[..4]);
        let with = |link: Item| {
            let mut items = layer();
            items.truncate(3);
            items.push(link);
            expected.differences_in_content(&inventory(&items), true)
        };
        let mut copy = layer().swap_remove(1);
        if let LayerItem::Object(object) = &mut copy.0 {
            object.path = winlayer_tar::LayerPath::parse("Files/b").unwrap();
        }
        // The copy lacks the stream of the file it stands for.
        assert_eq!(with(copy).len(), 1);
        assert_eq!(with(hard_link("Files/b", "Files/a")), Vec::<String>::new());
        assert_eq!(with(file("Files/b", "b")).len(), 2);
    }

    #[test]
    fn only_hives_are_taken_from_a_layer() {
        let hive = "Files/Windows/System32/config/SOFTWARE";
        let layer = |config: &str, bytes: &str| {
            let directories = ["Files", "Files/Windows", "Files/Windows/System32"];
            let mut items: Vec<Item> = directories.map(dir).into();
            items.extend([
                dir("Files/Windows/System32/config"),
                file(config, bytes),
                file("Files/a", bytes),
            ]);
            inventory(&items)
        };
        let (merged, base) = (layer(hive, "merged"), layer(&hive.to_lowercase(), "base"));
        let mut volume = merged.clone();
        volume.take_hives_of(layer(
            "Files/Windows/System32/config/SAM",
            "no name of the image",
        ));
        assert_eq!(merged.differences(&volume), Vec::<String>::new());
        volume.take_hives_of(base);
        let differences = merged.differences(&volume);
        assert_eq!(differences.len(), 2, "{differences:?}");
        assert!(differences.iter().all(|what| what.starts_with(hive)));
    }

    #[test]
    fn every_part_that_differs_is_named() {
        let expected = inventory(&layer());
        let with = |index: usize, item: Item| {
            let mut items = layer();
            items[index] = item;
            expected.differences(&inventory(&items)).join("\n")
        };
        assert!(with(1, file("Files/a", "b")).contains("Files/a: content: "));
        assert!(with(1, file("Files/a", "aa")).contains("found a file of 2 bytes"));
        assert!(with(2, stream("t", "stream")).contains("expected [s], found [t]"));
        assert!(with(4, whiteout("Files/d")).contains("Files/c (whiteout): missing"));
        assert!(with(4, whiteout("Files/d")).contains("Files/d (whiteout): not expected"));
        let mut changed = file("Files/a", "a");
        if let LayerItem::Object(object) = &mut changed.0 {
            object.metadata.attributes = winlayer_metadata::FileAttributes::HIDDEN;
            object.metadata.times.written = FileTime::UNIX_EPOCH;
        }
        let told = with(1, changed);
        assert!(
            told.contains("attributes: expected ARCHIVE, found HIDDEN"),
            "{told}"
        );
        assert!(told.contains("written: expected 2020-"), "{told}");
    }
}
