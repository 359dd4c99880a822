//! A writer of tar blocks that does what it is told (POSIX ustar and pax, GNU long names), right or
//! wrong. It shares no code with the reader under test.

const BLOCK: usize = 512;

/// One entry; every field of its header can be set to something wrong.
#[derive(Clone, Debug)]
pub struct RawEntry {
    name: Vec<u8>,
    link: Vec<u8>,
    typeflag: u8,
    body: Vec<u8>,
    size: SizeField,
    mode: u64,
    mtime: u64,
    magic: [u8; 8],
    checksum: Option<u32>,
    before: Vec<u8>,
    pax: Vec<u8>,
}

#[derive(Clone, Debug)]
enum SizeField {
    OfBody,
    Claimed(u64),
    Raw([u8; 12]),
}

impl RawEntry {
    /// An entry of any type flag and name bytes.
    pub fn new(typeflag: u8, name: impl AsRef<[u8]>) -> Self {
        Self {
            name: name.as_ref().to_vec(),
            link: Vec::new(),
            typeflag,
            body: Vec::new(),
            size: SizeField::OfBody,
            mode: 0,
            mtime: 1_577_836_800,
            magic: *b"ustar\x0000",
            checksum: None,
            before: Vec::new(),
            pax: Vec::new(),
        }
    }

    /// A regular file.
    pub fn file(name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        Self::new(b'0', name).body(body)
    }

    /// A directory.
    pub fn dir(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'5', name)
    }

    /// A symbolic link; a link to a file unless given a directory attribute.
    pub fn symlink(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(b'2', name).link(target)
    }

    /// A hard link.
    pub fn hard_link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(b'1', name).link(target)
    }

    /// The content, padded to whole blocks.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// The link name. Longer than 100 bytes it goes to a pax `linkpath`.
    #[must_use]
    pub fn link(mut self, target: impl AsRef<[u8]>) -> Self {
        self.link = target.as_ref().to_vec();
        self
    }

    /// What the size field says, whatever the body is.
    #[must_use]
    pub fn claimed_size(mut self, size: u64) -> Self {
        self.size = SizeField::Claimed(size);
        self
    }

    /// The 12 bytes of the size field.
    #[must_use]
    pub fn raw_size(mut self, field: [u8; 12]) -> Self {
        self.size = SizeField::Raw(field);
        self
    }

    /// Modification time in seconds since 1970.
    #[must_use]
    pub fn mtime(mut self, seconds: u64) -> Self {
        self.mtime = seconds;
        self
    }

    /// Magic and version, `ustar\0` `00` unless told otherwise.
    #[must_use]
    pub fn magic(mut self, magic: [u8; 8]) -> Self {
        self.magic = magic;
        self
    }

    /// A checksum that need not be right.
    #[must_use]
    pub fn checksum(mut self, checksum: u32) -> Self {
        self.checksum = Some(checksum);
        self
    }

    /// Adds a well-formed pax record.
    #[must_use]
    pub fn pax(self, key: &str, value: impl AsRef<[u8]>) -> Self {
        let record = pax_record(key, value.as_ref());
        self.pax_bytes(record)
    }

    /// Adds bytes to the pax header as they are.
    #[must_use]
    pub fn pax_bytes(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.pax.extend_from_slice(bytes.as_ref());
        self
    }

    /// Sets `MSWINDOWS.fileattr`.
    #[must_use]
    pub fn attributes(self, attributes: u32) -> Self {
        self.pax("MSWINDOWS.fileattr", attributes.to_string())
    }

    /// Puts a GNU long-name entry (`L`) before.
    #[must_use]
    pub fn gnu_long_name(mut self, name: impl AsRef<[u8]>) -> Self {
        self.before.extend(gnu_long(b'L', name.as_ref()));
        self
    }

    /// Puts a GNU long-link entry (`K`) before.
    #[must_use]
    pub fn gnu_long_link(mut self, target: impl AsRef<[u8]>) -> Self {
        self.before.extend(gnu_long(b'K', target.as_ref()));
        self
    }

    /// The entry's blocks, extension headers first.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut pax = self.pax.clone();
        if self.before.is_empty() && self.name.len() > 100 {
            pax.extend(pax_record("path", &self.name));
        }
        if self.before.is_empty() && self.link.len() > 100 {
            pax.extend(pax_record("linkpath", &self.link));
        }
        let mut bytes = self.before.clone();
        if !pax.is_empty() {
            let header = Self::new(b'x', "PaxHeaders.0/entry").mtime(0).body(pax);
            bytes.extend(header.own_blocks());
        }
        bytes.extend(self.own_blocks());
        bytes
    }

    fn own_blocks(&self) -> Vec<u8> {
        let mut header = [0_u8; BLOCK];
        put(&mut header[..100], &self.name);
        octal(&mut header[100..108], self.mode);
        octal(&mut header[108..116], 0);
        octal(&mut header[116..124], 0);
        match self.size {
            SizeField::OfBody => octal(&mut header[124..136], self.body.len() as u64),
            SizeField::Claimed(size) => octal(&mut header[124..136], size),
            SizeField::Raw(field) => header[124..136].copy_from_slice(&field),
        }
        octal(&mut header[136..148], self.mtime);
        header[148..156].fill(b' ');
        header[156] = self.typeflag;
        put(&mut header[157..257], &self.link);
        header[257..265].copy_from_slice(&self.magic);
        let sum = self
            .checksum
            .unwrap_or_else(|| header.iter().map(|&byte| u32::from(byte)).sum());
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut blocks = header.to_vec();
        blocks.extend(&self.body);
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        blocks
    }
}

/// `LEN SP KEY=VALUE LF` with the right length, which counts itself.
pub fn pax_record(key: &str, value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut total = rest + 1;
    while total != rest + total.to_string().len() {
        total = rest + total.to_string().len();
    }
    [format!("{total} {key}=").as_bytes(), value, b"\n"].concat()
}

fn gnu_long(typeflag: u8, text: &[u8]) -> Vec<u8> {
    let body = [text, b"\0"].concat();
    RawEntry::new(typeflag, "././@LongLink")
        .mtime(0)
        .body(body)
        .magic(*b"ustar  \0")
        .own_blocks()
}

fn put(field: &mut [u8], bytes: &[u8]) {
    let len = bytes.len().min(field.len());
    field[..len].copy_from_slice(&bytes[..len]);
}

/// Zero-padded octal digits and a NUL; what does not fit is written in base 256.
fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}\0");
    if text.len() == field.len() {
        field.copy_from_slice(text.as_bytes());
    } else {
        field.fill(0);
        field[0] = 0x80;
        let at = field.len() - 8;
        field[at..].copy_from_slice(&value.to_be_bytes());
    }
}

/// A tar archive in memory, written entry by entry.
#[derive(Clone, Debug, Default)]
pub struct RawTar {
    bytes: Vec<u8>,
}

impl RawTar {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    #[must_use]
    pub fn entry(mut self, entry: RawEntry) -> Self {
        self.bytes.extend(entry.to_bytes());
        self
    }

    /// Adds a directory.
    #[must_use]
    pub fn dir(self, name: impl AsRef<[u8]>) -> Self {
        self.entry(RawEntry::dir(name))
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, name: impl AsRef<[u8]>, body: impl AsRef<[u8]>) -> Self {
        self.entry(RawEntry::file(name, body))
    }

    /// Adds a symbolic link to a file.
    #[must_use]
    pub fn symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(RawEntry::symlink(name, target).attributes(0x400))
    }

    /// Adds a symbolic link to a directory.
    #[must_use]
    pub fn dir_symlink(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(RawEntry::symlink(name, target).attributes(0x410))
    }

    /// Adds a mount point (junction).
    #[must_use]
    pub fn junction(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        let entry = RawEntry::symlink(name, target).attributes(0x410);
        self.entry(entry.pax("MSWINDOWS.mountpoint", "1"))
    }

    /// Adds a hard link.
    #[must_use]
    pub fn hard_link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.entry(RawEntry::hard_link(name, target))
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// The archive with its end marker, two zero blocks.
    pub fn finish(self) -> Vec<u8> {
        self.raw([0; 2 * BLOCK]).bytes
    }

    /// The archive without an end marker.
    pub fn without_end(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools;

    #[test]
    fn an_independent_reader_agrees() {
        let long = format!("Files/{}", "n".repeat(200));
        let tar = RawTar::new()
            .dir("Files")
            .file("Files/a", "hello")
            .file(&long, "")
            .symlink("Files/link", "C:\\a")
            .hard_link("Files/second", "Files/a")
            .entry(RawEntry::file("x", "y").gnu_long_name("Files/gnu"))
            .finish();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar");
        std::fs::write(&path, tar).unwrap();
        let listing = tools::bsdtar(["-tf", path.to_str().unwrap()]);
        let expected = format!("Files\nFiles/a\n{long}\nFiles/link\nFiles/second\nFiles/gnu\n");
        assert_eq!(listing, expected);
    }

    #[test]
    fn a_pax_record_counts_its_own_length() {
        assert_eq!(
            pax_record("MSWINDOWS.fileattr", b"16"),
            b"25 MSWINDOWS.fileattr=16\n"
        );
        // The third digit is there because of itself.
        assert_eq!(pax_record("k", &[b'v'; 94]).len(), 101);
        assert!(pax_record("k", &[b'v'; 94]).starts_with(b"101 k="));
    }
}
