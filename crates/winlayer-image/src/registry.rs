//! A client for the registry API (OCI distribution specification): documents and blobs of one
//! repository, with credentials, retries and resumed downloads.

mod auth;
mod blob;
mod challenge;
mod client;
mod credentials;
mod http;
mod retry;
mod scheme;

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub(crate) use blob::BlobReader;
#[cfg(any(test, fuzzing))]
pub(crate) use challenge::check as check_challenges;
pub(crate) use client::Client;

/// Times and amounts nobody needs to set, except tests that cannot wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tuning {
    /// For name resolution, and for TCP connect with TLS handshake.
    connect_timeout: Duration,
    /// For one read; a connection that stalls longer is given up and taken up again.
    read_timeout: Duration,
    /// Before the first retry; doubled for each further one.
    first_delay: Duration,
    /// The doubling stops here.
    longest_delay: Duration,
    /// Longest wait a registry may ask for with `Retry-After`.
    longest_retry_after: Duration,
    /// Bytes of a blob after which earlier failures are forgiven.
    forgiven_after: u64,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(30),
            read_timeout: Duration::from_secs(60),
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(10),
            longest_retry_after: Duration::from_secs(60),
            forgiven_after: 1 << 20,
        }
    }
}
