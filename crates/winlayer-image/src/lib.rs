//! Where container images come from.
//!
//! A [`Reference`] names an image in a registry, an OCI layout directory, a tar of one, or a
//! `docker save` archive. [`Image::resolve`] follows it through index, manifest and config to one
//! Windows image, and [`Image::open_layer`] streams the layers' blobs, each checked against its
//! digest and size. The registry client is the only part of winlayer that opens a socket.
//!
//! ```no_run
//! use std::io::Read;
//! use winlayer_image::{Image, Reference, SourceOptions};
//!
//! let reference: Reference = "mcr.microsoft.com/windows/nanoserver:ltsc2022".parse()?;
//! let image = Image::resolve(&reference, &SourceOptions::default())?;
//! for layer in image.layers() {
//!     let mut blob = image.open_layer(layer, None)?;
//!     std::io::copy(&mut blob, &mut std::io::sink())?;
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! | module | is |
//! | --- | --- |
//! | `reference`, `platform` | what people write: names of images, `windows/amd64:10.0.20348` |
//! | `document`, `media_type` | the JSON documents and types of an image |
//! | `resolve` | index → manifest → config → layers, and the choice of the platform |
//! | `source` | one [`Image`] from a registry, layout, or archive |
//! | `registry` | HTTP: credentials, tokens, retries, resumed blobs |
//! | `verify` | the reader that checks size and digest |
//! | `layout_writer` | [`OciLayoutWriter`], the way back |
//!
//! Everything that comes from outside is hostile: documents are limited in size, names never reach
//! a message with control characters, and credentials only go to the registry they are for and to
//! the token server it names.

mod document;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod image;
mod layout_writer;
mod media_type;
mod platform;
mod reference;
mod registry;
mod resolve;
mod source;
mod text;
mod verify;

pub use error::{ImageError, ImageErrorKind, image_error_in};
pub use image::{Image, Layer, SourceOptions};
pub use layout_writer::OciLayoutWriter;
pub use platform::{Platform, PlatformChoice};
pub use reference::{Reference, ReferenceError, RegistryReference};
