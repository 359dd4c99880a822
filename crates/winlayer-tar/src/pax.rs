//! pax extended headers: records `LEN SP KEY=VALUE LF` (POSIX.1-2001), strictly.

use std::ops::Range;

use crate::error::{Fault, printable};
use crate::time::decimal;

/// The keys with a meaning here. Each may come once, with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Path,
    LinkPath,
    Size,
    Modified,
    Accessed,
    Changed,
    Created,
    Attributes,
    RawSecurity,
    Sddl,
    MountPoint,
}

const KEYS: [(&[u8], Key); 11] = [
    (b"path", Key::Path),
    (b"linkpath", Key::LinkPath),
    (b"size", Key::Size),
    (b"mtime", Key::Modified),
    (b"atime", Key::Accessed),
    (b"ctime", Key::Changed),
    (b"LIBARCHIVE.creationtime", Key::Created),
    (b"MSWINDOWS.fileattr", Key::Attributes),
    (b"MSWINDOWS.rawsd", Key::RawSecurity),
    (b"MSWINDOWS.sd", Key::Sddl),
    (b"MSWINDOWS.mountpoint", Key::MountPoint),
];

/// Prefix of the keys that carry NTFS extended attributes.
pub(crate) const XATTR: &str = "MSWINDOWS.xattr.";
/// The only `hdrcharset` that does not change what the other records say.
const UTF8_CHARSET: &[u8] = b"ISO-IR 10646 2000 UTF-8";

/// The records of one extended header. Buffers are used again for the next.
#[derive(Debug, Default)]
pub(crate) struct PaxRecords {
    bytes: Vec<u8>,
    values: [Option<Range<usize>>; KEYS.len()],
    xattrs: Vec<(Range<usize>, Range<usize>)>,
    /// A key that must not be set for all entries at once.
    binding: Option<Range<usize>>,
}

impl PaxRecords {
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.values = Default::default();
        self.xattrs.clear();
        self.binding = None;
    }

    /// The buffer to read the header's body into before [`parse`](Self::parse).
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        self.clear();
        &mut self.bytes
    }

    /// The value of a key, if it was set.
    pub(crate) fn get(&self, key: Key) -> Option<&[u8]> {
        self.values
            .get(key as usize)?
            .as_ref()
            .and_then(|value| self.bytes.get(value.clone()))
    }

    /// Extended attributes: name without [`XATTR`], and base64 value.
    pub(crate) fn xattrs(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        let bytes = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        self.xattrs
            .iter()
            .map(move |(name, value)| (bytes(name), bytes(value)))
    }

    /// In a global header: a key that would rename, resize or stamp every entry that follows.
    pub(crate) fn binding_key(&self) -> Option<String> {
        let key = self.bytes.get(self.binding.clone()?)?;
        Some(printable(key))
    }

    /// Parses the bytes in the buffer.
    pub(crate) fn parse(&mut self) -> Result<(), Fault> {
        let bytes = std::mem::take(&mut self.bytes);
        let result = self.parse_records(&bytes);
        self.bytes = bytes;
        result
    }

    fn parse_records(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let mut offset = 0;
        while offset < bytes.len() {
            let record = Record::parse(bytes, offset)
                .map_err(|problem| Fault::PaxRecord { offset, problem })?;
            offset = record.value.end.saturating_add(1);
            self.keep(bytes, record)?;
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8], record: Record) -> Result<(), Fault> {
        let offset = record.key.start;
        let refuse = |problem| Err(Fault::PaxRecord { offset, problem });
        let key = bytes.get(record.key.clone()).unwrap_or_default();
        let value = bytes.get(record.value.clone()).unwrap_or_default();
        if let Some(&(_, known)) = KEYS.iter().find(|(name, _)| *name == key) {
            if value.is_empty() {
                return refuse("the value is empty, which readers take differently");
            }
            if value.contains(&0) {
                return refuse("the value has a NUL");
            }
            self.binding.get_or_insert(record.key);
            let Some(slot) = self.values.get_mut(known as usize) else {
                return Ok(());
            };
            if slot.replace(record.value).is_some() {
                return Err(Fault::PaxDuplicate(printable(key)));
            }
        } else if key.starts_with(XATTR.as_bytes()) {
            self.binding.get_or_insert(record.key.clone());
            let name = record.key.start.saturating_add(XATTR.len())..record.key.end;
            self.xattrs.push((name, record.value));
        } else if key.starts_with(b"GNU.sparse.") || key == b"SCHILY.realsize" {
            return Err(Fault::Sparse(printable(key)));
        } else if key == b"hdrcharset" && value != UTF8_CHARSET {
            return refuse("hdrcharset is not UTF-8");
        } else if matches!(key, b"uid" | b"gid")
            && decimal(value).is_none_or(|id| i64::try_from(id).is_err())
        {
            return refuse("uid or gid is not a decimal number");
        } else if matches!(key, b"uname" | b"gname") && value.contains(&0) {
            return refuse("the value has a NUL");
        } else if key.starts_with(b"MSWINDOWS.") {
            self.binding.get_or_insert(record.key);
        }
        Ok(())
    }
}

struct Record {
    key: Range<usize>,
    value: Range<usize>,
}

impl Record {
    fn parse(bytes: &[u8], start: usize) -> Result<Self, &'static str> {
        let rest = bytes.get(start..).unwrap_or_default();
        // 1 MiB needs seven digits; a limit that was raised may need more.
        let space = rest
            .iter()
            .take(20)
            .position(|&byte| byte == b' ')
            .ok_or("no length")?;
        let digits = rest.get(..space).unwrap_or_default();
        if digits.first() == Some(&b'0') {
            return Err("the length starts with zero");
        }
        let length = decimal(digits).ok_or("the length is not a decimal number")?;
        let length = usize::try_from(length).map_err(|_| "the length is out of range")?;
        let record = rest
            .get(..length)
            .ok_or("the length goes beyond the header")?;
        let body = record
            .get(space.saturating_add(1)..)
            .ok_or("the length is too small")?;
        let body = body.strip_suffix(b"\n").ok_or("no line feed at the end")?;
        let equals = body.iter().position(|&byte| byte == b'=').ok_or("no '='")?;
        let key = body.get(..equals).unwrap_or_default();
        if key.is_empty() {
            return Err("the key is empty");
        }
        if key.contains(&0) || std::str::from_utf8(key).is_err() {
            return Err("the key is not text");
        }
        let key_start = start.saturating_add(space).saturating_add(1);
        let key_end = key_start.saturating_add(equals);
        let value_end = start.saturating_add(length).saturating_sub(1);
        Ok(Self {
            key: key_start..key_end,
            value: key_end.saturating_add(1)..value_end,
        })
    }
}

/// Appends one record; the length counts itself.
pub(crate) fn push_record(out: &mut Vec<u8>, key: &str, value: &str) {
    // " ", "=" and "\n"
    let fixed = key.len().saturating_add(value.len()).saturating_add(3);
    let mut length = fixed;
    loop {
        let whole = fixed.saturating_add(length.to_string().len());
        if whole == length {
            break;
        }
        length = whole;
    }
    out.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(bytes: &[u8]) -> Result<PaxRecords, Fault> {
        let mut records = PaxRecords::default();
        records.buffer().extend_from_slice(bytes);
        records.parse().map(|()| records)
    }

    #[test]
    fn the_length_counts_itself() {
        let mut out = Vec::new();
        push_record(&mut out, "path", "12");
        assert_eq!(out, b"11 path=12\n");
        out.clear();
        push_record(&mut out, "k", "abc");
        assert_eq!(out, b"8 k=abc\n");
        out.clear();
        push_record(&mut out, "k", &"v".repeat(94));
        assert_eq!(out.len(), 101);
        assert!(out.starts_with(b"101 k="));
    }

    #[test]
    fn refuses_records_that_are_mis_lengthed_or_unterminated() {
        for bytes in [
            b"10 path=12\n".as_slice(),
            b"12 path=12\n",
            b"11 path=12",
            b"11path=12\n",
            b"11 path=12x",
            b"+11 path=1\n",
            b"011 path=1\n",
            b"-1 path=12\n",
            b" path=12\n",
            b"0 path=12\n",
            b"4 =\n",
            b"6 abc\n",
            b"\0\0\0",
            b"11 path=12\n\0",
            b"99999999999999999999999 path=12\n",
        ] {
            assert!(parse(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn refuses_repeated_and_empty_keys_of_consequence() {
        assert!(parse(b"9 path=a\n9 path=b\n").is_err());
        assert!(parse(b"8 path=\n").is_err());
        assert!(parse(b"10 path=a\0\n").is_err());
        assert!(parse(b"13 comment=a\n13 comment=b\n").is_ok());
        assert!(parse(b"11 comment=\n").is_err(), "mis-lengthed");
        assert!(parse(b"12 comment=\n").is_ok());
    }

    #[test]
    fn refuses_sparse_records_and_foreign_character_sets() {
        assert!(matches!(
            parse(b"22 GNU.sparse.major=1\n"),
            Err(Fault::Sparse(_))
        ));
        assert!(parse(b"21 hdrcharset=BINARY\n").is_err());
        assert!(parse(b"38 hdrcharset=ISO-IR 10646 2000 UTF-8\n").is_ok());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(path in "[^\0]{1,200}", value in "[A-Za-z0-9+/=\n]{0,150}") {
            let mut out = Vec::new();
            push_record(&mut out, "MSWINDOWS.xattr.A B", &value);
            push_record(&mut out, "path", &path);
            let records = parse(&out).unwrap();
            prop_assert_eq!(records.get(Key::Path), Some(path.as_bytes()));
            prop_assert_eq!(records.get(Key::Size), None);
            let xattrs: Vec<_> = records.xattrs().collect();
            prop_assert_eq!(xattrs, vec![(b"A B".as_slice(), value.as_bytes())]);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
