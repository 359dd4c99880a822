//! One HTTP exchange, redirects included.
//!
//! Redirects are followed here and not by the HTTP library, because the rule is ours: credentials
//! go to the same scheme, host and port only, and never from https to http.

use std::{error::Error, fs, io, path::Path, sync::Arc};

use ureq::{
    Agent, Body,
    http::{Response, StatusCode, Uri, header},
    tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::Tuning;
use crate::{
    error::{ImageError, ImageErrorKind},
    image::SourceOptions,
    text::printable,
};

/// Most redirects followed for one request.
const MAX_REDIRECTS: usize = 10;

pub(super) struct Http {
    /// For loopback hosts, which a proxy cannot reach.
    direct: Agent,
    /// Through the proxy the environment names, if any.
    proxied: Agent,
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Request<'a> {
    /// Value of `Authorization`; not sent along to another origin.
    pub(super) authorization: Option<&'a str>,
    pub(super) accept: Option<&'a str>,
    /// First and last byte wanted.
    pub(super) range: Option<(u64, u64)>,
    /// Sent with POST as `application/x-www-form-urlencoded`; without it the request is a GET.
    pub(super) form: Option<&'a str>,
}

/// Why there is no response.
pub(super) enum SendError {
    /// The connection failed; trying again may help.
    Connection(ureq::Error),
    /// The other side answers, but not in TLS.
    NoTls(ureq::Error),
    /// It will fail the same way again.
    Fatal(ImageError),
}

impl Http {
    /// For a registry that is on this machine if `loopback`.
    pub(super) fn new(
        options: &SourceOptions,
        loopback: bool,
        tuning: Tuning,
    ) -> Result<Self, ImageError> {
        let config = |tls: &TlsConfig| {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .user_agent(concat!("winlayer/", env!("CARGO_PKG_VERSION")))
                .tls_config(tls.clone())
                .timeout_resolve(Some(tuning.connect_timeout))
                .timeout_connect(Some(tuning.connect_timeout))
                .timeout_per_read(Some(tuning.read_timeout))
                .timeout_per_write(Some(tuning.read_timeout))
        };
        let extra = match &options.ca_file {
            Some(file) => Some(certificates(file)?),
            None => None,
        };
        let (direct, proxied) = match extra {
            Some(extra) => {
                let roots = with_system_roots(extra);
                (roots.clone(), roots)
            }
            // The platform's verifier cannot be made on a system that trusts nobody, as small
            // containers do; a registry on this machine may still speak plain HTTP.
            None if loopback => (with_system_roots(Vec::new()), RootCerts::PlatformVerifier),
            None => (RootCerts::PlatformVerifier, RootCerts::PlatformVerifier),
        };
        let direct = tls_config(direct, options.insecure_tls);
        let proxied = tls_config(proxied, options.insecure_tls);
        Ok(Self {
            direct: config(&direct).proxy(None).build().new_agent(),
            proxied: config(&proxied).build().new_agent(),
        })
    }

    /// The response to a request; never a redirect.
    pub(super) fn send(
        &self,
        url: &Uri,
        request: &Request<'_>,
    ) -> Result<Response<Body>, SendError> {
        let mut url = url.clone();
        let mut request = request.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self
                .exchange(&url, &request)
                .map_err(|error| classify(error, &url))?;
            let Some(location) = redirect(&response) else {
                return Ok(response);
            };
            let next = resolve(&url, location).ok_or_else(|| {
                fatal(format!(
                    "{} redirects to {:?}, which is no address",
                    host(&url),
                    printable(location)
                ))
            })?;
            if url.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(fatal(format!(
                    "{} redirects from https to plain http at {}",
                    host(&url),
                    host(&next)
                )));
            }
            if request.form.is_some() {
                return Err(fatal(format!(
                    "{} redirects a request for a token",
                    host(&url)
                )));
            }
            if !same_origin(&url, &next) {
                request.authorization = None;
            }
            url = next;
        }
        Err(fatal(format!(
            "{} redirects more than {MAX_REDIRECTS} times",
            host(&url)
        )))
    }

    fn exchange(&self, url: &Uri, request: &Request<'_>) -> Result<Response<Body>, ureq::Error> {
        let agent = if url.host().is_some_and(is_loopback) {
            &self.direct
        } else {
            &self.proxied
        };
        let authorization = request
            .authorization
            .map(|value| (header::AUTHORIZATION, value.to_owned()));
        let accept = request
            .accept
            .map(|value| (header::ACCEPT, value.to_owned()));
        let range = request
            .range
            .map(|(first, last)| (header::RANGE, format!("bytes={first}-{last}")));
        let headers = [authorization, accept, range].into_iter().flatten();
        match request.form {
            None => headers
                .fold(agent.get(url), |call, (name, value)| {
                    call.header(name, value)
                })
                .call(),
            Some(form) => headers
                .fold(agent.post(url), |call, (name, value)| {
                    call.header(name, value)
                })
                .content_type("application/x-www-form-urlencoded")
                .send(form),
        }
    }
}

fn fatal(message: String) -> SendError {
    SendError::Fatal(ImageError::new(ImageErrorKind::Network, message))
}

/// Host and port of a URL for messages.
pub(super) fn host(url: &Uri) -> String {
    printable(url.authority().map_or("?", |authority| authority.as_str()))
}

fn redirect(response: &Response<Body>) -> Option<&str> {
    let redirected = matches!(
        response.status(),
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    response
        .headers()
        .get(header::LOCATION)
        .filter(|_| redirected)?
        .to_str()
        .ok()
}

/// Parses a URL this client may call: http or https, with a host and no user name in it.
pub(super) fn parse_url(text: &str) -> Option<Uri> {
    let url: Uri = text.split('#').next()?.parse().ok()?;
    let known = matches!(url.scheme_str(), Some("http" | "https"));
    let plain = url
        .authority()
        .is_some_and(|authority| !authority.host().is_empty() && !authority.as_str().contains('@'));
    (known && plain).then_some(url)
}

/// `location` as seen from `base` (RFC 3986, 5.2, without dot segments).
fn resolve(base: &Uri, location: &str) -> Option<Uri> {
    let scheme = base.scheme_str()?;
    let authority = base.authority()?;
    if location.starts_with("//") {
        parse_url(&format!("{scheme}:{location}"))
    } else if location.starts_with('/') {
        parse_url(&format!("{scheme}://{authority}{location}"))
    } else if location
        .split(['/', '?', '#'])
        .next()
        .is_some_and(|start| start.contains(':'))
    {
        parse_url(location)
    } else {
        let directory = base
            .path()
            .rsplit_once('/')
            .map_or("", |(directory, _)| directory);
        parse_url(&format!("{scheme}://{authority}{directory}/{location}"))
    }
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    let origin = |url: &Uri| {
        let port = url
            .port_u16()
            .unwrap_or(if url.scheme_str() == Some("https") {
                443
            } else {
                80
            });
        (
            url.scheme_str().map(str::to_owned),
            url.host().map(str::to_ascii_lowercase),
            port,
        )
    };
    origin(a) == origin(b)
}

/// Whether a host (without port) is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse()
            .is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

fn classify(error: ureq::Error, url: &Uri) -> SendError {
    let host = host(url);
    if let Some(tls) = tls_error(&error) {
        let (what, hint) = match tls {
            rustls::Error::InvalidMessage(_) => return SendError::NoTls(error),
            rustls::Error::InvalidCertificate(_) => (
                "its certificate is not trusted",
                "name the file of its certificate authority with --ca-file; --insecure-tls accepts any certificate",
            ),
            rustls::Error::General(_) => (
                "TLS cannot be used here",
                "install the system's certificates (ca-certificates) or name a file with --ca-file",
            ),
            _ => (
                "TLS was not agreed on",
                "for a registry that speaks plain HTTP give --plain-http",
            ),
        };
        let message = format!("no secure connection to {host}: {what}");
        return SendError::Fatal(
            ImageError::new(ImageErrorKind::Network, message)
                .with_hint(hint)
                .caused_by(plain(error)),
        );
    }
    match error {
        ureq::Error::Io(_)
        | ureq::Error::Timeout(_)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed
        | ureq::Error::ConnectProxyFailed(_)
        | ureq::Error::Protocol(_)
        | ureq::Error::BodyStalled => SendError::Connection(error),
        other => SendError::Fatal(
            ImageError::new(ImageErrorKind::Network, format!("cannot ask {host}")).caused_by(other),
        ),
    }
}

/// What to say of a peer that answered a TLS greeting with something else.
pub(super) fn not_tls(error: ureq::Error, host: &str) -> ImageError {
    let message = format!("no secure connection to {host}: it does not speak TLS");
    ImageError::new(ImageErrorKind::Network, message)
        .with_hint("for a registry that speaks plain HTTP give --plain-http")
        .caused_by(plain(error))
}

/// Whether a connection was closed in the middle of the TLS handshake, which rustls reports
/// without words, unlike an end after it.
pub(super) fn ended_in_handshake(error: &ureq::Error) -> bool {
    matches!(error, ureq::Error::Io(io) if io.get_ref().is_none() && matches!(
        io.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted
    ))
}

/// The operating system's own words where there are any.
pub(super) fn plain(error: ureq::Error) -> Box<dyn Error + Send + Sync> {
    match error {
        ureq::Error::Io(io) => io.into(),
        other => other.into(),
    }
}

/// The TLS failure in an error, which may come wrapped in an I/O error.
fn tls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(tls) => Some(tls),
        ureq::Error::Io(io) => io.get_ref().and_then(|inner| inner.downcast_ref()),
        _ => None,
    }
}

fn tls_config(roots: RootCerts, insecure: bool) -> TlsConfig {
    TlsConfig::builder()
        .root_certs(roots)
        .disable_verification(insecure)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build()
}

/// Token servers and the hosts blobs are redirected to often have public certificates, so a given
/// authority adds to the system's. A system without any is no error: the given one may do.
fn with_system_roots(mut certificates: Vec<Certificate<'static>>) -> RootCerts {
    let system = rustls_native_certs::load_native_certs().certs;
    certificates.extend(
        system
            .iter()
            .map(|certificate| Certificate::from_der(certificate).to_owned()),
    );
    RootCerts::Specific(Arc::new(certificates))
}

fn certificates(file: &Path) -> Result<Vec<Certificate<'static>>, ImageError> {
    let shown = printable(&file.display().to_string());
    let pem = fs::read(file).map_err(|error| {
        ImageError::io(format!("cannot read the CA file {shown}"), error)
            .with_hint("name a file of PEM certificates with --ca-file")
    })?;
    let unfit = |message: &str| {
        // Malformed is said of images alone: it comes with another exit code.
        ImageError::new(ImageErrorKind::Io, format!("CA file {shown} {message}"))
            .with_hint("name a file of PEM certificates with --ca-file")
    };
    let mut certificates = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => certificates.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(unfit("is not PEM").caused_by(error)),
        }
    }
    if certificates.is_empty() {
        return Err(unfit("holds no PEM certificate"));
    }
    Ok(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_resolve_against_the_request() {
        let base: Uri = "https://h.example:5000/v2/a/blobs/x?q=1".parse().unwrap();
        for (location, expected) in [
            (
                "https://cdn.example/b?sig=1",
                Some("https://cdn.example/b?sig=1"),
            ),
            ("//cdn.example/b", Some("https://cdn.example/b")),
            ("/b?c#frag", Some("https://h.example:5000/b?c")),
            ("y", Some("https://h.example:5000/v2/a/blobs/y")),
            ("ftp://h/x", None),
            ("file:///etc/passwd", None),
            ("https://user:secret@h/x", None),
        ] {
            assert_eq!(
                resolve(&base, location)
                    .map(|url| url.to_string())
                    .as_deref(),
                expected,
                "{location}"
            );
        }
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same = |a: &str, b: &str| same_origin(&a.parse().unwrap(), &b.parse().unwrap());
        assert!(same("https://H.example/a", "https://h.example:443/b"));
        assert!(!same("https://h.example/a", "http://h.example/a"));
        assert!(!same("https://h.example/a", "https://h.example:8443/a"));
        assert!(!same("https://h.example/a", "https://h.example.evil/a"));
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for host in [
            "localhost",
            "LOCALHOST",
            "127.0.0.1",
            "127.9.9.9",
            "[::1]",
            "::1",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "127.0.0.1.example",
            "localhost.example",
            "10.0.0.1",
            "[::2]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
