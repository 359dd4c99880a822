//! The reference registry (Debian's docker-registry) as a child process on loopback.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::{Layout, tools};

/// The certificates of a registry that speaks TLS.
#[derive(Clone, Debug)]
pub struct Tls {
    /// A folder with `ca.crt`, as skopeo's `--dest-cert-dir` and containerd want it.
    pub ca_dir: PathBuf,
    /// The CA certificate itself, PEM.
    pub ca_certificate: PathBuf,
}

/// A running registry with an empty store. It ends, and the store goes, when dropped.
#[derive(Debug)]
pub struct Registry {
    #[expect(dead_code, reason = "kept for its drop")]
    running: Running,
    folder: TempDir,
    port: u16,
    tls: Option<Tls>,
    credentials: Option<(String, String)>,
}

impl Registry {
    /// Plain HTTP, open to all.
    pub fn open() -> Self {
        Self::start(None)
    }

    /// TLS with a certificate of our own CA, and one user.
    pub fn secured(user: &str, password: &str) -> Self {
        Self::start(Some((user.to_owned(), password.to_owned())))
    }

    fn start(credentials: Option<(String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tls = credentials.as_ref().map(|_| make_certificates(&folder));
        let htpasswd = credentials.as_ref().map(|(user, password)| {
            // The registry takes bcrypt only; cost 4 keeps the tests quick.
            tools::run(
                "htpasswd",
                ["-Bbn", "-C", "4", user.as_str(), password.as_str()],
            )
        });
        // Between finding a free port and using it another process may take it.
        let mut taken = 0;
        loop {
            let port = TcpListener::bind("127.0.0.1:0")
                .unwrap()
                .local_addr()
                .unwrap()
                .port();
            let config = configuration(&folder, port, htpasswd.as_deref());
            let log = fs::File::create(folder.path().join("log")).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(config).stdin(Stdio::null());
            command.stdout(log.try_clone().unwrap()).stderr(log);
            let child = match command.spawn() {
                Ok(child) => child,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                    panic!("{}", tools::missing("docker-registry"))
                }
                Err(error) => panic!("cannot start docker-registry: {error}"),
            };
            let mut running = Running(child);
            if running.answers(port) {
                return Self {
                    running,
                    folder,
                    port,
                    tls,
                    credentials,
                };
            }
            let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            taken += 1;
            let try_again = log.contains("address already in use") && taken < 10;
            assert!(try_again, "docker-registry did not start:\n{log}");
        }
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// `127.0.0.1:PORT/name`.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// Its certificates, if it speaks TLS.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// User and password, if it wants them.
    pub fn credentials(&self) -> Option<(&str, &str)> {
        self.credentials
            .as_ref()
            .map(|(user, password)| (user.as_str(), password.as_str()))
    }

    /// Uploads an image with skopeo as `name` (with a tag) and returns its reference.
    pub fn push(&self, layout: &Layout, name: &str) -> String {
        let reference = self.reference(name);
        let mut args = vec!["copy".to_owned(), "--all".to_owned()];
        match &self.tls {
            Some(tls) => args.push(format!("--dest-cert-dir={}", tls.ca_dir.display())),
            None => args.push("--dest-tls-verify=false".to_owned()),
        }
        if let Some((user, password)) = &self.credentials {
            args.push(format!("--dest-creds={user}:{password}"));
        }
        args.extend([layout.reference(), format!("docker://{reference}")]);
        tools::skopeo(args);
        reference
    }
}

/// The child process, killed when dropped.
#[derive(Debug)]
struct Running(Child);

impl Running {
    /// Waits until it listens; false if it ended, or did nothing for too long.
    fn answers(&mut self, port: u16) -> bool {
        let patience = Instant::now() + Duration::from_secs(30);
        while Instant::now() < patience && self.0.try_wait().unwrap().is_none() {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                // Not somebody else's listener, which ours would have died of.
                thread::sleep(Duration::from_millis(20));
                return self.0.try_wait().unwrap().is_none();
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn configuration(folder: &TempDir, port: u16, htpasswd: Option<&str>) -> PathBuf {
    let path = folder.path();
    let at = |name: &str| path.join(name).display().to_string();
    let mut config = format!(
        "version: 0.1\nlog:\n  level: warn\nstorage:\n  filesystem:\n    rootdirectory: {}\n\
         http:\n  addr: 127.0.0.1:{port}\n",
        at("store")
    );
    if let Some(htpasswd) = htpasswd {
        fs::write(path.join("htpasswd"), htpasswd.trim()).unwrap();
        config += &format!(
            "  tls:\n    certificate: {}\n    key: {}\n\
             auth:\n  htpasswd:\n    realm: test\n    path: {}\n",
            at("server.crt"),
            at("server.key"),
            at("htpasswd")
        );
    }
    let file = path.join("config.yml");
    fs::write(&file, config).unwrap();
    file
}

/// A CA, and a certificate for 127.0.0.1 and localhost signed by it.
fn make_certificates(folder: &TempDir) -> Tls {
    let path = folder.path();
    let ca_dir = path.join("ca");
    fs::create_dir(&ca_dir).unwrap();
    fs::write(
        path.join("server.ext"),
        "subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n\
         extendedKeyUsage=serverAuth\n",
    )
    .unwrap();
    let openssl = |args: &[&str]| {
        let mut command = Command::new("openssl");
        tools::run_command(command.args(args).current_dir(path));
    };
    let key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ];
    openssl(
        &[
            &[
                "req",
                "-x509",
                "-days",
                "7",
                "-subj",
                "/CN=winlayer test CA",
            ][..],
            &key,
            &["-addext", "keyUsage=critical,keyCertSign,cRLSign"],
            &["-keyout", "ca.key", "-out", "ca/ca.crt"],
        ]
        .concat(),
    );
    openssl(
        &[
            &["req", "-subj", "/CN=127.0.0.1"][..],
            &key,
            &["-keyout", "server.key", "-out", "server.csr"],
        ]
        .concat(),
    );
    openssl(&[
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca/ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        "7",
        "-extfile",
        "server.ext",
        "-out",
        "server.crt",
    ]);
    Tls {
        ca_certificate: ca_dir.join("ca.crt"),
        ca_dir,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LayoutBuilder, RawTar};

    fn round_trip(registry: &Registry, flags: &[String]) {
        let folder = tempfile::tempdir().unwrap();
        let tar = RawTar::new().dir("Files").file("Files/a", "a").finish();
        let layout = LayoutBuilder::of([tar]).write(folder.path().join("layout"));
        let reference = registry.push(&layout, "some/image:tag");
        let mut args = vec!["inspect".to_owned(), "--format={{.Digest}}".to_owned()];
        args.extend_from_slice(flags);
        args.push(format!("docker://{reference}"));
        assert_eq!(tools::skopeo(args).trim(), layout.manifest.to_string());
    }

    #[test]
    fn an_open_registry_takes_and_gives_an_image_and_ends_when_dropped() {
        let registry = Registry::open();
        round_trip(&registry, &["--tls-verify=false".into()]);
        let host = registry.host();
        drop(registry);
        assert!(TcpStream::connect(host).is_err());
    }

    #[test]
    fn a_secured_registry_wants_the_password_and_shows_a_certificate_of_our_ca() {
        let registry = Registry::secured("user", "secret");
        let ca_dir = format!("--cert-dir={}", registry.tls().unwrap().ca_dir.display());
        round_trip(&registry, &[ca_dir, "--creds=user:secret".into()]);
        assert_eq!(registry.credentials(), Some(("user", "secret")));
    }
}
