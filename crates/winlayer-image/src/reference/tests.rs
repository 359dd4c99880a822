use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Reference {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn registry_of(text: &str) -> (String, String, Option<String>) {
    match parse(text) {
        Reference::Registry(r) => (r.host, r.repository, r.tag),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_bare_name_is_docker_hub_library() {
    assert_eq!(
        registry_of("busybox"),
        ("docker.io".into(), "library/busybox".into(), None)
    );
    assert_eq!(
        registry_of("busybox:1.36"),
        (
            "docker.io".into(),
            "library/busybox".into(),
            Some("1.36".into())
        )
    );
    assert_eq!(
        registry_of("me/app"),
        ("docker.io".into(), "me/app".into(), None)
    );
    assert_eq!(
        registry_of("docker.io/app"),
        ("docker.io".into(), "library/app".into(), None)
    );
    assert_eq!(
        registry_of("index.docker.io/me/app"),
        ("docker.io".into(), "me/app".into(), None)
    );
}

#[test]
fn a_host_has_a_dot_a_port_or_is_localhost() {
    assert_eq!(
        registry_of("localhost/app:x"),
        ("localhost".into(), "app".into(), Some("x".into()))
    );
    assert_eq!(
        registry_of("box:5000/a/b"),
        ("box:5000".into(), "a/b".into(), None)
    );
    assert_eq!(
        registry_of("127.0.0.1:5000/a:b"),
        ("127.0.0.1:5000".into(), "a".into(), Some("b".into()))
    );
    assert_eq!(
        registry_of("docker://[::1]:5000/a"),
        ("[::1]:5000".into(), "a".into(), None)
    );
    assert_eq!(
        registry_of("mcr.microsoft.com/windows/nanoserver:ltsc2022"),
        (
            "mcr.microsoft.com".into(),
            "windows/nanoserver".into(),
            Some("ltsc2022".into())
        )
    );
}

#[test]
fn tag_and_digest_may_come_together() {
    let digest = Digest::of(b"x");
    let Reference::Registry(r) = parse(&format!("docker://h.example/a:1@{digest}")) else {
        panic!()
    };
    assert_eq!((r.tag.as_deref(), r.digest), (Some("1"), Some(digest)));
    assert_eq!(r.to_string(), format!("h.example/a:1@{digest}"));
}

#[test]
fn paths_end_at_the_first_colon_but_keep_a_drive_letter() {
    let layout = |dir: &str, tag: Option<&str>| Reference::OciLayout {
        dir: dir.into(),
        tag: tag.map(Into::into),
    };
    assert_eq!(parse("oci:dir"), layout("dir", None));
    assert_eq!(parse("oci:/a/b:v1"), layout("/a/b", Some("v1")));
    assert_eq!(parse(r"oci:C:\x:tag"), layout(r"C:\x", Some("tag")));
    assert_eq!(parse("oci:c:/x"), layout("c:/x", None));
    assert_eq!(parse("oci:C:v1"), layout("C", Some("v1")));
    assert_eq!(
        parse("oci:d:docker.io/library/x:latest"),
        layout("d", Some("docker.io/library/x:latest"))
    );
    assert_eq!(
        parse(r"docker-archive:D:\a.tar:app:v1"),
        Reference::DockerArchive {
            file: r"D:\a.tar".into(),
            name: Some("app:v1".into())
        }
    );
    assert_eq!(
        parse("oci-archive:a.tar"),
        Reference::OciArchive {
            file: "a.tar".into(),
            tag: None
        }
    );
}

#[test]
fn refuses_what_is_not_a_reference_and_shows_the_form() {
    let long = format!("h.example/{}", "a".repeat(256));
    for text in [
        "",
        "/",
        "a//b",
        "UPPER",
        "h.example/Upper",
        "h.example/a:",
        "h.example/a:.x",
        "h.example/a@sha256:12",
        "h.example/",
        "-h.example/a",
        "h.example:99999/a",
        "h.example:/a:1:2",
        "[::1/a",
        "[zz]:1/a",
        "a b",
        "a\u{1b}",
        "oci:",
        "oci::x",
        "oci:d:",
        "oci:dd:/x",
        "oci:d:x/",
        "oci:d:a b",
        "oci-archive:",
        "docker-archive:",
        "docker-archive:f:UP",
        "https://h.example/a",
        "docker-daemon:a",
        "a___b",
        "a._b",
        "a-",
        "é",
        &long,
    ] {
        let error = text.parse::<Reference>().expect_err(text).to_string();
        assert!(error.contains("write "), "{text}: {error}");
        assert!(!error.contains(char::is_control), "{error:?}");
    }
}

fn repository() -> impl Strategy<Value = String> {
    let component = "[a-z0-9]{1,6}((\\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}";
    proptest::collection::vec(component, 2..4).prop_map(|parts| parts.join("/"))
}

fn references() -> impl Strategy<Value = Reference> {
    let host =
        "([a-z][a-z0-9]{0,5}\\.[a-z]{2,4}|localhost|10\\.0\\.0\\.1|\\[::1\\])(:[1-9][0-9]{0,3})?";
    let tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}";
    let digest = any::<[u8; 32]>().prop_map(Digest::from_bytes);
    let ref_name = "[A-Za-z0-9]{1,5}([-._:@/+][A-Za-z0-9]{1,5}){0,3}";
    // Not two slashes first: `oci://` is refused, because it looks like a URL.
    let path = "([A-Z]:\\\\|/)?[a-z0-9._ -][a-z0-9/._ -]{0,19}";
    prop_oneof![
        (
            host,
            repository(),
            proptest::option::of(tag),
            proptest::option::of(digest)
        )
            .prop_map(|(host, repository, tag, digest)| Reference::Registry(
                RegistryReference {
                    host,
                    repository,
                    tag,
                    digest
                }
            )),
        (path, proptest::option::of(ref_name)).prop_map(|(dir, tag)| Reference::OciLayout {
            dir: dir.into(),
            tag
        }),
        (path, proptest::option::of(ref_name)).prop_map(|(file, tag)| Reference::OciArchive {
            file: file.into(),
            tag
        }),
        (path, proptest::option::of("[a-z0-9]{1,8}:[a-z0-9]{1,5}")).prop_map(|(file, name)| {
            Reference::DockerArchive {
                file: file.into(),
                name,
            }
        }),
    ]
}

proptest! {
    #[test]
    fn display_and_parse_are_inverse(reference in references()) {
        prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference));
    }

    #[test]
    fn every_accepted_text_survives_a_round_trip(text in "(docker://|oci:|oci-archive:|docker-archive:)?[a-zA-Z0-9:/@._-]{0,24}") {
        if let Ok(reference) = text.parse::<Reference>() {
            prop_assert_eq!(reference.to_string().parse::<Reference>(), Ok(reference));
        }
    }
}
