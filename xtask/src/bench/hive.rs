//! Registry hives: look-up, walk and merge, beside hivexml and the notatin crate.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    measure::{Program, measure},
    report::{Report, Row},
};
use crate::run::{command, root, run};

const MIB: f64 = 1_048_576.0;

/// Builds the helper, makes the hives below `work` and measures; the helper is a crate of its own,
/// so that nothing of ours depends on the reader it is compared with.
pub fn hive(work: &Path, runs: usize, report: &mut Report) -> Result<()> {
    let manifest = "xtask/hive-bench/Cargo.toml";
    let target = target().join("hive-bench");
    let build = [
        "build",
        "--release",
        "--locked",
        "--manifest-path",
        manifest,
    ];
    run(command("cargo", &build).env("CARGO_TARGET_DIR", &target))?;
    let helper = target.join("release/hive-bench");
    let helper = helper.to_string_lossy();
    let ours = |words: &[&str]| Program::new(&helper, words);

    let paths = ["base", "delta", "merged"].map(|name| work.join(name));
    let [base, delta, merged] = paths.each_ref().map(|path| path.to_string_lossy());
    run(&mut command(&helper, &["make", &base, &delta]))?;
    let sizes = [fs::metadata(&*base)?.len(), fs::metadata(&*delta)?.len()];
    let [base_mib, delta_mib] = sizes.map(|size| size as f64 / MIB);

    let bare = measure(&ours(&["nothing"]), runs.max(5), || Ok(()))?;
    let lookup = measure(&ours(&["lookup", &base]), runs.max(5), || Ok(()))?;
    let words = ["lookup-merged", &base, &delta];
    let through = measure(&ours(&words), runs.max(5), || Ok(()))?;
    let rows = vec![
        Row::new("bare process", bare),
        Row::new("open a hive, look one value up", lookup),
        Row::new("the same through a delta", through),
    ];
    let milliseconds = (lookup.seconds - bare.seconds).max(0.0) * 1000.0;
    let kib = lookup.peak_kib.saturating_sub(bare.peak_kib);
    let verdict = format!(
        "in a hive of {base_mib:.0} MiB {milliseconds:.1} ms (goal: 5) and {kib} KiB (goal: 1024) above the bare process"
    );
    report.section("Registry: one value", rows, &verdict);

    let walk = measure(&ours(&["walk", &base]), runs, || Ok(()))?;
    let notatin = measure(&ours(&["walk-notatin", &base]), runs, || Ok(()))?;
    let hivexml = measure(&Program::new("hivexml", &[&*base]), runs, || Ok(()))?;
    let best = notatin.seconds.min(hivexml.seconds);
    let rows = vec![
        Row::new("winlayer-hive: every key, value and text", walk),
        Row::new("notatin: every key and value", notatin),
        Row::new("hivexml: all as XML", hivexml),
    ];
    let verdict = format!(
        "{:.1} times as fast as the faster of the others (goal: 3)",
        best / walk.seconds
    );
    report.section("Registry: all of a hive", rows, &verdict);

    let words = ["merge", &base, &delta, &merged];
    let merge = measure(&ours(&words), runs, || Ok(()))?;
    let times = merge.peak_kib.saturating_sub(bare.peak_kib) as f64 / 1024.0;
    let verdict = format!(
        "{base_mib:.0} and {delta_mib:.0} MiB merged in {:.2} s (goal: 1.5) with {:.2} times their size in memory (goal: 2.5)",
        merge.seconds,
        times / (base_mib + delta_mib)
    );
    let row = Row::new("read both, merge, write", merge);
    report.section("Registry: merge", vec![row], &verdict);
    for path in paths {
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    }
    Ok(())
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from)
}
