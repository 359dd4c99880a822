//! Unpacks that succeed.

use std::collections::BTreeMap;

use super::*;

/// The stream each object below `layer` got, by its path there.
fn streams(place: &Place, layer: &str) -> BTreeMap<String, (Vec<u8>, DoubleCall)> {
    let mut streams = BTreeMap::new();
    for call in place.doubles.calls_of("BackupWrite") {
        let path = call.argument("path").replace('\\', "/");
        let Some((_, below)) = path.split_once(layer) else {
            continue;
        };
        streams.insert(below.to_owned(), (place.doubles.stream(&call), call));
    }
    streams
}

#[test]
fn a_base_layer_becomes_real_objects_and_is_finished() {
    let place = Place::new();
    let layer = place.unpack(&[base()]).unwrap();
    place.doubles.assert_clean();
    assert_eq!(
        place.doubles.story(),
        ["ProcessBaseImage", "ProcessUtilityImage"]
    );
    assert_eq!(place.leftovers(), Vec::<String>::new());
    assert_eq!(fs::read(layer.join("Files/Data/a")).unwrap(), b"a");
    assert_eq!(fs::read(layer.join("Files/zlink")).unwrap(), b"a");
    assert!(layer.join("blank.vhdx").exists());
    assert!(layer.join("UtilityVM/SystemTemplate.vhdx").exists());
    assert_eq!(
        fs::read(layer.join("bcd.bak")).unwrap(),
        b"regf of the base"
    );
    assert_eq!(
        LayerStore::open(&place.store()).unwrap().kind(),
        crate::StoreKind::Hcs
    );
}

/// What ImportLayer would read from a layer folder and what BackupWrite gets here are the same bytes,
/// but for the attribute word.
#[test]
fn streams_are_those_of_the_transport_format() {
    let place = Place::new();
    let layer = place.unpack(&[base()]).unwrap();
    let folder = place.folders();
    let ingest = format!("ingest/{}/", layer.file_name().unwrap().to_str().unwrap());
    let streams = streams(&place, &ingest);
    let mut compared = 0;
    for (path, content) in snapshot(&folder) {
        let path = path.replace('\\', "/");
        let object = path.strip_suffix(".$wcidirs$").unwrap_or(&path);
        let in_tree = object.starts_with("Files") || object.starts_with("UtilityVM");
        let Some(content) = content.filter(|_| in_tree && !object.ends_with("zlink")) else {
            continue;
        };
        let expected = content.get(4..).unwrap();
        let found = streams.get(object).map(|(bytes, _)| bytes.as_slice());
        assert_eq!(found.unwrap_or_default(), expected, "{object}");
        compared += 1;
    }
    assert_eq!(
        compared,
        base().len() - 2,
        "all but a stream and a hard link"
    );
    // Each stream is the object's only one: nothing is written twice.
    let writes = place.doubles.calls_of("BackupWrite");
    assert_eq!(writes.len(), streams.len());
    for (path, (bytes, call)) in &streams {
        // Small files in one call, large ones in pieces of 256 KiB.
        let expected = (bytes.len() as u64).div_ceil(1 << 18).max(1);
        assert_eq!(call.number("calls"), Some(expected), "{path}");
        assert!(call.flag("security"), "{path}");
    }
    // The index says the same of both, but for what the platform makes by itself.
    let [live, transport] = [&layer, &folder].map(|folder| {
        let text = fs::read_to_string(folder.join("layer-index.jsonl")).unwrap();
        let of_layer = |line: &&str| !line.contains("_Base\"") && !line.contains("\"layout\"");
        text.lines()
            .filter(of_layer)
            .map(str::to_owned)
            .collect::<Vec<_>>()
    });
    assert_eq!(live, transport);
    // So do the records, but for what the platform has yet to make of a folder.
    let [live, transport] = [&layer, &folder].map(|folder| {
        let text = fs::read(folder.join("layer.json")).unwrap();
        let mut record: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let unfinished = record.as_object_mut().unwrap().remove("unfinished");
        (record, unfinished.is_some())
    });
    assert_eq!(live.0, transport.0);
    assert_eq!((live.1, transport.1), (false, true));
}

#[test]
fn a_diff_layer_is_imported_completed_and_finished() {
    let place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
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
    let import = place.doubles.calls_of("ImportLayer").remove(0);
    assert!(import.argument("source").len() < text(&place.store()).len() + 25);
    assert_eq!(import.parents().len(), 1);
    assert_eq!(place.leftovers(), Vec::<String>::new());

    let data = |name: &str| fs::read(top.join("Files/Data").join(name)).ok();
    assert_eq!(data("new").as_deref(), Some(&b"new"[..]));
    assert_eq!(data("of-here").as_deref(), Some(&b"new"[..]));
    assert_eq!(data("of-below").as_deref(), Some(&b"a"[..]));
    assert_eq!(data("b"), None);
    assert!(!top.join("Files/Data/sub").exists());
    assert!(data("a").is_some(), "what the layer below has is there");

    // The utility VM: replaced, deleted, shared and copied.
    let vm = top.join("UtilityVM/Files");
    assert_eq!(fs::read(vm.join("ntdll.dll")).unwrap(), b"new code");
    assert!(!vm.join("kernel32.dll").exists());
    let boot = vm.join("EFI/Microsoft/Boot");
    assert_eq!(
        fs::read(boot.join("bootmgfw.efi")).unwrap(),
        b"boot manager"
    );
    assert!(
        fs::read(boot.join("BCD"))
            .unwrap()
            .starts_with(b"regf of the base")
    );
    let base = import.parents().remove(0);
    assert_eq!(
        fs::read(base.join("UtilityVM/Files/ntdll.dll")).unwrap(),
        b"code of the base"
    );
    let bcd = fs::read(base.join("UtilityVM/Files/EFI/Microsoft/Boot/BCD")).unwrap();
    let edits = String::from_utf8(bcd).unwrap().matches("edited").count();
    assert_eq!(edits, 1, "the layer above edits its own copy");
}

#[test]
fn parents_are_named_immediate_parent_first() {
    let place = Place::new();
    let layers = [
        base(),
        vec![dir("Files"), file("Files/1", "1")],
        vec![dir("Files"), file("Files/2", "2")],
        vec![dir("Files"), file("Files/3", "3")],
    ];
    let top = place.unpack(&layers).unwrap();
    place.doubles.assert_clean();
    let imports = place.doubles.calls_of("ImportLayer");
    let counts: Vec<usize> = imports.iter().map(|call| call.parents().len()).collect();
    assert_eq!(counts, [1, 2, 3]);
    let chain = crate::LayerChain::from_layer_folder(&top).unwrap().layers;
    let parents: Vec<PathBuf> = chain.into_iter().skip(1).map(|link| link.path).collect();
    assert_eq!(imports[2].parents(), parents);
    assert_eq!(place.doubles.calls_of("ProcessUtilityImage").len(), 1);
}

#[test]
fn a_finished_layer_is_reused_without_any_call() {
    let place = Place::new();
    let first = place.unpack(&[base(), diff()]).unwrap();
    place.doubles.clear();
    let again = place
        .run(&["unpack", text(&place.path("image")), text(&place.store())])
        .unwrap();
    assert_eq!(PathBuf::from(again), first);
    assert_eq!(place.doubles.story(), Vec::<String>::new());
    assert!(place.doubles.calls_of("BackupWrite").is_empty());
}

#[test]
fn whiteouts_and_implicit_directories_reach_directories_the_layer_does_not_have() {
    let place = Place::new();
    let upper = vec![
        whiteout("Files/Data/sub/c"),
        file("Files/Windows/System32/new.dll", "new"),
    ];
    let top = place.unpack(&[base(), upper]).unwrap();
    place.doubles.assert_clean();
    assert!(top.join("Files/Data/sub").is_dir());
    assert!(!top.join("Files/Data/sub/c").exists());
    assert!(top.join("Files/Windows/System32/new.dll").exists());
}

#[test]
fn directories_keep_their_times() {
    let mut old = metadata(0x10);
    let time = winlayer_metadata::FileTime::from_unix(1_000_000_000, 0).unwrap();
    old.times.written = time;
    old.times.accessed = time;
    let directory = object(
        "Files/Data/sub",
        winlayer_tar::ObjectKind::Directory,
        old,
        b"",
    );
    let place = Place::new();
    let mut lower = base();
    lower.retain(|(item, _)| !matches!(item, winlayer_tar::LayerItem::Object(o) if o.path.as_str() == "Files/Data/sub"));
    lower.insert(2, directory.clone());
    let upper = vec![
        dir("Files"),
        dir("Files/Data"),
        directory,
        whiteout("Files/Data/sub/c"),
        hard_link("Files/Data/sub/link", "Files/Data/a"),
    ];
    let top = place.unpack(&[lower, upper]).unwrap();
    place.doubles.assert_clean();
    let parent = place
        .doubles
        .calls_of("ImportLayer")
        .remove(0)
        .parents()
        .remove(0);
    for layer in [top, parent] {
        let found = fs::metadata(layer.join("Files/Data/sub"))
            .unwrap()
            .modified()
            .unwrap();
        let since = found.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(since.as_secs(), 1_000_000_000, "{}", layer.display());
    }
}

#[test]
fn the_sample_image_is_finished_by_the_platform() {
    let place = Place::new();
    let image = place.path("image");
    let options = crate::SampleOptions {
        tag: "test".to_owned(),
        ..crate::SampleOptions::default()
    };
    crate::write_sample(&image, &options).unwrap();
    place
        .run(&["unpack", text(&image), text(&place.store())])
        .unwrap();
    place.doubles.assert_clean();
    let verified = crate::verify_store(&place.store()).unwrap();
    assert_eq!(verified.layers, 3);
    let folders = place.folders();
    let other = place.path("other");
    let done = place
        .run(&["import", text(&folders), text(&other)])
        .unwrap();
    assert_eq!(done, "3 3");
    place.doubles.assert_clean();
    let again = crate::verify_store(&other).unwrap();
    assert_eq!(
        (again.layers, again.entries),
        (verified.layers, verified.entries)
    );
}
