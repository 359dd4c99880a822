//! What the client does when a registry behaves, and when it does not.

mod auth;
mod blobs;

use std::{
    fs,
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use winlayer_digest::{DiffId, Digest};

use super::{
    Tuning,
    test_server::{Asked, Reply, TestServer},
};
use crate::{
    Image, ImageError, ImageErrorKind, Layer, Reference, SourceOptions, image_error_in,
    media_type::{OCI_CONFIG, OCI_MANIFEST},
};

/// A one-layer Windows image and the answers an honest registry gives for it.
#[derive(Clone)]
struct Fixture {
    blob: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Fixture {
    fn new(os: &str, urls: &[String]) -> Self {
        let blob: Vec<u8> = (0..200_000_u32)
            .flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes())
            .collect();
        let config = json!({
            "os": os, "architecture": "amd64", "os.version": "10.0.20348.1",
            "rootfs": { "type": "layers", "diff_ids": [DiffId::new(Digest::of(b"tar")).to_string()] },
        });
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": { "mediaType": OCI_CONFIG, "digest": Digest::of(&config).to_string(), "size": config.len() },
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": Digest::of(&blob).to_string(), "size": blob.len(), "urls": urls,
            }],
        });
        let manifest = manifest.to_string().into_bytes();
        Self {
            blob,
            config,
            manifest,
        }
    }

    fn is_blob(&self, asked: &Asked) -> bool {
        asked.path == format!("/v2/app/blobs/{}", Digest::of(&self.blob))
    }

    fn honest(&self, asked: &Asked) -> Reply {
        let manifest = Digest::of(&self.manifest);
        if asked.path == "/v2/app/manifests/v1"
            || asked.path == format!("/v2/app/manifests/{manifest}")
        {
            return Reply::ok(&*self.manifest)
                .with("Content-Type", OCI_MANIFEST)
                .with("Docker-Content-Digest", manifest.to_string());
        }
        if asked.path == format!("/v2/app/blobs/{}", Digest::of(&self.config)) {
            return Reply::ok(&*self.config);
        }
        if self.is_blob(asked) {
            return Reply::ranged(asked, &self.blob);
        }
        Reply::new(404)
            .body(r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"gone\u001b[2J"}]}"#)
    }

    /// A registry where only requests for the blob are answered by `blob`, which also gets how
    /// many of them there were before.
    fn serve_blob(
        &self,
        blob: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static,
    ) -> TestServer {
        let fixture = self.clone();
        let before = std::sync::atomic::AtomicUsize::new(0);
        TestServer::start(move |asked, _| match fixture.is_blob(asked) {
            true => blob(
                asked,
                before.fetch_add(1, std::sync::atomic::Ordering::SeqCst),
            ),
            false => fixture.honest(asked),
        })
    }
}

fn quick() -> Tuning {
    Tuning {
        connect_timeout: Duration::from_secs(5),
        read_timeout: Duration::from_secs(10),
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(2),
        longest_retry_after: Duration::from_millis(20),
        forgiven_after: 1 << 20,
    }
}

fn options() -> SourceOptions {
    SourceOptions {
        platform: "windows/amd64".parse().unwrap(),
        retries: Some(3),
        ..SourceOptions::default()
    }
}

/// Options under which no credentials of whoever runs the tests are found.
fn with_auth(dir: &Path, auths: &str) -> SourceOptions {
    let authfile = dir.join("auth.json");
    fs::write(&authfile, format!(r#"{{"auths":{{{auths}}}}}"#)).unwrap();
    SourceOptions {
        authfile: Some(authfile),
        ..options()
    }
}

fn resolve_with(
    server: &TestServer,
    reference: &str,
    options: &SourceOptions,
) -> Result<Image, ImageError> {
    let reference: Reference = format!("docker://{}/{reference}", server.host())
        .parse()
        .unwrap();
    Image::resolve_tuned(&reference, options, quick())
}

fn resolve(server: &TestServer) -> Result<Image, ImageError> {
    resolve_with(server, "app:v1", &options())
}

/// The layer's bytes, or what went wrong on opening or reading.
fn read_layer(image: &Image, partial: Option<&Path>) -> Result<Vec<u8>, ImageError> {
    let layer: &Layer = &image.layers()[0];
    let mut bytes = Vec::new();
    match image.open_layer(layer, partial)?.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(image_error_in(&error)
            .expect("every failure says what it is")
            .clone()),
    }
}

fn blob_requests(server: &TestServer, fixture: &Fixture) -> Vec<Asked> {
    server
        .asked()
        .into_iter()
        .filter(|asked| fixture.is_blob(asked))
        .collect()
}

#[test]
fn an_image_is_resolved_and_its_layer_read() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, _| f.honest(asked)
    });
    let image = resolve(&server).unwrap();
    assert_eq!(image.manifest_digest(), Digest::of(&fixture.manifest));
    assert_eq!(image.platform().to_string(), "windows/amd64:10.0.20348.1");
    assert_eq!(image.layers()[0].chain_id.digest(), Digest::of(b"tar"));
    assert_eq!(read_layer(&image, None).unwrap(), fixture.blob);
    let asked = server.asked();
    assert!(
        asked[0]
            .header("accept")
            .unwrap()
            .contains("manifest.list.v2+json")
    );
    assert!(
        asked
            .iter()
            .all(|asked| asked.header("authorization").is_none())
    );
}

#[test]
fn a_missing_tag_is_not_found_in_the_registry_s_words_without_control_characters() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob(|_, _| Reply::new(404));
    let error = resolve_with(&server, "app:none", &options()).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::NotFound);
    assert!(
        error
            .to_string()
            .contains("MANIFEST_UNKNOWN: gone\\u{1b}[2J"),
        "{error}"
    );
}

#[test]
fn a_linux_image_is_refused_before_any_layer_is_asked_for() {
    let fixture = Fixture::new("linux", &[]);
    let server = fixture.serve_blob(|_, _| Reply::new(404));
    let error = resolve(&server).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::NoMatchingPlatform);
    assert!(error.to_string().contains("linux/amd64"), "{error}");
    assert!(blob_requests(&server, &fixture).is_empty());
}

#[test]
fn by_digest_the_manifest_must_be_the_one_named() {
    let fixture = Fixture::new("windows", &[]);
    let manifest = fixture.manifest.clone();
    let server =
        TestServer::start(move |_, _| Reply::ok(&*manifest).with("Content-Type", OCI_MANIFEST));
    let error = resolve_with(
        &server,
        &format!("app@{}", Digest::of(b"other")),
        &options(),
    )
    .unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::Verification);
}

#[test]
fn by_tag_the_manifest_must_be_the_one_the_registry_announces() {
    let fixture = Fixture::new("windows", &[]);
    let server = TestServer::start(move |_, _| {
        Reply::ok(&*fixture.manifest)
            .with("Content-Type", OCI_MANIFEST)
            .with("Docker-Content-Digest", Digest::of(b"other").to_string())
    });
    assert_eq!(
        resolve(&server).unwrap_err().kind(),
        ImageErrorKind::Verification
    );
}

#[test]
fn a_huge_manifest_is_not_read() {
    let server =
        TestServer::start(|_, _| Reply::ok(vec![b' '; 5 << 20]).with("Content-Type", OCI_MANIFEST));
    assert_eq!(resolve(&server).unwrap_err().kind(), ImageErrorKind::Limit);
}

#[test]
fn busy_answers_are_waited_out_but_not_for_ever() {
    let fixture = Fixture::new("windows", &[]);
    let server = TestServer::start({
        let f = fixture.clone();
        move |asked, number| match number {
            0 => Reply::new(429).with("Retry-After", "3600"),
            1 => Reply::new(503),
            2 => f.honest(asked).cut_after(20),
            _ => f.honest(asked),
        }
    });
    let started = Instant::now();
    resolve(&server).unwrap();
    assert!(started.elapsed() < Duration::from_secs(60));

    let server = TestServer::start(|_, _| Reply::new(429));
    let error = resolve(&server).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::Network);
    assert_eq!(server.asked().len(), 4);
}

#[test]
fn a_plain_registry_on_loopback_is_greeted_in_tls_once_and_never_when_plain_http_is_asked_for() {
    let fixture = Fixture::new("windows", &[]);
    for (plain_http, greetings) in [(false, 1), (true, 0)] {
        let f = fixture.clone();
        let server = TestServer::start(move |asked, _| f.honest(asked));
        let options = SourceOptions {
            plain_http,
            ..options()
        };
        let image = resolve_with(&server, "app:v1", &options).unwrap();
        assert_eq!(read_layer(&image, None).unwrap(), fixture.blob);
        assert_eq!(server.greetings(), greetings, "plain_http {plain_http}");
        assert_eq!(server.asked().len(), 3);
    }
}

#[test]
fn plain_text_is_no_answer_when_tls_is_asked_for() {
    let fixture = Fixture::new("windows", &[]);
    let server = TestServer::start(move |asked, _| fixture.honest(asked));
    let options = SourceOptions {
        insecure_tls: true,
        ..options()
    };
    let error = resolve_with(&server, "app:v1", &options).unwrap_err();
    assert!(error.to_string().contains("does not speak TLS"), "{error}");
    assert!(server.asked().is_empty());
}

#[test]
fn an_unreachable_registry_is_a_network_error() {
    let address = TestServer::start(|_, _| Reply::new(404)).host();
    let reference: Reference = format!("{address}/app:v1").parse().unwrap();
    let error = Image::resolve_tuned(&reference, &options(), quick()).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::Network);
}
