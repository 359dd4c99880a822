//! Other people's tools: Debian's registry, skopeo, umoci, bsdtar and GNU tar.
//!
//! `scripts/install-test-tools.sh` installs them all.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by a panic"
)]

mod common;

use common::snapshot::{Snapshot, assert_same, snapshot};
use common::{Answer, Place, answer};
use std::path::PathBuf;
use std::process::Command;
use winlayer_testkit::Registry;

const NAME: &str = "winlayer/sample:latest";
const USER: &str = "ship";
const PASSWORD: &str = "by:night";

fn docker(registry: &Registry, name: &str) -> String {
    format!("docker://{}", registry.reference(name))
}

fn tool(place: &Place, program: &str, arguments: &[&str]) -> Answer {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .current_dir(place.root())
        .env("HOME", place.root());
    command
        .env_remove("REGISTRY_AUTH_FILE")
        .env("LC_ALL", "C.UTF-8");
    answer(&mut command).succeeds()
}

fn copy(place: &Place, arguments: &[&str]) {
    let always = [
        "copy",
        "--insecure-policy",
        "--override-os",
        "windows",
        "--override-arch",
        "amd64",
    ];
    tool(place, "skopeo", &[&always, arguments].concat());
}

/// The sample as `dir:plain`, its layers uncompressed: Docker's formats know no zstd.
fn without_compression(place: &Place) -> &'static str {
    copy(
        place,
        &["--dest-decompress", "oci:image:latest", "dir:plain"],
    );
    "dir:plain"
}

/// The layer folders that `image` gives.
fn layers(place: &Place, image: &str, store: &str) -> Snapshot {
    place.winlayer(["unpack", image, store]).succeeds();
    let layers = snapshot(&place.path(store).join("layers"));
    assert!(layers.len() > 50, "{} paths", layers.len());
    // Parents are named by absolute path, so they name the store.
    layers
        .into_iter()
        .filter(|(path, _)| !path.ends_with("layerchain.json"))
        .collect()
}

fn manifest_digest(place: &Place, image: &str) -> String {
    let document = place
        .winlayer(["inspect", "--json", image])
        .succeeds()
        .json();
    document["manifest_digest"].as_str().unwrap().to_owned()
}

#[test]
fn an_image_pushed_by_skopeo_unpacks_as_from_the_layout() {
    let place = Place::with_sample();
    let registry = Registry::open();
    let pushed = docker(&registry, NAME);
    copy(
        &place,
        &["--dest-tls-verify=false", "oci:image:latest", &pushed],
    );

    let expected = layers(&place, "oci:image", "from-layout");
    assert_same(&layers(&place, &pushed, "from-registry"), &expected);
    assert_same(
        &layers(&place, pushed.trim_start_matches("docker://"), "bare"),
        &expected,
    );

    let digest = manifest_digest(&place, "oci:image");
    assert_eq!(manifest_digest(&place, &pushed), digest);
    let by_digest = docker(&registry, &format!("winlayer/sample@{digest}"));
    assert_same(&layers(&place, &by_digest, "by-digest"), &expected);

    place.winlayer(["verify", &pushed]).succeeds();
    copy(
        &place,
        &["--src-tls-verify=false", &pushed, "oci:back:latest"],
    );
    assert_same(&layers(&place, "oci:back", "from-back"), &expected);
}

#[test]
fn docker_manifests_unpack_to_the_same_layers() {
    let place = Place::with_sample();
    let registry = Registry::open();
    let pushed = docker(&registry, NAME);
    copy(
        &place,
        &[
            "--dest-tls-verify=false",
            "--format",
            "v2s2",
            without_compression(&place),
            &pushed,
        ],
    );
    let document = place
        .winlayer(["inspect", "--json", &pushed])
        .succeeds()
        .json();
    let media_type = document["layers"][0]["media_type"].as_str().unwrap();
    assert!(
        media_type.starts_with("application/vnd.docker."),
        "{media_type}"
    );
    // Media types are part of layer.json; the files are the same.
    let expected = files_only(layers(&place, "oci:image", "from-layout"));
    assert_same(
        &files_only(layers(&place, &pushed, "from-registry")),
        &expected,
    );
}

fn files_only(layers: Snapshot) -> Snapshot {
    layers
        .into_iter()
        .filter(|(path, _)| !path.ends_with("layer.json"))
        .collect()
}

#[test]
fn what_a_registry_lacks_is_not_found() {
    let place = Place::with_sample();
    let registry = Registry::open();
    copy(
        &place,
        &[
            "--dest-tls-verify=false",
            "oci:image:latest",
            &docker(&registry, NAME),
        ],
    );
    let unpack = |name: &str| place.winlayer(["unpack", &docker(&registry, name), "store"]);
    let host = registry.host();
    unpack("winlayer/sample:other").fails(3).saying(&[
        &format!("tag \"other\" of {host}/winlayer/sample: the registry does not have it"),
        "; it has latest",
    ]);
    unpack("winlayer/none:latest").fails(3).saying(&[&format!(
        "tag \"latest\" of {host}/winlayer/none: the registry does not have it"
    )]);
    let digest = format!("sha256:{}", "0".repeat(64));
    unpack(&format!("winlayer/sample@{digest}"))
        .fails(3)
        .saying(&[&format!("manifest {digest} of {host}/winlayer/sample: ")]);
    assert!(!place.exists("store/layers"));
}

#[test]
fn a_guarded_registry_wants_its_authority_and_a_password() {
    let place = Place::with_sample();
    let registry = Registry::secured(USER, PASSWORD);
    let tls = registry.tls().unwrap();
    let certificates = tls.ca_dir.display().to_string();
    let authority = tls.ca_certificate.display().to_string();
    let login = [
        "login",
        "--authfile",
        "auth.json",
        "--cert-dir",
        &certificates,
        "-u",
        USER,
    ];
    tool(
        &place,
        "skopeo",
        &[&login as &[_], &["-p", PASSWORD, &registry.host()]].concat(),
    );
    let pushed = docker(&registry, NAME);
    copy(
        &place,
        &[
            "--authfile",
            "auth.json",
            "--dest-cert-dir",
            &certificates,
            "oci:image:latest",
            &pushed,
        ],
    );

    let unpack = |more: &[&str]| {
        let arguments = [&["unpack", &pushed, "store"] as &[_], more].concat();
        place.winlayer(arguments)
    };
    let host = registry.host();
    unpack(&["--authfile", "auth.json"]).fails(1).saying(&[
        &format!("no secure connection to {host}: its certificate is not trusted"),
        "hint: ",
        "--ca-file",
        "--insecure-tls",
    ]);
    unpack(&["--authfile", "auth.json", "--plain-http"])
        .fails(1)
        .saying(&["does not understand plain HTTP", "hint: ", "--plain-http"]);
    unpack(&["--ca-file", &authority]).fails(1).saying(&[
        &format!("{host} wants a user name and password for winlayer/sample"),
        "no credentials were found",
        "hint: ",
        "--authfile",
    ]);
    assert!(!place.exists("store/layers"));
    unpack(&["--authfile", "auth.json", "--ca-file", &authority]).succeeds();
    let found = snapshot(&place.path("store/layers"));
    let expected = layers(&place, "oci:image", "from-layout");
    assert_same(
        &found
            .into_iter()
            .filter(|(path, _)| !path.ends_with("layerchain.json"))
            .collect(),
        &expected,
    );

    let verify = [
        "verify",
        &pushed,
        "--authfile",
        "auth.json",
        "--insecure-tls",
    ];
    place.winlayer(verify).succeeds();
    let answer = place
        .winlayer(["verify", &pushed, "--insecure-tls"])
        .fails(1);
    assert!(!answer.stderr.contains(PASSWORD));
}

#[test]
fn a_wrong_authority_and_a_wrong_password_are_refused_by_name() {
    let place = Place::with_sample();
    let registry = Registry::secured(USER, PASSWORD);
    let (host, pushed) = (registry.host(), docker(&registry, NAME));
    let authority = registry.tls().unwrap().ca_certificate.display().to_string();
    let stranger = Registry::secured(USER, PASSWORD);
    let other = stranger.tls().unwrap().ca_certificate.display().to_string();
    for authority in [&authority, &other] {
        // Both authorities call themselves alike, so only the signature tells them apart.
        let answer = place.winlayer(["inspect", &pushed, "--ca-file", authority]);
        let answer = answer.fails(1);
        let refused = format!("no secure connection to {host}: its certificate is not trusted");
        assert_eq!(
            answer.stderr.contains(&refused),
            *authority == other,
            "{answer:#?}"
        );
        if *authority == other {
            answer.saying(&["hint: ", "--ca-file", "--insecure-tls"]);
        }
    }

    // c2hpcDpieS1kYXk= is ship:by-day
    std::fs::write(
        place.path("wrong.json"),
        format!(r#"{{"auths":{{"{host}":{{"auth":"c2hpcDpieS1kYXk="}}}}}}"#),
    )
    .unwrap();
    let inspect = |more: &[&str]| {
        let arguments = [&["inspect", &pushed, "--ca-file", &authority], more].concat();
        place.winlayer(arguments)
    };
    let refused = "the credentials in wrong.json were not accepted";
    let answer = inspect(&["--authfile", "wrong.json"]).fails(1).saying(&[
        &host,
        refused,
        "hint: ",
        &format!("skopeo login {host}"),
        "--authfile",
    ]);
    assert!(!answer.stderr.contains("by-day"), "{answer:#?}");
    std::fs::write(place.path("empty.json"), "{}").unwrap();
    inspect(&["--authfile", "empty.json"])
        .fails(1)
        .saying(&[&host, "empty.json has no credentials for it"]);
    inspect(&["--authfile", "none.json"])
        .fails(3)
        .saying(&["cannot read the credentials file none.json", "--authfile"]);
}

#[test]
fn archives_made_by_skopeo_unpack_as_the_layout() {
    let place = Place::with_sample();
    copy(
        &place,
        &["oci:image:latest", "oci-archive:image.tar:latest"],
    );
    let expected = layers(&place, "oci:image", "from-layout");
    assert_same(
        &layers(&place, "oci-archive:image.tar:latest", "from-oci-archive"),
        &expected,
    );
    assert_same(
        &layers(&place, "oci-archive:image.tar", "without-tag"),
        &expected,
    );

    copy(
        &place,
        &[
            without_compression(&place),
            "docker-archive:docker.tar:example.org/sample:v1",
        ],
    );
    let archive = "docker-archive:docker.tar:example.org/sample:v1";
    // `docker save` keeps no compressed blobs, so layer.json differs in their digests.
    assert_same(
        &files_only(layers(&place, archive, "from-docker-archive")),
        &files_only(expected),
    );
    place
        .winlayer(["unpack", "docker-archive:docker.tar:other:v1", "none"])
        .fails(3);
    place
        .winlayer(["verify", "docker-archive:docker.tar"])
        .succeeds();
}

#[test]
fn skopeo_and_umoci_accept_the_layout() {
    let place = Place::with_sample();
    let raw = tool(&place, "skopeo", &["inspect", "--raw", "oci:image:latest"]).json();
    assert_eq!(raw["schemaVersion"], 2);
    let inspect = [
        "inspect",
        "--override-os",
        "windows",
        "--override-arch",
        "amd64",
        "oci:image:latest",
    ];
    let facts = tool(&place, "skopeo", &inspect).json();
    assert_eq!(facts["Os"], "windows");
    assert_eq!(facts["Layers"].as_array().unwrap().len(), 3);
    let tags = tool(&place, "umoci", &["list", "--layout", "image"]).stdout;
    assert_eq!(tags.trim(), "latest");
    let history = tool(
        &place,
        "umoci",
        &["stat", "--image", "image:latest", "--json"],
    )
    .json();
    let layers = history["history"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| !step["layer"].is_null());
    assert_eq!(layers.count(), 3);
    // A copy re-reads every digest.
    copy(&place, &["oci:image:latest", "dir:plain"]);
}

#[test]
fn tar_programs_list_every_entry_of_our_tars() {
    let place = Place::with_sample();
    let document = place
        .winlayer(["inspect", "--json", "oci:image"])
        .succeeds()
        .json();
    let mut tars: Vec<PathBuf> = Vec::new();
    for (index, layer) in document["layers"].as_array().unwrap().iter().enumerate() {
        let digest = layer["digest"]
            .as_str()
            .unwrap()
            .trim_start_matches("sha256:");
        tars.push(place.path("image/blobs/sha256").join(digest));
        let name = format!("layer{}.tar", index + 1);
        let number = (index + 1).to_string();
        place
            .winlayer([
                "unpack",
                "oci:image",
                &name,
                "--to",
                "tar",
                "--layer",
                &number,
            ])
            .succeeds();
        tars.push(place.path(&name));
    }
    place
        .winlayer(["unpack", "oci:image", "merged.tar", "--to", "tar"])
        .succeeds();
    tars.push(place.path("merged.tar"));
    for tar in tars {
        let tar = tar.to_str().unwrap();
        let names = |program: &str, more: &[&str]| {
            let listing = tool(&place, program, &[&["-tf", tar], more].concat());
            // GNU tar mentions PAX keys it does not know, and nothing else.
            let unknown = |line: &&str| !line.contains("Ignoring unknown extended header keyword");
            assert_eq!(
                listing.stderr.lines().find(unknown),
                None,
                "{program} {tar}"
            );
            listing
                .stdout
                .lines()
                .map(|name| name.trim_end_matches('/').to_owned())
                .collect::<Vec<_>>()
        };
        let gnu = names("tar", &["--quoting-style=literal"]);
        assert!(gnu.len() > 5, "{tar}: {gnu:?}");
        let bsd = names("bsdtar", &[]);
        assert_eq!(bsd.len(), gnu.len(), "{tar}");
        // bsdtar composes Unicode names, so they may look different.
        for (bsd, gnu) in bsd.iter().zip(&gnu) {
            assert!(bsd == gnu || !gnu.is_ascii(), "{tar}: {bsd} {gnu}");
        }
    }
}
