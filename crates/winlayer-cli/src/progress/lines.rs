//! Progress for a log: a line when a layer starts, one when it ends, a few in between.

use super::{Active, Display, name};
use crate::output::to_stderr;
use crate::text::{count, duration, size};
use winlayer::Layer;

pub(super) struct Lines {
    layers: usize,
    /// Compressed bytes still worth counting: of all layers but the reused ones.
    total: u64,
}

impl Lines {
    pub(super) fn new(layers: &[Layer]) -> Self {
        let total = layers.iter().map(|layer| layer.compressed_bytes).sum();
        Self {
            layers: layers.len(),
            total,
        }
    }
}

impl Display for Lines {
    fn started(&mut self, layer: &Layer, _: &Active) {
        let name = name(layer, self.layers);
        to_stderr(&format!("{name}: reading {}", size(layer.compressed_bytes)));
    }

    fn finished(&mut self, layer: &Layer, active: Option<&Active>, reused: bool) {
        let name = name(layer, self.layers);
        if reused {
            self.total = self.total.saturating_sub(layer.compressed_bytes);
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
        let layers: Vec<String> = active
            .iter()
            .map(|active| (active.index + 1).to_string())
            .collect();
        if !layers.is_empty() {
            let (done, total) = (size(done), size(self.total));
            to_stderr(&format!(
                "{done} of {total}, now layer {}: {entries}",
                layers.join(", ")
            ));
        }
    }

    fn say(&mut self, text: &str) {
        to_stderr(text);
    }

    fn close(&mut self) {}
}
