//! TLS or plain HTTP: what a registry speaks.

use std::sync::OnceLock;

use ureq::http::Uri;

use super::http::{is_loopback, parse_url};
use crate::image::SourceOptions;

/// What to do when plain HTTP was asked for and is wrong.
pub(super) const TLS_HINT: &str = "if the registry speaks TLS, leave out --plain-http";

/// How one registry is spoken to.
///
/// TLS, unless plain HTTP is asked for. A registry on this machine may turn out not to speak TLS:
/// then it is spoken to in plain HTTP from then on. The first request finds out, so nothing is
/// asked twice.
#[derive(Debug)]
pub(super) struct Scheme {
    /// Empty until the registry has answered in one way.
    settled: OnceLock<&'static str>,
    on_demand: bool,
}

impl Scheme {
    /// For the registry `host`, with or without port.
    pub(super) fn new(host: &str, options: &SourceOptions) -> Self {
        let settled = OnceLock::new();
        let tls_asked_for = options.ca_file.is_some() || options.insecure_tls;
        if options.plain_http {
            settled.get_or_init(|| "http");
        } else if tls_asked_for || !is_here(host) {
            settled.get_or_init(|| "https");
        }
        Self {
            settled,
            on_demand: options.plain_http,
        }
    }

    /// `http` or `https`.
    pub(super) fn name(&self) -> &'static str {
        self.settled.get().unwrap_or(&"https")
    }

    fn is_plain(&self) -> bool {
        self.name() == "http"
    }

    /// Whether plain HTTP was asked for, not found out.
    pub(super) fn is_plain_on_demand(&self) -> bool {
        self.on_demand
    }

    /// `url` of the registry, in the scheme known now.
    pub(super) fn of(&self, url: &Uri) -> Uri {
        let plain = || parse_url(&format!("http{}", url.to_string().strip_prefix("https")?));
        self.is_plain()
            .then(plain)
            .flatten()
            .unwrap_or_else(|| url.clone())
    }

    /// The registry has answered.
    pub(super) fn works(&self) {
        self.settled.get_or_init(|| "https");
    }

    /// The registry does not speak TLS: true if plain HTTP is worth trying.
    pub(super) fn fall_back(&self) -> bool {
        // Requests sent side by side may find out together.
        *self.settled.get_or_init(|| "http") == "http" && !self.on_demand
    }
}

/// Whether the registry `host`, with or without port, is on this machine.
pub(super) fn is_here(host: &str) -> bool {
    let name = if host.starts_with('[') {
        host.split_inclusive(']').next()
    } else {
        host.split(':').next()
    };
    name.is_some_and(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_registry_of_this_machine_may_turn_out_to_speak_plain_http() {
        let options = SourceOptions::default();
        for (host, here) in [
            ("localhost:5000", true),
            ("127.0.0.1", true),
            ("[::1]:5000", true),
            ("r.example:80", false),
            ("10.0.0.1", false),
        ] {
            let scheme = Scheme::new(host, &options);
            assert_eq!(scheme.name(), "https", "{host}");
            assert_eq!(scheme.fall_back(), here, "{host}");
            assert_eq!(scheme.is_plain(), here, "{host}");
        }
    }

    #[test]
    fn who_asks_for_tls_or_was_answered_in_tls_gets_no_plain_http() {
        let ca_file = SourceOptions {
            ca_file: Some("ca.pem".into()),
            ..SourceOptions::default()
        };
        let insecure_tls = SourceOptions {
            insecure_tls: true,
            ..SourceOptions::default()
        };
        for options in [ca_file, insecure_tls] {
            assert!(!Scheme::new("localhost:5000", &options).fall_back());
        }
        let answered = Scheme::new("localhost:5000", &SourceOptions::default());
        answered.works();
        assert!(!answered.fall_back());
    }

    #[test]
    fn plain_http_on_demand_is_used_at_once_and_addresses_follow() {
        let asked = SourceOptions {
            plain_http: true,
            ..SourceOptions::default()
        };
        let scheme = Scheme::new("r.example", &asked);
        let url: Uri = "https://r.example:1/v2/a?b=1".parse().unwrap();
        assert_eq!(scheme.of(&url).to_string(), "http://r.example:1/v2/a?b=1");
        assert!(!scheme.fall_back());
        let secure = Scheme::new("r.example", &SourceOptions::default());
        assert_eq!(secure.of(&url), url);
    }
}
