//! What `winlayer` does on Windows, with doubles in place of the container platform.

#![cfg(windows)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::{Answer, Place, answer};
use std::fs;
use winlayer_testkit::Doubles;

/// A place with the sample image, and a platform.
struct Scene {
    place: Place,
    doubles: Doubles,
}

impl Scene {
    fn new() -> Self {
        Self::failing("")
    }

    fn failing(rules: &str) -> Self {
        Self {
            place: Place::with_sample(),
            doubles: Doubles::new().failing(rules),
        }
    }

    fn winlayer(&self, arguments: &[&str]) -> Answer {
        answer(self.doubles.apply(&mut self.place.command(arguments)))
    }

    /// Unpacks the sample and tells the folders of its layers, topmost first.
    fn unpacked(&self) -> Vec<String> {
        let unpack = ["unpack", "--json", "oci:image", "store", "--to", "hcs"];
        let document = self.winlayer(&unpack).succeeds().json();
        let chain = document["chain"].as_array().unwrap();
        let path = |link: &serde_json::Value| link["path"].as_str().unwrap().to_owned();
        chain.iter().map(path).collect()
    }

    /// What lies in a folder of the store.
    fn number_in(&self, folder: &str) -> usize {
        fs::read_dir(self.place.path(folder)).map_or(0, Iterator::count)
    }
}

#[test]
fn a_layer_goes_from_the_image_to_a_mounted_scratch_and_out_again() {
    let scene = Scene::new();
    let layers = scene.unpacked();
    assert_eq!(layers.len(), 3);
    let scratch = [
        "layer",
        "create-scratch",
        "scratch",
        "--size",
        "40GiB",
        "--utility-vm",
        "-p",
        &layers[0],
    ];
    scene.winlayer(&scratch).succeeds();
    assert!(scene.place.exists("scratch/sandbox.vhdx"));
    assert!(scene.place.exists("scratch/vm/sandbox.vhdx"));

    let mounted = ["layer", "mount", "scratch", "--json", "-p", &layers[0]];
    let volume = scene.winlayer(&mounted).succeeds().json();
    let volume = volume["volume"]
        .as_str()
        .unwrap_or_else(|| panic!("{volume}"))
        .to_owned();
    let ini = fs::read(format!(r"{volume}Windows\win.ini"));
    assert!(ini.is_ok(), "{volume}: {ini:?}");
    scene.winlayer(&["layer", "unmount", "scratch"]).succeeds();

    for compression in ["--gzip", "--zstd"] {
        let export = ["layer", "export", &layers[0], "layer.tar", compression];
        scene.winlayer(&export).succeeds();
        fs::remove_file(scene.place.path("layer.tar")).unwrap();
    }
    scene.winlayer(&["layer", "destroy", "scratch"]).succeeds();
    assert!(!scene.place.exists("scratch"));
    let lain_on = scene.winlayer(&["layer", "destroy", &layers[2]]).fails(1);
    assert!(lain_on.stderr.contains("hint: "), "{lain_on:#?}");
    scene.doubles.assert_clean();
}

#[test]
fn folders_made_elsewhere_are_finished_once() {
    let scene = Scene::new();
    let unpack = ["unpack", "oci:image", "folders", "--to", "folder"];
    scene.winlayer(&unpack).succeeds();
    let import = ["layer", "import", "folders", "store", "--json"];
    let first = scene.winlayer(&import).succeeds().json();
    let calls = scene.doubles.story();
    assert_eq!(
        calls.iter().filter(|name| *name == "ImportLayer").count(),
        2,
        "{calls:?}"
    );
    scene.doubles.clear();
    let again = scene.winlayer(&import).succeeds().json();
    assert_eq!(first["chain"], again["chain"]);
    assert_eq!(scene.doubles.story(), Vec::<String>::new());
    scene.doubles.assert_clean();
}

#[test]
fn the_newer_functions_finish_layers_too() {
    let scene = Scene::new();
    let unpack = ["unpack", "oci:image", "store", "--to", "hcs"];
    let family = ["--hcs-family", "computestorage"];
    scene.winlayer(&[&unpack[..], &family].concat()).succeeds();
    let calls = scene.doubles.story();
    let number = |name: &str| calls.iter().filter(|call| *call == name).count();
    assert_eq!(number("HcsImportLayer"), 2, "{calls:?}");
    // The base, and the utility VMs of the base and of the layer that changes it.
    assert_eq!(number("HcsSetupBaseOSLayer"), 3, "{calls:?}");
    assert_eq!(number("ImportLayer"), 0, "{calls:?}");
    scene.doubles.assert_clean();
}

#[test]
fn a_folder_of_files_becomes_a_base_layer() {
    let scene = Scene::new();
    let config = scene.place.path("base/Files/Windows/System32/config");
    fs::create_dir_all(config).unwrap();
    scene.winlayer(&["layer", "make-base", "base"]).succeeds();
    assert!(scene.place.exists("base/blank.vhdx"));
    scene.doubles.assert_clean();
}

#[test]
fn what_the_platform_refuses_is_named_explained_and_cleaned_up() {
    let scene = Scene::failing("ImportLayer=0x80070003");
    let answer = scene
        .winlayer(&["unpack", "oci:image", "store", "--to", "hcs"])
        .fails(1);
    for words in ["layer 2 of 3", "ImportLayer", "0x80070003", "hint: "] {
        assert!(answer.stderr.contains(words), "{answer:#?}");
    }
    assert_eq!(scene.number_in("store/layers"), 1, "the base stays");
    assert_eq!(scene.number_in("store/ingest"), 0);
}

#[test]
fn what_the_newer_functions_refuse_is_named_and_explained() {
    let mut scene = Scene::new();
    let layers = scene.unpacked();
    let top = layers[0].rsplit('\\').next().unwrap();
    let newer = ["--hcs-family", "computestorage"];
    let scratch = ["layer", "create-scratch", "scratch", "-p", &layers[0]];
    let mount = ["layer", "mount", "scratch"];
    scene.winlayer(&[&scratch[..], &newer].concat()).succeeds();
    for (rules, arguments, words) in [
        (
            "OpenVirtualDisk=32",
            &mount[..],
            ["sandbox.vhdx", "in use by a virtual machine"],
        ),
        (
            "HcsAttachLayerStorageFilter=0x80070001",
            &mount,
            ["scratch", "a file-system filter driver"],
        ),
        (
            "HcsExportLayer=0x80070003!",
            &["layer", "export", &layers[0], "layer.tar"],
            [top, "a parent layer is not where it was finished"],
        ),
        (
            "HcsDestroyLayer=0x80070020",
            &["layer", "destroy", "scratch"],
            ["scratch", "another process has the file open"],
        ),
    ] {
        scene.doubles.fail(rules);
        let answer = scene.winlayer(&[arguments, &newer].concat()).fails(1);
        let call = rules.split('=').next().unwrap();
        for words in [call, words[0], words[1], "hint: "] {
            assert!(answer.stderr.contains(words), "{rules}: {answer:#?}");
        }
    }
    assert!(!scene.place.exists("layer.tar"));
    assert!(scene.place.exists("scratch/sandbox.vhdx"));
    scene.doubles.fail("");
    for arguments in [
        &mount[..],
        &["layer", "unmount", "scratch"],
        &["layer", "destroy", "scratch"],
    ] {
        scene.winlayer(&[arguments, &newer].concat()).succeeds();
    }
    assert!(!scene.place.exists("scratch"));
}

#[test]
fn the_self_test_passes() {
    let scene = Scene::new();
    let answer = scene.winlayer(&["selftest", "--dest", "try"]).succeeds();
    assert!(answer.stdout.contains("all went well"), "{answer:#?}");
    for step in [
        "mount the scratch",
        "compare what the exported layers make",
        "import the layer folders",
    ] {
        assert!(answer.stdout.contains(step), "{answer:#?}");
    }
    assert_eq!(scene.number_in("try"), 0);
    scene.doubles.assert_clean();
}
