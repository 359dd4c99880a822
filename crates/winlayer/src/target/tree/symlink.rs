//! Windows link targets as relative Unix links that stay inside the tree.
//!
//! Windows resolves the `..` of a relative target by name, before it follows further links, and
//! starts absolute targets at a drive. Inside the tree both become one path from the tree's root,
//! from which the relative link is made. So a link never points outside: it climbs at most as far as
//! the link itself is deep, and every directory it climbs through is a real one.

use crate::{merge::Merge, names::NodeId};

/// Why a target cannot be expressed inside the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Outside {
    #[error("it names a network share")]
    Share,
    #[error("it names a volume or device")]
    Device,
    #[error("it names another drive")]
    OtherDrive,
    #[error("it depends on the current directory of a drive")]
    DriveRelative,
    #[error("it leads above the root")]
    AboveRoot,
    #[error("it is empty or no path")]
    NoPath,
    #[error("it is longer than a link can be here")]
    TooLong,
}

/// The longest link text; Linux allows PATH_MAX with the terminating NUL.
const LONGEST: usize = 4095;

/// The text of a relative Unix link in the directory `parent` of the tree that means `target`.
pub(super) fn translate(
    view: &Merge,
    root: NodeId,
    parent: &[&str],
    target: &str,
) -> Result<String, Outside> {
    let path = respell(view, root, resolve(parent, target)?);
    let text = relative(parent, &path);
    match text.len() <= LONGEST {
        true => Ok(text),
        false => Err(Outside::TooLong),
    }
}

/// The path from the tree's root that `target` means for a link in the directory `parent`.
///
/// `parent` lists the names from the tree's root to the directory the link lies in.
fn resolve<'a>(parent: &[&'a str], target: &'a str) -> Result<Vec<&'a str>, Outside> {
    let is_separator = |c| c == '\\' || c == '/';
    let (mut path, rest) = match strip_root(target)? {
        (true, rest) => (Vec::new(), rest),
        (false, rest) => (parent.to_vec(), rest),
    };
    if target.is_empty() {
        return Err(Outside::NoPath);
    }
    for name in rest.split(is_separator) {
        match name {
            "" | "." => {}
            ".." => drop(path.pop().ok_or(Outside::AboveRoot)?),
            name if name.contains([':', '\0']) => return Err(Outside::NoPath),
            name => path.push(name),
        }
    }
    Ok(path)
}

/// Takes off what says where a target starts; true when that is the root of `C:`.
fn strip_root(target: &str) -> Result<(bool, &str), Outside> {
    let bytes = target.as_bytes();
    let separator = |index: usize| matches!(bytes.get(index), Some(b'\\' | b'/'));
    let at = |index: usize| target.get(index..).unwrap_or_default();
    // \??\ and \\?\ and \\.\ lead into the namespace of devices, which holds the drives.
    let namespace = separator(0)
        && separator(3)
        && ((bytes.get(1..3) == Some(b"??".as_slice()))
            || (separator(1) && matches!(bytes.get(2), Some(b'?' | b'.'))));
    if namespace {
        let rest = at(4);
        let first = rest.split(['\\', '/']).next().unwrap_or_default();
        return match first {
            name if name.eq_ignore_ascii_case("UNC") => Err(Outside::Share),
            name if is_drive(name) && name.len() == 2 => strip_drive(rest),
            _ => Err(Outside::Device),
        };
    }
    if separator(0) && separator(1) {
        return Err(Outside::Share);
    }
    if separator(0) {
        return Ok((true, target));
    }
    match is_drive(target) {
        true => strip_drive(target),
        false => Ok((false, target)),
    }
}

fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

fn strip_drive(target: &str) -> Result<(bool, &str), Outside> {
    let rest = target.get(2..).unwrap_or_default();
    match (target.as_bytes().first(), rest.as_bytes().first()) {
        (Some(b'C' | b'c'), Some(b'\\' | b'/')) => Ok((true, rest)),
        (Some(b'C' | b'c'), _) => Err(Outside::DriveRelative),
        _ => Err(Outside::OtherDrive),
    }
}

/// The names of `path` as the tree spells them, as far as it has them.
fn respell<'a>(view: &'a Merge, root: NodeId, path: Vec<&'a str>) -> Vec<&'a str> {
    let mut node = Some(root);
    let mut spelled = path;
    for name in &mut spelled {
        let child = node.and_then(|node| view.names().child(node, name));
        node = child.filter(|&child| view.state(child).wanted);
        if let Some(node) = node {
            *name = view.names().name(node);
        }
    }
    spelled
}

/// The relative Unix link from a directory to a path, both given from the tree's root.
fn relative(parent: &[&str], target: &[&str]) -> String {
    let common = parent
        .iter()
        .zip(target)
        .take_while(|(a, b)| a == b)
        .count();
    let up = parent.iter().skip(common).map(|_| "..");
    let down = target.iter().skip(common).copied();
    let names: Vec<&str> = up.chain(down).collect();
    match names.is_empty() {
        true => ".".to_owned(),
        false => names.join("/"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the directory `Users/Public`.
    fn link(target: &str) -> Result<String, Outside> {
        let parent = ["Users", "Public"];
        resolve(&parent, target).map(|path| relative(&parent, &path))
    }

    #[test]
    fn an_absolute_target_on_drive_c_starts_at_the_root_of_the_tree() {
        for target in [
            r"C:\Windows\System32",
            r"c:/Windows/System32/",
            r"\Windows\System32",
            r"\??\C:\Windows\System32",
            r"\\?\C:\Windows\System32",
            r"\\.\C:\Windows\.\System32",
        ] {
            assert_eq!(link(target).unwrap(), "../../Windows/System32", "{target}");
        }
    }

    #[test]
    fn a_relative_target_starts_at_the_directory_of_the_link() {
        assert_eq!(link("file.txt").unwrap(), "file.txt");
        assert_eq!(link(r".\a\..\b").unwrap(), "b");
        assert_eq!(link(r"..\Default\x").unwrap(), "../Default/x");
        assert_eq!(link(r"..\..\Windows").unwrap(), "../../Windows");
        assert_eq!(link("..").unwrap(), "..");
        assert_eq!(link(".").unwrap(), ".");
        assert_eq!(link(r"..\Public").unwrap(), ".");
    }

    #[test]
    fn the_root_of_the_drive_is_the_root_of_the_tree() {
        assert_eq!(link(r"C:\").unwrap(), "../..");
        assert_eq!(link(r"\").unwrap(), "../..");
        assert_eq!(relative(&[], &[]), ".");
    }

    #[test]
    fn a_target_that_leaves_the_tree_has_no_link() {
        for (target, why) in [
            (r"..\..\..\etc", Outside::AboveRoot),
            (r"\..\etc", Outside::AboveRoot),
            (r"C:\..\etc\passwd", Outside::AboveRoot),
            (r"a\..\..\..\..\b", Outside::AboveRoot),
            (r"D:\x", Outside::OtherDrive),
            (r"\??\D:\x", Outside::OtherDrive),
            (r"C:x", Outside::DriveRelative),
            (r"C:", Outside::DriveRelative),
            (r"\??\C:", Outside::DriveRelative),
            (r"\\server\share\x", Outside::Share),
            (r"//server/share/x", Outside::Share),
            (r"\??\UNC\server\share", Outside::Share),
            (r"\\?\unc\server\share", Outside::Share),
            (
                r"\??\Volume{01234567-0000-0000-0000-000000000000}\",
                Outside::Device,
            ),
            (r"\\?\GLOBALROOT\Device\HarddiskVolume1", Outside::Device),
            (r"\\.\PhysicalDrive0", Outside::Device),
            (r"\??\C:x", Outside::Device),
            (r"\??\", Outside::Device),
            ("", Outside::NoPath),
            ("file:stream", Outside::NoPath),
            ("a\0b", Outside::NoPath),
        ] {
            assert_eq!(link(target), Err(why), "{target:?}");
        }
    }

    #[test]
    fn no_target_climbs_above_the_root() {
        use proptest::prelude::*;
        let names = prop::sample::select(vec!["..", ".", "a", "b", "", "C:"]);
        let target = prop::collection::vec(names, 0..8).prop_map(|names| names.join("\\"));
        let parent = prop::collection::vec(prop::sample::select(vec!["a", "b"]), 0..4);
        proptest!(|(target in target, parent in parent)| {
            if let Ok(path) = resolve(&parent, &target) {
                let link = relative(&parent, &path);
                let climbs = link.split('/').filter(|&name| name == "..").count();
                prop_assert!(climbs <= parent.len());
                prop_assert!(!link.starts_with('/'));
                let from_the_first_name = link.split('/').skip_while(|&name| name == "..");
                prop_assert!(from_the_first_name.into_iter().all(|name| name != ".."));
            }
        });
    }
}
