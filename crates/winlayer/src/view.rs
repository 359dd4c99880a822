//! Looks inside an image without unpacking it.

mod cat;
mod list;
mod place;

pub(crate) use self::place::{Spelled, no_path};
pub use self::{
    cat::cat,
    list::{ListedObject, list},
};

#[cfg(test)]
mod tests;
