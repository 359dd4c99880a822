//! Relative paths: which are accepted, and how they are taken apart.

/// Why a path is refused before the system sees it, or `None` for a path of ordinary components.
///
/// The empty path names the directory itself and is fine where `may_be_empty`.
pub(crate) fn objection(path: &str, may_be_empty: bool) -> Option<&'static str> {
    if path.is_empty() {
        return (!may_be_empty).then_some("the path is empty");
    }
    if path.as_bytes().contains(&0) {
        return Some("the path contains a NUL");
    }
    let objection = path.split('/').find_map(|component| match component {
        "" => Some("the path is absolute or has an empty component"),
        "." => Some("the path has a `.` component"),
        ".." => Some("the path has a `..` component"),
        _ => None,
    });
    objection.or_else(|| {
        if cfg!(windows) {
            windows_objection(path)
        } else {
            None
        }
    })
}

/// What else is no ordinary component on Windows: `\` separates, `:` leads to a stream or a drive.
#[cfg_attr(not(any(windows, test)), allow(dead_code))]
fn windows_objection(path: &str) -> Option<&'static str> {
    /// What the length field of a UNICODE_STRING can say, in UTF-16 units.
    const LONGEST: usize = 32_767;
    match path {
        _ if path.contains('\\') => Some("the path contains a `\\`"),
        _ if path.contains(':') => Some("the path contains a `:`"),
        _ if path.len() > LONGEST && path.encode_utf16().count() > LONGEST => {
            Some("the path is longer than 32767 characters")
        }
        _ => None,
    }
}

/// The directory part ("" for none) and the last component.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// What remains of `path` below `ancestor`, "" when they are equal; `None` if it is no ancestor.
#[cfg(any(unix, test))]
pub(crate) fn strip_ancestor<'a>(path: &'a str, ancestor: &str) -> Option<&'a str> {
    let rest = path.strip_prefix(ancestor)?;
    if rest.is_empty() || ancestor.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('/')
    }
}

/// Takes a path apart at component boundaries into pieces of at most `limit` bytes. A single longer
/// component is a piece of its own, for the system to refuse.
#[cfg(any(target_os = "linux", test))]
pub(crate) fn pieces(path: &str, limit: usize) -> impl Iterator<Item = &str> {
    let mut rest = path;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = if rest.len() <= limit {
            (rest, "")
        } else {
            // A `/` at `limit` still leaves a piece of `limit` bytes.
            let bytes = rest.as_bytes();
            let boundary = bytes
                .iter()
                .take(limit.saturating_add(1))
                .rposition(|&byte| byte == b'/')
                .or_else(|| bytes.iter().position(|&byte| byte == b'/'));
            boundary
                .and_then(|at| rest.split_at_checked(at))
                .unwrap_or((rest, ""))
        };
        rest = after.strip_prefix('/').unwrap_or(after);
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_relative_paths_of_ordinary_components_are_accepted() {
        for path in ["a", "a/b", "a/b.c/..d/e..", " ", "a\nb", "..."] {
            assert_eq!(objection(path, false), None, "{path:?}");
        }
        for path in [
            "", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\0b",
        ] {
            assert!(objection(path, false).is_some(), "{path:?}");
        }
        assert_eq!(objection("", true), None);
    }

    #[test]
    fn windows_also_refuses_streams_drives_and_its_own_separator() {
        for path in ["a:b", "C:", ":", "a/b:c/d", "\\", "a\\..\\b", r"\\?\C"] {
            assert!(windows_objection(path).is_some(), "{path:?}");
        }
        assert_eq!(windows_objection(&"\u{e9}".repeat(32_767)), None);
        assert!(windows_objection(&"e".repeat(32_768)).is_some());
        assert!(windows_objection(&"\u{1f600}".repeat(16_384)).is_some());
    }

    #[test]
    fn an_ancestor_ends_at_a_component() {
        assert_eq!(strip_ancestor("a/b/c", "a/b"), Some("c"));
        assert_eq!(strip_ancestor("a/b", "a/b"), Some(""));
        assert_eq!(strip_ancestor("a/b", ""), Some("a/b"));
        assert_eq!(strip_ancestor("a/bc", "a/b"), None);
        assert_eq!(strip_ancestor("a", "a/b"), None);
    }

    #[test]
    fn pieces_join_to_the_path_and_respect_the_limit() {
        let path = "aa/b/cccc/dd/e/ffffffffff/g";
        for limit in 1..=path.len() {
            let parts: Vec<_> = pieces(path, limit).collect();
            assert_eq!(parts.join("/"), path, "limit {limit}");
            for part in parts {
                assert!(
                    part.len() <= limit || !part.contains('/'),
                    "{part} over {limit}"
                );
            }
        }
        assert_eq!(pieces("aa/bb/cc", 5).collect::<Vec<_>>(), ["aa/bb", "cc"]);
        assert_eq!(pieces("", 5).count(), 0);
    }
}
