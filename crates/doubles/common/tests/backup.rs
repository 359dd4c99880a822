//! Streams through the doubles of BackupWrite and BackupRead.
#![cfg(windows)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which end the test"
)]

mod driver;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::os::windows::io::AsRawHandle;
use std::path::Path;
use std::ptr;

use driver::*;
use winlayer_double_common::stream::record;

/// Generic read and write, WRITE_DAC, WRITE_OWNER, ACCESS_SYSTEM_SECURITY.
const ALL: u32 = 0xC10C_0000;

fn open(path: &Path, access: u32) -> File {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .access_mode(access)
        .open(path)
        .unwrap()
}

fn write(
    driver: &Driver,
    file: &File,
    stream: &[u8],
    chunk: usize,
    security: bool,
) -> io::Result<()> {
    let call: Backup = export(&driver.doubles, "winlayer_backup.dll", "BackupWrite");
    let mut context = ptr::null_mut();
    let mut result = Ok(());
    let mut step = |bytes: &[u8], abort: i32| {
        let (mut written, length) = (0, bytes.len() as u32);
        let buffer = bytes.as_ptr().cast_mut();
        // SAFETY: buffer, handle and out arguments live across the call, which does not write to the buffer.
        let done = unsafe {
            call(
                file.as_raw_handle(),
                buffer,
                length,
                &raw mut written,
                abort,
                i32::from(security),
                &raw mut context,
            )
        };
        if done == 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    };
    for bytes in stream.chunks(chunk) {
        if result.is_ok() {
            result = step(bytes, 0);
        }
    }
    step(&[], 1).unwrap();
    result
}

fn read(driver: &Driver, file: &File, security: bool) -> Vec<u8> {
    let call: Backup = export(&driver.doubles, "winlayer_backup.dll", "BackupRead");
    let mut context = ptr::null_mut();
    let mut all = Vec::new();
    let mut buffer = [0; 7];
    loop {
        let mut got = 0;
        // SAFETY: buffer, handle and out arguments live across the call.
        let done = unsafe {
            call(
                file.as_raw_handle(),
                buffer.as_mut_ptr(),
                7,
                &raw mut got,
                0,
                i32::from(security),
                &raw mut context,
            )
        };
        assert_ne!(done, 0);
        if got == 0 {
            break;
        }
        all.extend(&buffer[..got as usize]);
    }
    let mut got = 0;
    // SAFETY: as above; nothing is read when releasing.
    let done = unsafe {
        call(
            file.as_raw_handle(),
            ptr::null_mut(),
            0,
            &raw mut got,
            1,
            i32::from(security),
            &raw mut context,
        )
    };
    assert!(done != 0 && context.is_null());
    all
}

fn alternate() -> Vec<u8> {
    let name: Vec<u8> = ":s:$DATA"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let mut head = record(4, 0, b"");
    head[8] = 3;
    head[16] = name.len() as u8;
    [head, name, b"abc".to_vec()].concat()
}

const EXTENDED: [u8; 16] = *b"\0\0\0\0\0\x03\x03\0foo\0bar\0";

#[test]
fn a_stream_written_in_any_pieces_is_kept_and_read_back_in_windows_order() {
    let driver = Driver::new();
    let path = driver.path("file");
    let parts = [
        record(3, 0, &DESCRIPTOR),
        record(2, 0, &EXTENDED),
        record(1, 0, b"hello"),
        alternate(),
    ];
    for chunk in [1, 3, 20, 4096] {
        write(&driver, &open(&path, ALL), &parts.concat(), chunk, true).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hello");
        let logged = driver.doubles.calls_of("BackupWrite").pop().unwrap();
        assert_eq!(driver.doubles.stream(&logged), parts.concat());
        assert!(logged.flag("complete") && logged.flag("security_kept"));
    }
    fs::hard_link(&path, driver.path("other")).unwrap();
    let other = File::open(driver.path("other")).unwrap();
    let mut security = parts[0].clone();
    security[4] = 2;
    let windows = [
        security,
        parts[2].clone(),
        parts[1].clone(),
        parts[3].clone(),
    ]
    .concat();
    assert_eq!(read(&driver, &other, true), windows);
    assert_eq!(read(&driver, &other, false), windows[40..]);
    driver.doubles.assert_clean();
}

#[test]
fn a_file_nobody_wrote_a_stream_to_gets_one() {
    let driver = Driver::new();
    let path = driver.path("file");
    fs::write(&path, b"plain").unwrap();
    assert_eq!(
        read(&driver, &File::open(&path).unwrap(), false),
        record(1, 0, b"plain")
    );
}

#[test]
fn a_descriptor_without_the_rights_for_it_is_a_violation_and_dropped() {
    let driver = Driver::new();
    let path = driver.path("file");
    let stream = [record(3, 0, &DESCRIPTOR), record(1, 0, b"x")].concat();
    let call: Backup = export(&driver.doubles, "winlayer_backup.dll", "BackupWrite");
    let file = open(&path, 0xC000_0000);
    let (mut context, mut written) = (ptr::null_mut(), 0);
    // SAFETY: buffer, handle and out arguments live across the calls.
    unsafe {
        let buffer = stream.as_ptr().cast_mut();
        let length = stream.len() as u32;
        assert_eq!(
            call(
                file.as_raw_handle(),
                buffer,
                length,
                &raw mut written,
                0,
                1,
                &raw mut context
            ),
            1
        );
        assert_eq!(
            call(
                file.as_raw_handle(),
                ptr::null_mut(),
                0,
                &raw mut written,
                1,
                1,
                &raw mut context
            ),
            0
        );
    }
    assert!(driver.only_violation().contains("dropped silently"));
    assert_eq!(
        read(&driver, &File::open(&path).unwrap(), true)[0],
        1,
        "no descriptor is left"
    );
}

#[test]
fn a_malformed_stream_is_refused_and_its_context_still_released() {
    let driver = Driver::new();
    for stream in [
        record(12, 0, b""),
        record(3, 0, b"SSSS"),
        record(8, 0, b"12345678"),
    ] {
        let file = open(&driver.path("file"), ALL);
        assert_eq!(
            write(&driver, &file, &stream, 6, true)
                .unwrap_err()
                .raw_os_error(),
            Some(13)
        );
        assert!(driver.only_violation().starts_with("BackupWrite: "));
    }
}

#[test]
fn a_context_that_is_never_released_or_used_after_it_is_a_violation() {
    let driver = Driver::new();
    let call: Backup = export(&driver.doubles, "winlayer_backup.dll", "BackupWrite");
    let file = open(&driver.path("file"), ALL);
    let (mut context, mut written) = (ptr::null_mut(), 0);
    let mut bytes = record(1, 0, b"x");
    // SAFETY: buffer, handle and out arguments live across the calls.
    let mut step = |length: u32, abort: i32, context: &mut *mut std::ffi::c_void| unsafe {
        call(
            file.as_raw_handle(),
            bytes.as_mut_ptr(),
            length,
            &raw mut written,
            abort,
            1,
            context,
        )
    };
    assert_eq!(step(21, 0, &mut context), 1);
    let mut stale = context;
    assert!(driver.doubles.violations()[0].contains("never released"));
    assert_eq!(step(0, 1, &mut context), 1);
    assert!(context.is_null());
    driver.doubles.assert_clean();
    assert_eq!(step(21, 0, &mut stale), 0);
    assert!(driver.only_violation().contains("unknown"));
}

#[test]
fn failures_of_streams_are_injected_by_call() {
    let driver = Driver::new();
    driver.fail("BackupWrite=0x80070070");
    let file = open(&driver.path("file"), ALL);
    let error = write(&driver, &file, &record(1, 0, b"x"), 64, true).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(0x70));
    driver.doubles.assert_clean();
}
