//! A registry for tests that does as it is told: one answer per connection, which it may cut short,
//! stall, or make up.

use std::{
    collections::BTreeMap,
    io::{self, BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// First and last byte of a closed range.
    pub(crate) fn range(&self) -> Option<(usize, usize)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        Some((
            first.parse().unwrap(),
            last.parse().expect("ranges are closed"),
        ))
    }
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    cut: Option<usize>,
    stall: bool,
}

impl Reply {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(crate) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Closes the connection after so many bytes of the body.
    pub(crate) fn cut_after(mut self, bytes: usize) -> Self {
        self.cut = Some(bytes);
        self
    }

    /// Keeps the connection open, silent, after a cut.
    pub(crate) fn stalled(mut self) -> Self {
        self.stall = true;
        self
    }

    /// 206 or 200 for `bytes`, as an honest server answers.
    pub(crate) fn ranged(asked: &Asked, bytes: &[u8]) -> Self {
        match asked.range() {
            Some((first, last)) => Self::new(206)
                .with(
                    "Content-Range",
                    format!("bytes {first}-{last}/{}", bytes.len()),
                )
                .body(&bytes[first..=last]),
            None => Self::ok(bytes),
        }
    }
}

pub(crate) struct TestServer {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    greetings: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl TestServer {
    /// `answer` gets every request with its number, from 0.
    pub(crate) fn start(answer: impl Fn(&Asked, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, stop) = (
            Arc::new(Mutex::new(Vec::new())),
            Arc::new(AtomicBool::new(false)),
        );
        let greetings = Arc::new(AtomicUsize::new(0));
        let answer = Arc::new(answer);
        let accepting = {
            let (asked, stop) = (Arc::clone(&asked), Arc::clone(&stop));
            let greetings = Arc::clone(&greetings);
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let (asked, answer) = (Arc::clone(&asked), Arc::clone(&answer));
                    let greetings = Arc::clone(&greetings);
                    thread::spawn(move || {
                        if !serve(stream, &asked, &*answer) {
                            greetings.fetch_add(1, Ordering::SeqCst);
                        }
                    });
                }
            })
        };
        Self {
            address,
            asked,
            greetings,
            stop,
            accepting: Some(accepting),
        }
    }

    pub(crate) fn host(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Connections that began with something other than a request, such as a TLS handshake.
    pub(crate) fn greetings(&self) -> usize {
        self.greetings.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

/// False for a connection without a request.
fn serve(
    stream: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    answer: &dyn Fn(&Asked, usize) -> Reply,
) -> bool {
    let Ok(request) = read_request(&stream) else {
        return false;
    };
    let number = {
        let mut all = asked.lock().unwrap();
        all.push(request.clone());
        all.len() - 1
    };
    // A client may hang up on an answer it does not want.
    let _ = write_reply(&stream, &answer(&request, number));
    true
}

fn read_request(mut stream: &TcpStream) -> io::Result<Asked> {
    let mut reader = BufReader::new(stream);
    if !reader
        .fill_buf()?
        .first()
        .is_some_and(u8::is_ascii_uppercase)
    {
        // A TLS greeting, answered as Go's server does.
        stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\nmalformed\r\n")?;
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = words
        .next()
        .zip(words.next())
        .ok_or(io::ErrorKind::InvalidData)?;
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Asked {
        method,
        path,
        headers,
        body: String::from_utf8(body).unwrap(),
    })
}

fn write_reply(mut stream: &TcpStream, reply: &Reply) -> io::Result<()> {
    let mut head = format!("HTTP/1.1 {} X\r\nConnection: close\r\n", reply.status);
    if !reply
        .headers
        .iter()
        .any(|(name, _)| name == "Transfer-Encoding")
    {
        head.push_str(&format!("Content-Length: {}\r\n", reply.body.len()));
    }
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{head}\r\n").as_bytes())?;
    stream.write_all(&reply.body[..reply.cut.unwrap_or(reply.body.len())])?;
    if reply.stall {
        thread::sleep(Duration::from_secs(60));
    }
    stream.shutdown(Shutdown::Both)
}
