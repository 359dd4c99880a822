//! A stand-in for what Wine's kernel32.dll does not have: BackupRead and BackupWrite, and the volumes of scratches.
//!
//! A stream written is checked, its content goes into the live file, and its exact bytes are kept
//! among the state for that file, for BackupRead and for whoever compares.
#![cfg(windows)]

mod contexts;
pub mod reading;
pub mod volumes;
pub mod writing;
