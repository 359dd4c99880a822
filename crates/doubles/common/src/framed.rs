//! Framed files.
