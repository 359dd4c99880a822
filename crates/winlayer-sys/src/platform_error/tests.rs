use super::*;

fn hresult(call: &'static str, code: u32) -> PlatformError {
    PlatformError::new(call, r"C:\layers\a", PlatformCode::HResult(code))
}

#[test]
fn says_which_call_failed_on_what_what_it_means_and_what_helps() {
    let error = hresult("ImportLayer", 0x8007_0003);
    assert_eq!(
        error.to_string(),
        r"ImportLayer C:\layers\a failed: a parent layer is not where it was finished, or the path is too long (ERROR_PATH_NOT_FOUND) (0x80070003)"
    );
    assert!(error.remedy().unwrap().starts_with("do not move or rename"));
    assert_eq!(error.win32(), Some(3));
    assert_eq!(error.io_kind(), io::ErrorKind::NotFound);
}

#[test]
fn the_same_code_means_different_things_to_different_calls() {
    let import = hresult("ImportLayer", 0x8007_0002).meaning();
    let process = hresult("ProcessBaseImage", 0x8007_0002).meaning();
    let destroy = hresult("DestroyLayer", 0x8007_0002).meaning();
    assert!(import != process && process != destroy && import != destroy);
    assert!(hresult("PrepareLayer", 0x8007_0001).remedy().is_some());
    assert!(hresult("DestroyLayer", 0x8007_0001).remedy().is_none());
}

#[test]
fn only_results_of_facility_win32_have_a_win32_code() {
    assert_eq!(PlatformCode::HResult(0x8007_048f).win32(), Some(1167));
    assert_eq!(PlatformCode::HResult(0x8037_0112).win32(), None);
    assert_eq!(PlatformCode::HResult(0x8000_4005).win32(), None);
    // The customer and N bits do not matter (hcsshim interop.go).
    assert_eq!(PlatformCode::HResult(0xa007_0005).win32(), Some(5));
}

#[test]
fn both_spellings_of_a_host_compute_code_are_known() {
    let documented = hresult("HcsImportLayer", 0x8037_0112);
    let event = hresult("HcsImportLayer", 0xc037_0112);
    assert!(documented.meaning().unwrap().contains("format"));
    assert_eq!(documented.meaning(), event.meaning());
    assert_eq!(documented.remedy(), event.remedy());
    // Low halves are not compared across facilities: 0x112 is no Win32 code of ours.
    assert_eq!(hresult("HcsImportLayer", 0x8007_0112).meaning(), None);
}

#[test]
fn statuses_have_the_code_windows_gives_them() {
    let code = |status| PlatformCode::NtStatus(status).win32();
    assert_eq!(code(0xc000_0034), Some(2));
    assert_eq!(code(0xc000_003a), Some(3));
    assert_eq!(code(0xc000_0035), Some(183));
    assert_eq!(code(0xc000_050b), Some(4395));
    let error = PlatformError::new("NtCreateFile", "a", PlatformCode::NtStatus(0xc000_050b));
    assert!(error.to_string().contains("NTSTATUS 0xC000050B"), "{error}");
}

#[test]
fn a_missing_library_or_function_names_the_feature_to_install() {
    for (name, words) in [
        ("vmcompute.dll", "Enable-WindowsOptionalFeature"),
        ("VMCOMPUTE.DLL", "Enable-WindowsOptionalFeature"),
        ("computestorage.dll", "1809"),
        ("virtdisk.dll", "Nano Server"),
    ] {
        let error = PlatformError::new("LoadLibraryExW", name, PlatformCode::Win32(126));
        assert!(error.is_missing_function());
        assert_eq!(error.io_kind(), io::ErrorKind::Unsupported);
        assert!(error.remedy().unwrap().contains(words), "{error}");
    }
    let name = "computestorage.dll!HcsSetupBaseOSVolume";
    let error = PlatformError::new("GetProcAddress", name, PlatformCode::Win32(127));
    assert!(error.remedy().unwrap().contains("later Windows"), "{error}");
    assert!(error.to_string().contains(name), "{error}");
}

#[test]
fn every_row_can_be_found_and_reads_as_a_fragment() {
    for (at, row) in tables::rows().iter().enumerate() {
        let call = row.calls.first().copied().unwrap_or("AnyOtherCall");
        let found = tables::find(call, row.key).unwrap();
        assert!(std::ptr::eq(found, row), "row {at} is hidden: {row:?}");
        for text in [Some(row.meaning), row.remedy].into_iter().flatten() {
            assert!(!text.ends_with('.') && !text.contains("  "), "{text}");
        }
        assert!(
            row.meaning.starts_with(
                |first: char| first.is_lowercase() || row.meaning.starts_with("Hyper-V")
            ),
            "{}",
            row.meaning
        );
    }
}

#[test]
fn an_unknown_code_is_shown_as_it_is() {
    let error = hresult("ImportLayer", 0x8000_4005);
    assert_eq!(error.meaning(), None);
    assert_eq!(
        error.to_string(),
        r"ImportLayer C:\layers\a failed: an error without a description (0x80004005)"
    );
}

#[test]
fn control_characters_of_names_are_escaped() {
    let error = PlatformError::new("ImportLayer", "a\x1b[31mb\n", PlatformCode::Win32(5));
    assert!(!error.to_string().chars().any(char::is_control), "{error}");
}
