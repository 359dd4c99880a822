//! Hard links: resolved when all layers below are published, made in the order of the tar.
//!
//! As in hcsshim (`legacy.go`, `AddLink`), a target is looked for in this layer first, then in the
//! layers below, nearest first; the link is made to the file in the folder that has it. A target in
//! the utility VM is always in this layer, because the tree was completed before.

use winlayer_sys::Dir;
use winlayer_tar::{HardLink, LayerPath, LayerRole, Tree};

use super::{
    assembly::Assembly,
    below::{Below, Seen},
    index::{IndexLine, IndexWriter, LineKind},
};
use crate::{
    Error, Result,
    error::escape,
    layer_names::{LayerNames, NameKind, Named},
    names::NodeId,
    store::HardLinkRecord,
};

/// A link whose target is judged as far as this layer goes.
#[derive(Debug)]
pub(super) struct PendingLink {
    node: NodeId,
    target: Target,
}

#[derive(Debug)]
enum Target {
    /// An earlier name of this layer.
    Here(NodeId),
    /// To be looked for in the layers below.
    Below(LayerPath),
}

impl PendingLink {
    /// `target` is the name of this layer that was there before the link.
    pub(super) fn new(
        node: NodeId,
        target: Option<NodeId>,
        link: &HardLink,
        names: &LayerNames,
        role: LayerRole,
    ) -> Result<Self> {
        let target = match target {
            Some(target) => {
                check_kind(&link.path, &link.target, names.get(target).kind)?;
                Target::Here(target)
            }
            None if role == LayerRole::Base => {
                let rule = format!(
                    "its target \"{}\" is not earlier in the layer",
                    quoted(link)
                );
                return Err(Error::refused_entry(link.path.as_str(), rule));
            }
            None => Target::Below(link.target.clone()),
        };
        Ok(Self { node, target })
    }
}

fn quoted(link: &HardLink) -> String {
    escape(link.target.as_str())
}

fn check_kind(path: &LayerPath, target: &LayerPath, kind: NameKind) -> Result<()> {
    if kind.is_directory() || kind == NameKind::DirectoryLink {
        let target = escape(target.as_str());
        let rule = format!("its target \"{target}\" is a directory, expected a file");
        return Err(Error::refused_entry(path.as_str(), rule));
    }
    Ok(())
}

/// Where links are made.
#[derive(Debug)]
pub(super) struct LinkPlace<'a> {
    pub(super) dir: &'a Dir,
    pub(super) assembly: &'a dyn Assembly,
    /// ChainID of the layer being built, as records spell it.
    pub(super) chain_id: &'a str,
    pub(super) below: &'a Below<'a>,
}

/// A resolved target.
struct Resolved<'a> {
    dir: &'a Dir,
    path: String,
    named: Named,
    found_in: String,
}

impl LinkPlace<'_> {
    /// Makes the links and gives their records.
    pub(super) fn make(
        &self,
        links: &[PendingLink],
        names: &mut LayerNames,
        index: &mut IndexWriter,
    ) -> Result<Vec<HardLinkRecord>> {
        links
            .iter()
            .map(|link| self.make_one(link, names, index))
            .collect()
    }

    fn make_one(
        &self,
        link: &PendingLink,
        names: &mut LayerNames,
        index: &mut IndexWriter,
    ) -> Result<HardLinkRecord> {
        let path = names.path(link.node);
        let target = match &link.target {
            Target::Here(node) => self.here(*node, names),
            Target::Below(target) => self.find(&path, target, names)?,
        };
        self.assembly.link(target.dir, &target.path, &path)?;
        let Named { size, crc32, .. } = target.named;
        names.set(
            link.node,
            Named {
                size,
                crc32,
                ..Named::new(NameKind::HardLink)
            },
        );
        let mut line = IndexLine::new(path.as_str(), LineKind::HardLink, size, crc32);
        line.target = Some(target.path.as_str().into());
        line.from = (target.found_in != self.chain_id).then(|| target.found_in.as_str().into());
        index.write(&line)?;
        Ok(HardLinkRecord {
            path,
            target: target.path,
            found_in: target.found_in,
        })
    }

    fn here(&self, node: NodeId, names: &LayerNames) -> Resolved<'_> {
        Resolved {
            dir: self.dir,
            path: names.path(node),
            named: names.get(node),
            found_in: self.chain_id.to_owned(),
        }
    }

    fn find(&self, link: &str, target: &LayerPath, names: &LayerNames) -> Result<Resolved<'_>> {
        let refused = |what: String| {
            let target = escape(target.as_str());
            Err(Error::refused_entry(
                link,
                format!("its target \"{target}\" {what}"),
            ))
        };
        if let Some((path, kind)) = obstacle(names, target.as_str()) {
            return refused(format!(
                "is behind \"{}\", {}",
                escape(&path),
                kind.describe()
            ));
        }
        if target.tree() != Tree::Files {
            return match names.find(target.as_str()) {
                Some(node) if names.get(node).cloned => {
                    let resolved = self.here(node, names);
                    check_kind(target, target, resolved.named.kind)?;
                    Ok(resolved)
                }
                _ => refused("is not in the utility VM of the layers below".into()),
            };
        }
        match self.below.look_up(target.as_str())? {
            Seen::Object(found) => {
                let kind = found.named.kind;
                if kind.is_directory() || kind == NameKind::DirectoryLink {
                    return refused("is a directory, expected a file".into());
                }
                let found_in = found.layer.id().to_string();
                let (dir, path, named) = (found.layer.dir(), found.path, found.named);
                Ok(Resolved {
                    dir,
                    path,
                    named,
                    found_in,
                })
            }
            Seen::Behind { path, kind } => refused(format!(
                "is behind \"{}\", {}",
                escape(&path),
                kind.describe()
            )),
            Seen::Nothing => refused("is neither earlier in this layer nor in one below".into()),
        }
    }
}

/// The first name of this layer on the way to `path` that is not a directory.
fn obstacle(names: &LayerNames, path: &str) -> Option<(String, NameKind)> {
    let (parent, _) = path.rsplit_once('/')?;
    let mut node = NodeId::ROOT;
    for name in parent.split('/') {
        node = names.child(node, name)?;
        let kind = names.get(node).kind;
        if !kind.is_directory() {
            return Some((names.path(node), kind));
        }
    }
    None
}
