//! `cat`: the content of one file or stream of an image.

use std::io::{BufRead, Write};

use winlayer_image::Image;
use winlayer_metadata::Upcase;
use winlayer_tar::{AlternateStream, Body, Limits, Object, ObjectKind};

use super::place::Place;
use crate::{
    Error, Result,
    error::escape,
    merge::{ImageLayers, Kind, Merge, Selection, Sink, copy_body, merge_layers},
    names::NodeId,
};

/// Writes the content of a file in the merged view of an image, or in one layer, to `out`.
///
/// `path` is written as for [`list`](crate::list); `PATH:STREAM` names an alternate stream. Hard
/// links are followed; symbolic links and junctions are not, the error names their target.
///
/// Layers are read topmost first and only as far as needed, so a layer's digest and DiffID are *not*
/// checked when the file is found before its end; use [`verify_image`](crate::verify_image) for that.
///
/// # Errors
///
/// The path does not exist or is no file, or a layer cannot be read or is malformed.
pub fn cat(
    image: &Image,
    path: &str,
    layer: Option<usize>,
    limits: &Limits,
    out: &mut dyn Write,
) -> Result<()> {
    let layers = ImageLayers::new(image, limits, None);
    let (layers, selection) = match layer {
        Some(number) => (layers.only(number)?, Selection::Everything),
        None => (layers, Selection::Image),
    };
    let mut place = Place::parse(path)?;
    // A further name leads to the name that carries the content, which is found the second time.
    for _ in 0..2 {
        let mut merge = layers.merge(selection)?;
        let mut finder = Finder {
            place: &place,
            out: &mut *out,
            state: State::Searching,
        };
        merge_layers(&layers, &mut merge, &mut finder)?;
        match finder.state {
            State::Written => return Ok(()),
            State::LinkTo(path) => place.path = path,
            State::Refused(error) => return Err(error),
            State::Searching if is_hard_link(&merge, &place) => {
                let what = format!(
                    "\"{}\" is a hard link into a lower layer",
                    escape(&place.path)
                );
                return Err(Error::refused(what, "leave out the layer to follow it"));
            }
            State::Searching | State::InOwner => break,
        }
    }
    Err(place.missing())
}

fn is_hard_link(view: &Merge, place: &Place) -> bool {
    let node = view.names().find(&place.path);
    node.is_some_and(|node| view.state(node).kind == Kind::HardLink)
}

struct Finder<'a> {
    place: &'a Place,
    out: &'a mut dyn Write,
    state: State,
}

enum State {
    Searching,
    /// The streams of the object are next.
    InOwner,
    /// The content is that of another name, which had gone by.
    LinkTo(String),
    Written,
    /// There is no content to write. Not an error of the layer that showed it.
    Refused(Error),
}

impl Finder<'_> {
    fn is_here(&self, view: &Merge, node: NodeId) -> bool {
        view.names().find(&self.place.path) == Some(node)
    }

    fn write(&mut self, body: &mut dyn BufRead) -> Result<()> {
        copy_body(body, self.out, || "the output".to_owned())?;
        self.state = State::Written;
        Ok(())
    }

    fn refuse(&mut self, what: &str) {
        let what = format!("\"{}\" {what}", escape(&self.place.path));
        self.state = State::Refused(Error::refused(what, "name a file"));
    }

    /// The owner's streams are over when the next object comes; true if the search ends here.
    fn leave_owner(&mut self) -> bool {
        let in_owner = matches!(self.state, State::InOwner);
        if in_owner {
            self.state = State::Refused(self.place.missing());
        }
        in_owner
    }
}

impl Sink for Finder<'_> {
    fn directory(&mut self, view: &Merge, node: NodeId, _: &Object) -> Result<()> {
        if self.leave_owner() || !self.is_here(view, node) {
            return Ok(());
        }
        match self.place.stream {
            Some(_) => self.state = State::InOwner,
            None => self.refuse("is a directory"),
        }
        Ok(())
    }

    fn object(
        &mut self,
        view: &Merge,
        at: NodeId,
        object: &Object,
        body: &mut dyn BufRead,
    ) -> Result<()> {
        if self.leave_owner() || !self.is_here(view, at) {
            return Ok(());
        }
        match (&self.place.stream, &object.kind) {
            (Some(_), _) => self.state = State::InOwner,
            (None, ObjectKind::Link { reparse, .. }) => {
                let target = reparse.target().unwrap_or("something unknown");
                self.refuse(&format!("is a link to \"{}\"", escape(target)));
            }
            (None, _) => self.write(body)?,
        }
        Ok(())
    }

    fn links(&mut self, view: &Merge, to: NodeId, names: &[NodeId]) -> Result<()> {
        if names.iter().any(|&name| self.is_here(view, name)) {
            self.state = State::LinkTo(view.names().path(to));
        }
        Ok(())
    }

    fn stream(&mut self, _: &Merge, stream: &AlternateStream, body: &mut Body<'_>) -> Result<()> {
        let wanted = self.place.stream.as_deref().unwrap_or_default();
        match self.state {
            State::InOwner if Upcase::eq(&stream.name, wanted) => self.write(body),
            _ => Ok(()),
        }
    }

    fn is_complete(&self) -> bool {
        matches!(
            self.state,
            State::Written | State::LinkTo(_) | State::Refused(_)
        )
    }
}
