//! Requests to one repository, authenticated and retried.

use std::{
    io::Read,
    sync::{Mutex, PoisonError},
};

use serde::Deserialize;
use ureq::{
    Body,
    http::{HeaderMap, Response, StatusCode, Uri, header},
};
use winlayer_digest::Digest;

use super::{
    Tuning,
    auth::{Authenticator, may_pass},
    http::{self, Http, Request, SendError, is_loopback, parse_url},
    retry::{Attempts, retry_after},
};
use crate::{
    error::{ImageError, ImageErrorKind},
    image::SourceOptions,
    media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST},
    reference::{DOCKER_HUB, RegistryReference},
    text::printable,
    verify::read_up_to,
};

/// One repository of a registry.
pub(crate) struct Client {
    http: Http,
    /// `https://HOST/v2/REPOSITORY`.
    base: String,
    /// For messages: `HOST/REPOSITORY`.
    name: String,
    authenticator: Authenticator,
    /// Value of `Authorization` that last worked; never held locked while the network is read.
    authorization: Mutex<Option<String>>,
    retries: Option<u32>,
    pub(super) tuning: Tuning,
}

/// A URL and what may be told to it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) url: Uri,
    /// Whether it is the registry itself, which gets credentials.
    pub(super) registry: bool,
}

impl Place {
    fn is_plain(&self) -> bool {
        self.url.scheme_str() == Some("http")
    }
}

/// What to do when plain HTTP, the rule for loopback, was wrong.
const TLS_HINT: &str = "; if it speaks TLS, give its certificate authority with --ca-file";

impl Client {
    pub(crate) fn new(
        image: &RegistryReference,
        options: &SourceOptions,
        tuning: Tuning,
    ) -> Result<Self, ImageError> {
        let host = if image.host == DOCKER_HUB {
            "registry-1.docker.io"
        } else {
            &image.host
        };
        let scheme = if speaks_plain_http(host, options) {
            "http"
        } else {
            "https"
        };
        Ok(Self {
            http: Http::new(options, tuning)?,
            base: format!("{scheme}://{host}/v2/{}", image.repository),
            name: format!("{}/{}", image.host, image.repository),
            authenticator: Authenticator::new(image, options.authfile.clone(), options.plain_http),
            authorization: Mutex::new(None),
            retries: options.retries,
            tuning,
        })
    }

    pub(super) fn attempts(&self) -> Attempts {
        Attempts::new(self.retries, self.tuning)
    }

    pub(super) fn blob_place(&self, digest: Digest) -> Result<Place, ImageError> {
        self.place(&format!("blobs/{digest}"))
    }

    fn place(&self, path: &str) -> Result<Place, ImageError> {
        let url = parse_url(&format!("{}/{path}", self.base)).ok_or_else(|| {
            ImageError::new(
                ImageErrorKind::Network,
                format!("{} has no address that can be asked", self.name),
            )
        })?;
        Ok(Place {
            url,
            registry: true,
        })
    }

    /// The manifest or index `reference`, a tag or digest, with its headers.
    pub(crate) fn manifest(
        &self,
        reference: &str,
        limit: u64,
    ) -> Result<(Vec<u8>, HeaderMap), ImageError> {
        let accept = [OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST].join(", ");
        let separator = if reference.contains(':') { '@' } else { ':' };
        let what = format!("{}{separator}{reference}", self.name);
        self.document(
            &format!("manifests/{reference}"),
            &what,
            Some(&accept),
            limit,
        )
    }

    /// A small blob.
    pub(crate) fn small_blob(&self, digest: Digest, limit: u64) -> Result<Vec<u8>, ImageError> {
        self.document(
            &format!("blobs/{digest}"),
            &format!("config {digest} of {}", self.name),
            None,
            limit,
        )
        .map(|(bytes, _)| bytes)
    }

    fn document(
        &self,
        path: &str,
        what: &str,
        accept: Option<&str>,
        limit: u64,
    ) -> Result<(Vec<u8>, HeaderMap), ImageError> {
        let place = self.place(path)?;
        let mut attempts = self.attempts();
        loop {
            let mut response = self.get(&place, accept, None, &mut attempts)?;
            if response.status() == StatusCode::BAD_REQUEST && place.is_plain() {
                return Err(ImageError::new(
                    ImageErrorKind::Network,
                    format!("{what}: the registry does not understand plain HTTP{TLS_HINT}"),
                ));
            }
            if response.status() != StatusCode::OK {
                return Err(refusal(&mut response, what));
            }
            match read_up_to(&mut response.body_mut().as_reader(), limit) {
                Ok(Some(bytes)) => return Ok((bytes, response.headers().clone())),
                Ok(None) => {
                    return Err(ImageError::new(
                        ImageErrorKind::Limit,
                        format!("{what} has more than {limit} bytes, the limit on documents"),
                    ));
                }
                Err(error) if !attempts.pause(None) => {
                    return Err(ImageError::new(
                        ImageErrorKind::Network,
                        format!("{what}: the connection keeps breaking off"),
                    )
                    .caused_by(error));
                }
                Err(_) => {}
            }
        }
    }

    /// GETs `place`, answering a challenge and trying again as `attempts` allows. Any status that
    /// another try would not change is the caller's to judge.
    pub(super) fn get(
        &self,
        place: &Place,
        accept: Option<&str>,
        range: Option<(u64, u64)>,
        attempts: &mut Attempts,
    ) -> Result<Response<Body>, ImageError> {
        let mut challenged = false;
        loop {
            let authorization = place.registry.then(|| self.authorization()).flatten();
            let request = Request {
                authorization: authorization.as_deref(),
                accept,
                range,
                form: None,
            };
            let host = http::host(&place.url);
            let (error, asked) = match self.http.send(&place.url, &request) {
                Ok(response)
                    if response.status() == StatusCode::UNAUTHORIZED
                        && place.registry
                        && !challenged =>
                {
                    challenged = true;
                    let answer =
                        self.authenticator
                            .answer(&self.http, response.headers(), attempts)?;
                    *self
                        .authorization
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner) = Some(answer);
                    continue;
                }
                Ok(response) if may_pass(response.status()) => {
                    let asked = response
                        .headers()
                        .get(header::RETRY_AFTER)
                        .and_then(|value| retry_after(value.to_str().ok()?));
                    let message = format!(
                        "{host} keeps answering {}; try again later",
                        response.status()
                    );
                    (ImageError::new(ImageErrorKind::Network, message), asked)
                }
                Ok(response) => return Ok(response),
                Err(SendError::Connection(error)) => {
                    let hint = if place.is_plain() && place.registry {
                        TLS_HINT
                    } else {
                        ""
                    };
                    (
                        ImageError::new(
                            ImageErrorKind::Network,
                            format!("cannot reach {host}{hint}"),
                        )
                        .caused_by(error),
                        None,
                    )
                }
                Err(SendError::Fatal(error)) => return Err(error),
            };
            if !attempts.pause(asked) {
                return Err(error);
            }
        }
    }

    fn authorization(&self) -> Option<String> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Loopback registries are spoken to in plain HTTP, unless something about TLS is asked for.
fn speaks_plain_http(host: &str, options: &SourceOptions) -> bool {
    let name = if host.starts_with('[') {
        host.split_inclusive(']').next()
    } else {
        host.split(':').next()
    };
    let tls_asked_for = options.ca_file.is_some() || options.insecure_tls;
    options.plain_http || (!tls_asked_for && name.is_some_and(is_loopback))
}

/// What a status other than success means, with the registry's own words.
pub(super) fn refusal(response: &mut Response<Body>, what: &str) -> ImageError {
    let status = response.status();
    let (kind, meaning) = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => {
            (ImageErrorKind::NotFound, "the registry does not have it")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (
            ImageErrorKind::Unauthorized,
            "the registry refuses: it does not exist, or it takes (other) credentials; log in or give --authfile",
        ),
        _ => (ImageErrorKind::Network, "the registry refuses"),
    };
    let said = registry_message(&mut response.body_mut().as_reader()).unwrap_or_default();
    ImageError::new(
        kind,
        format!("{what}: {meaning} (status {}{said})", status.as_u16()),
    )
}

/// Code and message of the first error in a registry's answer.
fn registry_message(body: &mut dyn Read) -> Option<String> {
    #[derive(Deserialize)]
    struct Answer {
        errors: Vec<Problem>,
    }
    #[derive(Deserialize)]
    struct Problem {
        #[serde(default)]
        code: String,
        #[serde(default)]
        message: String,
    }
    let bytes = read_up_to(body, 64 << 10).ok()??;
    let answer: Answer = serde_json::from_slice(&bytes).ok()?;
    let first = answer.errors.first()?;
    Some(format!(
        ", {}: {}",
        printable(&first.code),
        printable(&first.message)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_loopback_or_on_demand() {
        let options = SourceOptions::default();
        for (host, plain) in [
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("[::1]:5000", true),
            ("r.example:80", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(speaks_plain_http(host, &options), plain, "{host}");
        }
        let asked = SourceOptions {
            plain_http: true,
            ..SourceOptions::default()
        };
        assert!(speaks_plain_http("r.example", &asked));
        let tls = SourceOptions {
            ca_file: Some("ca.pem".into()),
            ..SourceOptions::default()
        };
        assert!(!speaks_plain_http("localhost:5000", &tls));
    }

    #[test]
    fn the_registry_s_words_are_shown_without_control_characters() {
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no\u001b[2Jtag"}]}"#;
        assert_eq!(
            registry_message(&mut &body[..]).unwrap(),
            ", MANIFEST_UNKNOWN: no\\u{1b}[2Jtag"
        );
        assert_eq!(registry_message(&mut &b"<html>"[..]), None);
    }
}
