//! [`LayerTarWriter`]: items to a tar, byte for byte as go-winio and hcsshim write it through Go's
//! `archive/tar`.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use winlayer_metadata::{FileAttributes, FileTime, ReparseTag};
use zerocopy::IntoBytes;

use crate::header::{BLOCK, Header, MAGIC_USTAR, fits_octal, put, put_octal};
use crate::item::{AlternateStream, HardLink, LayerItem, Metadata, Object, ObjectKind};
use crate::path::LayerPath;
use crate::pax::{XATTR, push_record};
use crate::rules::check_stream_name;
use crate::time;

const MODE_DIRECTORY: i64 = 0o040_000;
const MODE_FILE: i64 = 0o100_000;
const MODE_LINK: i64 = 0o120_000;
const MODE_HARD_LINK: i64 = 0o644;

/// Writes a layer tar.
///
/// The bytes depend on nothing but the items: no clock, no random order. The order of items is the
/// caller's: parents first, streams directly after their object, hard-link targets before links.
///
/// ```
/// use std::io::Write;
/// use winlayer_tar::{LayerPath, LayerTarWriter, Metadata, Object, ObjectKind};
///
/// let mut tar = LayerTarWriter::new(Vec::new());
/// tar.object(&Object {
///     path: LayerPath::parse("Files/hello.txt")?,
///     kind: ObjectKind::File { size: 2 },
///     metadata: Metadata::default(),
/// })?;
/// tar.write_all(b"hi")?;
/// assert_eq!(tar.finish()?.len() % 512, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct LayerTarWriter<W: Write> {
    inner: W,
    /// Bytes of the current body still to come, and of the padding after it.
    remaining: u64,
    padding: u64,
    owner: Option<Owner>,
    records: Vec<(String, String)>,
    pax: Vec<u8>,
}

/// What a stream takes over from its object.
#[derive(Debug)]
struct Owner {
    name: String,
    mode: i64,
    times: [FileTime; 3],
}

/// The header of an entry before it becomes bytes.
struct Head<'a> {
    name: &'a str,
    typeflag: u8,
    mode: i64,
    size: u64,
    link_name: &'a str,
    /// write, access and change time
    times: [FileTime; 3],
}

impl<W: Write> LayerTarWriter<W> {
    /// Writes to `inner`, which gets blocks of 512 bytes and the bodies as they come: give it a buffer.
    pub fn new(inner: W) -> Self {
        Self {
            inner,
            remaining: 0,
            padding: 0,
            owner: None,
            records: Vec::new(),
            pax: Vec::new(),
        }
    }

    /// Writes the header of an object. For a file, exactly `size` bytes must follow through [`Write`].
    ///
    /// Flags of extended attributes have no place in the tar and are lost.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for a reparse tag other than symbolic link and mount point,
    /// an extended attribute whose name is no text, attributes that contradict the kind, and a body
    /// before it that is short; otherwise the errors of the inner writer.
    pub fn object(&mut self, object: &Object) -> io::Result<()> {
        let Object {
            path,
            kind,
            metadata,
        } = object;
        let (typeflag, mode, size) = match kind {
            ObjectKind::Directory => (b'5', MODE_DIRECTORY, 0),
            ObjectKind::File { size } => (b'0', MODE_FILE, *size),
            ObjectKind::Link {
                directory: true, ..
            } => (b'2', MODE_LINK | MODE_DIRECTORY, 0),
            ObjectKind::Link {
                directory: false, ..
            } => (b'2', MODE_LINK, 0),
        };
        let wants_directory = mode & MODE_DIRECTORY != 0 && typeflag != b'0';
        let directory = metadata.attributes.contains(FileAttributes::DIRECTORY);
        let mut attributes = metadata.attributes;
        if typeflag == b'5' {
            attributes |= FileAttributes::DIRECTORY;
        } else if directory != wants_directory {
            return Err(invalid(
                "the directory attribute contradicts the kind of the object",
            ));
        }
        self.begin(metadata, attributes)?;
        let mut link_name = "";
        if let ObjectKind::Link { reparse, .. } = kind {
            link_name = reparse.target().ok_or_else(|| invalid("reparse points other than symbolic links and junctions have no place in a layer tar"))?;
            match reparse.tag() {
                ReparseTag::MOUNT_POINT => self.record("MSWINDOWS.mountpoint", "1".to_owned()),
                ReparseTag::SYMLINK => {}
                _ => {
                    return Err(invalid(
                        "reparse points other than symbolic links and junctions have no place in a layer tar",
                    ));
                }
            }
        }
        if let Some(security) = &metadata.security {
            self.record("MSWINDOWS.rawsd", STANDARD.encode(security.as_bytes()));
        }
        for attribute in metadata.extended_attributes.iter() {
            let name = std::str::from_utf8(&attribute.name)
                .ok()
                .filter(|name| !name.contains(['=', '\0']));
            let name = name.ok_or_else(|| {
                invalid("the name of an extended attribute cannot be written in a tar")
            })?;
            self.record(&format!("{XATTR}{name}"), STANDARD.encode(&attribute.value));
        }
        let times = header_times(metadata);
        self.entry(&Head {
            name: path.as_str(),
            typeflag,
            mode,
            size,
            link_name,
            times,
        })?;
        self.owner = (typeflag != b'2').then(|| Owner {
            name: path.as_str().to_owned(),
            mode,
            times,
        });
        Ok(())
    }

    /// Writes the header of a stream of the last object; exactly `size` bytes must follow.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when no object that can have streams came before, the name is
    /// not one NTFS allows, or the body before it is short; otherwise the errors of the inner writer.
    pub fn stream(&mut self, stream: &AlternateStream) -> io::Result<()> {
        if check_stream_name(&stream.name).is_err() || stream.name.eq_ignore_ascii_case("$DATA") {
            return Err(invalid(
                "the name of a stream is empty, too long or has a character that is not allowed",
            ));
        }
        let owner = self
            .owner
            .take()
            .ok_or_else(|| invalid("a stream must follow the file or directory it belongs to"))?;
        self.records.clear();
        let name = format!("{}:{}", owner.name, stream.name);
        let head = Head {
            name: &name,
            typeflag: b'0',
            mode: owner.mode,
            size: stream.size,
            link_name: "",
            times: owner.times,
        };
        self.entry(&head)?;
        self.owner = Some(owner);
        Ok(())
    }

    /// Writes a hard link. Only attributes and times of its metadata have a place in the tar.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the body before it is short, otherwise the errors of the
    /// inner writer.
    pub fn hard_link(&mut self, link: &HardLink) -> io::Result<()> {
        self.owner = None;
        self.begin(&link.metadata, link.metadata.attributes)?;
        self.entry(&Head {
            name: link.path.as_str(),
            typeflag: b'1',
            mode: MODE_HARD_LINK,
            size: 0,
            link_name: link.target.as_str(),
            times: header_times(&link.metadata),
        })
    }

    /// Writes a whiteout of `path`.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] for the root of a tree or a body before it that is short,
    /// otherwise the errors of the inner writer.
    pub fn whiteout(&mut self, path: &LayerPath) -> io::Result<()> {
        let parent = path.parent().filter(|_| !path.is_tree_root());
        let parent = parent.ok_or_else(|| invalid("the root of a tree cannot be whited out"))?;
        self.marker(&format!("{parent}/.wh.{}", path.file_name()))
    }

    /// Writes a whiteout of everything the layers below have in `directory`.
    ///
    /// # Errors
    /// As [`whiteout`](Self::whiteout), except that the root of a tree is allowed.
    pub fn opaque_whiteout(&mut self, directory: &LayerPath) -> io::Result<()> {
        self.marker(&format!("{directory}/.wh..wh..opq"))
    }

    /// Writes any item.
    ///
    /// # Errors
    /// As the method for its kind.
    pub fn item(&mut self, item: &LayerItem) -> io::Result<()> {
        match item {
            LayerItem::Object(object) => self.object(object),
            LayerItem::Stream(stream) => self.stream(stream),
            LayerItem::HardLink(link) => self.hard_link(link),
            LayerItem::Whiteout(path) => self.whiteout(path),
            LayerItem::OpaqueWhiteout(directory) => self.opaque_whiteout(directory),
        }
    }

    /// Writes the end marker, two zero blocks, and returns the inner writer, which is not flushed.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] when the last body is short, otherwise the errors of the inner
    /// writer.
    pub fn finish(mut self) -> io::Result<W> {
        self.end_body()?;
        self.inner.write_all(&[0; 2 * BLOCK])?;
        Ok(self.inner)
    }

    /// The records every entry with metadata has.
    fn begin(&mut self, metadata: &Metadata, attributes: FileAttributes) -> io::Result<()> {
        self.end_body()?;
        self.records.clear();
        self.record("MSWINDOWS.fileattr", attributes.bits().to_string());
        self.record(
            "LIBARCHIVE.creationtime",
            time::format(metadata.times.created),
        );
        Ok(())
    }

    fn record(&mut self, key: &str, value: String) {
        self.records.push((key.to_owned(), value));
    }

    /// Writes extended header and header as Go does in its pax format.
    fn entry(&mut self, head: &Head<'_>) -> io::Result<()> {
        self.end_body()?;
        if head.name.contains('\0') || head.link_name.contains('\0') {
            return Err(invalid("a name or link target has a NUL"));
        }
        let [written, accessed, changed] = head.times;
        let (seconds, fraction) = time::to_seconds(written);
        if !fits_octal(12, seconds) || fraction {
            self.record("mtime", time::format(written));
        }
        self.record("atime", time::format(accessed));
        self.record("ctime", time::format(changed));
        for (key, text) in [("path", head.name), ("linkpath", head.link_name)] {
            if !text.is_ascii() || text.len() > 100 {
                self.record(key, text.to_owned());
            }
        }
        let size = i64::try_from(head.size).map_err(|_| invalid("a body is over 63 bits long"))?;
        if !fits_octal(12, size) {
            self.record("size", size.to_string());
        }
        self.extended_header(head.name)?;

        let mut header = plain_header(head.typeflag);
        put_text(&mut header.name, &ascii(head.name));
        put_text(&mut header.link_name, &ascii(head.link_name));
        put_octal(&mut header.mode, head.mode);
        put_octal(&mut header.size, size);
        put_octal(&mut header.mtime, seconds);
        self.header(header)?;
        self.remaining = head.size;
        self.padding = head.size.wrapping_neg() % (BLOCK as u64);
        Ok(())
    }

    /// Writes the records, sorted by key.
    fn extended_header(&mut self, name: &str) -> io::Result<()> {
        self.records.sort_unstable();
        self.pax.clear();
        for (key, value) in &self.records {
            push_record(&mut self.pax, key, value);
        }
        if self.pax.len() > 1 << 20 {
            return Err(invalid(
                "the records of an entry are over 1 MiB, which Go cannot read",
            ));
        }
        let (directory, base) = name.rsplit_once('/').unwrap_or(("", name));
        let separator = if directory.is_empty() { "" } else { "/" };
        let name = ascii(&format!("{directory}{separator}PaxHeaders.0/{base}"));
        let name = name.get(..100).unwrap_or(&name).trim_end_matches('/');

        let mut header = Header::zeroed();
        header.typeflag = b'x';
        header.magic = MAGIC_USTAR;
        put_text(&mut header.name, name);
        for field in [&mut header.mode, &mut header.uid, &mut header.gid] {
            put_octal(field, 0);
        }
        put_octal(&mut header.size, i64::try_from(self.pax.len()).unwrap_or(0));
        put_octal(&mut header.mtime, 0);
        self.header(header)?;
        self.inner.write_all(&self.pax)?;
        let padding = self.pax.len().wrapping_neg() % BLOCK;
        self.inner
            .write_all([0; BLOCK].get(..padding).unwrap_or_default())
    }

    /// A whiteout is a bare header; only a name that does not fit gets a record.
    fn marker(&mut self, name: &str) -> io::Result<()> {
        self.end_body()?;
        self.owner = None;
        self.records.clear();
        let mut header = plain_header(b'0');
        match split_name(name) {
            Some((prefix, name)) => {
                put_text(&mut header.prefix, prefix);
                put_text(&mut header.name, name);
            }
            None => {
                self.record("path", name.to_owned());
                self.extended_header(name)?;
                put_text(&mut header.name, &ascii(name));
            }
        }
        self.header(header)
    }

    fn header(&mut self, mut header: Header) -> io::Result<()> {
        header.seal();
        self.inner.write_all(header.as_bytes())
    }

    fn end_body(&mut self) -> io::Result<()> {
        if self.remaining > 0 {
            return Err(invalid("the body before is shorter than announced"));
        }
        let padding = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        self.inner
            .write_all([0; BLOCK].get(..padding).unwrap_or_default())
    }
}

/// Writes the body of the last file or stream.
impl<W: Write> Write for LayerTarWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let part = bytes.get(..room).unwrap_or(bytes);
        if part.is_empty() && !bytes.is_empty() {
            return Err(invalid("the body is longer than announced"));
        }
        let count = self.inner.write(part)?;
        self.remaining = self.remaining.saturating_sub(count as u64);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

fn header_times(metadata: &Metadata) -> [FileTime; 3] {
    let times = &metadata.times;
    [times.written, times.accessed, times.changed]
}

/// A header of an entry with every number zero and no name.
fn plain_header(typeflag: u8) -> Header {
    let mut header = Header::zeroed();
    header.typeflag = typeflag;
    header.magic = MAGIC_USTAR;
    let Header {
        mode,
        uid,
        gid,
        devmajor,
        devminor,
        ..
    } = &mut header;
    for field in [mode, uid, gid, devmajor, devminor] {
        put_octal(field, 0);
    }
    put_octal(&mut header.size, 0);
    put_octal(&mut header.mtime, 0);
    header
}

/// The part of a name a ustar header can show when a record has the whole.
fn ascii(name: &str) -> String {
    name.chars().filter(char::is_ascii).collect()
}

/// Copies a text; one that is cut must not end in '/', which old readers take for a directory.
fn put_text(field: &mut [u8], text: &str) {
    let text = match text.get(..field.len()) {
        Some(cut) if cut.len() < text.len() => cut.trim_end_matches('/'),
        _ => text,
    };
    put(field, text.as_bytes());
}

/// Splits a name into ustar prefix and name where Go does; `None` when it does not fit.
fn split_name(name: &str) -> Option<(&str, &str)> {
    if !name.is_ascii() {
        return None;
    }
    if name.len() <= 100 {
        return Some(("", name));
    }
    // Names here never end in '/'.
    let slash = name.get(..name.len().min(156))?.rfind('/')?;
    let (prefix, rest) = (name.get(..slash)?, name.get(slash.saturating_add(1)..)?);
    (!prefix.is_empty() && !rest.is_empty() && rest.len() <= 100).then_some((prefix, rest))
}
