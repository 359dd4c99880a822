use std::{cell::RefCell, collections::HashMap};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::media_type::{
    DOCKER_CONFIG, DOCKER_LIST, DOCKER_MANIFEST, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST,
};

const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Documents in memory, and which were asked for.
#[derive(Default)]
struct Store {
    documents: HashMap<Digest, Vec<u8>>,
    asked: RefCell<Vec<Digest>>,
}

impl Documents for Store {
    fn document(&self, descriptor: &Descriptor, _: Role) -> Result<Vec<u8>, ImageError> {
        let digest = descriptor.digest()?;
        self.asked.borrow_mut().push(digest);
        self.documents
            .get(&digest)
            .cloned()
            .ok_or_else(|| ImageError::new(ImageErrorKind::NotFound, "gone"))
    }
}

impl Store {
    /// Adds a document and gives its descriptor.
    fn add(&mut self, media_type: &str, document: &Value) -> Value {
        let bytes = document.to_string().into_bytes();
        let digest = Digest::of(&bytes);
        let descriptor =
            json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() });
        self.documents.insert(digest, bytes);
        descriptor
    }

    fn image(&mut self, platform: &str) -> Value {
        self.image_of(platform, OCI_MANIFEST, OCI_CONFIG, &[LAYER])
    }

    fn image_of(&mut self, platform: &str, manifest: &str, config: &str, layers: &[&str]) -> Value {
        let diff_ids: Vec<String> = (0..layers.len())
            .map(|n| Digest::of(&[n as u8]).to_string())
            .collect();
        let mut document = platform_of(platform);
        document["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        let config = self.add(config, &document);
        let layers: Vec<Value> = layers
            .iter()
            .map(|layer| json!({ "mediaType": layer, "digest": Digest::of(b"blob").to_string(), "size": 4 }))
            .collect();
        self.add(
            manifest,
            &json!({ "schemaVersion": 2, "config": config, "layers": layers }),
        )
    }

    fn listed(&mut self, platform: &str) -> Value {
        let mut entry = self.image(platform);
        entry["platform"] = platform_of(platform);
        entry
    }

    fn index(&mut self, entries: &[Value]) -> Value {
        self.add(
            OCI_INDEX,
            &json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries }),
        )
    }

    fn resolve(&self, root: &Value, choice: &str) -> Result<Resolved, ImageError> {
        let descriptor: Descriptor = serde_json::from_value(root.clone()).unwrap();
        resolve(
            self,
            vec![Root {
                descriptor,
                bytes: None,
            }],
            &choice.parse().unwrap(),
        )
    }
}

/// `os/arch[:version]` as JSON fields.
fn platform_of(text: &str) -> Value {
    let (platform, version) = text.split_once(':').unwrap_or((text, ""));
    let (os, architecture) = platform.split_once('/').unwrap();
    match version {
        "" => json!({ "os": os, "architecture": architecture }),
        version => json!({ "os": os, "architecture": architecture, "os.version": version }),
    }
}

fn chosen(store: &Store, root: &Value, choice: &str) -> Result<String, ImageErrorKind> {
    store
        .resolve(root, choice)
        .map(|image| image.platform.to_string())
        .map_err(|error| error.kind())
}

const MANY: [&str; 6] = [
    "linux/amd64",
    "windows/amd64:10.0.17763.5329",
    "windows/amd64:10.0.20348.2113",
    "windows/amd64:10.0.20348.999",
    "windows/arm64:10.0.26100.1",
    "unknown/unknown",
];

#[test]
fn the_variant_is_chosen_by_os_architecture_and_version() {
    let mut store = Store::default();
    let entries: Vec<Value> = MANY.iter().map(|platform| store.listed(platform)).collect();
    let root = store.index(&entries);
    let choose = |choice| chosen(&store, &root, choice);
    assert_eq!(
        choose("windows/amd64").as_deref(),
        Ok("windows/amd64:10.0.20348.2113")
    );
    assert_eq!(
        choose("windows/amd64:10.0.17763").as_deref(),
        Ok("windows/amd64:10.0.17763.5329")
    );
    assert_eq!(
        choose("windows/amd64:10.0.20348.999").as_deref(),
        Ok("windows/amd64:10.0.20348.999")
    );
    assert_eq!(
        choose("windows/arm64").as_deref(),
        Ok("windows/arm64:10.0.26100.1")
    );
    assert_eq!(
        choose("windows/amd64:10.0.22621"),
        Err(ImageErrorKind::NoMatchingPlatform)
    );
}

#[test]
fn only_the_chosen_variant_is_fetched() {
    let mut store = Store::default();
    let entries: Vec<Value> = MANY.iter().map(|platform| store.listed(platform)).collect();
    let root = store.index(&entries);
    store.resolve(&root, "windows/amd64").unwrap();
    assert_eq!(store.asked.borrow().len(), 3, "index, manifest, config");
}

#[test]
fn a_mismatch_tells_what_is_offered() {
    let mut store = Store::default();
    let entries: Vec<Value> = MANY.iter().map(|platform| store.listed(platform)).collect();
    let root = store.index(&entries);
    let error = store.resolve(&root, "windows/amd64:10.0.1").unwrap_err();
    assert!(error.hint().unwrap().contains("--platform"), "{error:?}");
    let error = error.to_string();
    assert!(error.contains("windows/arm64:10.0.26100.1"), "{error}");
    assert!(!error.contains("unknown"), "{error}");
    let root = store.image("linux/amd64");
    let error = store.resolve(&root, "windows/amd64").unwrap_err();
    assert!(!error.hint().unwrap().contains("--platform"), "{error:?}");
    let error = error.to_string();
    assert!(
        error.contains("linux/amd64") && error.contains("not a Windows image"),
        "{error}"
    );
}

#[test]
fn an_entry_without_platform_is_judged_by_its_config() {
    let mut store = Store::default();
    let entries = [
        "linux/amd64",
        "windows/amd64:10.0.1.2",
        "windows/amd64:10.0.1.10",
    ]
    .map(|platform| store.image(platform));
    let root = store.index(&entries);
    assert_eq!(
        chosen(&store, &root, "windows/amd64").as_deref(),
        Ok("windows/amd64:10.0.1.10")
    );
}

#[test]
fn a_config_that_contradicts_the_index_is_not_taken() {
    let mut store = Store::default();
    let mut entry = store.image("linux/amd64");
    entry["platform"] = platform_of("windows/amd64:10.0.1.1");
    let root = store.index(&[entry]);
    assert_eq!(
        chosen(&store, &root, "windows/amd64"),
        Err(ImageErrorKind::NoMatchingPlatform)
    );
}

#[test]
fn what_the_config_leaves_out_the_index_tells() {
    let mut store = Store::default();
    let mut entry = store.image("windows/amd64");
    entry["platform"] = platform_of("windows/amd64:10.0.1.1");
    let root = store.index(&[entry]);
    assert_eq!(
        chosen(&store, &root, "windows/amd64:10.0.1").as_deref(),
        Ok("windows/amd64:10.0.1.1")
    );
}

#[test]
fn docker_lists_and_manifests_are_read() {
    let mut store = Store::default();
    let foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";
    let mut entry = store.image_of(
        "windows/amd64",
        DOCKER_MANIFEST,
        DOCKER_CONFIG,
        &[foreign, foreign],
    );
    entry["platform"] = platform_of("windows/amd64");
    let root = store.add(
        DOCKER_LIST,
        &json!({ "schemaVersion": 2, "mediaType": DOCKER_LIST, "manifests": [entry] }),
    );
    let image = store.resolve(&root, "windows/amd64").unwrap();
    assert_eq!(image.layers.len(), 2);
    assert_eq!(
        image.layers[1].chain_id,
        image.layers[0].chain_id.child(image.layers[1].diff_id)
    );
}

#[test]
fn indexes_may_nest_but_not_without_end() {
    let mut store = Store::default();
    let mut root = store.listed("windows/amd64:10.0.1.1");
    for _ in 0..=MAX_DEPTH {
        root = store.index(&[root]);
    }
    assert_eq!(
        chosen(&store, &root, "windows/amd64"),
        Err(ImageErrorKind::Limit)
    );
    let inner = store.listed("windows/amd64:10.0.1.1");
    let inner = store.index(&[inner]);
    let root = store.index(&[inner.clone(), inner]);
    assert_eq!(
        chosen(&store, &root, "windows/amd64").as_deref(),
        Ok("windows/amd64:10.0.1.1")
    );
}

#[test]
fn an_index_that_points_to_itself_ends() {
    // No document can hold its own digest; a source that does not check could still serve one.
    let mut store = Store::default();
    let digest = Digest::of(b"loop");
    let entry = json!({ "mediaType": OCI_INDEX, "digest": digest.to_string(), "size": 1 });
    store.documents.insert(
        digest,
        json!({ "manifests": [entry, entry] })
            .to_string()
            .into_bytes(),
    );
    assert_eq!(
        chosen(&store, &entry, "windows/amd64"),
        Err(ImageErrorKind::NoMatchingPlatform)
    );
}

#[test]
fn the_number_of_documents_is_limited() {
    let mut store = Store::default();
    let entries: Vec<Value> = (0..200)
        .map(|n| store.image(&format!("linux/arch{n}")))
        .collect();
    let root = store.index(&entries);
    assert_eq!(
        chosen(&store, &root, "windows/amd64"),
        Err(ImageErrorKind::Limit)
    );
}

#[test]
fn what_is_no_image_is_unsupported_and_says_so() {
    let mut store = Store::default();
    let windows = "windows/amd64";
    let chart = store.image_of(
        windows,
        OCI_MANIFEST,
        "application/vnd.cncf.helm.config.v1+json",
        &[LAYER],
    );
    let encrypted = store.image_of(
        windows,
        OCI_MANIFEST,
        OCI_CONFIG,
        &[LAYER, &format!("{LAYER}+encrypted")],
    );
    let wasm = store.image_of(
        windows,
        OCI_MANIFEST,
        OCI_CONFIG,
        &["application/vnd.wasm\u{1b}"],
    );
    let schema1 = store.add(
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        &json!({ "schemaVersion": 1, "fsLayers": [] }),
    );
    for (root, word) in [
        (chart, "helm"),
        (encrypted, "layer 2 of 2 is encrypted"),
        (wasm, "wasm"),
        (schema1, "schema 1"),
    ] {
        let error = store.resolve(&root, windows).unwrap_err();
        assert_eq!(error.kind(), ImageErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(word), "{error}");
        assert!(!error.to_string().contains('\u{1b}'));
    }
}

#[test]
fn layers_and_diff_ids_must_be_as_many_and_not_none() {
    let mut store = Store::default();
    let root = store.image_of("windows/amd64", OCI_MANIFEST, OCI_CONFIG, &[]);
    assert_eq!(
        chosen(&store, &root, "windows/amd64"),
        Err(ImageErrorKind::Malformed)
    );
    let mut config = platform_of("windows/amd64");
    config["rootfs"] = json!({ "type": "layers", "diff_ids": [] });
    let config = store.add(OCI_CONFIG, &config);
    let layer = json!({ "mediaType": LAYER, "digest": Digest::of(b"x").to_string(), "size": 1 });
    let root = store.add(
        OCI_MANIFEST,
        &json!({ "config": config, "layers": [layer] }),
    );
    assert_eq!(
        chosen(&store, &root, "windows/amd64"),
        Err(ImageErrorKind::Malformed)
    );
}

#[test]
fn signatures_and_the_like_in_an_index_are_passed_over() {
    let mut store = Store::default();
    let signature = json!({ "mediaType": "application/vnd.dev.cosign.v1+json", "digest": Digest::of(b"s").to_string(), "size": 1 });
    let image = store.listed("windows/amd64:10.0.1.1");
    let root = store.index(&[signature, image]);
    assert!(store.resolve(&root, "windows/amd64").is_ok());
}

proptest! {
    #[test]
    fn the_order_of_an_index_does_not_matter(order in Just(MANY.to_vec()).prop_shuffle()) {
        let mut store = Store::default();
        let entries: Vec<Value> = order.iter().map(|platform| store.listed(platform)).collect();
        let root = store.index(&entries);
        let chosen = chosen(&store, &root, "windows/amd64");
        prop_assert_eq!(chosen.as_deref(), Ok("windows/amd64:10.0.20348.2113"));
    }
}
