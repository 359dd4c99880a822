//! The page that a benchmark run writes.

use std::{fmt::Write as _, fs, path::Path};

use super::measure::Measured;

/// One measured program.
pub struct Row {
    name: String,
    measured: Measured,
}

impl Row {
    pub fn new(name: &str, measured: Measured) -> Self {
        Self {
            name: name.into(),
            measured,
        }
    }
}

/// Collects sections and renders them as Markdown.
pub struct Report {
    text: String,
}

impl Report {
    pub fn new(input: &str, dir: &Path, runs: usize) -> Self {
        let mut text = String::from(
            "# Benchmarks\n\nWritten by `cargo xtask bench`; every figure of a table is from the same run.\n\n",
        );
        let _ = writeln!(text, "- input: {input}");
        let _ = writeln!(
            text,
            "- below: {} (median of {runs} runs each)",
            dir.display()
        );
        let _ = writeln!(text, "- machine: {}", machine());
        Self { text }
    }

    /// Sections of a run of their own, below a heading that says so.
    pub fn part(title: &str, runs: usize) -> Self {
        Self {
            text: format!("\n## {title}\n\nMeasured by itself, median of {runs} runs each.\n"),
        }
    }

    /// Adds a table with the sentence that sums it up.
    pub fn section(&mut self, title: &str, rows: Vec<Row>, verdict: &str) {
        let _ = write!(
            self.text,
            "\n## {title}\n\n| program | wall s | CPU s | peak MiB |\n| --- | --: | --: | --: |\n"
        );
        for Row { name, measured } in rows {
            let Measured {
                seconds,
                cpu_seconds,
                peak_kib,
            } = measured;
            let mib = peak_kib as f64 / 1024.0;
            let _ = writeln!(
                self.text,
                "| {name} | {seconds:.3} | {cpu_seconds:.2} | {mib:.0} |"
            );
        }
        let _ = writeln!(self.text, "\nResult: {verdict}.");
    }

    pub fn markdown(&self) -> &str {
        &self.text
    }
}

fn machine() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .unwrap_or("unknown CPU");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let sha = if cpuinfo.contains("sha_ni") {
        "with"
    } else {
        "without"
    };
    format!(
        "{}, {cores} cores, {sha} SHA-NI",
        model.trim_start_matches([' ', '\t', ':'])
    )
}
