//! Progress for a log: a line when a layer starts, one when it ends, a few in between.

use super::{Active, Display, Job, Subject};
use crate::output::to_stderr;
use crate::text::{count, duration, size};
use winlayer::Layer;

pub(super) struct Lines {
    /// Compressed bytes still worth counting: of all layers but the reused ones.
    total: u64,
}

impl Lines {
    pub(super) fn new(layers: &[Layer]) -> Self {
        let total = layers.iter().map(|layer| layer.compressed_bytes).sum();
        Self { total }
    }
}

impl Display for Lines {
    fn expect(&mut self, bytes: u64) {
        self.total = self.total.saturating_add(bytes);
    }

    fn started(&mut self, job: &Job, _: &Active) {
        to_stderr(&format!("{}: reading {}", job.name, size(job.bytes)));
    }

    fn finished(&mut self, job: &Job, active: Option<&Active>, reused: bool) {
        let name = &job.name;
        if reused {
            self.total = self.total.saturating_sub(job.bytes);
            to_stderr(&format!("{name}: already there"));
        } else if let Some(active) = active {
            let entries = count(active.entries(), "entry", "entries");
            let time = duration(active.started.elapsed().as_secs_f64());
            to_stderr(&format!("{name}: done, {entries} in {time}"));
        } else {
            to_stderr(&format!("{name}: done"));
        }
    }

    fn tick(&mut self, active: &[Active], done: u64) {
        let entries = count(active.iter().map(Active::entries).sum(), "entry", "entries");
        let layers = active.iter().filter_map(|active| match active.subject {
            Subject::Layer(index) => Some((index + 1).to_string()),
            Subject::Disk => None,
        });
        let layers: Vec<String> = layers.collect();
        let (done, total) = (size(done), size(self.total));
        if !layers.is_empty() {
            let layers = layers.join(", ");
            to_stderr(&format!("{done} of {total}, now layer {layers}: {entries}"));
        } else if !active.is_empty() {
            to_stderr(&format!("{done} of {total}: {entries}"));
        }
    }

    fn say(&mut self, text: &str) {
        to_stderr(text);
    }

    fn close(&mut self) {}
}
