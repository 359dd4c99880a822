//! Who is told which secret.

use super::*;

#[test]
fn redirects_to_another_host_do_not_carry_credentials_but_those_to_the_same_do() {
    let fixture = Fixture::new("windows", &[]);
    let elsewhere = TestServer::start({
        let blob = fixture.blob.clone();
        move |asked, _| Reply::ranged(asked, &blob)
    });
    let target = elsewhere.url("/storage?signature=x");
    let f = fixture.clone();
    let server = TestServer::start(move |asked, _| match asked.header("authorization") {
        None => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"x\""),
        Some(_) if f.is_blob(asked) => Reply::new(307).with("Location", "/moved"),
        Some(_) if asked.path == "/moved" => Reply::new(302).with("Location", &*target),
        Some(_) => f.honest(asked),
    });
    let dir = tempfile::tempdir().unwrap();
    let options = with_auth(
        dir.path(),
        &format!(r#""{}":{{"username":"u","password":"p"}}"#, server.host()),
    );
    let image = resolve_with(&server, "app:v1", &options).unwrap();
    assert_eq!(read_layer(&image, None).unwrap(), fixture.blob);
    assert_eq!(elsewhere.asked()[0].header("authorization"), None);
    assert_eq!(elsewhere.asked()[0].path, "/storage?signature=x");
}

#[test]
fn redirects_in_a_circle_end() {
    let server = TestServer::start(|_, _| Reply::new(302).with("Location", "/v2/again"));
    assert_eq!(
        resolve(&server).unwrap_err().kind(),
        ImageErrorKind::Network
    );
    assert!(server.asked().len() < 20);
}

#[test]
fn basic_credentials_are_only_sent_when_asked_for() {
    let fixture = Fixture::new("windows", &[]);
    let f = fixture.clone();
    let server = TestServer::start(move |asked, _| match asked.header("authorization") {
        Some("Basic dTpwOnc=") => f.honest(asked),
        Some(_) => Reply::new(401),
        None => Reply::new(401).with("WWW-Authenticate", "Basic realm=\"x\""),
    });
    let dir = tempfile::tempdir().unwrap();
    let auths = |password: &str| {
        format!(
            r#""{}":{{"username":"u","password":"{password}"}}"#,
            server.host()
        )
    };
    resolve_with(&server, "app:v1", &with_auth(dir.path(), &auths("p:w"))).unwrap();
    assert_eq!(server.asked()[0].header("authorization"), None);
    let file = dir.path().join("auth.json").display().to_string();
    for (auths, meaning) in [
        (
            auths("wrong"),
            format!("the credentials in {file} were not accepted"),
        ),
        (String::new(), format!("{file} has no credentials for it")),
    ] {
        let error = resolve_with(&server, "app:v1", &with_auth(dir.path(), &auths)).unwrap_err();
        assert_eq!(error.kind(), ImageErrorKind::Unauthorized, "{error}");
        assert!(error.to_string().contains(&meaning), "{error}");
        assert!(error.to_string().contains(&server.host()), "{error}");
        assert!(error.hint().unwrap().contains("--authfile"), "{error}");
    }
}

/// A registry that wants the token `t1` from its token server, which `token` plays.
fn token_registry(
    fixture: &Fixture,
    token: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
) -> TestServer {
    let f = fixture.clone();
    TestServer::start(move |asked, _| {
        if asked.path.starts_with("/token") {
            return token(asked);
        }
        match asked.header("authorization") {
            Some("Bearer t1") => f.honest(asked),
            _ => {
                let host = asked.header("host").unwrap();
                let challenge = format!(
                    r#"Bearer realm="http://{host}/token",service="reg",scope="repository:app:pull""#
                );
                Reply::new(401).with("WWW-Authenticate", challenge)
            }
        }
    })
}

#[test]
fn an_anonymous_token_is_fetched_once_and_used_for_everything() {
    let fixture = Fixture::new("windows", &[]);
    let server = token_registry(&fixture, |_| {
        Reply::ok(r#"{"token":"t1","expires_in":300}"#)
    });
    let dir = tempfile::tempdir().unwrap();
    let image = resolve_with(&server, "app:v1", &with_auth(dir.path(), "")).unwrap();
    assert_eq!(read_layer(&image, None).unwrap(), fixture.blob);
    let tokens: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.path.starts_with("/token"))
        .collect();
    assert_eq!(tokens.len(), 1);
    assert_eq!(
        tokens[0].path,
        "/token?scope=repository%3Aapp%3Apull&service=reg"
    );
    assert_eq!(tokens[0].header("authorization"), None);
}

#[test]
fn a_password_buys_a_token_by_get_and_an_identity_token_by_post() {
    let fixture = Fixture::new("windows", &[]);
    let server = token_registry(&fixture, |asked| match asked.method.as_str() {
        "GET" if asked.header("authorization") == Some("Basic dTpw") => {
            Reply::ok(r#"{"token":"t1"}"#)
        }
        "POST"
            if asked.body.contains("grant_type=refresh_token")
                && asked.body.contains("refresh_token=id%2Btoken") =>
        {
            Reply::ok(r#"{"access_token":"t1"}"#)
        }
        _ => Reply::new(401),
    });
    let dir = tempfile::tempdir().unwrap();
    for entry in [
        r#"{"username":"u","password":"p"}"#,
        r#"{"identitytoken":"id+token"}"#,
        r#"{"registrytoken":"t1"}"#,
    ] {
        let options = with_auth(dir.path(), &format!(r#""{}":{entry}"#, server.host()));
        resolve_with(&server, "app:v1", &options)
            .unwrap_or_else(|error| panic!("{entry}: {error}"));
    }
    let options = with_auth(
        dir.path(),
        &format!(r#""{}":{{"username":"u","password":"no"}}"#, server.host()),
    );
    assert_eq!(
        resolve_with(&server, "app:v1", &options)
            .unwrap_err()
            .kind(),
        ImageErrorKind::Unauthorized
    );
}

#[test]
fn an_expired_token_is_replaced_on_the_way() {
    let fixture = Fixture::new("windows", &[]);
    let f = fixture.clone();
    let server = TestServer::start(move |asked, number| {
        let current = if number < 4 { "Bearer t1" } else { "Bearer t2" };
        if asked.path.starts_with("/token") {
            return Reply::ok(format!(r#"{{"token":"{}"}}"#, &current[7..]));
        }
        if asked.header("authorization") == Some(current) {
            return f.honest(asked);
        }
        let host = asked.header("host").unwrap();
        Reply::new(401).with(
            "WWW-Authenticate",
            format!(r#"Bearer realm="http://{host}/token""#),
        )
    });
    let dir = tempfile::tempdir().unwrap();
    let image = resolve_with(&server, "app:v1", &with_auth(dir.path(), "")).unwrap();
    assert_eq!(read_layer(&image, None).unwrap(), fixture.blob);
}

#[test]
fn a_busy_token_server_is_asked_again() {
    let fixture = Fixture::new("windows", &[]);
    let before = std::sync::atomic::AtomicUsize::new(0);
    let server = token_registry(&fixture, move |_| {
        match before.fetch_add(1, std::sync::atomic::Ordering::SeqCst) {
            0 => Reply::new(503),
            _ => Reply::ok(r#"{"token":"t1"}"#),
        }
    });
    let dir = tempfile::tempdir().unwrap();
    resolve_with(&server, "app:v1", &with_auth(dir.path(), "")).unwrap();
}
