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
    http::{self, Http, Request, SendError, ended_in_handshake, parse_url},
    retry::{Attempts, retry_after},
    scheme::{self, Scheme},
};
use crate::{
    error::{ImageError, ImageErrorKind},
    image::SourceOptions,
    media_type::{DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST},
    reference::{DOCKER_HUB, RegistryReference},
    text::{first_few, printable},
    verify::read_up_to,
};

const NOT_REACHED_HINT: &str = "check the name and port of the host, the network and the proxy; bytes already fetched into a layer store are kept for the next attempt";

/// One repository of a registry.
pub(crate) struct Client {
    http: Http,
    scheme: Scheme,
    /// `HOST/v2/REPOSITORY`.
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
        Ok(Self {
            http: Http::new(options, scheme::is_here(host), tuning)?,
            scheme: Scheme::new(host, options),
            base: format!("{host}/v2/{}", image.repository),
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
        let scheme = self.scheme.name();
        let url = parse_url(&format!("{scheme}://{}/{path}", self.base)).ok_or_else(|| {
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
        let is_tag = !reference.contains(':');
        let what = if is_tag {
            format!("tag \"{}\" of {}", printable(reference), self.name)
        } else {
            format!("manifest {reference} of {}", self.name)
        };
        let path = format!("manifests/{reference}");
        self.document(&path, &what, Some(&accept), limit)
            .map_err(|error| match error.kind() {
                ImageErrorKind::NotFound if is_tag => self.with_known_tags(error, reference),
                _ => error,
            })
    }

    /// Adds the tags there are to the error about a missing one, if the registry tells them.
    fn with_known_tags(&self, error: ImageError, missing: &str) -> ImageError {
        let listed = || {
            let place = self.place("tags/list?n=1000").ok()?;
            let mut attempts = Attempts::new(Some(0), self.tuning);
            let mut response = self.get(&place, None, None, &mut attempts).ok()?;
            let bytes = read_up_to(&mut response.body_mut().as_reader(), 1 << 20).ok()??;
            tags_like(&bytes, missing)
        };
        match listed() {
            Some(tags) => ImageError::new(
                error.kind(),
                format!("{error}; it has {}", first_few(&tags)),
            ),
            None => error,
        }
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
            if response.status() == StatusCode::BAD_REQUEST && self.scheme.is_plain_on_demand() {
                return Err(ImageError::new(
                    ImageErrorKind::Network,
                    format!("{what}: the registry does not understand plain HTTP"),
                )
                .with_hint(scheme::TLS_HINT));
            }
            if response.status() != StatusCode::OK {
                return Err(self.refusal(&mut response, what));
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
            // More may be known of the registry than when the place was made.
            let url = match place.registry {
                true => self.scheme.of(&place.url),
                false => place.url.clone(),
            };
            let authorization = place.registry.then(|| self.authorization()).flatten();
            let request = Request {
                authorization: authorization.as_deref(),
                accept,
                range,
                form: None,
            };
            let host = http::host(&url);
            let sent = self.http.send(&url, &request);
            if place.registry && sent.is_ok() {
                self.scheme.works();
            }
            let (error, asked) = match sent {
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
                Err(SendError::NoTls(_)) if place.registry && self.scheme.fall_back() => continue,
                Err(SendError::NoTls(error)) => return Err(http::not_tls(error, &host)),
                Err(SendError::Connection(error))
                    if place.registry && ended_in_handshake(&error) && self.scheme.fall_back() =>
                {
                    continue;
                }
                Err(SendError::Connection(error)) => {
                    let message = format!("cannot reach {host}");
                    let failed = ImageError::new(ImageErrorKind::Network, message)
                        .caused_by(http::plain(error));
                    let hint = match place.registry && self.scheme.is_plain_on_demand() {
                        true => scheme::TLS_HINT,
                        false => NOT_REACHED_HINT,
                    };
                    (failed.with_hint(hint), None)
                }
                Err(SendError::Fatal(error)) => return Err(error),
            };
            if !attempts.pause(asked) {
                return Err(error);
            }
        }
    }

    /// What a status other than success means, with the registry's own words.
    pub(super) fn refusal(&self, response: &mut Response<Body>, what: &str) -> ImageError {
        let status = response.status();
        let said = registry_message(&mut response.body_mut().as_reader()).unwrap_or_default();
        let said = format!("status {}{said}", status.as_u16());
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => ImageError::new(
                ImageErrorKind::NotFound,
                format!("{what}: the registry does not have it ({said})"),
            ),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => self
                .authenticator
                .unauthorized(&format!("{what}: the registry refuses ({said})")),
            _ => ImageError::new(
                ImageErrorKind::Network,
                format!("{what}: the registry refuses ({said})"),
            ),
        }
    }

    fn authorization(&self) -> Option<String> {
        self.authorization
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
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

/// The tags in an answer to `tags/list`, those that look most like `missing` first; None when there
/// are none.
fn tags_like(answer: &[u8], missing: &str) -> Option<Vec<String>> {
    #[derive(Deserialize)]
    struct Answer {
        tags: Vec<String>,
    }
    let answer: Answer = serde_json::from_slice(answer).ok()?;
    let mut tags = answer.tags;
    let alike = |tag: &str| {
        let pairs = tag.bytes().zip(missing.bytes());
        pairs.take_while(|(a, b)| a == b).count()
    };
    tags.sort_by_key(|tag| std::cmp::Reverse(alike(tag)));
    (!tags.is_empty()).then_some(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_most_like_the_missing_one_come_first() {
        let answer = br#"{"name":"a","tags":["1809","latest","ltsc2019","ltsc2022"]}"#;
        assert_eq!(
            tags_like(answer, "ltsc2021").unwrap(),
            ["ltsc2022", "ltsc2019", "latest", "1809"]
        );
        for answer in [&b"{\"tags\":null}"[..], b"{\"tags\":[]}", b"<html>", b""] {
            assert_eq!(tags_like(answer, "x"), None);
        }
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
