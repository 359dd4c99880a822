//! What the records of a backup stream may hold.

use crate::stream::{ALTERNATE, DATA, EA, REPARSE, Record, SECURITY, SPARSE, number};

const SYMLINK: u64 = 0xA000_000C;
const MOUNT_POINT: u64 = 0xA000_0003;

/// Whether this can be the header of a record; `name_bytes` long is its name.
pub(crate) fn check_header(record: &Record, name_bytes: usize) -> Result<(), String> {
    let kind = record.kind();
    if !(1..=10).contains(&record.id) {
        return Err(format!("unknown stream {kind}"));
    }
    if record.id != ALTERNATE && name_bytes != 0 {
        return Err(format!("{kind} has a name"));
    }
    if record.id == ALTERNATE {
        let inner = record
            .name
            .strip_prefix(':')
            .and_then(|name| name.strip_suffix(":$DATA"));
        if !name_bytes.is_multiple_of(2)
            || inner.is_none_or(|name| name.is_empty() || name.contains([':', '\\', '/', '\0']))
        {
            return Err(format!("{kind} is not named :name:$DATA"));
        }
    }
    let limit = match record.id {
        SECURITY | EA => 65536,
        REPARSE => 16384,
        _ => u64::MAX,
    };
    if record.size > limit || (record.id == SPARSE && record.size < 8) {
        return Err(format!("{kind} has an impossible size"));
    }
    Ok(())
}

/// Whether a record's payload is what its kind demands.
pub(crate) fn check_payload(record: &Record) -> Result<(), String> {
    let bytes = record.payload.as_slice();
    match record.id {
        SECURITY => check_security(bytes),
        EA => check_attributes(bytes),
        REPARSE => check_reparse(bytes),
        _ => Ok(()),
    }
}

fn field(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    bytes.get(at..at.checked_add(length)?).map(number)
}

/// MS-DTYP 2.4.6: self-relative, revision 1, every offset inside.
fn check_security(bytes: &[u8]) -> Result<(), String> {
    let read = || {
        let control = field(bytes, 2, 2)?;
        let offsets = [
            field(bytes, 4, 4)?,
            field(bytes, 8, 4)?,
            field(bytes, 12, 4)?,
            field(bytes, 16, 4)?,
        ];
        Some((field(bytes, 0, 1)?, control, offsets))
    };
    let Some((revision, control, offsets)) = read() else {
        return Err(format!("a descriptor of {} bytes", bytes.len()));
    };
    if revision != 1 || control & 0x8000 == 0 {
        return Err(format!(
            "a descriptor with revision {revision} and control {control:#x}"
        ));
    }
    let inside =
        |offset: &u64| *offset == 0 || (*offset >= 20 && *offset + 8 <= bytes.len() as u64);
    if !offsets.iter().all(inside) {
        return Err("a descriptor with an offset outside".to_owned());
    }
    Ok(())
}

/// FILE_FULL_EA_INFORMATION, every entry padded to 4.
fn check_attributes(bytes: &[u8]) -> Result<(), String> {
    let mut rest = bytes;
    loop {
        let wrong = || format!("an extended attribute {} bytes before the end", rest.len());
        let next = field(rest, 0, 4).ok_or_else(wrong)? as usize;
        let name = field(rest, 5, 1).ok_or_else(wrong)? as usize;
        let value = field(rest, 6, 2).ok_or_else(wrong)? as usize;
        let size = (8 + name + 1 + value).next_multiple_of(4);
        let ends_name = rest.get(8 + name) == Some(&0);
        if name == 0 || !ends_name || size > rest.len() {
            return Err(wrong());
        }
        if next == 0 {
            return if size == rest.len() {
                Ok(())
            } else {
                Err(wrong())
            };
        }
        if next != size {
            return Err(wrong());
        }
        rest = rest.get(next..).unwrap_or_default();
    }
}

/// REPARSE_DATA_BUFFER of a symbolic link or mount point, names inside and NUL-terminated.
fn check_reparse(bytes: &[u8]) -> Result<(), String> {
    let tag = field(bytes, 0, 4).unwrap_or_default();
    let length = field(bytes, 4, 2).unwrap_or_default();
    let names = match tag {
        SYMLINK => 20,
        MOUNT_POINT => 16,
        _ => return Err(format!("reparse tag {tag:#x}, which no image may bring")),
    };
    if length + 8 != bytes.len() as u64 || field(bytes, 6, 2) != Some(0) {
        return Err(format!(
            "a reparse buffer of {} bytes that says {length}",
            bytes.len()
        ));
    }
    let buffer = bytes.get(names..).ok_or("a reparse buffer without names")?;
    for at in [8, 12] {
        let offset = field(bytes, at, 2).unwrap_or_default() as usize;
        let size = field(bytes, at + 2, 2).unwrap_or_default() as usize;
        let end = buffer.get(offset + size..offset + size + 2);
        if !offset.is_multiple_of(2) || !size.is_multiple_of(2) || end != Some(&[0, 0]) {
            return Err("a reparse buffer with a name outside or without its NUL".to_owned());
        }
    }
    let substitute = field(bytes, 10, 2).unwrap_or_default() as usize;
    let absolute = buffer.get(..8.min(substitute)) == Some(b"\\\0?\0?\0\\\0");
    let relative = tag == SYMLINK && field(bytes, 16, 4) == Some(1);
    if relative == absolute {
        return Err("a link whose name does not agree with its flags".to_owned());
    }
    Ok(())
}

/// What a stream in a staged file or sidecar must keep besides: the order go-winio writes, plain
/// attributes, content for files only.
#[must_use]
pub fn transport_violations(records: &[Record], directory: bool) -> Vec<String> {
    let rank = |record: &Record| match record.id {
        SECURITY => Some(0),
        EA => Some(1),
        REPARSE => Some(2),
        DATA => Some(3),
        ALTERNATE => Some(4),
        _ => None,
    };
    let mut violations = Vec::new();
    let mut last = -1;
    for record in records {
        let kind = record.kind();
        if record.attributes != 0 {
            violations.push(format!(
                "{kind} has stream attributes {:#x}",
                record.attributes
            ));
        }
        match rank(record) {
            None => violations.push(format!("{kind} in a staged file")),
            Some(rank) if rank < last || (rank == last && rank != 4) => {
                violations.push(format!("{kind} is out of order or twice"));
            }
            Some(rank) => last = rank,
        }
    }
    let with_data = records.iter().any(|record| record.id == DATA);
    let is_link = records.iter().any(|record| record.id == REPARSE);
    if directory && with_data {
        violations.push("a directory has content".to_owned());
    }
    if !directory && with_data == is_link && !is_link {
        violations.push("a file has no DATA record".to_owned());
    }
    violations
}
