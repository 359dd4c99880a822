//! File-system filter drivers: antivirus, cloud drives, and the container platform's own.

use std::path::Path;

use windows_sys::{Win32::Foundation::HANDLE, core::HRESULT};

use super::{Result, registry, wine_version};
use crate::{
    PlatformCode, PlatformError,
    windows::library::{check_hresult, functions_of},
};

const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";
/// `FilterAggregateBasicInformation`: names and altitudes, of legacy filters too.
const AGGREGATE_BASIC: u32 = 1;
const NO_MORE_ITEMS: u32 = 259;

functions_of! {
    /// fltlib.dll, the filter manager. One filter a call.
    FltLib = "fltlib.dll";
    fn FilterFindFirst(
        class: u32, buffer: *mut u8, bytes: u32, returned: *mut u32, find: *mut HANDLE,
    ) -> HRESULT;
    fn FilterFindNext(
        find: HANDLE, class: u32, buffer: *mut u8, bytes: u32, returned: *mut u32,
    ) -> HRESULT;
    fn FilterFindClose(find: HANDLE) -> HRESULT;
}

/// A file-system filter driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterDriver {
    /// The name of its service, such as `WdFilter`.
    pub name: String,
    /// Its place in the stack, such as `328010`; not known from the registry.
    pub altitude: Option<String>,
    /// Its load order group, such as `FSFilter Anti-Virus`.
    pub group: Option<String>,
}

/// The filter drivers that are loaded. Where the filter manager does not tell, which it does
/// administrators only: those that are installed, from the registry.
pub fn filter_drivers() -> Result<Vec<FilterDriver>> {
    // Wine's functions of these names end the process.
    if wine_version().is_none()
        && let Ok(drivers) = loaded()
    {
        return Ok(drivers);
    }
    installed()
}

fn installed() -> Result<Vec<FilterDriver>> {
    const FILE_SYSTEM_DRIVER: u32 = 2;
    let mut drivers = Vec::new();
    for name in registry::key_names(SERVICES)? {
        let key = format!(r"{SERVICES}\{name}");
        // Services anybody may not read are none of these.
        if !matches!(registry::number(&key, "Type"), Ok(Some(FILE_SYSTEM_DRIVER))) {
            continue;
        }
        let group = registry::text(&key, "Group").ok().flatten();
        if group.as_ref().is_some_and(|group| is_filter_group(group)) {
            drivers.push(FilterDriver {
                name,
                altitude: None,
                group,
            });
        }
    }
    Ok(drivers)
}

/// Groups of filters are called so, from `FSFilter Top` to `FSFilter Bottom`.
fn is_filter_group(group: &str) -> bool {
    let start = group.get(.."FSFilter".len());
    start.is_some_and(|start| start.eq_ignore_ascii_case("FSFilter"))
}

fn loaded() -> Result<Vec<FilterDriver>> {
    const CALL: &str = "FilterFindFirst";
    let library = FltLib::load()?;
    let (first, next, close) = (
        library.FilterFindFirst()?,
        library.FilterFindNext()?,
        library.FilterFindClose()?,
    );
    let no_more =
        |code: HRESULT| PlatformCode::HResult(code.cast_unsigned()).win32() == Some(NO_MORE_ITEMS);
    let mut drivers = Vec::new();
    // Words, for the structure is aligned so.
    let mut words = vec![0u64; 512];
    let bytes = size_of_val(words.as_slice()) as u32;
    let (mut returned, mut find) = (0, std::ptr::null_mut());
    // SAFETY: the buffer has as many bytes as said, and the numbers are ours to write.
    let mut code = unsafe {
        first(
            AGGREGATE_BASIC,
            words.as_mut_ptr().cast(),
            bytes,
            &mut returned,
            &mut find,
        )
    };
    if no_more(code) {
        return Ok(drivers);
    }
    check_hresult(CALL, Path::new(""), code)?;
    while code >= 0 {
        let record: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        if let Some(driver) = parse(record.get(..returned as usize).unwrap_or(&record)) {
            drivers.push(with_group(driver));
        }
        // SAFETY: as above, and the search is open.
        code = unsafe {
            next(
                find,
                AGGREGATE_BASIC,
                words.as_mut_ptr().cast(),
                bytes,
                &mut returned,
            )
        };
    }
    // SAFETY: the search is open, and not used after.
    unsafe { close(find) };
    if no_more(code) {
        return Ok(drivers);
    }
    let code = PlatformCode::HResult(code.cast_unsigned());
    Err(PlatformError::new("FilterFindNext", "", code))
}

/// `FILTER_AGGREGATE_BASIC_INFORMATION` (fltUserStructures.h): u32 NextEntryOffset @0, u32 Flags @4
/// (1 a minifilter, 2 a legacy one); of a minifilter then u32 FrameID @8, u32 NumberOfInstances @12,
/// and lengths in bytes and offsets of name @16 @18 and altitude @20 @22; of a legacy filter length
/// and offset of the name @8 @10.
fn parse(record: &[u8]) -> Option<FilterDriver> {
    let half = |at: usize| {
        let bytes = record.get(at..)?.first_chunk()?;
        Some(u16::from_le_bytes(*bytes).into())
    };
    let text = |length_at: usize| -> Option<String> {
        let (length, start): (usize, usize) = (half(length_at)?, half(length_at + 2)?);
        let (units, _) = record.get(start..start + length)?.as_chunks::<2>();
        let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        Some(String::from_utf16_lossy(&units))
    };
    let is_legacy = half(4)? & 1 == 0;
    Some(FilterDriver {
        name: text(if is_legacy { 8 } else { 16 })?,
        altitude: if is_legacy { None } else { text(20) },
        group: None,
    })
}

fn with_group(driver: FilterDriver) -> FilterDriver {
    let key = format!(r"{SERVICES}\{}", driver.name);
    let group = registry::text(&key, "Group").ok().flatten();
    FilterDriver { group, ..driver }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn a_minifilter_has_a_name_and_an_altitude() {
        let mut record = vec![0; 24];
        record[4] = 1;
        record[16..24].copy_from_slice(&[16, 0, 24, 0, 12, 0, 40, 0]);
        record.extend(utf16("WdFilter328010"));
        let driver = parse(&record).unwrap();
        assert_eq!(driver.name, "WdFilter");
        assert_eq!(driver.altitude.as_deref(), Some("328010"));
    }

    #[test]
    fn a_legacy_filter_has_a_name() {
        let mut record = vec![0; 12];
        record[4] = 2;
        record[8..12].copy_from_slice(&[6, 0, 12, 0]);
        record.extend(utf16("cbf"));
        let driver = parse(&record).unwrap();
        assert_eq!((driver.name.as_str(), driver.altitude), ("cbf", None));
    }

    #[test]
    fn a_record_cut_short_is_nothing() {
        let mut record = [0; 24];
        record[4] = 1;
        record[16..24].copy_from_slice(&[255, 255, 255, 255, 12, 0, 40, 0]);
        for length in 0..=record.len() {
            assert_eq!(parse(&record[..length]), None);
        }
    }

    #[test]
    fn drivers_are_listed_one_way_or_the_other() {
        filter_drivers().unwrap();
        assert!(is_filter_group("FSFilter Anti-Virus") && is_filter_group("fsfilter top"));
        assert!(!is_filter_group("Network") && !is_filter_group(""));
    }
}
