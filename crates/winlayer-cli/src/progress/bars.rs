//! Progress for a terminal: a bar for each layer being read and one for the whole.

use super::{Active, Display, Job, Subject, name};
use crate::output::to_stderr;
use crate::text::count;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use winlayer::Layer;

const LAYER: &str = "{prefix}  {bar:20}  {bytes:>10} of {total_bytes:10}  {msg}";
const TOTAL: &str =
    "{prefix}  {bar:20}  {bytes:>10} of {total_bytes:10}  {bytes_per_sec}, {eta} left";

pub(super) struct Bars {
    screen: MultiProgress,
    total: ProgressBar,
    reading: HashMap<Subject, ProgressBar>,
}

impl Bars {
    pub(super) fn new(layers: &[Layer]) -> Self {
        let bytes = layers.iter().map(|layer| layer.compressed_bytes).sum();
        let width = layers
            .last()
            .map_or(0, |layer| name(layer, layers.len()).chars().count());
        let total = ProgressBar::new(bytes)
            .with_style(style(TOTAL))
            .with_prefix(format!("{:width$}", "total"));
        let screen = MultiProgress::new();
        let total = screen.add(total);
        Self {
            screen,
            total,
            reading: HashMap::new(),
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // The templates are ours and parse; a bar in the default style would be no harm.
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

impl Display for Bars {
    fn expect(&mut self, bytes: u64) {
        self.total.inc_length(bytes);
    }

    fn started(&mut self, job: &Job, active: &Active) {
        let bar = ProgressBar::new(job.bytes)
            .with_style(style(LAYER))
            .with_prefix(job.name.clone());
        let bar = self.screen.insert_before(&self.total, bar);
        self.reading.insert(active.subject, bar);
    }

    fn finished(&mut self, job: &Job, _: Option<&Active>, reused: bool) {
        if let Some(bar) = self.reading.remove(&job.subject) {
            bar.finish_and_clear();
            self.screen.remove(&bar);
        }
        if reused {
            // What need not be read says nothing about rate and time left.
            self.total.dec_length(job.bytes);
        }
    }

    fn tick(&mut self, active: &[Active], done: u64) {
        for active in active {
            if let Some(bar) = self.reading.get(&active.subject) {
                bar.set_message(count(active.entries(), "entry", "entries"));
                bar.set_position(active.compressed_bytes());
            }
        }
        self.total.set_position(done);
    }

    fn say(&mut self, text: &str) {
        self.screen.suspend(|| to_stderr(text));
    }

    fn close(&mut self) {
        for bar in self.reading.values() {
            bar.finish_and_clear();
        }
        self.total.finish_and_clear();
    }
}
