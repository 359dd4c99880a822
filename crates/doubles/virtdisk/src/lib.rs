//! A stand-in for virtdisk.dll. Its functions answer with Win32 codes.
//!
//! A disk is a small file (see `winlayer_double_common::disk`), and a handle is one of that file, so
//! that the caller can close it and everybody sees that it is still open.
#![cfg(windows)]

pub mod exports;
mod open_disks;
