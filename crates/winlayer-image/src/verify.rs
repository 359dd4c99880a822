//! A reader that vouches for what it hands out.

use std::io::{self, Read};

use winlayer_digest::{Digest, Hasher};

use crate::error::{ImageError, ImageErrorKind};

/// The size and digest a blob must have, and the sums over what has been seen of it.
#[derive(Debug)]
pub(crate) struct Expected {
    digest: Option<Digest>,
    size: u64,
    seen: u64,
    hasher: Hasher,
}

impl Expected {
    /// Without a digest only the size is checked.
    pub(crate) fn new(digest: Option<Digest>, size: u64) -> Self {
        Self {
            digest,
            size,
            seen: 0,
            hasher: Hasher::new(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.digest.map_or_else(
            || "layer file".to_owned(),
            |digest| format!("blob {digest}"),
        )
    }

    /// Bytes still to come.
    pub(crate) fn remaining(&self) -> u64 {
        self.size.saturating_sub(self.seen)
    }

    /// Bytes seen so far.
    pub(crate) fn seen(&self) -> u64 {
        self.seen
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.seen = self
            .seen
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if self.digest.is_some() {
            self.hasher.update(bytes);
        }
    }

    /// The part of `buffer` that may be filled without going past the promised size.
    pub(crate) fn window<'b>(&self, buffer: &'b mut [u8]) -> &'b mut [u8] {
        let most = usize::try_from(self.remaining())
            .unwrap_or(usize::MAX)
            .min(buffer.len());
        buffer.get_mut(..most).unwrap_or_default()
    }

    pub(crate) fn longer(&self) -> ImageError {
        self.wrong(format!(
            "is longer than the {} bytes the manifest promises",
            self.size
        ))
    }

    pub(crate) fn shorter(&self) -> ImageError {
        self.wrong(format!("ends after {} of {} bytes", self.seen, self.size))
    }

    fn unreadable(&self, error: io::Error) -> ImageError {
        ImageError::new(ImageErrorKind::Io, format!("cannot read {}", self.name())).caused_by(error)
    }

    /// Call once all bytes have been seen.
    pub(crate) fn check_digest(&mut self) -> Result<(), ImageError> {
        let found = std::mem::take(&mut self.hasher).finish();
        match self.digest {
            Some(expected) if expected != found => Err(self.wrong(format!(
                "holds other content: its digest is {found}; fetch or copy it again"
            ))),
            _ => Ok(()),
        }
    }

    pub(crate) fn wrong(&self, what: String) -> ImageError {
        ImageError::new(
            ImageErrorKind::Verification,
            format!("{} {what}", self.name()),
        )
    }
}

/// Hands out the bytes of `inner` and fails at the end unless size and digest are as promised.
pub(crate) struct VerifyingReader<R> {
    inner: R,
    expected: Expected,
    /// Set at the end; repeated for every later read.
    outcome: Option<Result<(), ImageError>>,
}

impl<R: Read> VerifyingReader<R> {
    pub(crate) fn new(inner: R, digest: Option<Digest>, size: u64) -> Self {
        Self {
            inner,
            expected: Expected::new(digest, size),
            outcome: None,
        }
    }

    fn finish(&mut self) -> io::Result<Result<(), ImageError>> {
        if read_some(&mut self.inner, &mut [0]).map_err(|error| self.expected.unreadable(error))?
            > 0
        {
            return Ok(Err(self.expected.longer()));
        }
        Ok(self.expected.check_digest())
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.outcome.is_none() {
            let window = self.expected.window(buffer);
            if window.is_empty() {
                self.outcome = Some(self.finish()?);
            } else {
                match read_some(&mut self.inner, window)
                    .map_err(|error| self.expected.unreadable(error))?
                {
                    0 => self.outcome = Some(Err(self.expected.shorter())),
                    count => {
                        self.expected
                            .update(window.get(..count).unwrap_or_default());
                        return Ok(count);
                    }
                }
            }
        }
        match &self.outcome {
            Some(Err(error)) => Err(error.clone().into()),
            _ => Ok(0),
        }
    }
}

/// One read that is not interrupted.
pub(crate) fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// All of `reader`, which must hold no more than `limit` bytes; None when it holds more.
pub(crate) fn read_up_to(reader: &mut dyn Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)?;
    let fits = u64::try_from(bytes.len()).is_ok_and(|length| length <= limit);
    Ok(fits.then_some(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image_error_in;

    fn verify(bytes: &[u8], digest: Option<Digest>, size: u64) -> Result<Vec<u8>, ImageErrorKind> {
        let mut reader = VerifyingReader::new(bytes, digest, size);
        let mut out = Vec::new();
        let result = reader.read_to_end(&mut out);
        if result.is_err() {
            assert!(reader.read(&mut [0; 8]).is_err(), "the failure must stay");
        }
        result
            .map(|_| out)
            .map_err(|error| image_error_in(&error).unwrap().kind())
    }

    #[test]
    fn the_end_is_only_reported_for_the_promised_bytes() {
        let digest = Some(Digest::of(b"hello"));
        assert_eq!(verify(b"hello", digest, 5), Ok(b"hello".to_vec()));
        assert_eq!(
            verify(b"hellO", digest, 5),
            Err(ImageErrorKind::Verification)
        );
        assert_eq!(
            verify(b"hell", digest, 5),
            Err(ImageErrorKind::Verification)
        );
        assert_eq!(
            verify(b"hello!", digest, 5),
            Err(ImageErrorKind::Verification)
        );
        assert_eq!(verify(b"", Some(Digest::of(b"")), 0), Ok(Vec::new()));
        assert_eq!(verify(b"", digest, 0), Err(ImageErrorKind::Verification));
        assert_eq!(verify(b"hello", None, 5), Ok(b"hello".to_vec()));
    }

    #[test]
    fn no_byte_beyond_the_size_is_handed_out() {
        let mut out = Vec::new();
        let mut reader = VerifyingReader::new(&b"hello, world"[..], None, 5);
        assert!(reader.read_to_end(&mut out).is_err());
        assert_eq!(out, b"hello");
    }

    #[test]
    fn a_read_error_names_the_blob() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("disk on fire"))
            }
        }
        let digest = Digest::of(b"x");
        let error = VerifyingReader::new(Broken, Some(digest), 1)
            .read(&mut [0])
            .unwrap_err();
        let error = image_error_in(&error).unwrap();
        assert_eq!(error.kind(), ImageErrorKind::Io);
        assert!(error.to_string().contains(&digest.to_string()));
    }

    proptest! {
        #[test]
        fn any_flipped_byte_is_found(bytes in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), flip in 1u8..) {
            let digest = Digest::of(&bytes);
            let size = bytes.len() as u64;
            prop_assert_eq!(verify(&bytes, Some(digest), size), Ok(bytes.clone()));
            let mut bad = bytes;
            bad[at.index(size as usize)] ^= flip;
            prop_assert_eq!(verify(&bad, Some(digest), size), Err(ImageErrorKind::Verification));
        }
    }
}
