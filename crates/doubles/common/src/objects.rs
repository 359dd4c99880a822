//! What a live object carries that Wine does not keep: its backup stream, whether it is a link.

use std::path::Path;

/// Whether the object at `path` is a link.
#[must_use]
pub fn is_link(_path: &Path) -> bool {
    false
}
