//! Backup streams of open files: `BackupRead` and `BackupWrite`.

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsHandle as _, AsRawHandle as _, RawHandle},
    path::{Path, PathBuf},
    ptr,
};

use windows_sys::core::BOOL;

use super::{Object, library::last_error};
use crate::{PlatformCode, PlatformError};

type Result<T> = std::result::Result<T, PlatformError>;

type BackupRead = unsafe extern "system" fn(
    RawHandle,
    *mut u8,
    u32,
    *mut u32,
    BOOL,
    BOOL,
    *mut *mut c_void,
) -> BOOL;
type BackupWrite = unsafe extern "system" fn(
    RawHandle,
    *const u8,
    u32,
    *mut u32,
    BOOL,
    BOOL,
    *mut *mut c_void,
) -> BOOL;

#[cfg(not(feature = "doubles"))]
mod functions {
    use windows_sys::Win32::Storage::FileSystem;

    pub(super) fn read() -> super::Result<super::BackupRead> {
        Ok(FileSystem::BackupRead)
    }

    pub(super) fn write() -> super::Result<super::BackupWrite> {
        Ok(FileSystem::BackupWrite)
    }
}

/// The stand-ins of the tests, where WINLAYER_DOUBLES is set.
#[cfg(feature = "doubles")]
mod functions {
    use std::sync::OnceLock;

    use windows_sys::Win32::Storage::FileSystem;

    use super::super::library::functions_of;
    use super::{BOOL, RawHandle, c_void};

    functions_of! {
        /// winlayer_backup.dll.
        Doubles = "winlayer_backup.dll";
        fn BackupRead(
            file: RawHandle, buffer: *mut u8, length: u32, read: *mut u32, abort: BOOL,
            security: BOOL, context: *mut *mut c_void,
        ) -> BOOL;
        fn BackupWrite(
            file: RawHandle, buffer: *const u8, length: u32, written: *mut u32, abort: BOOL,
            security: BOOL, context: *mut *mut c_void,
        ) -> BOOL;
    }

    fn doubles() -> super::Result<Option<Doubles>> {
        static LOADED: OnceLock<Doubles> = OnceLock::new();
        if std::env::var_os("WINLAYER_DOUBLES").is_none() {
            return Ok(None);
        }
        if LOADED.get().is_none() {
            let _ = LOADED.set(Doubles::load()?);
        }
        Ok(LOADED.get().copied())
    }

    pub(super) fn read() -> super::Result<super::BackupRead> {
        match doubles()? {
            Some(doubles) => doubles.BackupRead(),
            None => Ok(FileSystem::BackupRead),
        }
    }

    pub(super) fn write() -> super::Result<super::BackupWrite> {
        match doubles()? {
            Some(doubles) => doubles.BackupWrite(),
            None => Ok(FileSystem::BackupWrite),
        }
    }
}

/// What both directions keep between two calls.
#[derive(Debug)]
struct Stream {
    object: Object,
    security: BOOL,
    /// The system's; null before the first call and after the last.
    context: *mut c_void,
}

// SAFETY: the context is memory of the system that only calls with this stream use, one at a time
// (`&mut self`); it is bound to no thread.
unsafe impl Send for Stream {}

impl Stream {
    fn new(object: Object, security: bool) -> Self {
        Self {
            object,
            security: security.into(),
            context: ptr::null_mut(),
        }
    }

    fn handle(&self) -> RawHandle {
        self.object.as_handle().as_raw_handle()
    }

    fn path(&self) -> PathBuf {
        self.object.root().join(Path::new(self.object.path()))
    }
}

/// The longest piece of one call: a power of two, below what the length can say.
const LONGEST: usize = 1 << 30;

/// Writes a backup stream to a file or directory.
///
/// The stream may be cut anywhere between two writes. Nothing is buffered: each write is a call to
/// the file system, so large slices make a fast writer. Dropping it gives the stream's context up.
///
/// Errors are [`io::Error`]s with a [`PlatformError`] inside that names the object.
#[derive(Debug)]
pub struct BackupWriter {
    // `None` after `finish`.
    stream: Option<Stream>,
    write: Option<BackupWrite>,
}

impl BackupWriter {
    /// `security`: whether SECURITY_DATA records take effect; they are dropped without an error
    /// otherwise. The object must have been opened for writing a backup, for them.
    pub fn new(object: Object, security: bool) -> Self {
        Self {
            stream: Some(Stream::new(object, security)),
            write: None,
        }
    }

    /// Ends the stream and gives the file back.
    ///
    /// # Errors
    ///
    /// The system could not end the stream: not all of it may have been applied. The file is closed
    /// then.
    pub fn finish(mut self) -> io::Result<Object> {
        self.end()?;
        let stream = self.stream.take();
        // Only this method takes it, and it takes `self`.
        stream
            .map(|stream| stream.object)
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn function(&mut self) -> Result<BackupWrite> {
        match self.write {
            Some(write) => Ok(write),
            None => Ok(*self.write.insert(functions::write()?)),
        }
    }

    fn end(&mut self) -> Result<()> {
        let Some(write) = self.write else {
            return Ok(());
        };
        let Some(stream) = self.stream.as_mut().filter(|it| !it.context.is_null()) else {
            return Ok(());
        };
        let mut written = 0;
        let (handle, security) = (stream.handle(), stream.security);
        // SAFETY: the handle is open, and the context is what an earlier call for it made; no bytes.
        let done = unsafe {
            write(
                handle,
                ptr::null(),
                0,
                &mut written,
                1,
                security,
                &mut stream.context,
            )
        };
        let error = (done == 0).then(|| last_error("BackupWrite", &stream.path()));
        // Freed, or never to be used again.
        stream.context = ptr::null_mut();
        error.map_or(Ok(()), Err)
    }
}

impl io::Write for BackupWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        const CALL: &str = "BackupWrite";
        if bytes.is_empty() {
            return Ok(0);
        }
        let write = self.function()?;
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let length = bytes.len().min(LONGEST);
        let mut written = 0;
        let (handle, security) = (stream.handle(), stream.security);
        // SAFETY: the handle is open, the bytes are at least as many as said, and the context is null
        // or what an earlier call for this handle made.
        let done = unsafe {
            write(
                handle,
                bytes.as_ptr(),
                length as u32,
                &mut written,
                0,
                security,
                &mut stream.context,
            )
        };
        if done == 0 {
            return Err(last_error(CALL, &stream.path()).into());
        }
        match written as usize {
            // The same bytes would come again: a system that takes none never will.
            0 => {
                let code = PlatformCode::Win32(29); // ERROR_WRITE_FAULT
                Err(PlatformError::new(CALL, stream.path(), code).into())
            }
            written => Ok(written.min(length)),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for BackupWriter {
    fn drop(&mut self) {
        // Whoever wants to know calls `finish`.
        let _ = self.end();
    }
}

/// Reads a file or directory as a backup stream.
///
/// Each read is a call to the file system, so large buffers make a fast reader. Dropping it gives the
/// stream's context up.
///
/// Errors are [`io::Error`]s with a [`PlatformError`] inside that names the object.
#[derive(Debug)]
pub struct BackupReader {
    // `None` after `finish`.
    stream: Option<Stream>,
    read: Option<BackupRead>,
}

impl BackupReader {
    /// `security`: whether the stream has a SECURITY_DATA record.
    pub fn new(object: Object, security: bool) -> Self {
        Self {
            stream: Some(Stream::new(object, security)),
            read: None,
        }
    }

    /// Ends the stream, wherever it stands, and gives the file back.
    ///
    /// # Errors
    ///
    /// The system could not end the stream. The file is closed then.
    pub fn finish(mut self) -> io::Result<Object> {
        self.end()?;
        let stream = self.stream.take();
        // Only this method takes it, and it takes `self`.
        stream
            .map(|stream| stream.object)
            .ok_or_else(|| io::ErrorKind::BrokenPipe.into())
    }

    fn function(&mut self) -> Result<BackupRead> {
        match self.read {
            Some(read) => Ok(read),
            None => Ok(*self.read.insert(functions::read()?)),
        }
    }

    fn end(&mut self) -> Result<()> {
        let Some(read) = self.read else {
            return Ok(());
        };
        let Some(stream) = self.stream.as_mut().filter(|it| !it.context.is_null()) else {
            return Ok(());
        };
        let mut count = 0;
        let (handle, security) = (stream.handle(), stream.security);
        // SAFETY: the handle is open, and the context is what an earlier call for it made; no bytes.
        let done = unsafe {
            read(
                handle,
                ptr::null_mut(),
                0,
                &mut count,
                1,
                security,
                &mut stream.context,
            )
        };
        let error = (done == 0).then(|| last_error("BackupRead", &stream.path()));
        // Freed, or never to be used again.
        stream.context = ptr::null_mut();
        error.map_or(Ok(()), Err)
    }
}

impl io::Read for BackupReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let read = self.function()?;
        let Some(stream) = &mut self.stream else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let length = buffer.len().min(LONGEST);
        let mut count = 0;
        let (handle, security) = (stream.handle(), stream.security);
        // SAFETY: the handle is open, the buffer has room for at least as many bytes as said, and the
        // context is null or what an earlier call for this handle made.
        let done = unsafe {
            read(
                handle,
                buffer.as_mut_ptr(),
                length as u32,
                &mut count,
                0,
                security,
                &mut stream.context,
            )
        };
        if done == 0 {
            return Err(last_error("BackupRead", &stream.path()).into());
        }
        Ok((count as usize).min(length))
    }
}

impl Drop for BackupReader {
    fn drop(&mut self) {
        // Whoever wants to know calls `finish`.
        let _ = self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dir, ObjectAccess, ObjectKind, facts};
    use std::io::{Read as _, Write as _};

    #[test]
    fn a_system_without_backup_streams_is_named_with_the_object() {
        if std::env::var_os("WINLAYER_DOUBLES").is_some() || facts::wine_version().is_none() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient(folder.path()).unwrap();
        let object = dir.create_object("a", ObjectKind::File).unwrap();
        let mut writer = BackupWriter::new(object, true);
        let error = writer.write(&[0; 20]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        let error = error.downcast::<PlatformError>().unwrap();
        assert_eq!((error.call(), error.win32()), ("BackupWrite", Some(50)));
        assert!(error.path().ends_with("a"));
        drop(writer.finish().unwrap());

        let object = dir.open_object("a", ObjectAccess::ReadBackup).unwrap();
        let mut reader = BackupReader::new(object, false);
        let error = reader.read(&mut [0; 20]).unwrap_err();
        let error = error.downcast::<PlatformError>().unwrap();
        assert_eq!((error.call(), error.win32()), ("BackupRead", Some(50)));
        reader.finish().unwrap();
    }
}
