//! Reading HKEY_LOCAL_MACHINE.

use std::{path::Path, ptr};

use windows_sys::Win32::{
    Foundation::{ERROR_FILE_NOT_FOUND, ERROR_MORE_DATA, ERROR_NO_MORE_ITEMS},
    System::Registry::{
        HKEY, HKEY_LOCAL_MACHINE, KEY_READ, RRF_RT_REG_DWORD, RRF_RT_REG_SZ, RegCloseKey,
        RegEnumKeyExW, RegEnumValueW, RegGetValueW, RegOpenKeyExW,
    },
};

use super::Result;
use crate::windows::{
    library::check_win32,
    text::{from_wide, wide},
};

/// The longest name of a value, with its NUL.
const LONGEST_NAME: usize = 16_384;

/// A number; `None` where the key or the value is not there.
pub(super) fn number(key: &str, value: &str) -> Result<Option<u32>> {
    let mut number = 0u32;
    let mut bytes = size_of::<u32>() as u32;
    let (wide_key, wide_value) = (wide(key), wide(value));
    // SAFETY: the strings end with a NUL and outlive the call; the number is ours to write.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            wide_key.as_ptr(),
            wide_value.as_ptr(),
            RRF_RT_REG_DWORD,
            ptr::null_mut(),
            (&raw mut number).cast(),
            &mut bytes,
        )
    };
    match code {
        ERROR_FILE_NOT_FOUND => Ok(None),
        code => check_win32("RegGetValueW", Path::new(key), code).map(|()| Some(number)),
    }
}

/// A text; `None` where the key or the value is not there.
pub(super) fn text(key: &str, value: &str) -> Result<Option<String>> {
    let mut units = [0u16; 512];
    let mut bytes = size_of_val(&units) as u32;
    let (wide_key, wide_value) = (wide(key), wide(value));
    // SAFETY: the strings end with a NUL and outlive the call; the buffer has as many bytes as said.
    let code = unsafe {
        RegGetValueW(
            HKEY_LOCAL_MACHINE,
            wide_key.as_ptr(),
            wide_value.as_ptr(),
            RRF_RT_REG_SZ,
            ptr::null_mut(),
            units.as_mut_ptr().cast(),
            &mut bytes,
        )
    };
    match code {
        ERROR_FILE_NOT_FOUND => Ok(None),
        code => {
            check_win32("RegGetValueW", Path::new(key), code)?;
            Ok(Some(from_wide(&units).to_string_lossy().into_owned()))
        }
    }
}

/// The names of the values of a key; none where it is not there.
pub(super) fn value_names(key: &str) -> Result<Vec<String>> {
    let Some(opened) = Key::open(key)? else {
        return Ok(Vec::new());
    };
    opened.names(key, "RegEnumValueW", |key, index, name, length| {
        // SAFETY: the key is open, and the buffer has as many units as said.
        unsafe {
            RegEnumValueW(
                key,
                index,
                name,
                length,
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        }
    })
}

/// The names of the keys below a key; none where it is not there.
pub(super) fn key_names(key: &str) -> Result<Vec<String>> {
    let Some(opened) = Key::open(key)? else {
        return Ok(Vec::new());
    };
    opened.names(key, "RegEnumKeyExW", |key, index, name, length| {
        // SAFETY: the key is open, and the buffer has as many units as said.
        unsafe {
            RegEnumKeyExW(
                key,
                index,
                name,
                length,
                ptr::null(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
            )
        }
    })
}

/// An open key.
struct Key(HKEY);

impl Key {
    fn open(path: &str) -> Result<Option<Self>> {
        let wide_path = wide(path);
        let mut key = ptr::null_mut();
        // SAFETY: the string ends with a NUL and outlives the call; the handle is ours to write.
        let code = unsafe {
            RegOpenKeyExW(
                HKEY_LOCAL_MACHINE,
                wide_path.as_ptr(),
                0,
                KEY_READ,
                &mut key,
            )
        };
        match code {
            ERROR_FILE_NOT_FOUND => Ok(None),
            code => check_win32("RegOpenKeyExW", Path::new(path), code).map(|()| Some(Self(key))),
        }
    }

    /// Calls `next` with rising indexes until there are no more names.
    fn names(
        &self,
        path: &str,
        call: &'static str,
        next: impl Fn(HKEY, u32, *mut u16, *mut u32) -> u32,
    ) -> Result<Vec<String>> {
        let mut buffer = vec![0u16; LONGEST_NAME];
        let mut names = Vec::new();
        for index in 0.. {
            let mut length = LONGEST_NAME as u32;
            match next(self.0, index, buffer.as_mut_ptr(), &mut length) {
                ERROR_NO_MORE_ITEMS => break,
                // A name that came while we were reading; whoever reads again sees it.
                ERROR_MORE_DATA => continue,
                code => check_win32(call, Path::new(path), code)?,
            }
            names.push(from_wide(&buffer).to_string_lossy().into_owned());
        }
        Ok(names)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // SAFETY: opened by us, and not used after.
        unsafe { RegCloseKey(self.0) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion";

    #[test]
    fn values_and_keys_are_read() {
        let text = text(VERSION, "CurrentBuild").unwrap().unwrap();
        assert!(text.parse::<u32>().is_ok(), "{text}");
        let names = value_names(VERSION).unwrap();
        assert!(names.iter().any(|name| name == "CurrentBuild"), "{names:?}");
        let keys = key_names(r"SYSTEM\CurrentControlSet\Services").unwrap();
        assert!(!keys.is_empty());
    }

    #[test]
    fn what_is_not_there_is_none() {
        assert_eq!(number(VERSION, "No such value").unwrap(), None);
        assert_eq!(super::text(r"SOFTWARE\No such key", "a").unwrap(), None);
        assert!(value_names(r"SOFTWARE\No such key").unwrap().is_empty());
        assert!(key_names(r"SOFTWARE\No such key").unwrap().is_empty());
    }

    #[test]
    fn a_value_of_another_type_is_an_error() {
        let error = number(VERSION, "CurrentBuild").unwrap_err();
        assert_eq!(error.call(), "RegGetValueW");
    }
}
