//! Registries that fail, lie and forget.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::snapshot::{assert_same, snapshot};
use common::{Answer, Place};
use std::time::Duration;
use std::{fs, thread};
use winlayer::Digest;
use winlayer_testkit::{
    Auth, Compression, Fault, FaultyRegistry, LayerSpec, LayoutBuilder, RawTar, Target, Times,
};

/// The sample image behind a registry that will fail.
struct Scene {
    place: Place,
    registry: FaultyRegistry,
    /// Base first.
    blobs: Vec<Digest>,
}

impl Scene {
    fn new() -> Self {
        let place = Place::with_sample();
        let document = place
            .winlayer(["inspect", "--json", "oci:image"])
            .succeeds()
            .json();
        let layers = document["layers"].as_array().unwrap();
        let digests = layers
            .iter()
            .map(|layer| layer["digest"].as_str().unwrap().parse().unwrap());
        let blobs = digests.collect();
        let registry = FaultyRegistry::serve(&place.path("image"));
        Self {
            place,
            registry,
            blobs,
        }
    }

    fn unpack(&self) -> Answer {
        self.place
            .winlayer(["unpack", &self.registry.reference("a/b:latest"), "store"])
    }

    /// What came through is what a clean unpack gives.
    #[track_caller]
    fn assert_whole(&self) {
        self.place
            .winlayer(["unpack", "oci:image", "clean"])
            .succeeds();
        let [found, clean] = ["store", "clean"].map(|store| {
            let mut layers = snapshot(&self.place.path(store).join("layers"));
            layers.retain(|path, _| !path.ends_with("layerchain.json"));
            layers
        });
        assert_same(&found, &clean);
        assert_eq!(
            fs::read_dir(self.place.path("store/ingest"))
                .unwrap()
                .count(),
            0
        );
    }

    #[track_caller]
    fn assert_nothing_published(&self) {
        for dir in ["store/layers", "store/images"] {
            assert!(snapshot(&self.place.path(dir)).is_empty(), "{dir}");
        }
    }

    /// Where the requests for a blob started, the first `skip` left out.
    fn offsets(&self, blob: Digest, skip: usize) -> Vec<usize> {
        let requests = self.registry.blob_requests(blob);
        requests
            .iter()
            .skip(skip)
            .map(|request| request.range().map_or(0, |range| range.0))
            .collect()
    }
}

const CUT: usize = 50_000;

#[test]
fn a_cut_connection_is_resumed_in_the_same_run() {
    let scene = Scene::new();
    let blob = scene.blobs[0];
    scene
        .registry
        .fail(Target::Blob(blob), Fault::CutAfter(CUT), Times::Once);
    scene.unpack().succeeds();
    assert_eq!(scene.offsets(blob, 0), [0, CUT]);
    scene.assert_whole();
}

#[test]
fn bytes_fetched_by_a_run_that_failed_are_not_fetched_again() {
    let scene = Scene::new();
    let blob = scene.blobs[0];
    scene
        .registry
        .fail(Target::Blob(blob), Fault::CutAfter(CUT), Times::Once);
    scene
        .registry
        .fail(Target::Blob(blob), Fault::Status(404, None), Times::Always);
    scene.unpack().fails(3).saying(&[
        "layer 1 of 3",
        &format!("blob {blob}: the registry does not have it (status 404"),
        "hint: ",
    ]);
    scene.assert_nothing_published();
    let before = scene.registry.blob_requests(blob).len();
    scene.registry.heal();
    scene
        .unpack()
        .succeeds()
        .saying(&["layer 1 of 3", ": resuming, an earlier run fetched "]);
    assert_eq!(scene.offsets(blob, before), [CUT]);
    scene.assert_whole();
}

#[test]
fn a_download_that_was_killed_goes_on_where_it_stood() {
    let scene = Scene::new();
    let blob = scene.blobs[0];
    let pause = Fault::Slow(Duration::from_millis(50));
    scene
        .registry
        .fail(Target::Blob(blob), pause, Times::Always);
    let partial = scene
        .place
        .path("store/ingest")
        .join(format!("{}.partial", blob.hex()));
    let kept = || fs::metadata(&partial).map_or(0, |file| file.len());
    let image = scene.registry.reference("a/b:latest");
    let mut child = scene.place.start(["unpack", &image, "store"]);
    while kept() < 32 << 10 {
        assert!(child.try_wait().unwrap().is_none(), "ended too early");
        thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let kept = usize::try_from(kept()).unwrap();
    scene.registry.heal();
    scene.unpack().succeeds();
    assert_eq!(scene.offsets(blob, 0), [0, kept]);
    scene.assert_whole();
}

#[test]
fn bytes_kept_from_an_earlier_run_are_verified_too() {
    let scene = Scene::new();
    let blob = scene.blobs[0];
    scene
        .registry
        .fail(Target::Blob(blob), Fault::CutAfter(CUT), Times::Once);
    scene
        .registry
        .fail(Target::Blob(blob), Fault::Status(404, None), Times::Always);
    scene.unpack();
    scene.registry.heal();
    let partial = scene
        .place
        .path("store/ingest")
        .join(format!("{}.partial", blob.hex()));
    let mut bytes = fs::read(&partial).unwrap();
    bytes[CUT / 2] ^= 1;
    fs::write(&partial, bytes).unwrap();
    // Refused, or noticed and fetched anew; never published as it is.
    let answer = scene.unpack();
    assert!(matches!(answer.code, Some(0 | 4)), "{answer:#?}");
    scene.unpack().succeeds();
    scene.assert_whole();
}

#[test]
fn lies_about_a_blob_are_found_out() {
    for (fault, what) in [
        (Fault::WrongBytes, "wrong bytes"),
        (Fault::Truncate(CUT), "truncated"),
        (Fault::TooLong(7), "too long"),
    ] {
        let scene = Scene::new();
        scene
            .registry
            .fail(Target::Blob(scene.blobs[0]), fault, Times::Always);
        let answer = scene.unpack().fails(4);
        assert!(
            answer.stderr.contains("layer 1 of 3"),
            "{what}: {answer:#?}"
        );
        scene.assert_nothing_published();
        let ingest = snapshot(&scene.place.path("store/ingest"));
        assert!(ingest.is_empty(), "{what}: {ingest:?}");
    }
}

#[test]
fn lies_about_a_manifest_are_found_out() {
    let scene = Scene::new();
    let document = scene
        .place
        .winlayer(["inspect", "--json", "oci:image"])
        .succeeds()
        .json();
    let digest = document["manifest_digest"].as_str().unwrap();
    scene
        .registry
        .fail(Target::AnyManifest, Fault::WrongBytes, Times::Always);
    let image = scene.registry.reference(&format!("a/b@{digest}"));
    scene.place.winlayer(["unpack", &image, "store"]).fails(4);
    scene.assert_nothing_published();
}

#[test]
fn a_busy_registry_is_asked_again() {
    let scene = Scene::new();
    let [base, second, _] = scene.blobs[..] else {
        panic!("three layers")
    };
    scene.registry.fail(
        Target::AnyManifest,
        Fault::Status(429, Some(1)),
        Times::Once,
    );
    scene.registry.fail(
        Target::Blob(base),
        Fault::Status(503, None),
        Times::Count(2),
    );
    scene
        .registry
        .fail(Target::Blob(second), Fault::NoAnswer, Times::Once);
    scene.unpack().succeeds();
    assert_eq!(scene.registry.blob_requests(base).len(), 3);
    scene.assert_whole();
}

#[test]
fn a_registry_that_stays_busy_is_given_up() {
    let scene = Scene::new();
    scene
        .registry
        .fail(Target::AnyBlob, Fault::Status(503, None), Times::Always);
    scene.unpack().fails(1).saying(&["503", "hint: "]);
    scene.assert_nothing_published();
}

#[test]
fn a_registry_that_ignores_ranges_still_delivers() {
    for fault in [Fault::IgnoreRange, Fault::BadContentRange] {
        let scene = Scene::new();
        let blob = scene.blobs[0];
        scene
            .registry
            .fail(Target::Blob(blob), Fault::CutAfter(CUT), Times::Once);
        scene.registry.fail(Target::Blob(blob), fault, Times::Once);
        scene.unpack().succeeds();
        scene.assert_whole();
    }
}

#[test]
fn credentials_stay_with_the_registry_when_blobs_are_elsewhere() {
    let scene = Scene::new();
    scene.registry.redirect_blobs(true);
    scene.registry.require(Auth::Basic {
        user: "ship".into(),
        password: "night".into(),
    });
    scene.unpack().fails(1).saying(&["hint: ", "--authfile"]);
    // "ship:night"
    let auth = format!(
        r#"{{"auths":{{"{}":{{"auth":"c2hpcDpuaWdodA=="}}}}}}"#,
        scene.registry.host()
    );
    fs::write(scene.place.path("auth.json"), auth).unwrap();
    let image = scene.registry.reference("a/b:latest");
    scene
        .place
        .winlayer(["unpack", &image, "store", "--authfile", "auth.json"])
        .succeeds();
    scene.registry.assert_no_credentials_reached_the_cdn();
    scene.assert_whole();
}

#[test]
fn foreign_layers_come_from_their_own_urls() {
    let place = Place::new();
    let [registry, elsewhere] =
        ["image", "elsewhere"].map(|layout| FaultyRegistry::serve(&place.path(layout)));
    let tar = RawTar::new()
        .dir("Files")
        .file("Files/foreign", "from elsewhere")
        .finish();
    let blob = Compression::Gzip.compress(&tar);
    let digest = Digest::of(&blob);
    let spec = LayerSpec {
        tar,
        blob: Some(blob),
        media_type: Some("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip".into()),
        urls: vec![elsewhere.foreign_url(digest)],
        ..LayerSpec::default()
    };
    LayoutBuilder::new()
        .layer_spec(spec.clone())
        .write(place.path("elsewhere"));
    let without_blob = LayerSpec {
        omit_blob: true,
        ..spec
    };
    LayoutBuilder::new()
        .layer_spec(without_blob)
        .write(place.path("image"));
    let image = registry.reference("a/b:latest");
    place
        .winlayer(["unpack", &image, "tree", "--to", "tree"])
        .succeeds();
    assert_eq!(
        fs::read_to_string(place.path("tree/foreign")).unwrap(),
        "from elsewhere"
    );

    elsewhere.fail(Target::CdnBlob, Fault::WrongBytes, Times::Always);
    place.winlayer(["unpack", &image, "store"]).fails(4);
}
