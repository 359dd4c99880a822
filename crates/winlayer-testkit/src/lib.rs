//! Test doubles and corpora for winlayer. A development dependency only, never published.
//!
//! | module | gives |
//! | --- | --- |
//! | [`raw_tar`] | [`RawTar`]: tar blocks as told, also deliberately wrong ones; independent of `winlayer-tar` |
//! | [`layout`] | [`LayoutBuilder`]: an OCI layout from layer tars, truthful or lying |
//! | [`doubles`] | [`Doubles`]: the stand-ins for Windows' layer DLLs, and what they were asked |
//! | [`faulty_registry`] | [`FaultyRegistry`]: a registry that fails as programmed and logs every request |
//! | [`registry`] | [`Registry`]: the reference registry as a child process, plain or with TLS and passwords |
//! | [`hostile`] | what a hostile publisher may try, as layer tars with the outcome required |
//! | [`snapshot`] | "nothing outside was touched": [`tree_snapshot`] and [`Victim`] |
//! | [`tools`] | running skopeo, umoci, bsdtar and friends |
//!
//! A missing tool is a panic that says how to install it, not a silently skipped test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test double that cannot do its work should end the test"
)]

pub mod doubles;
pub mod faulty_registry;
pub mod hostile;
pub mod layout;
pub mod raw_tar;
pub mod registry;
pub mod snapshot;
pub mod tools;

pub use doubles::{DoubleCall, Doubles};
pub use faulty_registry::{Auth, Fault, FaultyRegistry, Host, Request, Target, Times};
pub use hostile::{Expect, Fact, HostileCase, Refusal, hostile_cases};
pub use layout::{Compression, LayerSpec, Layout, LayoutBuilder, LayoutLayer};
pub use raw_tar::{RawEntry, RawTar};
pub use registry::{Registry, Tls};
pub use snapshot::{Snapshot, Victim, memory_dir, tree_snapshot};
