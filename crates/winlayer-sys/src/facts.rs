//! What `winlayer doctor` asks the system. Nothing here changes anything, and nothing panics: what
//! cannot be found out is an error or `None`.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub use unix::*;

#[cfg(windows)]
pub use crate::windows::facts::*;
