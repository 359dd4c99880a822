//! BackupWrite.

use std::ffi::c_void;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::os::windows::io::RawHandle;
use std::path::PathBuf;
use std::sync::{LazyLock, Mutex};

use winlayer_double_common::call::{Call, Failure};
use winlayer_double_common::codes::{self, ACCESS_DENIED, INVALID_ARGUMENT, INVALID_DATA};
use winlayer_double_common::inject::injected;
use winlayer_double_common::stream::{Parser, SECURITY, Sink};
use winlayer_double_common::{objects, state, sys, transport};

use crate::contexts::{Contexts, Given, answer, log_begin, new_key, put, take, unknown};

/// WRITE_DAC, WRITE_OWNER and ACCESS_SYSTEM_SECURITY.
const SECURITY_ACCESS: u32 = 0x0004_0000 | 0x0008_0000 | 0x0100_0000;

static STREAMS: Contexts<Stream> = LazyLock::new(Mutex::default);

struct Stream {
    call: Call,
    handle: RawHandle,
    security: bool,
    copy: PathBuf,
    spool: BufWriter<File>,
    parser: Parser,
    bytes: u64,
    calls: u32,
    failed: bool,
}

// SAFETY: the raw handle is only compared, never used.
unsafe impl Send for Stream {}

/// Takes the next bytes of a backup stream.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn BackupWrite(
    handle: RawHandle,
    buffer: *const u8,
    length: u32,
    written: *mut u32,
    abort: i32,
    security: i32,
    context: *mut *mut c_void,
) -> i32 {
    let given = Given {
        handle,
        length,
        done: written,
        abort: abort != 0,
        security: security != 0,
        context,
    };
    let mut call = Call::uncounted("winlayer_backup", "BackupWrite");
    given.check(&mut call, !buffer.is_null());
    if !call.is_clean() {
        return answer(call.answer(|_| Ok(())));
    }
    given.set_done(0);
    let key = given.key();
    if given.abort {
        given.set_key(0);
        return match take(&STREAMS, key) {
            Some(stream) => stream.release(),
            None if key == 0 => 1,
            None => unknown(call, key),
        };
    }
    let (key, stream) = if key == 0 {
        (new_key(), Stream::begin(call, &given))
    } else {
        (key, Ok(take(&STREAMS, key)))
    };
    let mut stream = match stream {
        Ok(Some(stream)) => stream,
        Ok(None) => return unknown(Call::uncounted("winlayer_backup", "BackupWrite"), key),
        Err(failure) => return answer(failure.code),
    };
    if stream.calls == 0 {
        given.set_key(key);
        stream.call.note("context", format!("{key:#x}"));
        if let Err(failure) = log_begin("BackupWrite begin", key, &stream.path(), given.security) {
            put(&STREAMS, key, stream);
            return answer(failure.code);
        }
    }
    let bytes = if length == 0 {
        &[]
    } else {
        // SAFETY: not null unless nothing is to be written; the caller says how long it is.
        unsafe { std::slice::from_raw_parts(buffer, length as usize) }
    };
    let result = stream.take(&given, bytes);
    put(&STREAMS, key, stream);
    match result {
        Ok(()) => {
            given.set_done(length);
            1
        }
        Err(failure) => answer(failure.code),
    }
}

impl Stream {
    fn begin(mut call: Call, given: &Given) -> Result<Option<Self>, Failure> {
        let file = given.file();
        let path = sys::final_path(&file)?;
        call.note("path", path.to_string_lossy().into_owned());
        call.note("security", given.security);
        let folder = state::state_folder().join("streams");
        fs::create_dir_all(&folder)?;
        let copy = folder.join(format!("{}-{}", std::process::id(), new_key()));
        call.note("copy", sys::plain(&copy.to_string_lossy()));
        objects::forget(&file);
        let spool = BufWriter::new(File::create(&copy)?);
        Ok(Some(Self {
            call,
            handle: given.handle,
            security: given.security,
            copy,
            spool,
            parser: Parser::default(),
            bytes: 0,
            calls: 0,
            failed: false,
        }))
    }

    fn path(&self) -> String {
        self.call.noted("path")
    }

    fn take(&mut self, given: &Given, bytes: &[u8]) -> Result<(), Failure> {
        self.calls += 1;
        let same = self.handle == given.handle && self.security == given.security;
        self.call.rule(
            same,
            INVALID_ARGUMENT,
            "handle or processSecurity changed within a stream",
        );
        self.call.rule(
            !self.failed,
            INVALID_ARGUMENT,
            "the stream goes on after a failure",
        );
        if let Some(injected) = injected("BackupWrite") {
            self.failed = true;
            self.call.note("injected", true);
            return Err(Failure::new(injected.code, "injected"));
        }
        let file = given.file();
        let mut content = Content {
            file: &file,
            directory: file.metadata()?.is_dir(),
        };
        let fed = self.parser.feed(bytes, &mut content);
        self.spool.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        fed.map_err(|error| {
            self.failed = true;
            if error.kind() == io::ErrorKind::InvalidData {
                self.call.violation(INVALID_DATA, &error);
            }
            self.call.note("failure", error.to_string());
            Failure::new(codes::of(&error), error)
        })
    }

    /// The end, orderly or not.
    fn release(mut self) -> i32 {
        let complete = self.parser.is_complete() && !self.failed;
        let records: Vec<String> = self
            .parser
            .records
            .iter()
            .map(|record| record.kind())
            .collect();
        self.call.note("records", records);
        self.call.note("bytes", self.bytes);
        self.call.note("calls", self.calls);
        self.call.note("complete", complete);
        let _ = self.spool.flush();
        if complete {
            self.check_security();
        }
        // A violation must not keep the stream from being released, so it is only logged.
        let code = self.call.answer(|_| Ok(()));
        answer(if complete { code } else { 0 })
    }

    /// Keeps the stream for the file, while the handle is still open; a descriptor only `with_security`.
    fn keep(&mut self, with_security: bool) -> Result<(), Failure> {
        // SAFETY: the caller's handle is open until the context is released.
        let file = unsafe { sys::borrow(self.handle) };
        let mut kept = File::create(objects::stream_file(&file)?)?;
        for record in &self.parser.records {
            if with_security || record.id != SECURITY {
                let mut copy = File::open(&self.copy)?;
                copy.seek(SeekFrom::Start(record.at))?;
                io::copy(&mut copy.take(record.head + record.size), &mut kept)?;
            }
        }
        Ok(objects::keep(&file, None)?)
    }

    /// A descriptor takes effect only when asked for and with the rights for it; else Windows drops
    /// it without a word.
    fn check_security(&mut self) {
        let mut kept = false;
        if self
            .parser
            .records
            .iter()
            .any(|record| record.id == SECURITY)
        {
            // SAFETY: the caller's handle is open until the context is released.
            let file = unsafe { sys::borrow(self.handle) };
            let access = sys::granted_access(&file).unwrap_or(u32::MAX);
            let rights = access & SECURITY_ACCESS == SECURITY_ACCESS;
            kept = self.security && rights;
            self.call.note("security_kept", kept);
            let text =
                format!("the descriptor is dropped silently: the handle has access {access:#x}");
            self.call
                .rule(!self.security || rights, ACCESS_DENIED, text);
        }
        if let Err(failure) = self.keep(kept) {
            self.call.violation(
                failure.code,
                format!("the stream cannot be kept: {}", failure.text),
            );
        }
    }
}

/// Writes what belongs to the file into it.
struct Content<'a> {
    file: &'a File,
    directory: bool,
}

impl Sink for Content<'_> {
    fn content(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        transport::write_at(self.file, offset, bytes)
    }

    fn length(&mut self, length: u64) -> io::Result<()> {
        if self.directory {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "content for a directory",
            ));
        }
        self.file.set_len(length)
    }
}
