//! Blobs over connections that break.

use proptest::prelude::*;

use super::*;

#[test]
fn a_cut_blob_is_resumed_with_a_closed_range() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, before| match before {
            0..2 => f.honest(asked).cut_after(100_000),
            _ => f.honest(asked),
        }
    });
    assert_eq!(
        read_layer(&resolve(&server).unwrap(), None).unwrap(),
        fixture.blob
    );
    let ranges: Vec<_> = blob_requests(&server, &fixture)
        .iter()
        .map(Asked::range)
        .collect();
    let last = fixture.blob.len() - 1;
    assert_eq!(ranges, [None, Some((100_000, last)), Some((200_000, last))]);
}

#[test]
fn a_stalled_connection_is_resumed_too() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, before| match before {
            0 => f.honest(asked).cut_after(5000).stalled(),
            _ => f.honest(asked),
        }
    });
    let tuning = Tuning {
        read_timeout: Duration::from_millis(300),
        ..quick()
    };
    let reference: Reference = format!("{}/app:v1", server.host()).parse().unwrap();
    let image = Image::resolve_tuned(&reference, &options(), tuning).unwrap();
    let started = Instant::now();
    assert_eq!(read_layer(&image, None).unwrap(), fixture.blob);
    assert!(
        started.elapsed() < Duration::from_secs(50),
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn a_server_that_ignores_or_fails_ranges_is_read_from_the_start_again() {
    type Answer = fn(&Asked, &[u8]) -> Reply;
    let ways: [(&str, Answer); 4] = [
        ("ignores", |_, blob| Reply::ok(blob)),
        ("416", |asked, blob| match asked.range() {
            Some(_) => Reply::new(416),
            None => Reply::ok(blob),
        }),
        ("starts elsewhere", |asked, blob| match asked.range() {
            Some((first, last)) => Reply::new(206)
                .with(
                    "Content-Range",
                    format!("bytes {}-{last}/{}", first - 1, blob.len()),
                )
                .body(&blob[first - 1..]),
            None => Reply::ok(blob),
        }),
        ("does not say where it starts", |asked, blob| {
            match asked.range() {
                Some(_) => Reply::new(206).body(blob),
                None => Reply::ok(blob),
            }
        }),
    ];
    for (name, way) in ways {
        let fixture = Fixture::new("windows", &[]);
        let server = fixture.serve_blob({
            let blob = fixture.blob.clone();
            move |asked, before| match before {
                0 => way(asked, &blob).cut_after(100_000),
                _ => way(asked, &blob),
            }
        });
        assert_eq!(
            read_layer(&resolve(&server).unwrap(), None).unwrap(),
            fixture.blob,
            "{name}"
        );
    }
}

#[test]
fn a_connection_that_never_gets_on_is_given_up() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |_, _| Reply::ok(&*f.blob).cut_after(10)
    });
    let error = read_layer(&resolve(&server).unwrap(), None).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::Network);
    assert_eq!(
        blob_requests(&server, &fixture).len(),
        4,
        "one request and three retries"
    );
}

#[test]
fn another_size_is_refused_before_a_byte_is_read() {
    let fixture = Fixture::new("windows", &[]);
    for extra in [1_i64, -1] {
        let server = fixture.serve_blob({
            let mut blob = fixture.blob.clone();
            blob.resize(usize::try_from(blob.len() as i64 + extra).unwrap(), 0);
            move |_, _| Reply::ok(&*blob)
        });
        let image = resolve(&server).unwrap();
        let error = image.open_layer(&image.layers()[0], None).err().unwrap();
        assert_eq!(error.kind(), ImageErrorKind::Verification);
    }
}

#[test]
fn a_longer_blob_of_untold_length_is_refused_at_its_promised_end() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let blob = fixture.blob.clone();
        move |_, _| {
            let mut body = format!("{:x}\r\n", blob.len() + 1).into_bytes();
            body.extend(&blob);
            body.extend(b"!\r\n0\r\n\r\n");
            Reply::ok(body).with("Transfer-Encoding", "chunked")
        }
    });
    assert_eq!(
        read_layer(&resolve(&server).unwrap(), None)
            .unwrap_err()
            .kind(),
        ImageErrorKind::Verification
    );
}

#[test]
fn a_wrong_blob_fails_at_the_end_and_leaves_no_bytes_to_resume_from() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, before| {
            let mut blob = f.blob.clone();
            blob[70_000] ^= u8::from(before == 0);
            Reply::ranged(asked, &blob)
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("x.partial");
    let image = resolve(&server).unwrap();
    assert_eq!(
        read_layer(&image, Some(&partial)).unwrap_err().kind(),
        ImageErrorKind::Verification
    );
    assert_eq!(fs::metadata(&partial).unwrap().len(), 0);
    assert_eq!(read_layer(&image, Some(&partial)).unwrap(), fixture.blob);
    assert_eq!(fs::read(&partial).unwrap(), fixture.blob);
}

#[test]
fn a_later_run_goes_on_after_the_partial_file() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, before| match before {
            0 => f.honest(asked).cut_after(300_000),
            1..4 => Reply::new(503),
            _ => f.honest(asked),
        }
    });
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("x.partial");
    let mut options = options();
    options.retries = Some(2);
    let image = resolve_with(&server, "app:v1", &options).unwrap();
    let error = read_layer(&image, Some(&partial)).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::Network);
    assert_eq!(fs::read(&partial).unwrap(), &fixture.blob[..300_000]);

    let before = blob_requests(&server, &fixture).len();
    let image = resolve_with(&server, "app:v1", &options).unwrap();
    while read_layer(&image, Some(&partial)).is_err() {}
    let asked = blob_requests(&server, &fixture);
    assert!(
        asked[before..]
            .iter()
            .all(|asked| asked.range() == Some((300_000, fixture.blob.len() - 1)))
    );
    assert_eq!(fs::read(&partial).unwrap(), fixture.blob);
}

#[test]
fn a_complete_partial_file_needs_no_request_and_a_longer_one_is_dropped() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, _| f.honest(asked)
    });
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("x.partial");
    let image = resolve(&server).unwrap();
    fs::write(&partial, &fixture.blob).unwrap();
    assert_eq!(read_layer(&image, Some(&partial)).unwrap(), fixture.blob);
    assert!(blob_requests(&server, &fixture).is_empty());
    fs::write(&partial, [&fixture.blob[..], b"more"].concat()).unwrap();
    assert_eq!(read_layer(&image, Some(&partial)).unwrap(), fixture.blob);
    assert_eq!(fs::read(&partial).unwrap(), fixture.blob);
}

#[test]
fn a_rotten_partial_file_fails_once_and_is_emptied() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, _| f.honest(asked)
    });
    let dir = tempfile::tempdir().unwrap();
    let partial = dir.path().join("x.partial");
    let image = resolve(&server).unwrap();
    fs::write(&partial, vec![0; 1000]).unwrap();
    assert_eq!(
        read_layer(&image, Some(&partial)).unwrap_err().kind(),
        ImageErrorKind::Verification
    );
    assert_eq!(read_layer(&image, Some(&partial)).unwrap(), fixture.blob);
}

#[test]
fn foreign_urls_are_tried_in_order_without_credentials() {
    let blob = Fixture::new("windows", &[]).blob;
    let digest = Digest::of(&blob);
    let missing = TestServer::start(|_, _| Reply::new(404));
    let elsewhere = TestServer::start({
        let blob = blob.clone();
        move |asked, _| Reply::ranged(asked, &blob)
    });
    let urls = [
        "file:///etc/passwd".into(),
        missing.url("/a"),
        elsewhere.url("/b"),
    ];
    let fixture = Fixture::new("windows", &urls);
    let dir = tempfile::tempdir().unwrap();
    let f = fixture.clone();
    let server = TestServer::start(move |asked, _| match asked.header("authorization") {
        None => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) if f.is_blob(asked) => Reply::new(404),
        Some(_) => f.honest(asked),
    });
    let options = with_auth(
        dir.path(),
        &format!(r#""{}":{{"username":"u","password":"p"}}"#, server.host()),
    );
    let image = resolve_with(&server, "app:v1", &options).unwrap();
    assert_eq!(image.layers()[0].digest, Some(digest));
    assert_eq!(read_layer(&image, None).unwrap(), blob);
    assert_eq!((missing.asked().len(), elsewhere.asked().len()), (1, 1));
    assert!(elsewhere.asked()[0].header("authorization").is_none());
}

#[test]
fn a_blob_that_is_nowhere_is_not_found() {
    let missing = TestServer::start(|_, _| Reply::new(404));
    let fixture = Fixture::new("windows", &[missing.url("/a")]);
    let server = fixture.serve_blob(|_, _| Reply::new(404));
    let error = read_layer(&resolve(&server).unwrap(), None).unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::NotFound);
    assert!(error.to_string().contains("1 urls"), "{error}");
}

#[test]
fn layers_are_read_by_several_threads_at_once() {
    let fixture = Fixture::new("windows", &[]);
    let server = fixture.serve_blob({
        let f = fixture.clone();
        move |asked, _| f.honest(asked)
    });
    let image = resolve(&server).unwrap();
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| read_layer(&image, None)))
            .collect();
        for reader in readers {
            assert_eq!(reader.join().unwrap().unwrap(), fixture.blob);
        }
    });
}

/// One answer to a request for the blob.
#[derive(Clone, Debug)]
enum Behaviour {
    /// As asked, cut after so many bytes.
    Cut(usize),
    /// The whole blob whatever was asked, cut after so many bytes.
    IgnoresRange(usize),
    /// As asked, with a byte changed.
    Lies,
    Status(u16),
    Honest,
}

fn behaviours() -> impl Strategy<Value = Vec<Behaviour>> {
    let one = prop_oneof![
        (0..800_000_usize).prop_map(Behaviour::Cut),
        (0..800_000_usize).prop_map(Behaviour::IgnoresRange),
        Just(Behaviour::Lies),
        prop::sample::select(vec![404_u16, 416, 429, 500, 503]).prop_map(Behaviour::Status),
        Just(Behaviour::Honest),
    ];
    prop::collection::vec(one, 1..6)
}

fn behave(behaviour: &Behaviour, asked: &Asked, blob: &[u8]) -> Reply {
    let rest = asked
        .range()
        .map_or(blob.len(), |(first, last)| last + 1 - first);
    match behaviour {
        Behaviour::Cut(bytes) => Reply::ranged(asked, blob).cut_after(rest.min(*bytes)),
        Behaviour::IgnoresRange(bytes) => Reply::ok(blob).cut_after(blob.len().min(*bytes)),
        Behaviour::Lies => {
            let mut wrong = blob.to_vec();
            let last = wrong.len() - 1;
            wrong[last] ^= 1;
            Reply::ranged(asked, &wrong)
        }
        Behaviour::Status(status) => Reply::new(*status),
        Behaviour::Honest => Reply::ranged(asked, blob),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn whatever_a_registry_does_only_the_right_bytes_pass(first in behaviours(), second in behaviours()) {
        let fixture = Fixture::new("windows", &[]);
        let dir = tempfile::tempdir().unwrap();
        let partial = dir.path().join("x.partial");
        for behaviours in [first, second] {
            let server = fixture.serve_blob({
                let blob = fixture.blob.clone();
                move |asked, before| behave(behaviours.get(before).unwrap_or(&Behaviour::Honest), asked, &blob)
            });
            let read = read_layer(&resolve(&server).unwrap(), Some(&partial));
            let kept = fs::read(&partial).unwrap();
            match read {
                Ok(bytes) => prop_assert!(bytes == fixture.blob && kept == fixture.blob),
                Err(error) if error.kind() == ImageErrorKind::Verification => prop_assert!(kept.is_empty()),
                Err(_) => prop_assert!(fixture.blob.starts_with(&kept)),
            }
        }
    }
}
