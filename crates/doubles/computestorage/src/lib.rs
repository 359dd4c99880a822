//! A stand-in for computestorage.dll: the layer calls of Windows 10 1809 and later, checked, logged and imitated.
#![cfg(windows)]

mod documents;
pub mod exports;
pub mod setup;
