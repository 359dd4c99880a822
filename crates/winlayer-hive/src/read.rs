//! Keys and values of a hive, read as they are asked for.

mod key;
mod list;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;

pub use key::Key;
pub use list::Subkeys;
pub use value::{Value, Values};

/// `length` bytes from `start` of a cell's content.
fn part(content: Cow<'_, [u8]>, start: usize, length: usize) -> Option<Cow<'_, [u8]>> {
    let end = start.checked_add(length)?;
    match content {
        Cow::Borrowed(bytes) => bytes.get(start..end).map(Cow::Borrowed),
        Cow::Owned(mut bytes) => {
            if end > bytes.len() {
                return None;
            }
            bytes.truncate(end);
            bytes.drain(..start);
            Some(Cow::Owned(bytes))
        }
    }
}
