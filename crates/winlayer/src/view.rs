//! Looks inside an image without unpacking it.

mod cat;
mod list;
mod place;

pub use self::{
    cat::cat,
    list::{ListedObject, list},
};

#[cfg(test)]
mod tests;
