//! The registry by plain HTTP, and by an independent client.

use std::{
    io::{Read as _, Write as _},
    time::Instant,
};

use super::*;
use crate::{LayerSpec, Layout, LayoutBuilder, RawTar, tools};

struct Response {
    status: u16,
    head: String,
    body: Vec<u8>,
}

fn request(address: &str, method: &str, path: &str, headers: &str) -> Response {
    let mut connection = TcpStream::connect(address).unwrap();
    let text = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    connection.write_all(text.as_bytes()).unwrap();
    connection.shutdown(std::net::Shutdown::Write).unwrap();
    let mut bytes = Vec::new();
    connection.read_to_end(&mut bytes).unwrap();
    let split = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap_or(0);
    let head = String::from_utf8_lossy(&bytes[..split]).into_owned();
    let status = head
        .split(' ')
        .nth(1)
        .map_or(0, |status| status.parse().unwrap());
    Response {
        status,
        head,
        body: bytes.split_off((split + 4).min(bytes.len())),
    }
}

struct Scene {
    folder: tempfile::TempDir,
    layout: Layout,
    registry: FaultyRegistry,
}

impl Scene {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tar = RawTar::new()
            .dir("Files")
            .file("Files/a", "content")
            .finish();
        let layout = LayoutBuilder::of([tar]).write(folder.path().join("layout"));
        let registry = FaultyRegistry::serve(&layout.path);
        Self {
            folder,
            layout,
            registry,
        }
    }

    fn blob(&self, headers: &str) -> Response {
        let path = format!("/v2/x/blobs/{}", self.layout.layers[0].digest);
        request(&self.registry.host(), "GET", &path, headers)
    }

    fn fail_blob(&self, fault: Fault) {
        self.registry.fail(
            Target::Blob(self.layout.layers[0].digest),
            fault,
            Times::Once,
        );
    }

    fn true_blob(&self) -> Vec<u8> {
        self.layout.blob(self.layout.layers[0].digest)
    }
}

#[test]
fn an_independent_client_pulls_with_credentials_and_redirects() {
    let credentials = || ("user".to_owned(), "secret".to_owned());
    let (user, password) = credentials();
    for auth in [
        Auth::None,
        Auth::AnonymousToken,
        Auth::Basic {
            user: user.clone(),
            password: password.clone(),
        },
        Auth::Token { user, password },
    ] {
        for redirect in [false, true] {
            let scene = Scene::new();
            scene.registry.require(auth.clone());
            scene.registry.redirect_blobs(redirect);
            let source = format!("docker://{}", scene.registry.reference("some/name:latest"));
            let copy = format!("oci:{}:copy", scene.folder.path().join("copy").display());
            tools::skopeo([
                "copy",
                "--src-tls-verify=false",
                "--src-creds=user:secret",
                &source,
                &copy,
            ]);
            scene.registry.assert_no_credentials_reached_the_cdn();
            let cdn = scene
                .registry
                .log()
                .iter()
                .any(|request| request.host == Host::Cdn);
            assert_eq!(cdn, redirect, "{auth:?}");
        }
    }
}

#[test]
fn wrong_credentials_are_refused() {
    let scene = Scene::new();
    scene.registry.require(Auth::Token {
        user: "u".into(),
        password: "p".into(),
    });
    let host = scene.registry.host();
    let refused = scene.blob("");
    assert_eq!(refused.status, 401);
    assert!(
        refused.head.contains("scope=\"repository:x:pull\""),
        "{}",
        refused.head
    );
    assert_eq!(request(&host, "GET", "/token?service=test", "").status, 401);
    let basic = format!("Authorization: {}\r\n", auth::basic("u", "p"));
    let token = request(&host, "GET", "/token?service=test", &basic);
    assert_eq!(token.status, 200);
    let bearer = "Authorization: Bearer token-1\r\n";
    assert_eq!(scene.blob(bearer).status, 200);
    scene.registry.expire_tokens();
    assert_eq!(scene.blob(bearer).status, 401);
}

#[test]
fn ranges_are_served_and_each_fault_happens_as_often_as_asked() {
    let scene = Scene::new();
    let truth = scene.true_blob();
    let part = scene.blob("Range: bytes=5-\r\n");
    assert_eq!((part.status, &part.body[..]), (206, &truth[5..]));
    assert!(
        part.head
            .contains(&format!("bytes 5-{}/{}", truth.len() - 1, truth.len()))
    );
    assert_eq!(scene.blob("Range: bytes=5-7\r\n").body, truth[5..8]);
    assert_eq!(scene.blob("Range: bytes=999999-\r\n").status, 416);

    scene.fail_blob(Fault::IgnoreRange);
    let whole = scene.blob("Range: bytes=5-\r\n");
    assert_eq!((whole.status, whole.body), (200, truth.clone()));
    scene.fail_blob(Fault::BadContentRange);
    assert!(scene.blob("Range: bytes=5-\r\n").head.contains("bytes 6-"));
    scene.fail_blob(Fault::CutAfter(7));
    let cut = scene.blob("");
    assert_eq!(cut.body, truth[..7]);
    assert!(
        cut.head
            .contains(&format!("Content-Length: {}", truth.len()))
    );
    scene.fail_blob(Fault::Truncate(7));
    assert!(scene.blob("").head.contains("Content-Length: 7"));
    scene.fail_blob(Fault::WrongBytes);
    let wrong = scene.blob("").body;
    assert_eq!(wrong.iter().zip(&truth).filter(|(a, b)| a != b).count(), 1);
    scene.fail_blob(Fault::TooLong(3));
    assert_eq!(scene.blob("").body.len(), truth.len() + 3);
    scene.fail_blob(Fault::NoAnswer);
    assert_eq!(scene.blob("").status, 0);

    scene
        .registry
        .fail(Target::AnyBlob, Fault::Status(503, None), Times::Count(2));
    scene
        .registry
        .fail(Target::AnyBlob, Fault::Status(429, Some(1)), Times::Once);
    assert_eq!(
        [(); 4].map(|()| scene.blob("").status),
        [503, 503, 429, 200]
    );
    scene
        .registry
        .fail(Target::AnyBlob, Fault::Status(404, None), Times::Always);
    assert_eq!([(); 3].map(|()| scene.blob("").status), [404; 3]);
    scene.registry.heal();

    let pause = Duration::from_millis(60);
    scene.fail_blob(Fault::Slow(pause));
    let start = Instant::now();
    assert_eq!(scene.blob("").body, truth);
    assert!(start.elapsed() >= pause);
}

#[test]
fn a_foreign_url_serves_a_blob_the_registry_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let spec = LayerSpec {
        tar: RawTar::new().dir("Files").finish(),
        ..LayerSpec::default()
    };
    let layout = LayoutBuilder::new().layer_spec(spec).write(folder.path());
    let registry = FaultyRegistry::serve(&layout.path);
    let digest = layout.layers[0].digest;
    let url = registry.foreign_url(digest);
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    assert_eq!(
        request(address, "GET", &format!("/{path}"), "").body,
        layout.blob(digest)
    );
    let log = registry.blob_requests(digest);
    assert_eq!((log.len(), log[0].host, log[0].status), (1, Host::Cdn, 200));
}
