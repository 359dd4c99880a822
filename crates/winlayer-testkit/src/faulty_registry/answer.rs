//! What a request is answered: the truth first, then what a fault makes of it.

use std::fs;

use serde_json::Value;
use winlayer_digest::Digest;

use super::{
    Fault, Host, Rule, Shared, State, Target, auth,
    http::{Answer, Request},
};
use crate::layout::{MANIFEST, blob_path};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resource<'a> {
    Ping,
    Token,
    /// By tag or digest.
    Manifest(&'a str),
    Blob(Digest),
    Unknown,
}

impl<'a> Resource<'a> {
    fn of(host: Host, path: &'a str) -> Self {
        let path = path.split('?').next().unwrap_or_default();
        let last = path.rsplit('/').next().unwrap_or_default();
        match host {
            Host::Cdn => last.parse().map_or(Self::Unknown, Self::Blob),
            Host::Registry if path == "/v2/" || path == "/v2" => Self::Ping,
            Host::Registry if path == "/token" => Self::Token,
            Host::Registry if path.contains("/manifests/") => Self::Manifest(last),
            Host::Registry if path.contains("/blobs/") => {
                last.parse().map_or(Self::Unknown, Self::Blob)
            }
            Host::Registry => Self::Unknown,
        }
    }
}

/// Logs the request and answers it; `None` closes the connection.
pub(super) fn answer(shared: &Shared, host: Host, mut request: Request) -> Option<Answer> {
    let mut state = shared.state();
    request.host = host;
    let answer = decide(&mut state, &request);
    request.status = answer.as_ref().map_or(0, |answer| answer.status);
    state.log.push(request);
    answer
}

fn decide(state: &mut State, request: &Request) -> Option<Answer> {
    let resource = Resource::of(request.host, &request.path);
    if request.host == Host::Registry && resource != Resource::Token {
        if let Some(refusal) = auth::refusal(state, request) {
            return Some(refusal);
        }
        if let (true, Resource::Blob(digest)) = (state.redirect, resource) {
            let location = format!("http://{}/cdn/{digest}?signature=x", state.addresses[1]);
            return Some(Answer::new(307, "").header("Location", location));
        }
    }
    let fault = take_fault(&mut state.rules, request.host, resource);
    match fault {
        Some(Fault::NoAnswer) => return None,
        Some(Fault::Status(status, retry_after)) => {
            let answer = Answer::new(status, r#"{"errors":[]}"#);
            return Some(match retry_after {
                Some(seconds) => answer.header("Retry-After", seconds.to_string()),
                None => answer,
            });
        }
        Some(Fault::RetryAfter(value)) => {
            return Some(Answer::new(429, "").header("Retry-After", value));
        }
        _ => {}
    }
    let body = match resource {
        Resource::Ping => b"{}".to_vec(),
        Resource::Token => return Some(auth::give_token(state, request)),
        Resource::Manifest(name) => return Some(manifest(state, name, fault)),
        Resource::Blob(digest) => match fs::read(blob_path(&state.layout, digest)) {
            Ok(blob) => return Some(blob_answer(request, digest, blob, fault)),
            Err(_) => return Some(not_found("BLOB_UNKNOWN")),
        },
        Resource::Unknown => return Some(not_found("NAME_UNKNOWN")),
    };
    Some(Answer::new(200, body).header("Docker-Distribution-API-Version", "registry/2.0"))
}

/// The first fault that matches, used up by one.
fn take_fault(rules: &mut Vec<Rule>, host: Host, resource: Resource<'_>) -> Option<Fault> {
    let matches = |rule: &Rule| match rule.target {
        Target::Any => true,
        Target::Ping => resource == Resource::Ping,
        Target::Token => resource == Resource::Token,
        Target::AnyManifest => matches!(resource, Resource::Manifest(_)),
        Target::AnyBlob => matches!(resource, Resource::Blob(_)),
        Target::Blob(digest) => resource == Resource::Blob(digest),
        Target::RegistryBlob => host == Host::Registry && matches!(resource, Resource::Blob(_)),
        Target::CdnBlob => host == Host::Cdn && matches!(resource, Resource::Blob(_)),
    };
    let index = rules.iter().position(matches)?;
    let fault = rules[index].fault;
    if let Some(left) = &mut rules[index].left {
        *left -= 1;
        if *left == 0 {
            rules.remove(index);
        }
    }
    Some(fault)
}

fn not_found(code: &str) -> Answer {
    Answer::new(404, format!(r#"{{"errors":[{{"code":"{code}"}}]}}"#))
}

fn manifest(state: &State, name: &str, fault: Option<Fault>) -> Answer {
    let digest = name.parse().ok().or_else(|| tagged(state, name));
    let Some(digest) = digest else {
        return not_found("MANIFEST_UNKNOWN");
    };
    let Ok(bytes) = fs::read(blob_path(&state.layout, digest)) else {
        return not_found("MANIFEST_UNKNOWN");
    };
    let value: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let media_type = value["mediaType"].as_str().unwrap_or(MANIFEST);
    let answer = Answer::new(200, bytes)
        .header("Content-Type", media_type)
        .header("Docker-Content-Digest", digest.to_string());
    spoil(answer, fault)
}

/// The digest the layout's index has for a tag.
fn tagged(state: &State, tag: &str) -> Option<Digest> {
    let index: Value =
        serde_json::from_slice(&fs::read(state.layout.join("index.json")).ok()?).ok()?;
    let tagged = index["manifests"].as_array()?.iter().find(|descriptor| {
        descriptor["annotations"]["org.opencontainers.image.ref.name"].as_str() == Some(tag)
    })?;
    tagged["digest"].as_str()?.parse().ok()
}

fn blob_answer(request: &Request, digest: Digest, blob: Vec<u8>, fault: Option<Fault>) -> Answer {
    let total = blob.len();
    let range = request
        .range()
        .filter(|_| fault != Some(Fault::IgnoreRange));
    let answer = match range {
        None => Answer::new(200, blob),
        Some((first, _)) if first >= total => {
            return Answer::new(416, "").header("Content-Range", format!("bytes */{total}"));
        }
        Some((first, last)) => {
            let end = last.map_or(total, |last| total.min(last + 1));
            let part = &blob[first..end.max(first)];
            let told = if fault == Some(Fault::BadContentRange) {
                first + 1
            } else {
                first
            };
            let content_range = format!("bytes {told}-{}/{total}", end - 1);
            Answer::new(206, part).header("Content-Range", content_range)
        }
    };
    let answer = answer
        .header("Content-Type", "application/octet-stream")
        .header("Accept-Ranges", "bytes")
        .header("Docker-Content-Digest", digest.to_string());
    spoil(answer, fault)
}

/// Faults of the body.
fn spoil(mut answer: Answer, fault: Option<Fault>) -> Answer {
    match fault {
        Some(Fault::CutAfter(bytes)) => answer.cut_after = Some(bytes),
        Some(Fault::Truncate(bytes)) => answer.body.truncate(bytes),
        Some(Fault::TooLong(bytes)) => answer.body.resize(answer.body.len() + bytes, 0),
        Some(Fault::Slow(pause)) => answer.pause = pause,
        Some(Fault::WrongBytes) => {
            let middle = answer.body.len() / 2;
            if let Some(byte) = answer.body.get_mut(middle) {
                *byte ^= 1;
            }
        }
        _ => {}
    }
    answer
}
