//! What reaches stdout: words for people or one JSON document, never both.

use crate::failure::Failure;
use serde::Serialize;
use std::io::{self, Write};

/// The result channel of one command.
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    hides_progress: bool,
    writer: Box<dyn Write>,
    /// The reader of the pipe is gone.
    closed: bool,
}

impl Output {
    pub(crate) fn to_stdout(json: bool, quiet: bool) -> Self {
        Self::new(json, quiet, Box::new(io::BufWriter::new(io::stdout())))
    }

    pub(crate) fn new(json: bool, quiet: bool, writer: Box<dyn Write>) -> Self {
        Self {
            json,
            quiet,
            hides_progress: false,
            writer,
            closed: false,
        }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// From now on commands show no progress, only warnings.
    pub(crate) fn hide_progress(&mut self) {
        self.hides_progress = true;
    }

    pub(crate) fn hides_progress(&self) -> bool {
        self.hides_progress
    }

    /// Whether the reader of stdout went away, so that a failure to write is none of ours.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The one JSON document of a command.
    pub(crate) fn document(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(value).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok(self.write_all(&text)?)
    }

    /// What was asked for, in words; printed even when quiet.
    pub(crate) fn data(&mut self, text: &str) -> Result<(), Failure> {
        Ok(self.write_all(text.as_bytes())?)
    }

    /// What was done, in words; `--quiet` leaves it to the exit code.
    pub(crate) fn summary(&mut self, text: &str) -> Result<(), Failure> {
        if self.quiet { Ok(()) } else { self.data(text) }
    }

    /// Bytes on stdout before the program ends, or before another thing is said elsewhere.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(Write::flush(self)?)
    }

    fn watch<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result {
            self.closed |= error.kind() == io::ErrorKind::BrokenPipe;
        }
        result
    }
}

/// Raw bytes, for `cat`.
impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let result = self.writer.write(bytes);
        self.watch(result)
    }

    fn flush(&mut self) -> io::Result<()> {
        let result = self.writer.flush();
        self.watch(result)
    }
}

/// One message on stderr. A closed stderr is no reason to fail.
pub(crate) fn to_stderr(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn remembers_that_the_reader_is_gone() {
        let mut output = Output::new(false, false, Box::new(Gone));
        assert!(output.data("x").is_err());
        assert!(output.is_closed());
    }

    #[test]
    fn writes_no_summary_when_quiet() {
        let mut output = Output::new(false, true, Box::new(Gone));
        assert!(output.summary("x").is_ok());
        assert!(!output.is_closed());
    }
}
