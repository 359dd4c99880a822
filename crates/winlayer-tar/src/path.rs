//! [`LayerPath`]: the only spelling of a name that leaves this crate.

use std::fmt;

use winlayer_metadata::Upcase;

use crate::error::printable;

/// Longest component NTFS can hold, in UTF-16 units.
const COMPONENT_UNITS: usize = 255;
/// Longest path Windows can open, in UTF-16 units.
pub(crate) const PATH_UNITS: usize = 32_767;
/// Ending of the file beside a directory that carries its metadata in a layer folder (hcsshim
/// `legacy.go`); an object of that name would be taken for metadata.
const SIDECAR: &str = ".$wcidirs$";

/// A validated, normalised path inside a layer, such as `Files/Windows/System32`.
///
/// Separator is `/`; the top-level name is spelled `Files`, `Hives` or `UtilityVM`; below `UtilityVM` there
/// is only `Files`. There is no empty, `.` or `..` component, no `\`, no `:`, no character NTFS
/// refuses, no component over 255 UTF-16 units or ending in `.$wcidirs$`, and the whole has at most
/// 32,767 UTF-16 units. Trailing dots and spaces and names such as `CON` are legal on NTFS and kept.
///
/// Equality is that of the text. Compare with [`Upcase`] where NTFS would.
///
/// ```
/// use winlayer_tar::{LayerPath, Tree};
///
/// let path = LayerPath::parse("./files//Windows/")?;
/// assert_eq!(path.as_str(), "Files/Windows");
/// assert_eq!(path.tree(), Tree::Files);
/// assert_eq!(path.below_tree(), "Windows");
/// assert!(LayerPath::parse("Files/../Windows").is_err());
/// # Ok::<(), winlayer_tar::PathError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerPath(String);

/// The part of a layer a [`LayerPath`] lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tree {
    /// `Files` and below: the container's `C:\`.
    Files,
    /// The directory `UtilityVM` itself.
    UtilityVm,
    /// `UtilityVM/Files` and below: the system that boots the utility VM.
    UtilityVmFiles,
    /// `Hives` and below: registry deltas.
    Hives,
}

/// A name that is refused: the name, escaped and shortened, and the rule it breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{name}\" {rule}")]
pub struct PathError {
    name: String,
    rule: PathRule,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PathRule {
    #[error("is the root of the layer")]
    Root,
    #[error("starts with '/', expected a name relative to the layer")]
    Absolute,
    #[error("has a '..' component")]
    Parent,
    #[error("has a '\\', expected '/' between components")]
    Backslash,
    #[error("has a ':', which is only allowed before the name of a stream")]
    Colon,
    #[error("has the character {0:?}, which NTFS does not allow in names")]
    Character(char),
    #[error("has a component over 255 UTF-16 units")]
    ComponentTooLong,
    #[error("is over 32767 UTF-16 units")]
    TooLong,
    #[error("has a component ending in .$wcidirs$, which is reserved for directory metadata")]
    Sidecar,
    #[error("is not below Files, Hives or UtilityVM")]
    TopLevel,
    #[error("is below UtilityVM but not below UtilityVM/Files (invalid UtilityVM layer)")]
    UtilityVm,
}

impl PathError {
    pub(crate) fn is_root(&self) -> bool {
        self.rule == PathRule::Root
    }

    pub(crate) fn is_unknown_top_level(&self) -> bool {
        self.rule == PathRule::TopLevel
    }
}

impl LayerPath {
    /// Parses and normalises a tar name: leading `./`, interior `.` and empty components and trailing
    /// `/` go away, and the top-level name gets its canonical case.
    ///
    /// # Errors
    /// When the name breaks a rule of the type, or nothing is left of it.
    pub fn parse(name: &str) -> Result<Self, PathError> {
        let mut text = String::with_capacity(name.len());
        Self::parse_into(name, &mut text)?;
        Ok(Self(text))
    }

    /// As [`parse`](Self::parse), into a buffer that is used again.
    pub(crate) fn parse_reusing(name: &str, mut buffer: String) -> Result<Self, PathError> {
        buffer.clear();
        Self::parse_into(name, &mut buffer)?;
        Ok(Self(buffer))
    }

    fn parse_into(name: &str, out: &mut String) -> Result<(), PathError> {
        normalise(name, out).map_err(|rule| PathError {
            name: printable(name.as_bytes()),
            rule,
        })
    }

    /// A path that stands for nothing yet; never leaves the crate.
    pub(crate) const fn placeholder() -> Self {
        Self(String::new())
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }

    /// The whole path, such as `UtilityVM/Files/EFI`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tree the path lies in.
    pub fn tree(&self) -> Tree {
        match self.0.as_bytes() {
            [b'F', ..] => Tree::Files,
            [b'H', ..] => Tree::Hives,
            bytes if bytes.contains(&b'/') => Tree::UtilityVmFiles,
            _ => Tree::UtilityVm,
        }
    }

    /// The components; the first is the top-level name.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> + Clone {
        self.0.split('/')
    }

    /// The path without its last component; `None` for a top-level name.
    pub fn parent(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(parent, _)| parent)
    }

    /// [`parent`](Self::parent) as a path of its own.
    pub fn parent_path(&self) -> Option<Self> {
        self.parent().map(|parent| Self(parent.to_owned()))
    }

    /// The last component.
    pub fn file_name(&self) -> &str {
        self.0
            .rsplit_once('/')
            .map_or(self.0.as_str(), |(_, name)| name)
    }

    /// The path of `name` in this directory. `name` may itself have several components.
    ///
    /// # Errors
    /// When the result is no valid path, or `name` adds no component.
    pub fn join(&self, name: &str) -> Result<Self, PathError> {
        let refuse = |rule| PathError {
            name: printable(name.as_bytes()),
            rule,
        };
        if name.starts_with('/') {
            return Err(refuse(PathRule::Absolute));
        }
        let joined = Self::parse(&format!("{self}/{name}"))?;
        if joined.0.len() == self.0.len() {
            Err(refuse(PathRule::Root))
        } else {
            Ok(joined)
        }
    }

    /// The path below the root of its tree: `a/b` for `Files/a/b` and for `UtilityVM/Files/a/b`;
    /// empty for the root itself and for `UtilityVM`.
    pub fn below_tree(&self) -> &str {
        let root = match self.tree() {
            Tree::Files => "Files",
            Tree::Hives => "Hives",
            Tree::UtilityVm => "UtilityVM",
            Tree::UtilityVmFiles => "UtilityVM/Files",
        };
        self.0
            .strip_prefix(root)
            .and_then(|rest| rest.strip_prefix('/'))
            .unwrap_or("")
    }

    /// Whether this is one of `Files`, `Hives`, `UtilityVM` and `UtilityVM/Files`.
    pub(crate) fn is_tree_root(&self) -> bool {
        self.below_tree().is_empty()
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for LayerPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn normalise(name: &str, out: &mut String) -> Result<(), PathRule> {
    if name.starts_with('/') {
        return Err(PathRule::Absolute);
    }
    for component in name
        .split('/')
        .filter(|part| !part.is_empty() && *part != ".")
    {
        check_component(component)?;
        let component = match out.as_str() {
            "" => ["Files", "Hives", "UtilityVM"]
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(component))
                .ok_or(PathRule::TopLevel)?,
            "UtilityVM" if component.eq_ignore_ascii_case("Files") => "Files",
            "UtilityVM" => return Err(PathRule::UtilityVm),
            _ => component,
        };
        if !out.is_empty() {
            out.push('/');
        }
        out.push_str(component);
    }
    if out.is_empty() {
        return Err(PathRule::Root);
    }
    if out.len() > PATH_UNITS && units(out) > PATH_UNITS {
        return Err(PathRule::TooLong);
    }
    Ok(())
}

fn check_component(component: &str) -> Result<(), PathRule> {
    if component == ".." {
        return Err(PathRule::Parent);
    }
    if let Some(byte) = component.bytes().find(|&byte| forbidden(byte)) {
        return Err(match byte {
            b'\\' => PathRule::Backslash,
            b':' => PathRule::Colon,
            other => PathRule::Character(char::from(other)),
        });
    }
    if component.len() > COMPONENT_UNITS && units(component) > COMPONENT_UNITS {
        return Err(PathRule::ComponentTooLong);
    }
    if is_sidecar(component) {
        Err(PathRule::Sidecar)
    } else {
        Ok(())
    }
}

fn forbidden(byte: u8) -> bool {
    matches!(
        byte,
        0..0x20 | 0x7f | b'"' | b'*' | b'<' | b'>' | b'?' | b'|' | b'\\' | b':'
    )
}

fn is_sidecar(component: &str) -> bool {
    component.ends_with('$')
        && component
            .char_indices()
            .nth_back(SIDECAR.len() - 1)
            .and_then(|(start, _)| component.get(start..))
            .is_some_and(|ending| Upcase::eq(ending, SIDECAR))
}

/// Length in UTF-16 units, as NTFS counts.
pub(crate) fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
