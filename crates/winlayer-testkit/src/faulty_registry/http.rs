//! As much of HTTP/1.1 as a registry client speaks.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::TcpStream,
    thread,
    time::Duration,
};

use super::Host;

/// A request as it was received, and the answer's status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The listener it came to.
    pub host: Host,
    /// `GET`, `HEAD`, `POST`.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// The request's body, for token requests.
    pub body: String,
    /// The status it was answered with; 0 if the connection was just closed.
    pub status: u16,
}

impl Request {
    /// The value of a header by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// First and last byte of a `Range: bytes=a-b` header; `b` may be missing.
    pub fn range(&self) -> Option<(usize, Option<usize>)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        Some((first.parse().ok()?, last.parse().ok()))
    }
}

/// What is sent back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
    /// Close the connection after this many bytes of the body.
    pub(super) cut_after: Option<usize>,
    /// Pause before each 16 KiB.
    pub(super) pause: Duration,
}

impl Answer {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self {
            status,
            headers: vec![],
            body,
            cut_after: None,
            pause: Duration::ZERO,
        }
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Answers requests of one connection until either side ends it. `None` closes it.
pub(super) fn serve(
    connection: TcpStream,
    answer: impl Fn(Request) -> Option<Answer>,
) -> io::Result<()> {
    connection.set_read_timeout(Some(Duration::from_secs(60)))?;
    connection.set_nodelay(true)?;
    let mut reader = BufReader::new(connection.try_clone()?);
    while let Some(request) = read_request(&mut reader)? {
        let head_only = request.method == "HEAD";
        let Some(answer) = answer(request) else { break };
        if !send(&connection, &answer, head_only)? {
            break;
        }
    }
    connection.shutdown(std::net::Shutdown::Both)
}

fn read_request(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
    // A client that tries TLS first must not wait for the rest of its "line".
    if !reader
        .fill_buf()?
        .first()
        .is_some_and(u8::is_ascii_uppercase)
    {
        return Ok(None);
    }
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return Ok(None);
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request {
        host: Host::Registry,
        method,
        path,
        headers,
        body: String::new(),
        status: 0,
    };
    let length = request
        .header("content-length")
        .and_then(|length| length.parse().ok());
    if let Some(length) = length {
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        request.body = String::from_utf8_lossy(&body).into_owned();
    }
    Ok(Some(request))
}

/// Whether the connection may be used again.
fn send(mut connection: &TcpStream, answer: &Answer, head_only: bool) -> io::Result<bool> {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", answer.body.len()));
    connection.write_all(head.as_bytes())?;
    if head_only {
        return Ok(true);
    }
    let end = answer
        .cut_after
        .unwrap_or(usize::MAX)
        .min(answer.body.len());
    for chunk in answer.body[..end].chunks(16 << 10) {
        thread::sleep(answer.pause);
        connection.write_all(chunk)?;
    }
    Ok(answer.cut_after.is_none())
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
