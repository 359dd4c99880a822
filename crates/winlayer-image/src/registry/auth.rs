//! From a challenge to a value of `Authorization`: basic, or a token from the token server.
//!
//! Sources: "Token authentication" and "OAuth2 token authentication" of the CNCF distribution
//! project's documentation.

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;
use ureq::http::{HeaderMap, StatusCode, Uri, header};

use super::{
    challenge::{self, Challenge},
    credentials::{self, Credentials, Found},
    http::{self, Http, Request, SendError, is_loopback, parse_url},
    retry::{Attempts, retry_after},
};
use crate::{
    error::{ImageError, ImageErrorKind},
    reference::RegistryReference,
    verify::read_up_to,
};

/// Largest answer of a token server read; tokens have a few kilobytes.
const MAX_ANSWER: u64 = 1 << 20;

/// Answers challenges for one repository.
pub(super) struct Authenticator {
    image: RegistryReference,
    authfile: Option<PathBuf>,
    plain_http: bool,
    /// What the search for credentials came to, in words.
    findings: Mutex<Option<String>>,
}

impl Authenticator {
    pub(super) fn new(
        image: &RegistryReference,
        authfile: Option<PathBuf>,
        plain_http: bool,
    ) -> Self {
        Self {
            image: image.clone(),
            authfile,
            plain_http,
            findings: Mutex::new(None),
        }
    }

    /// The value of `Authorization` that should satisfy the challenges in `headers`.
    pub(super) fn answer(
        &self,
        http: &Http,
        headers: &HeaderMap,
        attempts: &mut Attempts,
    ) -> Result<String, ImageError> {
        let challenges: Vec<Challenge> = headers
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(challenge::parse)
            .collect();
        let found = credentials::find(self.authfile.as_deref(), &self.image)?;
        *self.findings.lock().unwrap_or_else(PoisonError::into_inner) = Some(in_words(&found));
        if let Some(Credentials::Bearer(token)) = &found.credentials {
            return bearer(token);
        }
        let offered = |scheme: &str| {
            challenges
                .iter()
                .find(|challenge| challenge.scheme == scheme)
        };
        if let Some(challenge) =
            offered("bearer").filter(|challenge| challenge.parameter("realm").is_some())
        {
            return self.token(http, challenge, &found, attempts);
        }
        let basic = found.credentials.as_ref().and_then(Credentials::basic);
        match (offered("basic"), basic) {
            (Some(_), Some(basic)) => Ok(basic),
            (Some(_), None) => Err(self.refused("wants a user name and password")),
            (None, _) => Err(self.refused("refuses without saying how to log in")),
        }
    }

    fn refused(&self, what: &str) -> ImageError {
        self.unauthorized(&format!(
            "{} {what} for {}",
            self.image.host, self.image.repository
        ))
    }

    /// `what` happened, and what there was to log in with.
    pub(super) fn unauthorized(&self, what: &str) -> ImageError {
        let host = &self.image.host;
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let message = match &*findings {
            Some(findings) => format!("{what}; {findings}"),
            None => what.to_owned(),
        };
        ImageError::new(ImageErrorKind::Unauthorized, message).with_hint(format!(
            "log in (skopeo login {host}) or name a credentials file with --authfile; registries also refuse what does not exist"
        ))
    }

    fn token(
        &self,
        http: &Http,
        challenge: &Challenge,
        found: &Found,
        attempts: &mut Attempts,
    ) -> Result<String, ImageError> {
        let realm = self.realm(challenge)?;
        let default_scope = format!("repository:{}:pull", self.image.repository);
        let scope = challenge.parameter("scope").unwrap_or(&default_scope);
        let mut query = vec![("scope", scope)];
        query.extend(
            challenge
                .parameter("service")
                .map(|service| ("service", service)),
        );
        let basic = found.credentials.as_ref().and_then(Credentials::basic);
        let (url, form) = match &found.credentials {
            Some(Credentials::Identity(token)) => {
                query.extend([
                    ("grant_type", "refresh_token"),
                    ("refresh_token", token),
                    ("client_id", "winlayer"),
                ]);
                (realm, Some(encode(&query)))
            }
            credentials => {
                if let Some(Credentials::Password { user, .. }) = credentials {
                    query.push(("account", user));
                }
                (
                    with_query(&realm, &query).ok_or_else(|| self.bad_realm())?,
                    None,
                )
            }
        };
        let request = Request {
            authorization: basic.as_deref(),
            form: form.as_deref(),
            ..Request::default()
        };
        self.ask_token_server(http, &url, &request, attempts)
    }

    /// The token server's address. It will be told the password, so it must be reached by TLS.
    fn realm(&self, challenge: &Challenge) -> Result<Uri, ImageError> {
        let realm = challenge
            .parameter("realm")
            .and_then(parse_url)
            .ok_or_else(|| self.bad_realm())?;
        let safe = realm.scheme_str() == Some("https")
            || self.plain_http
            || realm.host().is_some_and(is_loopback);
        if safe {
            Ok(realm)
        } else {
            Err(self.bad_realm())
        }
    }

    fn bad_realm(&self) -> ImageError {
        ImageError::new(
            ImageErrorKind::Unauthorized,
            format!(
                "{} names a token server that has no https address",
                self.image.host
            ),
        )
    }

    fn ask_token_server(
        &self,
        http: &Http,
        url: &Uri,
        request: &Request<'_>,
        attempts: &mut Attempts,
    ) -> Result<String, ImageError> {
        loop {
            let failed = |what: &str| {
                ImageError::new(
                    ImageErrorKind::Network,
                    format!("token server {} {what}", http::host(url)),
                )
            };
            let (error, asked) = match http.send(url, request) {
                Ok(mut response) if response.status() == StatusCode::OK => {
                    match read_up_to(&mut response.body_mut().as_reader(), MAX_ANSWER) {
                        Ok(Some(bytes)) => {
                            return token_in(&bytes)
                                .ok_or_else(|| failed("gave an answer without a token"))?;
                        }
                        Ok(None) => return Err(failed("gave an endless answer")),
                        Err(error) => (failed("broke off").caused_by(error), None),
                    }
                }
                Ok(response) if may_pass(response.status()) => {
                    let asked = response
                        .headers()
                        .get(header::RETRY_AFTER)
                        .and_then(|value| retry_after(value.to_str().ok()?));
                    (
                        failed(&format!("answers {}", response.status().as_u16())),
                        asked,
                    )
                }
                Ok(response) => {
                    let what = format!(
                        "(through token server {}) answers {}",
                        http::host(url),
                        response.status().as_u16()
                    );
                    return Err(self.refused(&what));
                }
                Err(SendError::Connection(error)) => (
                    failed("cannot be reached").caused_by(http::plain(error)),
                    None,
                ),
                Err(SendError::NoTls(error)) => {
                    return Err(http::not_tls(error, &http::host(url)));
                }
                Err(SendError::Fatal(error)) => return Err(error),
            };
            if !attempts.pause(asked) {
                return Err(error);
            }
        }
    }
}

/// What was found to log in with.
fn in_words(found: &Found) -> String {
    let file = found.file.as_ref().map(|file| file.display());
    let mut text = match (&found.credentials, file) {
        (Some(_), Some(file)) => format!("the credentials in {file} were not accepted"),
        (Some(_), None) => "the credentials were not accepted".to_owned(),
        (None, Some(file)) => format!("{file} has no credentials for it"),
        (None, None) => "no credentials were found".to_owned(),
    };
    for problem in &found.problems {
        // Writing to a String cannot fail.
        let _ = write!(text, " ({problem})");
    }
    text
}

/// Whether a status is worth another try.
pub(super) fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        )
}

fn token_in(answer: &[u8]) -> Option<Result<String, ImageError>> {
    #[derive(Deserialize)]
    struct Answer {
        token: Option<String>,
        access_token: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let given = |token: Option<String>| token.filter(|token| !token.is_empty());
    given(answer.token)
        .or_else(|| given(answer.access_token))
        .map(|token| bearer(&token))
}

fn bearer(token: &str) -> Result<String, ImageError> {
    if token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(format!("Bearer {token}"));
    }
    Err(ImageError::new(
        ImageErrorKind::Unauthorized,
        "the token given for the registry has characters no token may have",
    ))
}

fn with_query(url: &Uri, query: &[(&str, &str)]) -> Option<Uri> {
    let separator = if url.query().is_some() { '&' } else { '?' };
    parse_url(&format!("{url}{separator}{}", encode(query)))
}

/// `application/x-www-form-urlencoded`, with `%20` for a space so that it also serves in a URL.
fn encode(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                text.push(char::from(byte));
            } else {
                // Writing to a String cannot fail.
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_encoded_for_urls_and_forms() {
        assert_eq!(
            encode(&[("scope", "repository:a/b:pull"), ("x", "é &=+")]),
            "scope=repository%3Aa%2Fb%3Apull&x=%C3%A9%20%26%3D%2B"
        );
        let url: Uri = "https://a.example/token?x=1".parse().unwrap();
        assert_eq!(
            with_query(&url, &[("y", "2")]).unwrap().to_string(),
            "https://a.example/token?x=1&y=2"
        );
    }

    #[test]
    fn either_name_of_the_token_is_taken_and_header_injection_refused() {
        let token = |text: &str| token_in(text.as_bytes()).and_then(Result::ok);
        assert_eq!(token(r#"{"token":"a"}"#).as_deref(), Some("Bearer a"));
        assert_eq!(
            token(r#"{"token":"","access_token":"b"}"#).as_deref(),
            Some("Bearer b")
        );
        assert_eq!(token(r#"{}"#), None);
        assert_eq!(token(r#"{"token":"a\r\nHost: evil"}"#), None);
    }

    #[test]
    fn a_password_is_not_sent_to_a_token_server_in_the_clear() {
        let image = crate::reference::registry("r.example/a").unwrap();
        let realm = |plain_http, realm: &str| {
            let challenge = challenge::parse(&format!("Bearer realm=\"{realm}\"")).remove(0);
            Authenticator::new(&image, None, plain_http)
                .realm(&challenge)
                .is_ok()
        };
        assert!(realm(false, "https://auth.example/token"));
        assert!(!realm(false, "http://auth.example/token"));
        assert!(!realm(false, "file:///etc/passwd"));
        assert!(realm(true, "http://auth.example/token"));
        assert!(realm(false, "http://127.0.0.1:1/token"));
    }
}
