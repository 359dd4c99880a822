//! An object of a volume as the tar of a layer can hold it.

use std::{collections::HashSet, sync::Arc};

use winlayer_metadata::{
    ExtendedAttributes, FileAttributes, ReparsePoint, ReparseTag, SecurityDescriptor, Upcase,
};
use winlayer_ntfs::{Namespace, NtfsObject, ObjectKind as NtfsKind};
use winlayer_tar::{LayerPath, Metadata, ObjectKind};

use super::{
    lost::{Loss, Losses},
    stands_in,
};

/// Most streams of one object that a layer may have.
const STREAMS: usize = 1024;
/// What a name begins with that stands for the removal of another.
const WHITEOUT: &str = ".wh.";

/// What a name becomes in a layer, or why it cannot be in one.
pub(super) fn layer_path(path: &str, name: &str) -> Result<LayerPath, Loss> {
    if name.contains('\0') {
        return Err(Loss::Name("it has half a surrogate pair".to_owned()));
    }
    if name.starts_with(WHITEOUT) {
        return Err(Loss::Name("it would remove another one".to_owned()));
    }
    // Names that the parser would take for something else than one name.
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Err(Loss::Name("it leads elsewhere".to_owned()));
    }
    LayerPath::parse(&format!("Files/{path}"))
        .map_err(|error| Loss::Name(rule_of(&error.to_string())))
}

/// The rule without the name before it.
fn rule_of(error: &str) -> String {
    error
        .rsplit_once("\" ")
        .map_or(error, |(_, rule)| rule)
        .to_owned()
}

/// What a layer can hold of the object; what it cannot is added to `lost`. Content is not looked at.
pub(super) fn describe(
    object: &NtfsObject,
    security: Option<Arc<SecurityDescriptor>>,
    path: &str,
    lost: &mut Losses,
) -> (ObjectKind, Metadata) {
    let reparse = reparse(object, path, lost);
    let mut attributes = object.attributes;
    attributes.set(FileAttributes::REPARSE_POINT, reparse.is_some());
    if attributes.is_empty() {
        attributes = FileAttributes::NORMAL;
    }
    let directory = attributes.contains(FileAttributes::DIRECTORY);
    let kind = match (reparse, directory) {
        (Some(reparse), directory) => ObjectKind::Link { reparse, directory },
        (None, true) => ObjectKind::Directory,
        (None, false) => ObjectKind::File { size: object.size },
    };
    let metadata = Metadata {
        attributes,
        times: object.times,
        security,
        extended_attributes: extended_attributes(object, path, lost),
    };
    note_what_has_no_place(object, &kind, path, lost);
    (kind, metadata)
}

fn note_what_has_no_place(object: &NtfsObject, kind: &ObjectKind, path: &str, lost: &mut Losses) {
    if object
        .names
        .iter()
        .any(|name| name.namespace == Namespace::DOS)
    {
        lost.add(Loss::ShortName, path);
    }
    if object.object_id.is_some() {
        lost.add(Loss::ObjectId, path);
    }
    if matches!(kind, ObjectKind::Link { .. }) {
        for stream in object.streams.iter().filter(|stream| stream.size > 0) {
            let why = match stream.is_content() {
                true => "links have no content in a layer",
                false => "links have no streams in a layer",
            };
            lost.add(Loss::Stream(why.to_owned()), path);
        }
    }
}

/// The reparse point, when it is one of those that layers have.
fn reparse(object: &NtfsObject, path: &str, lost: &mut Losses) -> Option<ReparsePoint> {
    let point = match object.reparse.as_ref()? {
        Ok(point) => point,
        Err(why) => {
            lost.add(Loss::Reparse(format!("it is damaged: {why}")), path);
            return None;
        }
    };
    let target = point.target().unwrap_or_default();
    let made = match point.tag() {
        ReparseTag::SYMLINK => ReparsePoint::symlink(target),
        ReparseTag::MOUNT_POINT => ReparsePoint::mount_point(target),
        tag => {
            // A file that stands in for another one is left out as a whole.
            if stands_in(object).is_none() || object.kind == NtfsKind::Directory {
                lost.add(
                    Loss::Reparse(format!("layers have none of kind {tag}")),
                    path,
                );
            }
            return None;
        }
    };
    match made {
        Ok(made) => {
            if made.as_bytes() != point.as_bytes() {
                lost.add(Loss::Spelling, path);
            }
            Some(made)
        }
        Err(error) => {
            lost.add(
                Loss::Reparse(format!("its target does not fit a layer: {error}")),
                path,
            );
            None
        }
    }
}

fn extended_attributes(object: &NtfsObject, path: &str, lost: &mut Losses) -> ExtendedAttributes {
    let list = match &object.extended_attributes {
        Ok(list) => list,
        Err(why) => {
            lost.add(
                Loss::ExtendedAttributes(format!("they are damaged: {why}")),
                path,
            );
            return ExtendedAttributes::default();
        }
    };
    if list.iter().any(|attribute| attribute.flags != 0) {
        lost.add(Loss::AttributeFlags, path);
    }
    let fits = |name: &[u8]| str::from_utf8(name).is_ok_and(|name| !name.contains(['=', '\0']));
    if list.iter().all(|attribute| fits(&attribute.name)) {
        return list.clone();
    }
    let why = "the name does not fit a layer".to_owned();
    lost.add(Loss::ExtendedAttributes(why), path);
    let kept = list.iter().filter(|attribute| fits(&attribute.name));
    // What is left of a sound list is sound.
    ExtendedAttributes::from_list(kept.cloned().collect()).unwrap_or_default()
}

/// The named streams that a layer can hold.
pub(super) fn streams<'a>(object: &'a NtfsObject, path: &str, lost: &mut Losses) -> Vec<&'a str> {
    let mut folded = HashSet::new();
    let mut kept = Vec::new();
    for stream in object.streams.iter().filter(|stream| !stream.is_content()) {
        let name = stream.name.as_str();
        let key: Vec<u16> = name.encode_utf16().map(Upcase::unit).collect();
        let refused = if !is_stream_name(name) {
            Some("a layer cannot have the name")
        } else if !folded.insert(key) {
            Some("another one of the object differs only in case")
        } else if kept.len() == STREAMS {
            Some("a layer has at most 1024 of one object")
        } else {
            None
        };
        match refused {
            Some(why) => lost.add(Loss::Stream(why.to_owned()), path),
            None => kept.push(name),
        }
    }
    kept
}

fn is_stream_name(name: &str) -> bool {
    let odd = |character: char| character.is_control() || matches!(character, '/' | '\\' | ':');
    !name.contains(odd) && !name.eq_ignore_ascii_case("$DATA") && name.encode_utf16().count() <= 255
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str) -> bool {
        layer_path(&format!("a/{name}"), name).is_err()
    }

    #[test]
    fn names_that_lead_elsewhere_or_mean_something_are_left_out() {
        for name in [
            "..",
            ".",
            "",
            "a/b",
            r"a\b",
            "a:b",
            "a\0D800",
            ".wh.a",
            ".wh..wh..opq",
            "a.$wcidirs$",
            "a\nb",
            "a*",
        ] {
            assert!(refused(name), "{name:?}");
        }
        for name in ["con", "a.", "a ", "...", "wh.a", "\u{1f600}"] {
            assert!(!refused(name), "{name:?}");
        }
    }

    #[test]
    fn a_refusal_says_the_rule_once() {
        let Err(Loss::Name(why)) = layer_path("a:b", "a:b") else {
            panic!("not refused")
        };
        assert_eq!(
            why,
            "has a ':', which is only allowed before the name of a stream"
        );
    }
}
