//! Folders made elsewhere become finished layers, and finished layers become tars again.

use super::*;
use crate::export::tests::contents;

/// A store as it was, without what names the store's place.
pub(super) fn layers_of(store: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = snapshot(&store.join("layers"));
    found.retain(|(path, _)| !path.ends_with("layerchain.json") && !path.ends_with(".vhdx"));
    found
}

#[test]
fn an_imported_folder_is_the_layer_an_unpack_makes() {
    let place = Place::new();
    place.unpack(&[base(), diff()]).unwrap();
    let unpacked = layers_of(&place.store());
    let moved = place.path("moved elsewhere");
    let top = place.folders();
    fs::rename(place.path("folders"), &moved).unwrap();
    let top = moved.join("layers").join(top.file_name().unwrap());
    place.doubles.clear();
    let other = place.path("other");
    let done = place.run(&["import", text(&top), text(&other)]).unwrap();
    assert_eq!(done, "2 2");
    place.doubles.assert_clean();
    assert_eq!(
        place.doubles.story(),
        [
            "ProcessBaseImage",
            "ProcessUtilityImage",
            "ImportLayer",
            "ProcessUtilityImage"
        ]
    );
    let imported = layers_of(&other);
    let names = |layers: &[(String, Option<Vec<u8>>)]| -> Vec<String> {
        layers.iter().map(|(name, _)| name.clone()).collect()
    };
    assert_eq!(names(&imported), names(&unpacked));
    for (imported, unpacked) in imported.iter().zip(&unpacked) {
        // Lines of what is not the layer's own keep the order of the folder.
        if !imported.0.ends_with("layer-index.jsonl") {
            assert_eq!(imported, unpacked);
        }
    }
    let again = place.run(&["import", text(&top), text(&other)]).unwrap();
    assert_eq!(again, "0 2");
}

#[test]
fn a_damaged_folder_is_not_imported() {
    let place = Place::new();
    place.image(&[base(), diff()]);
    let top = place.folders();
    let file = top.join("Files/Data/new");
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = place
        .run(&["import", text(&top), text(&place.store())])
        .unwrap_err();
    assert!(error.contains("expected CRC-32"), "{error}");
    assert!(error.starts_with("Verification"), "{error}");
    assert_eq!(place.leftovers(), Vec::<String>::new());
    assert!(place.doubles.calls_of("ImportLayer").is_empty());
}

#[test]
fn a_folder_whose_parent_is_missing_is_not_imported() {
    let place = Place::new();
    place.image(&[base(), diff()]);
    let top = place.folders();
    let alone = place.path("alone");
    fs::rename(&top, &alone).unwrap();
    fs::remove_dir_all(place.path("folders")).unwrap();
    let error = place
        .run(&["import", text(&alone), text(&place.store())])
        .unwrap_err();
    assert!(error.starts_with("NotFound"), "{error}");
    assert_eq!(place.doubles.story(), Vec::<String>::new());
}

#[test]
fn an_exported_layer_unpacks_to_the_same_layer() {
    let place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let bottom = crate::LayerChain::from_layer_folder(&top).unwrap().layers[1]
        .path
        .clone();
    let tars = ["top.tar", "top again.tar", "base.tar"].map(|name| place.path(name));
    for (layer, tar) in [&top, &top, &bottom].into_iter().zip(&tars) {
        place.run(&["export", text(layer), text(tar)]).unwrap();
    }
    place.doubles.assert_clean();
    let [upper, again, lower] = tars.map(|tar| fs::read(tar).unwrap());
    assert!(contents(&upper) == contents(&again));

    let second = Place::new();
    let diff_ids =
        [&lower, &upper].map(|tar| winlayer_digest::DiffId::new(winlayer_digest::Digest::of(tar)));
    let image = second.path("image");
    crate::testing::image_of_tars(&image, &[lower.clone(), upper.clone()], &diff_ids);
    let top = second
        .run(&["unpack", text(&image), text(&second.store())])
        .unwrap();
    let vm = Path::new(&top).join("UtilityVM/Files");
    assert!(vm.join("ntdll.dll").exists());
    assert!(
        !vm.join("kernel32.dll").exists(),
        "deleted in the first place"
    );
    let tar = second.path("top.tar");
    second.run(&["export", &top, text(&tar)]).unwrap();
    second.doubles.assert_clean();
    let back = fs::read(tar).unwrap();
    assert!(contents(&back) == contents(&upper), "once around and back");
}
