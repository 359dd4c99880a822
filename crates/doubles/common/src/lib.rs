//! What the stand-ins for Windows' layer DLLs share: reading arguments, the rules a call must keep,
//! the log, injected failures, and the imitation of what the platform does to a layer folder.
//!
//! Nothing here uses winlayer's own crates: structures, formats and rules are written down a second
//! time from the public sources (hcsshim `zsyscall_windows.go`, `legacy.go`, `importlayer.go`,
//! `computestorage`; go-winio `backup.go`, `backuptar`, `vhd`; MS-BKUP), so that an error of ours shows.
//!
//! | environment | means |
//! | --- | --- |
//! | `WINLAYER_DOUBLES_LOG` | file to which every call is appended as one line of JSON |
//! | `WINLAYER_DOUBLES_STATE` | folder of what must outlive a process; default: the log's name with `.state` |
//! | `WINLAYER_DOUBLES_FAIL` | failures to inject, see `inject` |
//!
//! A call that breaks a rule is logged with its `violations` and answered with the code that Windows
//! is known to give; its effect does not happen.
#![cfg(windows)]

pub mod abi;
pub mod arguments;
pub mod base;
pub mod call;
pub mod codes;
pub mod disk;
pub mod export;
pub mod grammar;
pub mod guid;
pub mod inject;
pub mod layers;
pub mod merged;
pub mod objects;
pub mod scratch;
pub mod state;
pub mod stream;
pub mod sys;
pub mod transport;
