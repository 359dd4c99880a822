//! BackupRead.

use std::ffi::c_void;
use std::io::Read;
use std::os::windows::io::RawHandle;
use std::sync::{LazyLock, Mutex};

use winlayer_double_common::call::{Call, Failure};
use winlayer_double_common::codes::INVALID_ARGUMENT;
use winlayer_double_common::inject::injected;
use winlayer_double_common::objects::{Reading, reading};
use winlayer_double_common::sys;

use crate::contexts::{Contexts, Given, answer, log_begin, new_key, put, take, unknown};

static STREAMS: Contexts<Stream> = LazyLock::new(Mutex::default);

struct Stream {
    call: Call,
    handle: RawHandle,
    security: bool,
    reading: Reading,
    bytes: u64,
    calls: u32,
}

// SAFETY: the raw handle is only compared, never used.
unsafe impl Send for Stream {}

/// Gives the next bytes of a backup stream.
///
/// # Safety
///
/// The arguments are null or valid, as for the real function.
#[unsafe(no_mangle)]
pub unsafe extern "system" fn BackupRead(
    handle: RawHandle,
    buffer: *mut u8,
    length: u32,
    read: *mut u32,
    abort: i32,
    security: i32,
    context: *mut *mut c_void,
) -> i32 {
    let given = Given {
        handle,
        length,
        done: read,
        abort: abort != 0,
        security: security != 0,
        context,
    };
    let mut call = Call::uncounted("winlayer_backup", "BackupRead");
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
        Ok(None) => return unknown(Call::uncounted("winlayer_backup", "BackupRead"), key),
        Err(failure) => return answer(failure.code),
    };
    if stream.calls == 0 {
        given.set_key(key);
        stream.call.note("context", format!("{key:#x}"));
        if let Err(failure) = log_begin(
            "BackupRead begin",
            key,
            &stream.call.noted("path"),
            given.security,
        ) {
            put(&STREAMS, key, stream);
            return answer(failure.code);
        }
    }
    let room = if length == 0 {
        &mut []
    } else {
        // SAFETY: not null unless nothing is to be read; the caller says how long it is.
        unsafe { std::slice::from_raw_parts_mut(buffer, length as usize) }
    };
    let result = stream.give(&given, room);
    put(&STREAMS, key, stream);
    match result {
        Ok(got) => {
            given.set_done(got);
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
        let reading = reading(
            &file,
            &sys::verbatim(&path.to_string_lossy()),
            given.security,
        )?;
        Ok(Some(Self {
            call,
            handle: given.handle,
            security: given.security,
            reading,
            bytes: 0,
            calls: 0,
        }))
    }

    /// Fills the buffer as far as there is something, as Windows does.
    fn give(&mut self, given: &Given, mut room: &mut [u8]) -> Result<u32, Failure> {
        self.calls += 1;
        let same = self.handle == given.handle && self.security == given.security;
        self.call.rule(
            same,
            INVALID_ARGUMENT,
            "handle or processSecurity changed within a stream",
        );
        if let Some(injected) = injected("BackupRead") {
            self.call.note("injected", true);
            return Err(Failure::new(injected.code, "injected"));
        }
        let mut total = 0;
        while !room.is_empty() {
            let got = self.reading.read(room)?;
            if got == 0 {
                break;
            }
            total += got as u32;
            room = room.get_mut(got..).unwrap_or_default();
        }
        self.bytes += u64::from(total);
        Ok(total)
    }

    fn release(mut self) -> i32 {
        self.call.note("bytes", self.bytes);
        self.call.note("calls", self.calls);
        answer(self.call.answer(|_| Ok(())))
    }
}
