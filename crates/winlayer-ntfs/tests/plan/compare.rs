//! Reads a volume back and compares it with its plan.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{Cursor, Read},
};

use winlayer_metadata::FileAttributes;
use winlayer_ntfs::{FileReference, Namespace, NtfsObject, ObjectKind, Volume, verify};

use super::{Content, Kind, Object, Plan, descriptor};

type Image<'a> = Volume<Cursor<&'a [u8]>>;

/// What the writer keeps of the attributes a file is said to have.
const KEPT: u32 = 0x0001 | 0x0002 | 0x0004 | 0x0020 | 0x0100 | 0x1000 | 0x2000;

impl Plan {
    /// Our own verifier finds nothing, and our own reader what was planned.
    pub fn assert_is(&self, image: &[u8]) {
        let mut findings = Vec::new();
        let verified = verify(Cursor::new(image), &mut |finding| {
            findings.push(finding.to_string());
        });
        assert!(verified.unwrap().complete);
        assert!(findings.is_empty(), "{}", findings.join("\n"));

        let mut volume = Volume::open(Cursor::new(image)).unwrap();
        let expected = self.names();
        let mut found = BTreeMap::new();
        let mut by_file = HashMap::new();
        let root = volume.root();
        walk(&mut volume, root, "", &mut found);
        let paths = |names: &BTreeMap<String, _>| names.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(paths(&found), expected.keys().cloned().collect());
        for (path, reference) in &found {
            let number = expected[path];
            let same = by_file.entry(number).or_insert(*reference);
            assert_eq!(same, reference, "{path} is another file than its links");
            assert_eq!(volume.lookup(path).unwrap(), Some(*reference), "{path}");
        }
        for (number, reference) in by_file {
            let object = volume.object(reference).unwrap();
            assert_same(&mut volume, &self.objects[number], &object, number == 0);
        }
    }

    /// The number of the object at each path.
    fn names(&self) -> BTreeMap<String, usize> {
        let mut paths = vec![String::new()];
        let mut names = BTreeMap::from([(String::new(), 0)]);
        for (number, object) in self.objects.iter().enumerate().skip(1) {
            let path = format!("{}/{}", paths[object.parent], object.name);
            names.insert(path.clone(), number);
            paths.push(path);
        }
        for (number, object) in self.objects.iter().enumerate() {
            for (parent, name) in &object.links {
                names.insert(format!("{}/{name}", paths[*parent]), number);
            }
        }
        names
    }
}

fn walk(
    volume: &mut Image<'_>,
    directory: FileReference,
    path: &str,
    found: &mut BTreeMap<String, FileReference>,
) {
    found.insert(path.to_owned(), directory);
    for entry in volume.read_dir(directory).unwrap() {
        if entry.reference.record() < 24 {
            continue;
        }
        let path = format!("{path}/{}", entry.name);
        let object = volume.object(entry.reference).unwrap();
        assert_eq!(
            (entry.size, entry.times),
            (object.size, object.times),
            "{path}"
        );
        if object.kind == ObjectKind::Directory {
            walk(volume, entry.reference, &path, found);
        } else {
            found.insert(path, entry.reference);
        }
    }
}

fn assert_same(volume: &mut Image<'_>, plan: &Object, found: &NtfsObject, is_root: bool) {
    let name = &plan.name;
    let is_link = plan
        .reparse
        .as_ref()
        .is_some_and(|point| point.target().is_some());
    let kind = match plan.kind {
        _ if is_link => ObjectKind::Link,
        Kind::File(_) => ObjectKind::File,
        _ => ObjectKind::Directory,
    };
    assert_eq!(found.kind, kind, "{name}");
    let bits = found.attributes.bits();
    assert_eq!(
        bits & KEPT,
        plan.attributes.bits() & KEPT,
        "{name}: {bits:#x}"
    );
    let points = found.attributes.contains(FileAttributes::REPARSE_POINT);
    assert_eq!(points, plan.reparse.is_some(), "{name}");
    assert_eq!(found.times, plan.times(), "{name}");
    let security = volume.descriptor_of(found).unwrap().unwrap();
    assert_eq!(security, descriptor(plan.descriptor), "{name}");
    assert_eq!(
        found.extended_attributes.as_ref().unwrap(),
        &plan.extended,
        "{name}"
    );
    let point = found.reparse.as_ref().map(|point| point.as_ref().unwrap());
    assert_eq!(point, plan.reparse.as_ref(), "{name}");
    if !is_root {
        assert_eq!(found.names.len(), 1 + plan.links.len(), "{name}");
        assert!(
            found
                .names
                .iter()
                .all(|name| name.namespace == Namespace::POSIX)
        );
    }
    let mut streams: BTreeMap<&str, Content> = BTreeMap::new();
    if let Kind::File(content) = plan.kind {
        streams.insert("", content);
    }
    streams.extend(
        plan.streams
            .iter()
            .map(|(name, content)| (name.as_str(), *content)),
    );
    let listed: BTreeMap<_, _> = found
        .streams
        .iter()
        .map(|s| (s.name.as_str(), s.size))
        .collect();
    let sizes: BTreeMap<_, _> = streams
        .iter()
        .map(|(name, content)| (*name, content.size))
        .collect();
    assert_eq!(listed, sizes, "{name}");
    for (stream, content) in streams {
        let mut bytes = Vec::new();
        volume
            .stream(found, stream)
            .unwrap()
            .read_to_end(&mut bytes)
            .unwrap();
        assert!(bytes == content.bytes(), "{name}:{stream} {content:?}");
    }
}
