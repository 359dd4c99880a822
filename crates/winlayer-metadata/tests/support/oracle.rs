//! What must hold for any bytes, for the fuzz targets and, with the seeds, as an ordinary test.

use std::io::{Read, Write};

use winlayer_metadata::backup_stream::{BackupStreamReader, BackupStreamWriter};
use winlayer_metadata::{ExtendedAttributes, ReparsePoint, SecurityDescriptor};

/// A descriptor that is accepted keeps its bytes, and can be told and taken apart.
pub fn security_descriptor(data: &[u8]) {
    let Ok(descriptor) = SecurityDescriptor::parse(data) else {
        return;
    };
    let again = SecurityDescriptor::parse(descriptor.as_bytes()).expect("parses again");
    assert_eq!(again.as_bytes(), descriptor.as_bytes());
    let _ = (descriptor.owner(), descriptor.group(), descriptor.control());
    let _ = descriptor.to_sddl();
}

/// SDDL that is accepted gives a sound descriptor, whose own SDDL means the same.
pub fn sddl(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let Ok(descriptor) = SecurityDescriptor::from_sddl(text) else {
        return;
    };
    SecurityDescriptor::parse(descriptor.as_bytes()).expect("is sound");
    let written = descriptor.to_sddl();
    let again = SecurityDescriptor::from_sddl(&written).expect("what is written can be read");
    assert_eq!(again.as_bytes(), descriptor.as_bytes(), "{written}");
}

/// A reparse buffer that is accepted keeps its bytes.
pub fn reparse_point(data: &[u8]) {
    let Ok(point) = ReparsePoint::parse(data) else {
        return;
    };
    let again = ReparsePoint::parse(point.as_bytes()).expect("parses again");
    assert_eq!(again, point);
    let _ = (point.target(), point.print_name(), point.names_agree());
    let _ = (point.data(), point.guid(), point.is_relative());
}

/// A list that is accepted has a canonical form, of the length announced.
pub fn extended_attributes(data: &[u8]) {
    let Ok(list) = ExtendedAttributes::parse(data) else {
        return;
    };
    let mut encoded = Vec::new();
    list.encode_into(&mut encoded);
    assert_eq!(encoded.len(), list.encoded_len());
    let again = ExtendedAttributes::parse(&encoded).expect("what is written can be read");
    assert_eq!(again, list);
}

/// A stream that is accepted is written again to the same bytes.
pub fn backup_stream(data: &[u8]) {
    let mut reader = BackupStreamReader::new(data);
    let mut writer = BackupStreamWriter::new(Vec::new());
    let mut same = true;
    loop {
        let header = match reader.next_record() {
            Ok(Some(header)) => header,
            Ok(None) => break,
            Err(_) => return,
        };
        let mut payload = Vec::new();
        if reader.read_to_end(&mut payload).is_err() {
            return;
        }
        assert_eq!(payload.len() as u64, header.size);
        // The writer is stricter about the order and names of records than the reader.
        same = same && writer.begin(&header).is_ok() && writer.write_all(&payload).is_ok();
    }
    if same
        && let Ok(written) = writer.finish()
        && written != data
    {
        // NULs that end a name are dropped; what is left is the canonical form.
        assert!(written.len() < data.len(), "{written:x?} {data:x?}");
        backup_stream(&written);
    }
}
