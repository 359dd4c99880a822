//! The protocol of the context pointer, the same for both functions.

use std::collections::HashMap;
use std::ffi::c_void;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::windows::io::RawHandle;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

use winlayer_double_common::call::{Call, Failure};
use winlayer_double_common::codes::{INVALID_ARGUMENT, POINTER, win32};
use winlayer_double_common::sys;

/// Streams under way, by the value of their context pointer.
pub(crate) type Contexts<T> = LazyLock<Mutex<HashMap<usize, T>>>;

/// The values never come twice, so a stale one is noticed.
static NEXT: AtomicUsize = AtomicUsize::new(1);

/// What both functions are given.
pub(crate) struct Given {
    pub(crate) handle: RawHandle,
    pub(crate) length: u32,
    pub(crate) done: *mut u32,
    pub(crate) abort: bool,
    pub(crate) security: bool,
    pub(crate) context: *mut *mut c_void,
}

impl Given {
    /// The caller's file.
    pub(crate) fn file(&self) -> ManuallyDrop<File> {
        // SAFETY: the caller keeps its handle open during the call.
        unsafe { sys::borrow(self.handle) }
    }

    /// The rules that do not depend on the stream. `buffer` is whether there is one.
    pub(crate) fn check(&self, call: &mut Call, buffer: bool) {
        call.rule(!self.context.is_null(), POINTER, "no context pointer");
        call.rule(
            self.abort || !self.done.is_null(),
            POINTER,
            "nowhere to put the count",
        );
        call.rule(
            self.abort || buffer || self.length == 0,
            POINTER,
            "no buffer",
        );
        let open = !self.handle.is_null() && self.handle as isize != -1;
        call.rule(open || self.abort, INVALID_ARGUMENT, "no handle");
    }

    /// The number in the context pointer; 0 at the start.
    pub(crate) fn key(&self) -> usize {
        // SAFETY: null, or the caller's to read.
        unsafe { self.context.as_ref() }.map_or(0, |context| context.addr())
    }

    /// Writes the context pointer.
    pub(crate) fn set_key(&self, key: usize) {
        if !self.context.is_null() {
            // SAFETY: not null, and the caller's to write.
            unsafe { self.context.write(ptr::without_provenance_mut(key)) };
        }
    }

    /// Writes how many bytes were done.
    pub(crate) fn set_done(&self, bytes: u32) {
        if !self.done.is_null() {
            // SAFETY: not null, and the caller's to write.
            unsafe { self.done.write(bytes) };
        }
    }
}

/// A new value for a context pointer.
pub(crate) fn new_key() -> usize {
    NEXT.fetch_add(1, Ordering::Relaxed) * 16
}

/// Takes the stream of `key` out.
pub(crate) fn take<T>(contexts: &Contexts<T>, key: usize) -> Option<T> {
    contexts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(&key)
}

/// Puts the stream of `key` back.
pub(crate) fn put<T>(contexts: &Contexts<T>, key: usize, stream: T) {
    contexts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(key, stream);
}

/// Answers TRUE, or FALSE with the last error.
pub(crate) fn answer(code: u32) -> i32 {
    if code == 0 {
        return 1;
    }
    sys::set_last_error(win32(code));
    0
}

/// The context pointer holds something we never gave out, or somebody else is using it.
pub(crate) fn unknown(call: Call, key: usize) -> i32 {
    let mut call = call;
    call.violation(
        INVALID_ARGUMENT,
        format!("context {key:#x} is unknown, released, or used by two threads"),
    );
    answer(call.answer(|_| Ok(())))
}

/// Logs that a stream was begun; the failure, if it could not be.
pub(crate) fn log_begin(
    name: &'static str,
    key: usize,
    path: &str,
    security: bool,
) -> Result<(), Failure> {
    let mut begin = Call::new("winlayer_backup", name);
    begin.note("context", format!("{key:#x}"));
    begin.note("path", path);
    begin.note("security", security);
    match begin.answer(|_| Ok(())) {
        0 => Ok(()),
        code => Err(Failure::new(code, "injected")),
    }
}
