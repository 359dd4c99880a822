//! Layer tars become finished layers of a store.

use std::io::Write as _;

use super::{imports::layers_of, *};
use crate::{export::tests::contents, testing::tar};

impl Place {
    fn tar(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// Imports; the layer's folder, and whether it was there.
    #[track_caller]
    fn import(&self, tar: &Path, store: &Path, parents: &[&Path]) -> (PathBuf, bool) {
        reused(&self.try_import("import-tar", tar, store, parents).unwrap())
    }

    fn try_import(
        &self,
        job: &str,
        tar: &Path,
        store: &Path,
        parents: &[&Path],
    ) -> Result<String, String> {
        let mut words = vec![job, text(tar), text(store)];
        words.extend(parents.iter().map(|parent| text(parent)));
        self.run(&words)
    }
}

fn reused(result: &str) -> (PathBuf, bool) {
    let (reused, path) = result.split_once(' ').unwrap();
    (path.into(), reused == "true")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn record(layer: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(layer.join("layer.json")).unwrap()).unwrap()
}

#[test]
fn imported_tars_are_the_layers_an_unpack_makes() {
    let place = Place::new();
    place.unpack(&[base(), diff()]).unwrap();
    let unpacked = layers_of(&place.store());
    place.doubles.clear();
    let other = place.path("other");
    let lower = place.tar("base.tar", &tar(&base()));
    let upper = place.tar("diff.tar", &tar(&diff()));
    let (bottom, was_there) = place.import(&lower, &other, &[]);
    assert!(!was_there);
    let (top, was_there) = place.import(&upper, &other, &[&bottom]);
    assert!(!was_there);
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
    assert_eq!(imported.len(), unpacked.len());
    for (imported, unpacked) in imported.iter().zip(&unpacked) {
        assert!(imported == unpacked, "{} {}", imported.0, unpacked.0);
    }
    let chain = crate::LayerChain::from_layer_folder(&top).unwrap().layers;
    assert_eq!(chain[1].path, bottom);

    // Once more, and as an image: nothing is left to do.
    place.doubles.clear();
    assert_eq!(
        place.import(&upper, &other, &[&bottom]),
        (top.clone(), true)
    );
    let unpacked = place.run(&["unpack", text(&place.path("image")), text(&other)]);
    assert_eq!(PathBuf::from(unpacked.unwrap()), top);
    assert_eq!(place.doubles.story(), Vec::<String>::new());
}

#[test]
fn compression_makes_no_other_layer() {
    let [lower, upper] = [tar(&base()), tar(&diff())];
    let zstd = zstd::encode_all(&upper[..], 0).unwrap();
    let mut found = Vec::new();
    for (job, lower, upper, suffix) in [
        ("import-tar", lower.clone(), upper.clone(), "tar"),
        ("import-stream", gzip(&lower), zstd.clone(), "tar+zstd"),
        (
            "import-tar",
            zstd::encode_all(&lower[..], 3).unwrap(),
            gzip(&upper),
            "tar+gzip",
        ),
        ("import-stream", lower, zstd, "tar+zstd"),
    ] {
        let place = Place::new();
        let (base, diff) = (place.tar("base", &lower), place.tar("diff", &upper));
        let bottom = place.try_import(job, &base, &place.store(), &[]).unwrap();
        let (bottom, _) = reused(&bottom);
        let top = place.try_import(job, &diff, &place.store(), &[&bottom]);
        let (top, _) = reused(&top.unwrap());
        place.doubles.assert_clean();
        assert_eq!(place.leftovers(), Vec::<String>::new());
        // What the blob was is told by its bytes.
        let record = record(&top);
        let digest = winlayer_digest::Digest::of(&upper).to_string();
        assert_eq!(record["digest"], digest);
        assert_eq!(record["compressed_bytes"], upper.len());
        let media_type = record["media_type"].as_str().unwrap();
        assert!(media_type.ends_with(suffix), "{media_type}");
        let mut layers = layers_of(&place.store());
        layers.retain(|(path, _)| !path.ends_with("layer.json"));
        found.push(layers);
    }
    assert!(found.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn the_blobs_of_the_sample_image_are_imported_one_by_one() {
    let place = Place::new();
    let folder = place.path("image");
    let options = crate::SampleOptions {
        tag: "test".to_owned(),
        ..crate::SampleOptions::default()
    };
    crate::write_sample(&folder, &options).unwrap();
    let mut parents: Vec<PathBuf> = Vec::new();
    for layer in resolve(&folder).layers() {
        let blob = folder.join("blobs").join("sha256");
        let blob = blob.join(layer.digest.unwrap().hex());
        let below: Vec<&Path> = parents.iter().map(PathBuf::as_path).collect();
        let (path, was_there) = place.import(&blob, &place.store(), &below);
        assert!(!was_there);
        assert_eq!(path.file_name().unwrap(), layer.chain_id.hex().as_str());
        parents.insert(0, path);
    }
    place.doubles.assert_clean();
    assert_eq!(parents.len(), 3);
    let verified = crate::verify_store(&place.store()).unwrap();
    assert_eq!(verified.layers, 3);
    place.doubles.clear();
    let top = place.run(&["unpack", text(&folder), text(&place.store())]);
    assert_eq!(PathBuf::from(top.unwrap()), parents[0]);
    assert_eq!(place.doubles.story(), Vec::<String>::new());
}

#[test]
fn an_exported_layer_is_imported_again() {
    let place = Place::new();
    let top = place.unpack(&[base(), diff()]).unwrap();
    let chain = crate::LayerChain::from_layer_folder(&top).unwrap().layers;
    let [upper, lower] = ["top.tar", "base.tar"].map(|name| place.path(name));
    place.run(&["export", text(&top), text(&upper)]).unwrap();
    place
        .run(&["export", text(&chain[1].path), text(&lower)])
        .unwrap();
    let other = place.path("other");
    let (bottom, _) = place.import(&lower, &other, &[]);
    let (first, was_there) = place.import(&upper, &other, &[&bottom]);
    assert!(!was_there);
    assert_eq!(
        place.import(&upper, &other, &[&bottom]),
        (first.clone(), true)
    );
    let again = place.path("again.tar");
    place.run(&["export", text(&first), text(&again)]).unwrap();
    let [once, twice] = [&upper, &again].map(|tar| contents(&fs::read(tar).unwrap()));
    assert!(once == twice);
    place.doubles.assert_clean();
    assert!(!first.join("UtilityVM/Files/kernel32.dll").exists());
    assert_eq!(fs::read(first.join("Files/Data/new")).unwrap(), b"new");
}

#[test]
fn a_tar_that_ends_early_or_is_damaged_leaves_nothing() {
    let whole = tar(&base());
    let mut flipped = gzip(&whole);
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let short = gzip(&whole);
    let cases: [(&str, &[u8]); 5] = [
        ("half a tar", &whole[..whole.len() / 2]),
        ("half a gzip", &short[..short.len() / 2]),
        ("damaged gzip", &flipped),
        ("no tar", b"this is some text, no tar at all"),
        ("nothing", b""),
    ];
    for (name, bytes) in cases {
        for job in ["import-tar", "import-stream"] {
            let place = Place::new();
            let tar = place.tar("layer", bytes);
            let error = place
                .try_import(job, &tar, &place.store(), &[])
                .unwrap_err();
            assert!(
                error.starts_with("Verification layer tar "),
                "{name}: {error}"
            );
            assert!(!place.store().exists(), "{name}");
            assert_eq!(place.doubles.story(), Vec::<String>::new());
            assert!(place.doubles.calls_of("BackupWrite").is_empty());
        }
    }
}

#[test]
fn without_a_parent_a_tar_is_a_base_layer() {
    let place = Place::new();
    let upper = place.tar("diff", &tar(&diff()));
    let error = place
        .try_import("import-tar", &upper, &place.store(), &[])
        .unwrap_err();
    assert!(error.contains("base layer"), "{error}");
    assert!(!place.store().exists());
}

#[test]
fn when_the_platform_refuses_only_the_parent_stays() {
    let place = Place::with(Doubles::new().failing("ImportLayer=0x80070003"));
    let lower = place.tar("base", &tar(&base()));
    let (bottom, _) = place.import(&lower, &place.store(), &[]);
    let upper = place.tar("diff", &tar(&diff()));
    for job in ["import-tar", "import-stream"] {
        let error = place
            .try_import(job, &upper, &place.store(), &[&bottom])
            .unwrap_err();
        assert!(error.contains("ImportLayer"), "{error}");
        assert_eq!(place.leftovers(), Vec::<String>::new());
        assert_eq!(
            fs::read_dir(place.store().join("layers")).unwrap().count(),
            1
        );
    }
}

#[test]
fn parents_must_be_finished_layers_of_the_store() {
    let place = Place::new();
    let middle = vec![dir("Files"), file("Files/2", "2")];
    let top = place.unpack(&[base(), middle.clone()]).unwrap();
    let chain = crate::LayerChain::from_layer_folder(&top).unwrap().layers;
    let bottom = &chain[1].path;
    let before = layers_of(&place.store());
    let upper = place.tar("layer", &tar(&[dir("Files"), file("Files/3", "3")]));
    let fails = |store: &Path, parents: &[&Path], kind: &str, what: &str| {
        let error = place
            .try_import("import-tar", &upper, store, parents)
            .unwrap_err();
        assert!(error.starts_with(kind), "{error}");
        assert!(error.contains(what), "{error}");
    };
    let other = place.path("other");
    fails(&other, &[&top], "Failed", "is not in the store");
    assert!(!other.exists());
    let store = place.store();
    fails(&store, &[bottom, &top], "Failed", "lies on other layers");
    fails(&store, &[&place.path("image")], "NotFound", "no layer.json");
    fails(
        &store,
        &[&place.path("missing")],
        "NotFound",
        "does not exist",
    );
    assert!(layers_of(&store) == before);

    // One parent stands for those below it; the same layer elsewhere is the same layer.
    let (first, _) = place.import(&upper, &store, &[&top]);
    let (folders, same) = (
        place.folders(),
        place.import(&upper, &store, &[&top, bottom]),
    );
    assert_eq!(same, (first.clone(), true));
    assert_eq!(
        place.import(&upper, &store, &[&folders]),
        (first.clone(), true)
    );
    let parents = place
        .doubles
        .calls_of("ImportLayer")
        .pop()
        .unwrap()
        .parents();
    assert_eq!(parents, [top.clone(), bottom.clone()]);

    fs::remove_file(top.join("layer.json")).unwrap();
    fails(&store, &[&top], "", &top.display().to_string());
}
