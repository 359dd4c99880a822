//! A registry that fails as programmed.
//!
//! [`FaultyRegistry`] serves an OCI layout by the pull half of the OCI distribution API on two
//! loopback listeners: the registry itself, and a "CDN" that blobs can be redirected to. Any
//! repository name is accepted. Faults are queued as rules; every request is logged.
//!
//! ```
//! use winlayer_testkit::{Fault, FaultyRegistry, LayoutBuilder, RawTar, Target, Times};
//!
//! let folder = tempfile::tempdir()?;
//! let layout = LayoutBuilder::of([RawTar::new().dir("Files").finish()]).write(folder.path());
//! let registry = FaultyRegistry::serve(&layout.path);
//! registry.fail(Target::Blob(layout.layers[0].digest), Fault::CutAfter(10), Times::Once);
//! // pull `registry.reference("some/image:latest")`, then look at `registry.log()`
//! # Ok::<(), std::io::Error>(())
//! ```

mod answer;
mod auth;
mod http;

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

pub use auth::Auth;
pub use http::Request;
use winlayer_digest::Digest;

/// Which of the two listeners a request reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The registry itself.
    Registry,
    /// Where blobs are redirected to and `urls` lead.
    Cdn,
}

/// Which requests a fault is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Everything on either host.
    Any,
    /// The API check `/v2/`.
    Ping,
    /// The token endpoint.
    Token,
    /// A manifest or index, by tag or digest.
    AnyManifest,
    /// A blob's bytes, wherever they come from.
    AnyBlob,
    /// One blob's bytes.
    Blob(Digest),
    /// A blob's bytes from the registry itself only.
    RegistryBlob,
    /// A blob's bytes from the second host only.
    CdnBlob,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends after this many bytes of the announced body.
    CutAfter(usize),
    /// The body is cut to this many bytes, and announced as that short.
    Truncate(usize),
    /// One bit of the body is wrong.
    WrongBytes,
    /// Bytes follow the true body, and are announced.
    TooLong(usize),
    /// This status, with `Retry-After` in seconds if given.
    Status(u16, Option<u32>),
    /// `Retry-After` as given, with status 429.
    RetryAfter(&'static str),
    /// The whole body with status 200 although a range was asked for.
    IgnoreRange,
    /// A partial answer whose `Content-Range` starts one byte too far.
    BadContentRange,
    /// This long a pause before each 16 KiB of the body.
    Slow(Duration),
    /// The connection is closed without an answer.
    NoAnswer,
}

/// How often a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// For the next matching request.
    Once,
    /// For this many matching requests.
    Count(u32),
    /// For every matching request.
    Always,
}

#[derive(Debug)]
struct Rule {
    target: Target,
    fault: Fault,
    left: Option<u32>,
}

#[derive(Debug)]
struct State {
    layout: PathBuf,
    addresses: [SocketAddr; 2],
    auth: Auth,
    redirect: bool,
    rules: Vec<Rule>,
    /// Tokens that are still good.
    tokens: Vec<String>,
    tokens_made: u32,
    log: Vec<Request>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    stopped: AtomicBool,
    connections: Mutex<Vec<TcpStream>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The running server; it ends when dropped.
#[derive(Debug)]
pub struct FaultyRegistry {
    shared: Arc<Shared>,
    listeners: Vec<JoinHandle<()>>,
}

impl FaultyRegistry {
    /// Serves the OCI layout in `layout` without faults or passwords.
    pub fn serve(layout: &Path) -> Self {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = [0, 1].map(|index| listeners[index].local_addr().unwrap());
        let state = State {
            layout: layout.to_owned(),
            addresses,
            auth: Auth::None,
            redirect: false,
            rules: Vec::new(),
            tokens: Vec::new(),
            tokens_made: 0,
            log: Vec::new(),
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            stopped: AtomicBool::new(false),
            connections: Mutex::default(),
        });
        let listeners =
            listeners
                .into_iter()
                .zip([Host::Registry, Host::Cdn])
                .map(|(listener, host)| {
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || accept(&listener, host, &shared))
                });
        Self {
            listeners: listeners.collect(),
            shared,
        }
    }

    /// Programs a fault. Of several that match a request, the one programmed first happens.
    pub fn fail(&self, target: Target, fault: Fault, times: Times) {
        let left = match times {
            Times::Once => Some(1),
            Times::Count(count) => Some(count),
            Times::Always => None,
        };
        self.shared.state().rules.push(Rule {
            target,
            fault,
            left,
        });
    }

    /// Forgets all faults.
    pub fn heal(&self) {
        self.shared.state().rules.clear();
    }

    /// Demands credentials from now on.
    pub fn require(&self, auth: Auth) {
        self.shared.state().auth = auth;
    }

    /// Makes all bearer tokens given out so far worthless.
    pub fn expire_tokens(&self) {
        self.shared.state().tokens.clear();
    }

    /// Answers blob requests with a redirect to the second host.
    pub fn redirect_blobs(&self, redirect: bool) {
        self.shared.state().redirect = redirect;
    }

    /// `127.0.0.1:PORT` of the registry.
    pub fn host(&self) -> String {
        self.shared.state().addresses[0].to_string()
    }

    /// `127.0.0.1:PORT/name`.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// A URL of a blob on the second host, for a descriptor's `urls`.
    pub fn foreign_url(&self, digest: Digest) -> String {
        format!(
            "http://{}/foreign/{digest}",
            self.shared.state().addresses[1]
        )
    }

    /// Every request so far, oldest first.
    pub fn log(&self) -> Vec<Request> {
        self.shared.state().log.clone()
    }

    /// The requests for the bytes of one blob on either host, redirects not counted.
    pub fn blob_requests(&self, digest: Digest) -> Vec<Request> {
        let digest = digest.to_string();
        let mut log = self.log();
        log.retain(|request| {
            request.method == "GET" && request.path.contains(&digest) && request.status != 307
        });
        log
    }

    /// Fails the test if credentials were ever sent to the second host.
    #[track_caller]
    pub fn assert_no_credentials_reached_the_cdn(&self) {
        for request in self.log() {
            let leaked = request.host == Host::Cdn && request.header("authorization").is_some();
            assert!(
                !leaked,
                "credentials were sent to the redirect's target: {request:?}"
            );
        }
    }
}

impl Drop for FaultyRegistry {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let addresses = self.shared.state().addresses;
        for address in addresses {
            // Wakes the listener.
            drop(TcpStream::connect(address));
        }
        for connection in self
            .shared
            .connections
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            drop(connection.shutdown(std::net::Shutdown::Both));
        }
        for listener in self.listeners.drain(..) {
            drop(listener.join());
        }
    }
}

fn accept(listener: &TcpListener, host: Host, shared: &Arc<Shared>) {
    for connection in listener.incoming() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let Ok(connection) = connection else { continue };
        if let Ok(other) = connection.try_clone() {
            shared
                .connections
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(other);
        }
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // The client may go away at any time.
            let _ended = http::serve(connection, |request| answer::answer(&shared, host, request));
        });
    }
}

#[cfg(test)]
mod tests;
