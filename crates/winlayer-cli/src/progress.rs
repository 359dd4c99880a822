//! What reaches stderr while work goes on: bars on a terminal, lines elsewhere, nothing when quiet.

mod bars;
mod lines;

use crate::output::{Output, to_stderr};
use crate::text::{escape, short_digest};
use bars::Bars;
use lines::Lines;
use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError, atomic::Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use winlayer::{Layer, Observer, Progress};

/// What is being read.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    /// By its index.
    Layer(usize),
    Disk,
}

/// Something to read.
struct Job {
    subject: Subject,
    /// As people see it.
    name: String,
    bytes: u64,
}

impl Job {
    fn layer(layer: &Layer, layers: usize) -> Self {
        Self {
            subject: Subject::Layer(layer.index),
            name: name(layer, layers),
            bytes: layer.compressed_bytes,
        }
    }
}

/// A job under way.
struct Active {
    subject: Subject,
    progress: Arc<Progress>,
    started: Instant,
}

impl Active {
    fn compressed_bytes(&self) -> u64 {
        self.progress.compressed_bytes.load(Ordering::Relaxed)
    }

    fn entries(&self) -> u64 {
        self.progress.entries.load(Ordering::Relaxed)
    }
}

/// How progress is shown. Called under one lock, so that lines do not mix.
trait Display: Send {
    /// So many bytes more are to be read.
    fn expect(&mut self, bytes: u64);
    fn started(&mut self, job: &Job, active: &Active);
    fn finished(&mut self, job: &Job, active: Option<&Active>, reused: bool);
    /// `done` counts the compressed bytes of every layer read or being read.
    fn tick(&mut self, active: &[Active], done: u64);
    fn say(&mut self, text: &str);
    /// Takes away what is of no use once the work is done.
    fn close(&mut self);
}

/// Only warnings and steps.
struct Silent {
    warnings: bool,
}

impl Display for Silent {
    fn expect(&mut self, _: u64) {}
    fn started(&mut self, _: &Job, _: &Active) {}
    fn finished(&mut self, _: &Job, _: Option<&Active>, _: bool) {}
    fn tick(&mut self, _: &[Active], _: u64) {}
    fn say(&mut self, text: &str) {
        if self.warnings {
            to_stderr(text);
        }
    }
    fn close(&mut self) {}
}

struct State {
    display: Box<dyn Display>,
    active: Vec<Active>,
    /// Compressed bytes of the layers finished.
    done: u64,
    layers: usize,
    /// The disk being read.
    disk: Option<Job>,
}

impl State {
    fn start(&mut self, job: &Job, progress: Arc<Progress>) {
        let active = Active {
            subject: job.subject,
            progress,
            started: Instant::now(),
        };
        self.display.started(job, &active);
        self.active.push(active);
    }

    fn finish(&mut self, job: &Job, reused: bool) {
        let mut active = self.active.iter();
        let position = active.position(|active| active.subject == job.subject);
        let active = position.map(|position| self.active.swap_remove(position));
        if !reused {
            self.done = self.done.saturating_add(job.bytes);
        }
        self.display.finished(job, active.as_ref(), reused);
    }
}

/// The observer of one piece of work, and the thread that keeps its display fresh.
pub(crate) struct Reporter {
    state: Arc<Shared>,
    stop: Sender<()>,
    ticker: Option<JoinHandle<()>>,
}

impl Reporter {
    /// Reports on work with these layers, or with a disk, in the way that suits stderr.
    pub(crate) fn start(layers: &[Layer], output: &Output) -> Self {
        let (display, pause): (Box<dyn Display>, _) =
            if output.is_quiet() || output.hides_progress() {
                (
                    Box::new(Silent {
                        warnings: !output.is_quiet(),
                    }),
                    None,
                )
            } else if io::stderr().is_terminal() {
                (
                    Box::new(Bars::new(layers)),
                    Some(Duration::from_millis(100)),
                )
            } else {
                (Box::new(Lines::new(layers)), Some(Duration::from_secs(10)))
            };
        let state = State {
            display,
            active: Vec::new(),
            done: 0,
            layers: layers.len(),
            disk: None,
        };
        let state = Arc::new(Shared(Mutex::new(state)));
        let (stop, stopped) = mpsc::channel();
        let ticker = pause.map(|pause| {
            let state = Arc::clone(&state);
            thread::spawn(move || {
                while stopped.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                    state.tick();
                }
            })
        });
        Self {
            state,
            stop,
            ticker,
        }
    }

    pub(crate) fn observer(&self) -> Arc<dyn Observer> {
        Arc::clone(&self.state) as Arc<dyn Observer>
    }

    /// Clears the display; what is printed next stands on its own lines.
    pub(crate) fn finish(self) {
        drop(self.stop);
        if let Some(ticker) = self.ticker {
            // A panic of the ticker was printed by the panic itself and harms no result.
            let _ = ticker.join();
        }
        self.state.with(|state| state.display.close());
    }
}

struct Shared(Mutex<State>);

impl Shared {
    fn with(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn tick(&self) {
        self.with(|state| {
            let reading: u64 = state.active.iter().map(Active::compressed_bytes).sum();
            let done = state.done.saturating_add(reading);
            state.display.tick(&state.active, done);
        });
    }
}

impl Observer for Shared {
    fn layer_started(&self, layer: &Layer, progress: Arc<Progress>) {
        self.with(|state| {
            let job = Job::layer(layer, state.layers);
            state.start(&job, progress);
        });
    }

    fn layer_finished(&self, layer: &Layer, reused: bool) {
        self.with(|state| {
            let job = Job::layer(layer, state.layers);
            state.finish(&job, reused);
        });
    }

    fn disk_started(&self, disk: &Path, bytes: u64, progress: Arc<Progress>) {
        let name = disk.file_name().unwrap_or(disk.as_os_str());
        let job = Job {
            subject: Subject::Disk,
            name: escape(&name.to_string_lossy()).into_owned(),
            bytes,
        };
        self.with(|state| {
            state.display.expect(bytes);
            state.start(&job, progress);
            state.disk = Some(job);
        });
    }

    fn disk_finished(&self) {
        self.with(|state| {
            if let Some(job) = state.disk.take() {
                state.finish(&job, false);
            }
        });
    }

    fn step(&self, what: &str) {
        self.with(|state| state.display.say(&escape(what)));
    }

    fn warning(&self, text: &str) {
        self.with(|state| state.display.say(&format!("warning: {}", escape(text))));
    }
}

/// `layer 2 of 3 (sha256:0123456789ab…)`, as the library's errors say it.
fn name(layer: &Layer, layers: usize) -> String {
    let digest = layer
        .digest
        .map_or_else(|| layer.diff_id.to_string(), |digest| digest.to_string());
    format!(
        "layer {} of {layers} ({}…)",
        layer.index + 1,
        short_digest(&digest)
    )
}
