//! Backup streams of open files: `BackupRead` and `BackupWrite`.

use std::io;

use super::Object;

/// Writes a backup stream to a file or directory.
///
/// Records may be cut anywhere between two writes; a writer that gives large slices is a fast one,
/// for every call goes to the file system. Dropping it gives the context of the stream up.
#[derive(Debug)]
pub struct BackupWriter {
    object: Object,
    security: bool,
}

impl BackupWriter {
    /// `security`: whether SECURITY_DATA records take effect (they are dropped without an error
    /// otherwise). The object must have been opened with WRITE_DAC, WRITE_OWNER and
    /// ACCESS_SYSTEM_SECURITY for them.
    pub fn new(object: Object, security: bool) -> Self {
        Self { object, security }
    }

    /// Ends the stream and gives the file back.
    ///
    /// # Errors
    ///
    /// The system could not end the stream; the file is closed then.
    pub fn finish(self) -> io::Result<Object> {
        todo!()
    }
}

impl io::Write for BackupWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        todo!()
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads a file or directory as a backup stream.
#[derive(Debug)]
pub struct BackupReader {
    object: Object,
    security: bool,
}

impl BackupReader {
    /// `security`: whether the stream has a SECURITY_DATA record.
    pub fn new(object: Object, security: bool) -> Self {
        Self { object, security }
    }

    /// Ends the stream, wherever it stands, and gives the file back.
    pub fn finish(self) -> Object {
        todo!()
    }
}

impl io::Read for BackupReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        todo!()
    }
}
