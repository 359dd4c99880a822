//! A stand-in for BackupRead and BackupWrite of kernel32.dll, which Wine does not have.
//!
//! A stream written is checked, its content goes into the live file, and its exact bytes are kept
//! among the state for that file, for BackupRead and for whoever compares.
#![cfg(windows)]

mod contexts;
pub mod reading;
pub mod writing;
