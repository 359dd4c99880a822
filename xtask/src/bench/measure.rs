//! Wall time and peak memory of a program.

use std::{fs, process::Stdio, time::Instant};

use anyhow::{Context, Result, ensure};

use crate::run::{command, show};

/// A program with its arguments; its output is thrown away.
pub struct Program {
    words: Vec<String>,
}

impl Program {
    pub fn new(program: &str, arguments: &[&str]) -> Self {
        let words = std::iter::once(&program).chain(arguments);
        Self {
            words: words.map(|&word| word.to_owned()).collect(),
        }
    }
}

/// Median wall time of several runs, and the highest memory of any.
#[derive(Clone, Copy)]
pub struct Measured {
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub peak_kib: u64,
}

/// Runs the program `runs` times, each after `prepare`.
pub fn measure(
    program: &Program,
    runs: usize,
    prepare: impl Fn() -> Result<()>,
) -> Result<Measured> {
    let mut measured = (0..runs)
        .map(|_| {
            prepare()?;
            once(program)
        })
        .collect::<Result<Vec<_>>>()?;
    measured.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let median = measured.get(runs / 2).copied().context("no runs")?;
    let peak_kib = measured
        .iter()
        .map(|run| run.peak_kib)
        .max()
        .unwrap_or_default();
    Ok(Measured { peak_kib, ..median })
}

/// GNU time gives memory and CPU time of exactly this child; the wall time is taken here, finer.
fn once(program: &Program) -> Result<Measured> {
    let facts = std::env::temp_dir().join(format!("winlayer-time-{}", std::process::id()));
    let facts_text = facts.to_string_lossy().into_owned();
    let mut words = vec!["-f", "%M %U %S", "-o", &facts_text];
    words.extend(program.words.iter().map(String::as_str));
    let mut child = command("/usr/bin/time", &words);
    child.stdin(Stdio::null()).stdout(Stdio::null());
    let started = Instant::now();
    let status = child
        .status()
        .context("cannot start /usr/bin/time: apt-get install time")?;
    let seconds = started.elapsed().as_secs_f64();
    ensure!(status.success(), "{}: {status}", show(&child));
    let text = fs::read_to_string(&facts)?;
    fs::remove_file(&facts)?;
    let mut numbers = text.split_whitespace();
    let mut next = || {
        numbers
            .next()
            .context("GNU time printed less than expected")
    };
    let peak_kib = next()?.parse()?;
    let cpu_seconds = next()?.parse::<f64>()? + next()?.parse::<f64>()?;
    Ok(Measured {
        seconds,
        cpu_seconds,
        peak_kib,
    })
}
