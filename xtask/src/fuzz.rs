//! `fuzz`: one fuzz target for a while.

use anyhow::Result;

use crate::run::{command, run};

/// Runs `target` of `fuzz/` for `seconds`.
pub fn fuzz(target: &str, seconds: &str) -> Result<()> {
    let limit = format!("-max_total_time={seconds}");
    // rustup's wrapper picks the toolchain, so `cargo` itself must not be the one running this.
    run(
        command("cargo", &["+nightly", "fuzz", "run", target, "--", &limit])
            .env_remove("CARGO")
            .env_remove("RUSTUP_TOOLCHAIN"),
    )
}
