//! Credential helpers: programs that keep passwords.

use std::{
    io::{Read, Write as _},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use serde::Deserialize;

use super::{Credentials, password_or_token};
use crate::text::printable;

/// How long a helper may take; one that waits for a person to type would wait for ever.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes of a helper's answer read.
const MAX_ANSWER: u64 = 1 << 20;

/// Runs `docker-credential-<helper> get` (docker/docker-credential-helpers): the server's name on
/// standard input, JSON on standard output.
pub(super) fn ask_helper(
    helper: &str,
    server: &str,
    problems: &mut Vec<String>,
) -> Option<Credentials> {
    let safe = !helper.is_empty()
        && helper
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if !safe {
        problems.push(format!(
            "{:?} is not the name of a credential helper",
            printable(helper)
        ));
        return None;
    }
    run(&format!("docker-credential-{helper}"), server, PATIENCE).unwrap_or_else(|problem| {
        problems.push(format!("credential helper {helper}: {problem}"));
        None
    })
}

pub(super) fn run(
    program: &str,
    server: &str,
    patience: Duration,
) -> Result<Option<Credentials>, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        username: String,
        secret: String,
    }
    let deadline = Instant::now() + patience;
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| error.to_string())?;
    // A helper that exits without reading is judged by its exit code, not by the broken pipe.
    let _ = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(server.as_bytes()));
    let (stdout, stderr) = (gather(child.stdout.take()), gather(child.stderr.take()));
    let late = || format!("gave no answer within {} s", patience.as_secs_f32());
    let status = wait(&mut child, deadline)?.ok_or_else(late)?;
    // Something the helper has started may hold the pipes open after it.
    let rest = || deadline.saturating_duration_since(Instant::now());
    let stdout = stdout.recv_timeout(rest()).map_err(|_| late())?;
    if status.success() {
        let answer: Answer = serde_json::from_slice(&stdout)
            .map_err(|_| "its answer is not the JSON expected".to_owned())?;
        return Ok(Some(password_or_token(&answer.username, &answer.secret)));
    }
    let said = [stdout, stderr.recv_timeout(rest()).unwrap_or_default()].concat();
    let said = String::from_utf8_lossy(&said);
    if said.contains("credentials not found") {
        return Ok(None);
    }
    Err(format!("{status}: {}", printable(said.trim())))
}

/// Reads a pipe in the background, so that a full one does not stop the helper.
fn gather(pipe: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(pipe) = pipe {
            // What was read before an error is judged like a short answer.
            let _ = pipe.take(MAX_ANSWER).read_to_end(&mut bytes);
        }
        let _ = sender.send(bytes);
    });
    receiver
}

/// Waits for the end of a helper; None if it was killed at the deadline.
fn wait(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>, String> {
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(None);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
