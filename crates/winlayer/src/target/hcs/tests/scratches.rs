//! Scratches, and base layers made of folders.

use super::*;

#[test]
fn a_scratch_is_made_mounted_unmounted_and_destroyed() {
    let place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let chain = crate::LayerChain::from_layer_folder(&top).unwrap().layers;
    let parents: Vec<&str> = chain.iter().map(|link| text(&link.path)).collect();
    place.doubles.clear();
    let scratch = place.path("scratch");
    let words: Vec<&str> = ["scratch", text(&scratch)]
        .into_iter()
        .chain(parents)
        .collect();
    place.run(&words).unwrap();
    assert!(scratch.join("sandbox.vhdx").exists());
    assert!(scratch.join("vm/sandbox.vhdx").exists());
    let volume = place.run(&["mount", text(&scratch)]).unwrap();
    assert!(Path::new(&volume).is_dir(), "{volume}");
    place.run(&["unmount", text(&scratch)]).unwrap();
    place.run(&["destroy", text(&scratch)]).unwrap();
    assert!(!scratch.exists());
    place.doubles.assert_clean();
    let prepared = place.doubles.calls_of("PrepareLayer");
    assert_eq!(prepared[0].parents().len(), 2);
}

#[test]
fn an_unfinished_layer_is_no_parent() {
    let place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let bottom = crate::LayerChain::from_layer_folder(&top).unwrap().layers[1]
        .path
        .clone();
    fs::remove_file(top.join("layer.json")).unwrap();
    place.doubles.clear();
    let scratch = place.path("scratch");
    let words = ["scratch", text(&scratch), text(&top), text(&bottom)];
    let error = place.run(&words).unwrap_err();
    assert!(error.contains("was never finished"), "{error}");
    assert!(!scratch.exists());
    assert_eq!(place.doubles.story(), Vec::<String>::new());
}

#[test]
fn a_layer_that_others_lie_on_is_not_destroyed() {
    let place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let bottom = crate::LayerChain::from_layer_folder(&top).unwrap().layers[1]
        .path
        .clone();
    let error = place.run(&["destroy", text(&bottom)]).unwrap_err();
    assert!(error.contains("lies on"), "{error}");
    place.run(&["destroy", text(&top)]).unwrap();
    place.run(&["destroy", text(&bottom)]).unwrap();
    assert!(!bottom.exists());
    place.doubles.assert_clean();
}

#[test]
fn a_folder_becomes_a_base_layer_and_keeps_its_hives() {
    let place = Place::new();
    let folder = place.path("base");
    let config = folder.join(CONFIG);
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("SYSTEM"), "regf kept").unwrap();
    place.run(&["make-base", text(&folder)]).unwrap();
    assert_eq!(fs::read(config.join("SYSTEM")).unwrap(), b"regf kept");
    assert_eq!(fs::read(config.join("SAM")).unwrap().len(), 8192);
    assert!(folder.join("blank.vhdx").exists());
    assert_eq!(place.doubles.story(), ["ProcessBaseImage"]);
    place.doubles.assert_clean();
    let error = place
        .run(&["make-base", text(&place.path("scratch"))])
        .unwrap_err();
    assert!(error.contains("scratch"), "{error}");
}
