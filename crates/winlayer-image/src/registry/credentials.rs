//! Credentials as podman and docker store them: `auths`, `credHelpers` and `credsStore` of
//! containers-auth.json(5) and docker's `config.json`.

mod helper;

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt, fs, io,
    path::{Path, PathBuf},
};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use serde::Deserialize;

use crate::{
    error::{ImageError, ImageErrorKind},
    reference::{DOCKER_HUB, RegistryReference},
};
use helper::ask_helper;

/// What proves to a registry who asks.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// An OAuth 2 refresh token, exchanged at the token server.
    Identity(String),
    /// A token for the registry itself.
    Bearer(String),
}

/// Secrets stay out of logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Password { .. } => "Password",
            Self::Identity(_) => "Identity",
            Self::Bearer(_) => "Bearer",
        })
    }
}

/// The outcome of a search, with what went wrong on the way: it only matters if the registry then
/// refuses, since most images need no credentials.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) credentials: Option<Credentials>,
    /// The file that holds the credentials or names their helper; without credentials, the file
    /// that was asked for.
    pub(super) file: Option<PathBuf>,
    pub(super) problems: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    #[serde(default)]
    auths: Option<BTreeMap<String, AuthEntry>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
struct AuthEntry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Looks for credentials: in `authfile` alone if given (it must then be readable), otherwise where
/// podman and docker keep them.
pub(super) fn find(
    authfile: Option<&Path>,
    image: &RegistryReference,
) -> Result<Found, ImageError> {
    find_in(authfile, image, &|name| {
        std::env::var_os(name).filter(|value| !value.is_empty())
    })
}

type Environment<'e> = &'e dyn Fn(&str) -> Option<OsString>;

fn find_in(
    authfile: Option<&Path>,
    image: &RegistryReference,
    environment: Environment<'_>,
) -> Result<Found, ImageError> {
    let named = authfile
        .map(Into::into)
        .or_else(|| environment("REGISTRY_AUTH_FILE").map(PathBuf::from));
    let mut found = Found::default();
    if let Some(file) = named {
        let bytes = fs::read(&file).map_err(|error| {
            let message = format!("cannot read the credentials file {}", file.display());
            ImageError::io(message, error)
                .with_hint("name an existing file with --authfile or REGISTRY_AUTH_FILE, or none")
        })?;
        let parsed = parse(&bytes).map_err(|error| {
            ImageError::new(
                ImageErrorKind::Io,
                format!("credentials file {} cannot be understood", file.display()),
            )
            .caused_by(error)
            .with_hint("write it anew with skopeo login --authfile FILE HOST")
        })?;
        found.credentials = look_up(&parsed, image, &mut found.problems);
        found.file = Some(file);
        return Ok(found);
    }
    for file in usual_files(environment) {
        let parsed = match fs::read(&file) {
            Ok(bytes) => parse(&bytes).map_err(|error| error.to_string()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => Err(error.to_string()),
        };
        match parsed {
            Ok(parsed) => found.credentials = look_up(&parsed, image, &mut found.problems),
            Err(problem) => found
                .problems
                .push(format!("{}: {problem}", file.display())),
        }
        if found.credentials.is_some() {
            found.file = Some(file);
            break;
        }
    }
    Ok(found)
}

fn parse(bytes: &[u8]) -> Result<AuthFile, serde_json::Error> {
    serde_json::from_slice(bytes)
}

/// Podman's files, then docker's, in the order podman searches them.
fn usual_files(environment: Environment<'_>) -> Vec<PathBuf> {
    let home = environment("HOME")
        .or_else(|| environment("USERPROFILE"))
        .map(PathBuf::from);
    let config = environment("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| home.as_ref().map(|home| home.join(".config")));
    let docker = environment("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or_else(|| home.as_ref().map(|home| home.join(".docker")));
    let auth = |dir: PathBuf| dir.join("containers").join("auth.json");
    [
        environment("XDG_RUNTIME_DIR").map(PathBuf::from).map(auth),
        config.map(auth),
        docker.map(|dir| dir.join("config.json")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Key docker stores Docker Hub under, and the server name its helpers know it by.
const HUB_KEY: &str = "https://index.docker.io/v1/";

fn look_up(
    file: &AuthFile,
    image: &RegistryReference,
    problems: &mut Vec<String>,
) -> Option<Credentials> {
    let server = if image.host == DOCKER_HUB {
        HUB_KEY
    } else {
        &image.host
    };
    let helpers = file.cred_helpers.as_ref();
    if let Some(helper) =
        helpers.and_then(|helpers| helpers.get(&image.host).or_else(|| helpers.get(server)))
    {
        return ask_helper(helper, server, problems);
    }
    if let Some(auths) = &file.auths {
        for key in keys(image) {
            let entry = auths.get(&key).or_else(|| {
                auths
                    .iter()
                    .find(|(known, _)| normal_key(known) == key)
                    .map(|(_, entry)| entry)
            });
            match entry.map(AuthEntry::credentials) {
                Some(Ok(Some(credentials))) => return Some(credentials),
                Some(Err(problem)) => problems.push(format!("entry {key}: {problem}")),
                Some(Ok(None)) | None => {}
            }
        }
    }
    file.creds_store
        .as_deref()
        .filter(|store| !store.is_empty())
        .and_then(|store| ask_helper(store, server, problems))
}

/// Keys an image's credentials may be under, the most specific first: podman allows paths.
fn keys(image: &RegistryReference) -> Vec<String> {
    let full = format!("{}/{}", image.host, image.repository);
    let mut keys = Vec::new();
    let mut key = full.as_str();
    loop {
        keys.push(key.to_owned());
        match key.rsplit_once('/') {
            Some((shorter, _)) => key = shorter,
            None => break,
        }
    }
    if image.host == DOCKER_HUB {
        keys.extend(["index.docker.io", "registry-1.docker.io"].map(Into::into));
    }
    keys
}

/// A key as old docker wrote it (`https://HOST/v1/`) reduced to the host.
fn normal_key(key: &str) -> &str {
    match key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
    {
        Some(rest) => rest.split('/').next().unwrap_or(rest),
        None => key,
    }
}

impl AuthEntry {
    fn credentials(&self) -> Result<Option<Credentials>, &'static str> {
        let given = |field: &Option<String>| field.clone().filter(|text| !text.is_empty());
        if let Some(token) = given(&self.identitytoken) {
            return Ok(Some(Credentials::Identity(token)));
        }
        if let Some(token) = given(&self.registrytoken) {
            return Ok(Some(Credentials::Bearer(token)));
        }
        if let Some(auth) = given(&self.auth) {
            let auth = auth.trim_end_matches('=');
            let decoded = BASE64_STANDARD_NO_PAD
                .decode(auth)
                .map_err(|_| "auth is not base64")?;
            let text = String::from_utf8(decoded).map_err(|_| "auth is not UTF-8")?;
            // Docker pads with NUL.
            let text = text.trim_end_matches('\0');
            let (user, password) = text.split_once(':').ok_or("auth is not USER:PASSWORD")?;
            return Ok(Some(password_or_token(user, password)));
        }
        Ok(given(&self.username)
            .zip(given(&self.password))
            .map(|(user, password)| password_or_token(&user, &password)))
    }
}

/// Helpers give an identity token as the password of the user `<token>`.
fn password_or_token(user: &str, password: &str) -> Credentials {
    match user {
        "<token>" => Credentials::Identity(password.to_owned()),
        _ => Credentials::Password {
            user: user.to_owned(),
            password: password.to_owned(),
        },
    }
}

impl Credentials {
    /// Value of `Authorization` for user and password.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => Some(format!(
                "Basic {}",
                BASE64_STANDARD.encode(format!("{user}:{password}"))
            )),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
