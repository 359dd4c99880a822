//! Names of images, as skopeo and podman spell them.

use std::{fmt, path::PathBuf, str::FromStr};

use winlayer_digest::Digest;

use crate::text::printable;

/// Where an image is.
///
/// | form | is |
/// | --- | --- |
/// | `[docker://]HOST/NAME[:TAG][@DIGEST]` | a repository of a registry; without HOST, Docker Hub |
/// | `oci:DIR[:TAG]` | an OCI image layout directory |
/// | `oci-archive:FILE[:TAG]` | a tar of such a directory |
/// | `docker-archive:FILE[:NAME:TAG]` | a tar written by `docker save` |
///
/// In the last three the path ends at the first `:` (a Windows drive letter does not count).
///
/// ```
/// use winlayer_image::Reference;
///
/// let hub: Reference = "library/busybox:1".parse()?;
/// assert_eq!(hub.to_string(), "docker://docker.io/library/busybox:1");
/// let layout: Reference = r"oci:C:\images\app:v2".parse()?;
/// assert_eq!(layout, Reference::OciLayout { dir: r"C:\images\app".into(), tag: Some("v2".into()) });
/// # Ok::<(), winlayer_image::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// A repository of a registry.
    Registry(RegistryReference),
    /// An OCI image layout directory.
    OciLayout {
        /// The directory that holds `oci-layout` and `index.json`.
        dir: PathBuf,
        /// Value of `org.opencontainers.image.ref.name`, or the digest of an entry; needed when the
        /// layout holds several images.
        tag: Option<String>,
    },
    /// A tar of an OCI image layout.
    OciArchive {
        /// The tar, not compressed.
        file: PathBuf,
        /// As for [`Reference::OciLayout`].
        tag: Option<String>,
    },
    /// A tar in the format of `docker save`.
    DockerArchive {
        /// The tar, not compressed.
        file: PathBuf,
        /// `NAME[:TAG]` of one image of the archive; needed when it holds several.
        name: Option<String>,
    },
}

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryReference {
    /// Host and optional port; `docker.io` for Docker Hub.
    pub host: String,
    /// Repository, with `library/` for Docker Hub's own images.
    pub repository: String,
    /// Tag; `latest` is meant when there is neither tag nor digest.
    pub tag: Option<String>,
    /// Digest of the manifest or index; when given, the tag is only decoration.
    pub digest: Option<Digest>,
}

/// The text is not a reference or platform; the message shows the right form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ReferenceError {
    message: String,
}

impl ReferenceError {
    pub(crate) fn new(message: String) -> Self {
        Self {
            message: crate::text::escaped(&message),
        }
    }
}

/// Ways to write an image other tools know and this one does not, with what to write instead.
const FOREIGN_FORMS: [(&str, &str); 7] = [
    ("http://", "docker://HOST/NAME:TAG"),
    ("https://", "docker://HOST/NAME:TAG"),
    (
        "dir:",
        "oci:DIR:TAG after `skopeo copy dir:DIR oci:DIR:TAG`",
    ),
    (
        "docker-daemon:",
        "docker-archive:FILE after `docker save -o FILE IMAGE`",
    ),
    (
        "containers-storage:",
        "oci:DIR:TAG after `podman push IMAGE oci:DIR:TAG`",
    ),
    (
        "oci://",
        "docker://HOST/NAME:TAG for a registry, oci:DIR:TAG for a directory",
    ),
    ("sif:", "docker://HOST/NAME:TAG"),
];

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        for (prefix, instead) in FOREIGN_FORMS {
            if text.starts_with(prefix) {
                return Err(ReferenceError::new(format!(
                    "{:?} is not a form winlayer reads: write {instead}",
                    printable(text)
                )));
            }
        }
        if let Some(rest) = text.strip_prefix("oci-archive:") {
            let (file, tag) =
                path_and_tag(rest, "oci-archive:FILE[:TAG], as in oci-archive:app.tar:v1")?;
            return Ok(Self::OciArchive { file, tag });
        }
        if let Some(rest) = text.strip_prefix("oci:") {
            let (dir, tag) = path_and_tag(rest, "oci:DIR[:TAG], as in oci:images/app:v1")?;
            return Ok(Self::OciLayout { dir, tag });
        }
        if let Some(rest) = text.strip_prefix("docker-archive:") {
            return docker_archive(rest);
        }
        registry(text.strip_prefix("docker://").unwrap_or(text)).map(Self::Registry)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, name) = match self {
            Self::Registry(registry) => return write!(f, "docker://{registry}"),
            Self::OciLayout { dir, tag } => ("oci", dir, tag),
            Self::OciArchive { file, tag } => ("oci-archive", file, tag),
            Self::DockerArchive { file, name } => ("docker-archive", file, name),
        };
        write!(f, "{transport}:{}", path.display())?;
        name.iter().try_for_each(|name| write!(f, ":{name}"))
    }
}

impl fmt::Display for RegistryReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest
            .iter()
            .try_for_each(|digest| write!(f, "@{digest}"))
    }
}

/// Splits `PATH[:NAME]` at the first colon that is not a drive letter's.
fn split_path(text: &str) -> (&str, Option<&str>) {
    let drive =
        matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let after_drive = if drive { 2 } else { 0 };
    let colon = text
        .get(after_drive..)
        .and_then(|rest| rest.find(':'))
        .map(|at| at + after_drive);
    match colon.and_then(|at| text.split_at_checked(at)) {
        Some((path, name)) => (path, name.get(1..)),
        None => (text, None),
    }
}

fn path_and_tag(text: &str, form: &str) -> Result<(PathBuf, Option<String>), ReferenceError> {
    let (path, tag) = split_path(text);
    if path.is_empty() {
        return Err(ReferenceError::new(format!(
            "the path is missing: write {form}"
        )));
    }
    if let Some(tag) = tag.filter(|tag| !is_ref_name(tag)) {
        return Err(ReferenceError::new(format!(
            "{:?} is not a tag (letters, digits and - . _ : @ / + between them): write {form}",
            printable(tag)
        )));
    }
    Ok((path.into(), tag.map(Into::into)))
}

/// `org.opencontainers.image.ref.name` (OCI image specification, annotations.md): alphanumeric
/// components with single separators, or `--`, between them.
fn is_ref_name(text: &str) -> bool {
    let mut separators = usize::MAX;
    for byte in text.bytes() {
        separators = match byte {
            b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => 0,
            b'-' if separators == 1 => 2,
            b'-' | b'.' | b'_' | b':' | b'@' | b'/' | b'+' if separators == 0 => 1,
            // Docker tags may hold runs of separators (`a__b`, `1.-2`); writers use them as names.
            b'.' | b'_' | b'-' if (1..64).contains(&separators) => separators + 1,
            _ => return false,
        };
    }
    separators == 0
}

fn docker_archive(text: &str) -> Result<Reference, ReferenceError> {
    const FORM: &str = "docker-archive:FILE[:NAME:TAG], as in docker-archive:app.tar:app:v1";
    let (path, name) = split_path(text);
    if path.is_empty() {
        return Err(ReferenceError::new(format!(
            "the path is missing: write {FORM}"
        )));
    }
    if let Some(name) = name
        && registry(name).map_or(true, |name| name.digest.is_some())
    {
        return Err(ReferenceError::new(format!(
            "{:?} is not the NAME:TAG of an image: write {FORM}",
            printable(name)
        )));
    }
    Ok(Reference::DockerArchive {
        file: path.into(),
        name: name.map(Into::into),
    })
}

const REGISTRY_FORM: &str =
    "[docker://]HOST/NAME[:TAG][@DIGEST], as in mcr.microsoft.com/windows/nanoserver:ltsc2022";

/// `[HOST/]NAME[:TAG][@DIGEST]` with Docker's rule for a missing host: the first component is a
/// host when it holds `.` or `:`, is `localhost`, or has capital letters.
pub(crate) fn registry(text: &str) -> Result<RegistryReference, ReferenceError> {
    let refuse = |why: &str| {
        ReferenceError::new(format!(
            "{:?} is not an image: {why}; write {REGISTRY_FORM}",
            printable(text)
        ))
    };
    let (name, digest) = match text.split_once('@') {
        Some((name, digest)) => {
            let digest: Digest = digest
                .parse()
                .map_err(|_| refuse("after `@` it needs sha256: and 64 lower-case hex digits"))?;
            (name, Some(digest))
        }
        None => (text, None),
    };
    let (host, path) = match name.split_once('/') {
        Some((host, path)) if is_host_like(host) => (host, path),
        _ => (DOCKER_HUB, name),
    };
    let (repository, tag) = match path.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
        _ => (path, None),
    };
    if !is_host(host) {
        return Err(refuse("the host is not a host name with an optional port"));
    }
    if tag.is_some_and(|tag| !is_tag(tag)) {
        return Err(refuse(
            "a tag has up to 128 letters, digits and . _ - and does not start with . or -",
        ));
    }
    let host = if host == "index.docker.io" {
        DOCKER_HUB
    } else {
        host
    };
    let repository = if host == DOCKER_HUB && !repository.contains('/') {
        format!("library/{repository}")
    } else {
        repository.to_owned()
    };
    if !is_repository(&repository) {
        return Err(refuse(
            "a name has lower-case letters and digits with single . _ - / (or __) between them",
        ));
    }
    Ok(RegistryReference {
        host: host.into(),
        repository,
        tag: tag.map(Into::into),
        digest,
    })
}

/// The name users and credential files know Docker Hub by.
pub(crate) const DOCKER_HUB: &str = "docker.io";

fn is_host_like(text: &str) -> bool {
    text.contains(['.', ':'])
        || text == "localhost"
        || text.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[') {
        Some(bracketed) => {
            let Some((address, port)) = bracketed.split_once(']') else {
                return false;
            };
            if address.parse::<std::net::Ipv6Addr>().is_err() {
                return false;
            }
            (None, port)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            let (name, port) = text.split_at_checked(end).unwrap_or((text, ""));
            (Some(name), port)
        }
    };
    let port_fits = match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok()
        }
        None => port.is_empty(),
    };
    port_fits && name.is_none_or(|name| name.len() <= 253 && name.split('.').all(is_host_label))
}

fn is_host_label(label: &str) -> bool {
    let bytes = label.as_bytes();
    let inner = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.iter().all(inner)
}

fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().next().is_some_and(word)
        && text.len() <= 128
        && text
            .bytes()
            .all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

fn is_repository(text: &str) -> bool {
    text.len() <= 255 && text.split('/').all(is_repository_component)
}

/// Lower-case letters and digits in runs, separated by one `.`, one or two `_`, or any number of `-`
/// (OCI distribution specification, "Pulling manifests").
fn is_repository_component(text: &str) -> bool {
    let mut separator = "";
    let mut rest = text;
    loop {
        let word = rest
            .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit()))
            .unwrap_or(rest.len());
        if word == 0 {
            return false;
        }
        rest = rest.get(word..).unwrap_or("");
        if rest.is_empty() {
            return true;
        }
        let end = rest
            .find(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            .unwrap_or(rest.len());
        (separator, rest) = rest.split_at_checked(end).unwrap_or((separator, ""));
        if !(matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-')) {
            return false;
        }
    }
}

#[cfg(test)]
mod tests;
