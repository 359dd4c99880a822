//! `list`: the names in an image.

use std::collections::HashMap;

use serde::Serialize;
use winlayer_image::Image;
use winlayer_metadata::Upcase;
use winlayer_tar::{AlternateStream, Body, LayerItem, Limits, Metadata, Object, ObjectKind};

use super::place::Place;
use crate::{
    Error, Result,
    merge::{ImageLayers, Kind, LayerNumber, Merge, Selection, Sink, merge_layers, read_layer},
    names::NodeId,
    target::tree::link_kind,
};

/// One name in an image, or on a disk.
#[derive(Clone, Debug, Serialize)]
pub struct ListedObject {
    /// From the root of the layers: `Files/Windows/System32`; on a disk from the root of the volume.
    pub path: String,
    /// `directory`, `file`, `symlink` or `junction`; for a single layer also `hard_link`,
    /// `whiteout` and `opaque_whiteout`.
    pub kind: &'static str,
    /// Bytes of the content.
    pub size: u64,
    /// FILE_ATTRIBUTE_* bits.
    pub attributes: u32,
    /// Last write, RFC 3339 in UTC with seven digits.
    pub written: String,
    /// Where a link leads, as the layer says it.
    pub target: Option<String>,
    /// The layer that defines the name, 1 being the base; 1 on a disk.
    pub layer: usize,
}

/// Lists the merged view of an image, or one layer (counted from 1, the base), sorted by path.
///
/// `path` is written as `Windows\System32`, `C:\Windows`, `Files/Windows` or `UtilityVM/Files/EFI` in
/// any case; `None` stands for the whole image. What is a directory is listed with what is directly
/// in it, or with all below it when `recursive`; the directory itself is left out. The merged view
/// has no registry deltas; they belong to layers.
///
/// # Errors
///
/// The path does not exist, or a layer cannot be read or is malformed.
pub fn list(
    image: &Image,
    path: Option<&str>,
    layer: Option<usize>,
    recursive: bool,
    limits: &Limits,
) -> Result<Vec<ListedObject>> {
    let place = Place::parse(path.unwrap_or_default())?;
    if place.stream.is_some() {
        return Err(Error::not_found(
            "streams cannot be listed; print one with cat",
        ));
    }
    let layers = ImageLayers::new(image, limits, None);
    match layer {
        Some(number) => list_layer(&layers, layers.number(number)?, &place, recursive),
        None => list_merged(&layers, &place, recursive),
    }
}

fn list_merged(
    layers: &ImageLayers<'_>,
    place: &Place,
    recursive: bool,
) -> Result<Vec<ListedObject>> {
    let mut merge = layers.merge(Selection::Image)?;
    let mut facts = Facts::default();
    merge_layers(layers, &mut merge, &mut facts)?;
    let found = merge.names().find(&place.path);
    let top = found.filter(|&node| node == NodeId::ROOT || merge.state(node).wanted);
    let top = top.ok_or_else(|| place.missing())?;
    let is_directory = top == NodeId::ROOT || merge.state(top).kind.is_directory();
    let mut nodes = match (is_directory, recursive) {
        (false, _) => vec![top],
        (true, false) => merge.sorted_children(top),
        (true, true) => merge.sorted_from(top),
    };
    nodes.retain(|&node| !is_directory || node != top);
    Ok(nodes
        .into_iter()
        .map(|node| facts.listed(&merge, node))
        .collect())
}

/// What `list` says of an object besides its names.
#[derive(Debug)]
struct Fact {
    kind: &'static str,
    size: u64,
    attributes: u32,
    written: winlayer_metadata::FileTime,
    target: Option<Box<str>>,
}

impl Fact {
    fn of(object: &Object) -> Self {
        let (kind, size, target) = match &object.kind {
            ObjectKind::Directory => ("directory", 0, None),
            ObjectKind::File { size } => ("file", *size, None),
            ObjectKind::Link { reparse, .. } => {
                (link_kind(reparse), 0, reparse.target().map(Box::from))
            }
        };
        let Metadata {
            attributes, times, ..
        } = &object.metadata;
        Self {
            kind,
            size,
            attributes: attributes.bits(),
            written: times.written,
            target,
        }
    }

    fn listed(&self, path: String, layer: usize) -> ListedObject {
        ListedObject {
            path,
            kind: self.kind,
            size: self.size,
            attributes: self.attributes,
            written: self.written.to_string(),
            target: self.target.as_deref().map(str::to_owned),
            layer,
        }
    }
}

#[derive(Debug, Default)]
struct Facts(HashMap<NodeId, Fact>);

impl Facts {
    fn listed(&self, view: &Merge, node: NodeId) -> ListedObject {
        let state = view.state(node);
        let path = view.names().path(node);
        let layer = state.defined_in.map_or(0, LayerNumber::get);
        match self.0.get(&state.primary.unwrap_or(node)) {
            Some(fact) => fact.listed(path, layer),
            None => {
                debug_assert_eq!(state.kind, Kind::Implicit);
                let written = winlayer_metadata::FileTime::UNIX_EPOCH;
                let fact = Fact {
                    kind: "directory",
                    size: 0,
                    attributes: 0x10,
                    written,
                    target: None,
                };
                fact.listed(path, layer)
            }
        }
    }
}

impl Sink for Facts {
    fn directory(&mut self, _: &Merge, node: NodeId, object: &Object) -> Result<()> {
        self.0.insert(node, Fact::of(object));
        Ok(())
    }

    fn object(
        &mut self,
        _: &Merge,
        at: NodeId,
        object: &Object,
        _: &mut dyn std::io::BufRead,
    ) -> Result<()> {
        self.0.insert(at, Fact::of(object));
        Ok(())
    }

    fn links(&mut self, _: &Merge, _: NodeId, _: &[NodeId]) -> Result<()> {
        Ok(())
    }

    fn stream(&mut self, _: &Merge, _: &AlternateStream, _: &mut Body<'_>) -> Result<()> {
        Ok(())
    }
}

fn list_layer(
    layers: &ImageLayers<'_>,
    number: LayerNumber,
    place: &Place,
    recursive: bool,
) -> Result<Vec<ListedObject>> {
    let mut listed = Vec::new();
    let mut exists = place.path.is_empty();
    read_layer(layers, number, &mut |item, _| {
        let Some(object) = list_item(item, number) else {
            return Ok(());
        };
        match relation(&place.path, &object.path) {
            Relation::Same if object.kind != "directory" => {
                exists = true;
                listed.push(object);
            }
            Relation::Same => exists = true,
            Relation::Child => {
                exists = true;
                listed.push(object);
            }
            Relation::Below => {
                exists = true;
                if recursive {
                    listed.push(object);
                }
            }
            Relation::Elsewhere => {}
        }
        Ok(())
    })?;
    if !exists {
        return Err(Error::not_found(format!(
            "no \"{}\" in layer {}",
            crate::error::escape(&place.path),
            number.get()
        )));
    }
    listed.sort_by(|a, b| a.path.split('/').cmp(b.path.split('/')));
    Ok(listed)
}

fn list_item(item: &LayerItem, number: LayerNumber) -> Option<ListedObject> {
    let layer = number.get();
    let marker = |path: &str, kind| ListedObject {
        path: path.to_owned(),
        kind,
        size: 0,
        attributes: 0,
        written: winlayer_metadata::FileTime::UNIX_EPOCH.to_string(),
        target: None,
        layer,
    };
    match item {
        LayerItem::Object(object) => {
            Some(Fact::of(object).listed(object.path.as_str().to_owned(), layer))
        }
        LayerItem::HardLink(link) => Some(ListedObject {
            attributes: link.metadata.attributes.bits(),
            written: link.metadata.times.written.to_string(),
            target: Some(link.target.as_str().to_owned()),
            ..marker(link.path.as_str(), "hard_link")
        }),
        LayerItem::Whiteout(path) => Some(marker(path.as_str(), "whiteout")),
        LayerItem::OpaqueWhiteout(path) => Some(marker(path.as_str(), "opaque_whiteout")),
        LayerItem::Stream(_) => None,
    }
}

/// How one path lies to another.
enum Relation {
    Same,
    Child,
    Below,
    Elsewhere,
}

fn relation(top: &str, path: &str) -> Relation {
    let mut rest = path.split('/');
    for name in top.split('/').filter(|name| !name.is_empty()) {
        match rest.next() {
            Some(other) if Upcase::eq(name, other) => {}
            _ => return Relation::Elsewhere,
        }
    }
    match rest.count() {
        0 => Relation::Same,
        1 => Relation::Child,
        _ => Relation::Below,
    }
}
