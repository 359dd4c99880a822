//! Facts of Linux and macOS.
