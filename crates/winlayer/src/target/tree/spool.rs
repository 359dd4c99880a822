//! The metadata file while it is being made: lines in the order of the layers, to be sorted later.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write},
};

use super::record::Record;
use crate::names::NodeId;

/// Lines in a temporary file, found again by the object's name.
///
/// In memory are eight bytes for each name of the image.
#[derive(Debug)]
pub(super) struct Spool {
    file: BufWriter<File>,
    length: u64,
    /// By node; `u64::MAX` for none.
    starts: Vec<u64>,
    line: Vec<u8>,
}

impl Spool {
    pub(super) fn new(file: File) -> Self {
        let file = BufWriter::with_capacity(1 << 18, file);
        Self {
            file,
            length: 0,
            starts: Vec::new(),
            line: Vec::new(),
        }
    }

    pub(super) fn put(&mut self, node: NodeId, record: &Record) -> io::Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, record)?;
        self.line.push(b'\n');
        self.file.write_all(&self.line)?;
        if self.starts.len() <= node.index() {
            self.starts.resize(node.index() + 1, u64::MAX);
        }
        if let Some(start) = self.starts.get_mut(node.index()) {
            *start = self.length;
        }
        self.length = self.length.saturating_add(self.line.len() as u64);
        Ok(())
    }

    /// Turns to reading.
    pub(super) fn finish(self) -> io::Result<Lines> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        Ok(Lines {
            file: BufReader::new(file),
            starts: self.starts,
            position: u64::MAX,
        })
    }
}

/// The lines of a [`Spool`], in any order.
#[derive(Debug)]
pub(super) struct Lines {
    file: BufReader<File>,
    starts: Vec<u64>,
    position: u64,
}

impl Lines {
    /// Copies the line of a node; false when it has none.
    pub(super) fn copy(&mut self, node: NodeId, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        let start = self
            .starts
            .get(node.index())
            .copied()
            .filter(|&start| start != u64::MAX);
        let Some(start) = start else {
            return Ok(false);
        };
        if start != self.position {
            self.file.seek(SeekFrom::Start(start))?;
        }
        self.file.read_until(b'\n', line)?;
        self.position = start.saturating_add(line.len() as u64);
        Ok(true)
    }
}
