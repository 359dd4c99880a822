//! What `winlayer doctor` asks Windows. Nothing here changes anything, and nothing panics: what cannot
//! be found out is an error or `None`.

pub use crate::windows::facts::*;
