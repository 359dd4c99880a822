//! A blob streamed from a registry: resumed after cuts, kept in a partial file, verified.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write as _},
    path::Path,
    sync::Arc,
};

use ureq::{
    Body,
    http::{Response, StatusCode, header},
};
use winlayer_digest::Digest;

use super::{
    client::{Client, Place},
    http::parse_url,
    retry::Attempts,
};
use crate::{
    error::{ImageError, ImageErrorKind},
    text::printable,
    verify::{Expected, read_some},
};

/// Most places besides the registry a blob is looked for at.
const MAX_URLS: usize = 8;

/// Reads one blob from the first place that has it.
///
/// The digest is computed over everything handed out, whichever requests or earlier runs the
/// pieces came from, so a wrong piece never passes.
pub(crate) struct BlobReader {
    client: Arc<Client>,
    /// The registry, then the descriptor's `urls`.
    places: Vec<Place>,
    place: usize,
    expected: Expected,
    partial: Option<Partial>,
    body: Option<Box<dyn Read + Send>>,
    /// False once a server did not do what a range asks for.
    ranges: bool,
    attempts: Attempts,
    /// Bytes received since the last failure.
    progress: u64,
    /// Why the first place that was given up was.
    first_failure: Option<ImageError>,
    outcome: Option<Result<(), ImageError>>,
}

/// The file that keeps what was fetched.
struct Partial {
    file: File,
    /// Bytes from an earlier run not handed out yet.
    left: u64,
    shown: String,
}

/// What to do with a response that is not the bytes wanted.
enum Refused {
    /// The server does not do ranges as it should: ask for everything.
    Ranges,
    /// The connection broke while skipping what is known already.
    Cut(io::Error),
    /// This place does not have the blob.
    Failed(ImageError),
}

impl BlobReader {
    /// Opens a blob. Unless an earlier run left bytes in `partial`, the registry is asked at once,
    /// so that a missing blob is told here.
    pub(crate) fn open(
        client: Arc<Client>,
        digest: Digest,
        size: u64,
        urls: &[String],
        partial: Option<&Path>,
    ) -> Result<Self, ImageError> {
        let mut places = vec![client.blob_place(digest)?];
        let others = urls.iter().filter_map(|url| parse_url(url)).take(MAX_URLS);
        places.extend(others.map(|url| Place {
            url,
            registry: false,
        }));
        let attempts = client.attempts();
        let mut reader = Self {
            client,
            places,
            place: 0,
            expected: Expected::new(Some(digest), size),
            partial: partial.map(|path| Partial::open(path, size)).transpose()?,
            body: None,
            ranges: true,
            attempts,
            progress: 0,
            first_failure: None,
            outcome: None,
        };
        if size > 0
            && reader
                .partial
                .as_ref()
                .is_none_or(|partial| partial.left == 0)
        {
            reader.connect()?;
        }
        Ok(reader)
    }

    /// Finds a place that serves the blob from where we are.
    fn connect(&mut self) -> Result<(), ImageError> {
        loop {
            let Some(place) = self.places.get(self.place).cloned() else {
                return Err(self.no_place_left());
            };
            let start = self.expected.seen();
            let range =
                (start > 0 && self.ranges).then(|| (start, self.expected.size().saturating_sub(1)));
            let response = self.client.get(&place, None, range, &mut self.attempts);
            match response
                .map_err(Refused::Failed)
                .and_then(|response| self.accept(response, range))
            {
                Ok(body) => {
                    self.body = Some(body);
                    return Ok(());
                }
                Err(Refused::Ranges) => self.ranges = false,
                Err(Refused::Cut(_)) if self.attempts.pause(None) => {}
                Err(Refused::Cut(error)) => self.give_up_place(self.cut_off().caused_by(error)),
                Err(Refused::Failed(error)) => self.give_up_place(error),
            }
        }
    }

    fn give_up_place(&mut self, error: ImageError) {
        self.first_failure.get_or_insert(error);
        self.place = self.place.saturating_add(1);
        self.ranges = true;
        self.attempts = self.client.attempts();
    }

    fn no_place_left(&self) -> ImageError {
        let error = self.first_failure.clone().unwrap_or_else(|| self.cut_off());
        if self.places.len() < 2 {
            return error;
        }
        let others = self.places.len().saturating_sub(1);
        ImageError::new(
            error.kind(),
            format!("{error}; nor could it be had from the {others} urls the manifest gives"),
        )
        .caused_by(error)
    }

    fn cut_off(&self) -> ImageError {
        ImageError::new(
            ImageErrorKind::Network,
            format!(
                "{}: the connection keeps breaking off, after {} of {} bytes; try again to go on from there",
                self.expected.name(),
                self.expected.seen(),
                self.expected.size()
            ),
        )
    }

    /// The body of a response, at the position wanted.
    fn accept(
        &mut self,
        mut response: Response<Body>,
        range: Option<(u64, u64)>,
    ) -> Result<Box<dyn Read + Send>, Refused> {
        let status = response.status();
        let text = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        match (status, range) {
            (StatusCode::OK, _) => {
                if let Some(length) =
                    text(header::CONTENT_LENGTH).and_then(|text| text.parse().ok())
                {
                    self.check_total(length)?;
                }
                let mut body = response.into_body().into_reader();
                skip(&mut body, self.expected.seen()).map_err(Refused::Cut)?;
                Ok(Box::new(body))
            }
            (StatusCode::PARTIAL_CONTENT, Some((start, _))) => {
                let served = text(header::CONTENT_RANGE).and_then(content_range);
                let Some((_, total)) = served.filter(|(first, _)| *first == start) else {
                    return Err(Refused::Ranges);
                };
                total.map_or(Ok(()), |total| self.check_total(total))?;
                Ok(Box::new(response.into_body().into_reader()))
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
                let total =
                    text(header::CONTENT_RANGE).and_then(|text| text.strip_prefix("bytes */"));
                total
                    .and_then(|total| total.parse().ok())
                    .map_or(Ok(()), |total| self.check_total(total))?;
                Err(Refused::Ranges)
            }
            _ => Err(Refused::Failed(
                self.client.refusal(&mut response, &self.expected.name()),
            )),
        }
    }

    fn check_total(&self, total: u64) -> Result<(), Refused> {
        let size = self.expected.size();
        if total == size {
            return Ok(());
        }
        let message =
            format!("has {total} bytes at the registry, but the manifest promises {size}");
        Err(Refused::Failed(self.expected.wrong(message)))
    }

    /// The next bytes; 0 only at the verified end.
    fn next(&mut self, buffer: &mut [u8]) -> Result<usize, ImageError> {
        loop {
            let window = self.expected.window(buffer);
            if window.is_empty() {
                return self.finish().map(|()| 0);
            }
            if let Some(count) = self.replay(buffer)? {
                return Ok(count);
            }
            if self.body.is_none() {
                self.connect()?;
            }
            let Some(body) = &mut self.body else { continue };
            match read_some(body, self.expected.window(buffer)) {
                Ok(count) if count > 0 => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.keep(bytes)?;
                    return Ok(count);
                }
                Ok(_) => self.lost(None)?,
                Err(error) => self.lost(Some(error))?,
            }
        }
    }

    /// Bytes an earlier run left; None when there are none.
    fn replay(&mut self, buffer: &mut [u8]) -> Result<Option<usize>, ImageError> {
        let Some(partial) = self.partial.as_mut().filter(|partial| partial.left > 0) else {
            return Ok(None);
        };
        let most = usize::try_from(partial.left)
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        let window = buffer.get_mut(..most).unwrap_or_default();
        let count =
            read_some(&mut partial.file, window).map_err(|error| partial.failed("read", error))?;
        if count == 0 {
            return Err(partial.failed("read", io::ErrorKind::UnexpectedEof.into()));
        }
        partial.left = partial
            .left
            .saturating_sub(u64::try_from(count).unwrap_or(u64::MAX));
        self.expected
            .update(window.get(..count).unwrap_or_default());
        Ok(Some(count))
    }

    /// Takes bytes from the network into account.
    fn keep(&mut self, bytes: &[u8]) -> Result<(), ImageError> {
        if let Some(partial) = &mut self.partial {
            partial
                .file
                .write_all(bytes)
                .map_err(|error| partial.failed("write", error))?;
        }
        self.expected.update(bytes);
        self.progress = self
            .progress
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.progress >= self.client.tuning.forgiven_after {
            self.attempts.forgive();
        }
        Ok(())
    }

    /// The connection ended too early: prepares the next one.
    fn lost(&mut self, error: Option<io::Error>) -> Result<(), ImageError> {
        self.body = None;
        self.progress = 0;
        if self.attempts.pause(None) {
            return Ok(());
        }
        let cut_off = self.cut_off();
        self.give_up_place(match error {
            Some(error) => cut_off.caused_by(error),
            None => cut_off,
        });
        Ok(())
    }

    /// Checks that nothing follows and that the digest is right. Bytes of a wrong blob must not be
    /// resumed from, so the partial file is emptied.
    fn finish(&mut self) -> Result<(), ImageError> {
        let more = match &mut self.body {
            // An error here is none: all bytes promised have arrived.
            Some(body) => read_some(body, &mut [0]).unwrap_or(0) > 0,
            None => false,
        };
        self.body = None;
        let result = if more {
            Err(self.expected.longer())
        } else {
            self.expected.check_digest()
        };
        if let (Err(_), Some(partial)) = (&result, &mut self.partial) {
            partial
                .file
                .set_len(0)
                .map_err(|error| partial.failed("empty", error))?;
        }
        result
    }
}

impl Read for BlobReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.outcome.is_none() {
            match self.next(buffer) {
                Ok(0) => self.outcome = Some(Ok(())),
                Ok(count) => return Ok(count),
                Err(error) => self.outcome = Some(Err(error)),
            }
        }
        match &self.outcome {
            Some(Err(error)) => Err(error.clone().into()),
            _ => Ok(0),
        }
    }
}

impl Partial {
    fn open(path: &Path, size: u64) -> Result<Self, ImageError> {
        let shown = printable(&path.display().to_string());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let opened = options.open(path).and_then(|file| {
            let mut left = file.metadata()?.len();
            if left > size {
                // More than the blob has: it cannot be the beginning of it.
                file.set_len(0)?;
                left = 0;
            }
            Ok((file, left))
        });
        match opened {
            Ok((file, left)) => Ok(Self { file, left, shown }),
            Err(error) => Err(ImageError::io(format!("cannot open {shown}"), error)),
        }
    }

    fn failed(&self, what: &str, error: io::Error) -> ImageError {
        ImageError::new(ImageErrorKind::Io, format!("cannot {what} {}", self.shown))
            .caused_by(error)
    }
}

/// Reads `count` bytes away.
fn skip(body: &mut impl Read, count: u64) -> io::Result<()> {
    let skipped = io::copy(&mut body.take(count), &mut io::sink())?;
    if skipped < count {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// First byte and, unless it is `*`, total of `Content-Range: bytes FIRST-LAST/TOTAL` (RFC 9110,
/// 14.4).
fn content_range(text: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    let total = match total.trim() {
        "*" => None,
        total => Some(total.parse().ok()?),
    };
    (first <= last).then_some((first, total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_strictly() {
        assert_eq!(content_range("bytes 5-9/10"), Some((5, Some(10))));
        assert_eq!(content_range("bytes 5-9/*"), Some((5, None)));
        for text in [
            "bytes */10",
            "5-9/10",
            "bytes 9-5/10",
            "bytes 5-/10",
            "bytes 5-9/x",
            "items 5-9/10",
            "",
        ] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }
}
