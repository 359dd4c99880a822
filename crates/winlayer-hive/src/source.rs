//! Where a hive's bytes come from.

use std::{
    borrow::Cow,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    sync::{Mutex, PoisonError},
};

/// Random access to a file that does not change.
///
/// Hives in memory need none: see [`crate::Hive::from_bytes`]. A source is for those that should
/// stay where they are, of which only the pages a look-up touches are read.
pub trait Source: fmt::Debug + Send + Sync {
    /// Length in bytes.
    fn size(&self) -> u64;

    /// The `length` bytes at `offset`; callers keep the end of that within [`Source::size`].
    ///
    /// # Errors
    /// Whatever reading fails with.
    fn read(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>>;
}

impl Source for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(length)?))
            .map(Cow::Borrowed)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

const PAGE: usize = 4096;
/// Pages kept, half a mebibyte; a page has one place where it may be.
const PAGES: usize = 128;
/// Reads of more bytes than this go past the cache.
const CACHED: usize = 8 * PAGE;

/// A [`Source`] over anything that reads and seeks, with a cache of half a mebibyte.
pub struct PagedSource<R> {
    size: u64,
    state: Mutex<State<R>>,
}

struct State<R> {
    file: R,
    /// Page numbers and contents, by page number modulo [`PAGES`].
    pages: Vec<Option<(u64, Box<[u8]>)>>,
}

impl PagedSource<File> {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// As for [`File::open`] and [`PagedSource::new`].
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::new(File::open(path)?)
    }
}

impl<R: Read + Seek> PagedSource<R> {
    /// Finds the length of `file`.
    ///
    /// # Errors
    /// When seeking fails.
    pub fn new(mut file: R) -> io::Result<Self> {
        Ok(Self {
            size: file.seek(SeekFrom::End(0))?,
            state: Mutex::new(State {
                file,
                pages: std::iter::repeat_with(|| None).take(PAGES).collect(),
            }),
        })
    }
}

impl<R> fmt::Debug for PagedSource<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PagedSource")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl<R: Read + Seek + Send> Source for PagedSource<R> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if length > CACHED {
            let mut bytes = vec![0; length];
            state.file.seek(SeekFrom::Start(offset))?;
            state.file.read_exact(&mut bytes)?;
            return Ok(Cow::Owned(bytes));
        }
        let mut bytes = Vec::with_capacity(length);
        while bytes.len() < length {
            let at = offset + bytes.len() as u64;
            let page = state.page(at / PAGE as u64)?;
            let part = page
                .get((at % PAGE as u64) as usize..)
                .filter(|part| !part.is_empty())
                .ok_or(io::ErrorKind::UnexpectedEof)?;
            bytes.extend(part.iter().take(length - bytes.len()));
        }
        Ok(Cow::Owned(bytes))
    }
}

impl<R: Read + Seek> State<R> {
    /// A page; the last one of the file may be short.
    fn page(&mut self, number: u64) -> io::Result<&[u8]> {
        let place = (number % PAGES as u64) as usize;
        let slot = self
            .pages
            .get_mut(place)
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        if slot.as_ref().is_none_or(|(held, _)| *held != number) {
            let mut bytes = Vec::with_capacity(PAGE);
            self.file.seek(SeekFrom::Start(number * PAGE as u64))?;
            (&mut self.file).take(PAGE as u64).read_to_end(&mut bytes)?;
            *slot = Some((number, bytes.into_boxed_slice()));
        }
        Ok(slot.as_ref().map_or(&[], |(_, bytes)| bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_across_pages_and_past_the_cache() {
        let bytes: Vec<u8> = (0..200_000_u32).map(|at| (at % 251) as u8).collect();
        let source = PagedSource::new(io::Cursor::new(bytes.clone())).unwrap();
        assert_eq!(source.size(), 200_000);
        for (offset, length) in [
            (0, 4),
            (4090, 12),
            (4096, 4096),
            (1, 100_000),
            (199_990, 10),
        ] {
            assert_eq!(
                *source.read(offset as u64, length).unwrap(),
                bytes[offset..offset + length]
            );
        }
    }

    #[test]
    fn says_when_the_file_ends_early() {
        let source = PagedSource::new(io::Cursor::new(vec![0; 5000])).unwrap();
        for length in [20, 60_000] {
            let error = source.read(4990, length).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}
