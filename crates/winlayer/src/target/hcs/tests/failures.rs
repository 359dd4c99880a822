//! Each call fails once: nothing half-made stays, and the platform is left alone.

use super::*;

/// Unpacks with failing calls; gives the error. Nothing may be left but the `finished` layers.
#[track_caller]
fn fails(rules: &str, finished: usize) -> (Place, String) {
    let place = Place::with(Doubles::new().failing(rules));
    let error = place.unpack(&[base(), diff()]).unwrap_err();
    assert_eq!(place.leftovers(), Vec::<String>::new(), "{error}");
    let layers = fs::read_dir(place.store().join("layers")).map_or(0, Iterator::count);
    assert_eq!(layers, finished, "{error}");
    let broken = place.doubles.violations();
    assert!(broken.is_empty(), "{broken:?}");
    (place, error)
}

#[test]
fn when_the_base_cannot_be_finished() {
    let (place, error) = fails("ProcessBaseImage=0x80070003", 0);
    assert!(error.contains("ProcessBaseImage"), "{error}");
    assert!(error.contains("0x80070003"), "{error}");
    assert_eq!(place.doubles.story(), ["ProcessBaseImage", "DestroyLayer"]);
    assert!(!place.store().exists(), "a store without layers goes too");
}

#[test]
fn when_it_fails_after_its_effect() {
    fails("ProcessBaseImage=0x80070005!", 0);
    fails("ImportLayer=0x80070005!", 1);
    fails("ProcessUtilityImage=0x80070005@2!", 1);
}

#[test]
fn when_the_utility_vm_cannot_be_finished() {
    let (place, _) = fails("ProcessUtilityImage=0x80070005@1", 0);
    assert_eq!(
        place.doubles.story(),
        ["ProcessBaseImage", "ProcessUtilityImage", "DestroyLayer"]
    );
}

#[test]
fn when_the_import_fails() {
    let (place, error) = fails("ImportLayer=0x80070003", 1);
    assert!(error.starts_with("Failed layer 2 of 2 (sha256:"), "{error}");
    let story = place.doubles.story();
    assert_eq!(story[2..], ["ImportLayer", "DestroyLayer"]);
}

#[test]
fn when_a_stream_is_refused() {
    // The first is that of a directory, later ones of files on other threads.
    for turn in [1, 4, 9] {
        let (place, error) = fails(&format!("BackupWrite=13@{turn}"), 0);
        assert!(error.contains("cannot write "), "{error}");
        // What a diagnosis of the machine has to explain is found below the layer's own words.
        assert!(error.contains("[Some(\"BackupWrite\")]"), "{error}");
        assert_eq!(place.doubles.story(), Vec::<String>::new());
    }
}

#[test]
fn when_even_removing_fails() {
    fails("ImportLayer=0x80070003;DestroyLayer=0x80070005", 1);
}

#[test]
fn a_layer_with_wrong_bytes_never_reaches_the_platform() {
    let place = Place::new();
    let tar = crate::testing::tar(&base());
    let wrong = winlayer_digest::DiffId::new(winlayer_digest::Digest::of(b"something else"));
    let image = place.path("image");
    crate::testing::image_of_tars(&image, &[tar], &[wrong]);
    let error = place
        .run(&["unpack", text(&image), text(&place.store())])
        .unwrap_err();
    assert!(error.starts_with("Verification"), "{error}");
    assert_eq!(place.doubles.story(), Vec::<String>::new());
    assert_eq!(place.leftovers(), Vec::<String>::new());
}

#[test]
fn what_a_killed_run_left_is_destroyed_by_the_next() {
    let place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    // As if it had been killed before the last step.
    fs::remove_file(top.join("layer.json")).unwrap();
    place.doubles.clear();
    let again = place
        .run(&["unpack", text(&place.path("image")), text(&place.store())])
        .unwrap();
    assert_eq!(PathBuf::from(again), top);
    place.doubles.assert_clean();
    assert_eq!(
        place.doubles.story(),
        ["DestroyLayer", "ImportLayer", "ProcessUtilityImage"]
    );
}

/// What a scratch on the layer `top` is made with.
fn scratch_words<'a>(scratch: &'a Path, chain: &'a [crate::ChainLink]) -> Vec<&'a str> {
    let parents = chain.iter().map(|link| text(&link.path));
    ["scratch", text(scratch)]
        .into_iter()
        .chain(parents)
        .collect()
}

#[test]
fn when_any_call_for_a_scratch_fails() {
    let mut place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let chain = crate::LayerChain::from_layer_folder(&top).unwrap().layers;
    let scratch = place.path("scratch");
    let words = scratch_words(&scratch, &chain);
    for call in ["NameToGuid", "CreateSandboxLayer", "ExpandSandboxSize"] {
        place.fail(&format!("{call}=0x80070005"));
        let error = place.run(&words).unwrap_err();
        assert!(error.contains(call), "{error}");
        assert!(!scratch.exists(), "{call}");
    }
    place.fail("");
    place.run(&words).unwrap();
    let [mount, unmount, destroy] =
        ["mount", "unmount", "destroy"].map(|word| [word, text(&scratch)]);
    for call in ["ActivateLayer", "PrepareLayer", "GetLayerMountPath"] {
        place.fail(&format!("{call}=0x80070005"));
        let error = place.run(&mount).unwrap_err();
        assert!(error.contains(call), "{error}");
        place.fail("");
        // Nothing is mounted that would be in the way.
        place.run(&mount).unwrap();
        place.run(&unmount).unwrap();
    }
    place.run(&mount).unwrap();
    for call in ["UnprepareLayer", "DeactivateLayer"] {
        place.fail(&format!("{call}=0x80070005!"));
        let error = place.run(&unmount).unwrap_err();
        assert!(error.contains(call), "{error}");
        place.fail("");
        place.run(&mount).unwrap();
    }
    place.run(&unmount).unwrap();
    place.fail("DestroyLayer=0x80070005");
    let error = place.run(&destroy).unwrap_err();
    assert!(error.contains("DestroyLayer"), "{error}");
    place.fail("");
    place.run(&destroy).unwrap();
    assert!(!scratch.exists());
}

#[test]
fn when_a_call_for_an_export_fails() {
    let mut place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let file = place.path("exported.tar");
    for rules in ["ExportLayer=0x80070005", "BackupRead=5@3"] {
        place.fail(rules);
        let error = place.run(&["export", text(&top), text(&file)]).unwrap_err();
        let call = rules.split('=').next().unwrap();
        assert!(error.contains(call), "{error}");
    }
    place.fail("");
    place.run(&["export", text(&top), text(&file)]).unwrap();
}

#[test]
fn when_any_of_the_newer_functions_fails() {
    let mut place = Place::new();
    let image = place.image(&[base(), diff()]);
    let store = place.store();
    for (call, finished) in [
        ("HcsFormatWritableLayerVhd", 0),
        ("HcsSetupBaseOSLayer", 0),
        ("CreateVirtualDisk", 0),
        ("AttachVirtualDisk", 0),
        ("DetachVirtualDisk", 0),
        ("HcsImportLayer", 1),
    ] {
        place.fail(&format!("{call}=0x80070005"));
        let words = ["newer", "unpack", text(&image), text(&store)];
        let error = place.run(&words).unwrap_err();
        assert!(error.contains(call), "{error}");
        assert_eq!(place.leftovers(), Vec::<String>::new(), "{call}");
        let layers = fs::read_dir(store.join("layers")).map_or(0, Iterator::count);
        assert_eq!(layers, finished, "{call}");
    }
}

const DISK: &str = r"scratch\sandbox.vhdx";
const IN_USE: &str = "the virtual disk is still mounted or in use by a virtual machine";
const NOT_MOUNTED: &str = "the layer is not mounted";

impl Place {
    /// Runs a job by the newer functions.
    fn newer(&self, words: &[&str]) -> Result<String, String> {
        self.run(&[&["newer"], words].concat())
    }

    /// The same with the call that `rules` begin with failing. The error names it, the path it was
    /// for, of which `path` is the end, and what the code means.
    #[track_caller]
    fn newer_fails(&mut self, words: &[&str], rules: &str, path: &str, meaning: &str) {
        self.fail(rules);
        let error = self.newer(words).unwrap_err();
        let call = rules.split('=').next().unwrap();
        assert!(error.contains(&format!("{call} ")), "{rules}: {error}");
        let said = format!("{path} failed: {meaning}");
        assert!(error.contains(&said), "{rules}: {error}");
        assert_eq!(self.leftovers(), Vec::<String>::new(), "{rules}");
        self.fail("");
    }
}

#[test]
fn when_any_of_the_newer_functions_for_a_scratch_fails() {
    let mut place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let chain = crate::LayerChain::from_layer_folder(&top).unwrap().layers;
    let scratch = place.path("scratch");
    let words = scratch_words(&scratch, &chain);
    for (rules, meaning) in [
        ("OpenVirtualDisk=32", IN_USE),
        ("HcsGetLayerVhdMountPath=0x80070490", NOT_MOUNTED),
        (
            "HcsGetLayerVhdMountPath=0x80070490;HcsDestroyLayer=0x80070005",
            NOT_MOUNTED,
        ),
    ] {
        place.newer_fails(&words, rules, DISK, meaning);
        assert!(!scratch.exists(), "{rules}");
    }
    // It ends with the handle.
    place.fail("DetachVirtualDisk=32");
    place.newer(&words).unwrap();
    place.fail("");

    let [mount, unmount, destroy] =
        ["mount", "unmount", "destroy"].map(|word| [word, text(&scratch)]);
    for (rules, path, meaning) in [
        // Before the disk is attached, between that and the filter, after the filter.
        ("OpenVirtualDisk=32", DISK, IN_USE),
        ("OpenVirtualDisk=32@2", DISK, IN_USE),
        ("OpenVirtualDisk=32@3", DISK, IN_USE),
        ("HcsGetLayerVhdMountPath=0x80070490", DISK, NOT_MOUNTED),
        ("HcsGetLayerVhdMountPath=0x80070490@2", DISK, NOT_MOUNTED),
        (
            "HcsAttachLayerStorageFilter=0x80070001",
            "scratch",
            "a file-system filter driver that container layers do not work with is in the way",
        ),
    ] {
        place.newer_fails(&mount, rules, path, meaning);
        // Nothing is mounted that would be in the way.
        place.newer(&mount).unwrap();
        place.newer(&unmount).unwrap();
    }
    for (rules, path, meaning) in [
        (
            "HcsDetachLayerStorageFilter=0x80370105!",
            "scratch",
            "not possible in the state it is in",
        ),
        ("DetachVirtualDisk=32!", DISK, IN_USE),
    ] {
        place.newer(&mount).unwrap();
        place.newer_fails(&unmount, rules, path, meaning);
    }
    place.doubles.assert_clean();

    // Tried twice, with the disk detached in between should that be in the way: here it is not attached.
    let open = "another process has the file open";
    place.newer_fails(&destroy, "HcsDestroyLayer=0x80070020", "scratch", open);
    assert!(scratch.join("sandbox.vhdx").exists());
    place.newer(&destroy).unwrap();
    assert!(!scratch.exists());
}

#[test]
fn when_the_newer_function_for_an_export_fails() {
    let mut place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let file = place.path("exported.tar");
    let words = ["export", text(&top), text(&file)];
    let layer = top.file_name().unwrap().to_str().unwrap();
    let meaning = "a parent layer is not where it was finished, or the path is too long";
    for rules in ["HcsExportLayer=0x80070003", "HcsExportLayer=0x80070003!"] {
        place.newer_fails(&words, rules, layer, meaning);
    }
    place.newer(&words).unwrap();
    assert_eq!(place.leftovers(), Vec::<String>::new());
    place.doubles.assert_clean();
}
