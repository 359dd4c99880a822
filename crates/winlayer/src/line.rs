//! [`Line`]: layers that are worked on out of order and completed in order, base to top.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::{Error, Result, error::Problem};

/// Where threads leave what they completed and wait for what others complete.
#[derive(Debug)]
pub(crate) struct Line<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    done: Vec<Option<T>>,
    stopped: bool,
    /// The failure of the lowest layer, which is the one to report.
    failure: Option<(usize, Error)>,
}

impl<T: Clone> Line<T> {
    pub(crate) fn new(length: usize) -> Self {
        let done = (0..length).map(|_| None).collect();
        Self {
            state: Mutex::new(State {
                done,
                stopped: false,
                failure: None,
            }),
            changed: Condvar::new(),
        }
    }

    // A thread that panicked has marked the line as stopped; its state is still sound.
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Number `index` is complete.
    pub(crate) fn done(&self, index: usize, value: T) {
        if let Some(place) = self.state().done.get_mut(index) {
            *place = Some(value);
        }
        self.changed.notify_all();
    }

    /// Number `index` failed; everybody stops.
    pub(crate) fn fail(&self, index: usize, error: Error) {
        let mut state = self.state();
        state.stopped = true;
        let lowest = state
            .failure
            .as_ref()
            .is_none_or(|(lowest, _)| index < *lowest);
        if lowest && !error.is_cancelled() {
            state.failure = Some((index, error));
        }
        drop(state);
        self.changed.notify_all();
    }

    /// An error when somebody failed, so that others stop soon.
    pub(crate) fn check(&self) -> Result<()> {
        if self.is_stopped() {
            Err(Problem::Cancelled.into())
        } else {
            Ok(())
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state().stopped
    }

    /// The numbers below `index`, in order, once all are complete.
    pub(crate) fn wait_for_all_below(&self, index: usize) -> Result<Vec<T>> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return Err(Problem::Cancelled.into());
            }
            let below = state
                .done
                .iter()
                .take(index)
                .cloned()
                .collect::<Option<Vec<T>>>();
            if let Some(below) = below {
                return Ok(below);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What went wrong, if anything.
    pub(crate) fn take_error(&self) -> Option<Error> {
        self.state().failure.take().map(|(_, error)| error)
    }

    /// Wakes everybody if the thread dies, who would else wait for ever.
    pub(crate) fn stop_on_panic(&self, index: usize) -> StopOnPanic<'_, T> {
        StopOnPanic { line: self, index }
    }
}

pub(crate) struct StopOnPanic<'a, T: Clone> {
    line: &'a Line<T>,
    index: usize,
}

impl<T: Clone> Drop for StopOnPanic<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let error = Error::refused("a worker thread panicked", "please report this");
            self.line.fail(self.index, error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_the_numbers_below_and_gives_them_in_order() {
        let line = Line::new(3);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| line.wait_for_all_below(2));
            line.done(1, "middle");
            line.done(0, "base");
            assert_eq!(waiting.join().unwrap().unwrap(), ["base", "middle"]);
        });
    }

    #[test]
    fn a_failure_wakes_who_waits_and_the_lowest_one_is_reported() {
        let line = Line::<()>::new(3);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| line.wait_for_all_below(2).unwrap_err());
            line.fail(1, Error::not_found("one"));
            assert!(waiting.join().unwrap().is_cancelled());
        });
        line.fail(2, Error::not_found("two"));
        line.fail(0, Problem::Cancelled.into());
        assert_eq!(line.take_error().unwrap().to_string(), "one");
    }

    #[test]
    fn a_panic_does_not_leave_others_waiting() {
        let line = Line::<()>::new(2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| line.wait_for_all_below(1).unwrap_err());
            let died = scope.spawn(|| {
                let _guard = line.stop_on_panic(0);
                panic!("on purpose");
            });
            died.join().unwrap_err();
            assert!(waiting.join().unwrap().is_cancelled());
        });
    }
}
