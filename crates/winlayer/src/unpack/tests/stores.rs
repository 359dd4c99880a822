//! What a store goes through: crashes, other processes, bad input, damage.

use std::sync::Mutex;

use winlayer_digest::DiffId;

use super::*;
use crate::{
    Observer,
    testing::{image_of_tars, opaque},
    verify_image,
};

#[test]
fn what_a_crash_left_is_removed() {
    let place = Place::new();
    let image = place.image(&[base()]);
    place.unpack_image(&image).unwrap();
    let ingest = place.store().join("ingest");
    let garbage = ingest.join(Digest::of(b"crashed").hex()).join("Files");
    fs::create_dir_all(&garbage).unwrap();
    fs::write(garbage.join("half"), "ha").unwrap();
    fs::write(ingest.join("4711.tmp"), "{").unwrap();
    let partial = format!("{}.partial", Digest::of(b"blob").hex());
    fs::write(ingest.join(&partial), "bytes fetched so far").unwrap();
    place.unpack_image(&image).unwrap();
    let left: Vec<String> = place.ingest().into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, [partial]);
}

#[test]
fn a_layer_that_somebody_builds_is_left_alone() {
    let place = Place::new();
    let store = LayerStore::open_or_create(&place.store()).unwrap();
    let id = ChainId::base(DiffId::new(Digest::of(b"layer")));
    let ingest = store.begin(id, || {}, || Ok(())).unwrap().unwrap();
    LayerStore::open_or_create(&place.store()).unwrap();
    assert!(ingest.dir().stat("").unwrap().is_some());
    assert_eq!(place.ingest().len(), 1);
    drop(ingest);
    assert_eq!(place.ingest(), []);
}

#[derive(Default)]
struct Steps(Mutex<Vec<String>>);

impl Observer for Steps {
    fn step(&self, what: &str) {
        self.0.lock().unwrap().push(what.to_owned());
    }
}

#[test]
fn who_comes_second_waits_and_reuses() {
    let place = Place::new();
    let image = place.image(&[base(), vec![file("Files/x", "")]]);
    let store = LayerStore::open_or_create(&place.store()).unwrap();
    let held = store
        .begin(image.layers()[0].chain_id, || {}, || Ok(()))
        .unwrap()
        .unwrap();
    let steps = Arc::new(Steps::default());
    let observer: Option<Arc<dyn Observer>> = Some(Arc::clone(&steps) as _);
    let options = UnpackOptions {
        observer,
        ..options()
    };
    let unpacked = thread::scope(|scope| {
        let second = scope.spawn(|| unpack_windows_image(&image, &place.store(), &options));
        while steps.0.lock().unwrap().is_empty() {
            thread::sleep(Duration::from_millis(1));
        }
        drop(held);
        second.join().unwrap().unwrap()
    });
    assert_eq!(unpacked.layers.len(), 2);
    assert_eq!(
        *steps.0.lock().unwrap(),
        ["waiting for another winlayer to finish layer 1"]
    );
}

#[test]
fn several_unpacks_into_one_store_share_the_work() {
    let place = Place::new();
    let layers: Vec<Vec<Item>> = std::iter::once(base())
        .chain((0..9).map(|n| vec![dir("Files"), file(&format!("Files/{n}"), "x")]))
        .collect();
    let image = place.image(&layers);
    let all: Vec<UnpackedImage> = thread::scope(|scope| {
        let unpack = || unpack_windows_image(&image, &place.store(), &options()).unwrap();
        let workers: Vec<_> = (0..4).map(|_| scope.spawn(unpack)).collect();
        workers
            .into_iter()
            .map(|worker| worker.join().unwrap())
            .collect()
    });
    for layer in 0..layers.len() {
        let built = all
            .iter()
            .filter(|unpacked| !unpacked.layers[layer].reused)
            .count();
        assert_eq!(built, 1, "layer {layer}");
    }
    assert!(all.iter().all(|unpacked| unpacked.chain == all[0].chain));
    assert_eq!(verify_store(&place.store()).unwrap().layers, 10);
}

#[test]
fn the_same_image_gives_the_same_folder() {
    let layers = [
        [base(), utility_vm()].concat(),
        vec![
            file("Files/Data/new/x", ""),
            opaque("Files/Data"),
            dir("UtilityVM"),
            dir("UtilityVM/Files"),
            whiteout("UtilityVM/Files/ntdll.dll"),
        ],
    ];
    let contents = |jobs| {
        let place = Place::new();
        let options = UnpackOptions { jobs, ..options() };
        let unpacked =
            unpack_windows_image(&place.image(&layers), &place.store(), &options).unwrap();
        let mut contents = snapshot(top(&unpacked));
        // Absolute folders, which are those of this place.
        contents.retain(|(name, _)| name != "layerchain.json");
        contents
    };
    assert_eq!(contents(1), contents(4));
}

#[test]
fn a_wrong_diff_id_publishes_nothing() {
    let place = Place::new();
    let tars = [tar(&base()), tar(&[file("Files/x", "")])];
    let wrong = [
        DiffId::new(Digest::of(&tars[0])),
        DiffId::new(Digest::of(b"other")),
    ];
    let image = image_of_tars(&place.folder.path().join("image"), &tars, &wrong);
    let error = place.unpack_image(&image).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
    assert!(
        messages(&error).contains("uncompressed digest differs"),
        "{}",
        messages(&error)
    );
    assert_eq!(place.ingest(), []);
    assert!(
        !place.store().join("images").exists() || {
            let store = LayerStore::open(&place.store()).unwrap();
            store.images().unwrap().is_empty()
        }
    );
    let error = verify_image(&image, 2, &Default::default(), None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Verification);
}

#[test]
fn a_failure_leaves_the_store_as_it_was() {
    let place = Place::new();
    place.unpack(&[base()]).unwrap();
    let layers = [
        base(),
        vec![file("Files/x", "")],
        vec![file("Files/Link/x", "")],
    ];
    // The middle layer is sound and stays; everything of the failing one goes.
    // One job, so that the sound layers are complete when the last one fails.
    let options = UnpackOptions {
        jobs: 1,
        ..options()
    };
    let image = place.image(&layers);
    let fail = || unpack_windows_image(&image, &place.store(), &options).unwrap_err();
    fail();
    let before: Vec<_> = snapshot(&place.store());
    fail();
    assert_eq!(snapshot(&place.store()), before);
    assert_eq!(place.ingest(), []);
    verify_store(&place.store()).unwrap();
}

#[test]
fn a_changed_blob_is_noticed() {
    let place = Place::new();
    let image = place.image(&[base()]);
    let digest = image.layers()[0].digest.unwrap().hex();
    let blob = place.folder.path().join("image/blobs/sha256").join(digest);
    let mut bytes = fs::read(&blob).unwrap();
    let last_body = bytes
        .windows(6)
        .rposition(|bytes| bytes == b"16-bit")
        .unwrap();
    bytes[last_body] ^= 1;
    fs::write(&blob, bytes).unwrap();
    let error = place.unpack_image(&image).unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::Verification,
        "{}",
        messages(&error)
    );
    assert_eq!(place.ingest(), []);
}

#[test]
fn verify_names_what_was_changed() {
    let place = Place::new();
    let unpacked = place
        .unpack(&[base(), vec![whiteout("Files/Data/a")]])
        .unwrap();
    let verified = verify_store(&place.store()).unwrap();
    assert_eq!((verified.layers, verified.entries), (2, 9));
    let folder = unpacked.chain[1].path.clone();
    assert_eq!(verify_store(&folder).unwrap().layers, 1);
    let problem = || messages(&verify_store(&folder).unwrap_err());
    let file = folder.join("Files/Data/a");
    let bytes = fs::read(&file).unwrap();
    let flipped: Vec<u8> = bytes.iter().map(|byte| byte ^ 1).collect();
    fs::write(&file, flipped).unwrap();
    assert!(
        problem().contains("Files/Data/a: expected CRC-32"),
        "{}",
        problem()
    );
    fs::write(&file, &bytes[1..]).unwrap();
    assert!(
        problem().contains("Files/Data/a: expected 25 bytes, found 24"),
        "{}",
        problem()
    );
    fs::remove_file(&file).unwrap();
    assert!(
        problem().contains("Files/Data/a: is missing"),
        "{}",
        problem()
    );
    fs::write(&file, &bytes).unwrap();
    for extra in [
        "Files/extra",
        "Files/Link/inside",
        "extra",
        "Files/Data/x.$wcidirs$",
    ] {
        let extra = folder.join(extra);
        fs::write(&extra, "").unwrap();
        verify_store(&folder).unwrap_err();
        fs::remove_file(&extra).unwrap();
    }
    verify_store(&place.store()).unwrap();
    fs::remove_dir_all(&folder).unwrap();
    verify_store(&place.store()).unwrap_err();
}

#[test]
fn a_folder_with_other_contents_is_not_made_a_store() {
    let place = Place::new();
    fs::create_dir(place.store()).unwrap();
    fs::write(place.store().join("thesis.doc"), "").unwrap();
    let error = place.unpack(&[base()]).unwrap_err();
    assert!(error.to_string().contains("it holds thesis.doc"), "{error}");
    assert_eq!(snapshot(&place.store()).len(), 1);
    assert_eq!(
        LayerStore::open(&place.store()).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}
