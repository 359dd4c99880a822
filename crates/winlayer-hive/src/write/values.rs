//! The `vk` cells of a key and their data.

use zerocopy::{IntoBytes, little_endian::U32};

use super::{Content, Node, NodeValue, cells::Cells, count, short};
use crate::{
    HiveError, HiveKind, ValueType,
    format::{BigData, KeyValue, NIL, SEGMENT},
};

/// Most bytes of one value: the segment count has 16 bits.
const MAX_DATA: usize = SEGMENT * u16::MAX as usize;

/// Adds a key's values; the cell of the list of them.
pub(super) fn add(
    key: &impl Node,
    values: &[NodeValue<'_>],
    kind: HiveKind,
    cells: &mut Cells,
) -> Result<u32, HiveError> {
    if values.is_empty() {
        return Ok(NIL);
    }
    let list = cells.reserve(size_of::<u32>() * values.len())?;
    let mut offsets = Vec::with_capacity(values.len());
    for value in values {
        offsets.push(U32::new(add_value(key, value, kind, cells)?));
    }
    cells.fill(list, &[offsets.as_bytes()]);
    Ok(list.0)
}

fn add_value(
    key: &impl Node,
    value: &NodeValue<'_>,
    kind: HiveKind,
    cells: &mut Cells,
) -> Result<u32, HiveError> {
    let name = value.name.bytes();
    // The default value has no name, so none that could be Latin-1.
    let name_flag = if value.name.is_latin1() && !name.is_empty() {
        KeyValue::LATIN1_NAME
    } else {
        0
    };
    let mut record = KeyValue {
        signature: KeyValue::SIGNATURE,
        name_length: short(name.len())?.into(),
        data_length: 0.into(),
        data: NIL.to_le_bytes(),
        data_type: ValueType::NONE.0.into(),
        flags: name_flag.into(),
        spare: 0.into(),
    };
    let cell = cells.reserve(size_of::<KeyValue>() + name.len())?;
    let mut put = |kind: ValueType, bytes: &[u8], cells: &mut Cells| {
        let (length, field) = add_data(key, bytes, cells)?;
        record.data_length = length.into();
        record.data = field;
        record.data_type = kind.0.into();
        Ok::<_, HiveError>(())
    };
    match &value.content {
        Content::Data(data) => put(data.kind, &data.bytes, cells)?,
        Content::Stored(stored) => {
            let data = stored.data()?;
            put(data.kind, &data.bytes, cells)?;
        }
        Content::Tombstone if kind == HiveKind::Delta => {
            record.flags = (name_flag | KeyValue::TOMBSTONE).into();
        }
        Content::Tombstone => {
            let name = key.name().to_string();
            return Err(HiveError::NotADelta { name });
        }
    }
    cells.fill(cell, &[record.as_bytes(), name]);
    Ok(cell.0)
}

/// Stores data; the length and offset fields that lead to it.
fn add_data(key: &impl Node, bytes: &[u8], cells: &mut Cells) -> Result<(u32, [u8; 4]), HiveError> {
    let length = count(bytes.len())?;
    if bytes.len() <= 4 {
        let mut field = [0; 4];
        for (target, byte) in field.iter_mut().zip(bytes) {
            *target = *byte;
        }
        Ok((length | KeyValue::INLINE, field))
    } else if bytes.len() <= SEGMENT {
        Ok((length, cells.add(&[bytes])?.0.to_le_bytes()))
    } else if bytes.len() <= MAX_DATA {
        Ok((length, add_segments(bytes, cells)?.to_le_bytes()))
    } else {
        let name = key.name().to_string();
        Err(HiveError::ValueSize {
            name,
            bytes: bytes.len(),
            limit: MAX_DATA,
        })
    }
}

fn add_segments(bytes: &[u8], cells: &mut Cells) -> Result<u32, HiveError> {
    let segments = bytes.chunks(SEGMENT);
    let record = cells.reserve(size_of::<BigData>())?;
    let list = cells.reserve(size_of::<u32>() * segments.len())?;
    let header = BigData {
        signature: BigData::SIGNATURE,
        segments: short(segments.len())?.into(),
        list: list.0.into(),
    };
    let mut offsets = Vec::with_capacity(segments.len());
    for segment in segments {
        // libhivex takes the last four bytes of each segment's cell for padding, as they are in
        // those of full length.
        offsets.push(U32::new(cells.add(&[segment, &[0; 4]])?.0));
    }
    cells.fill(record, &[header.as_bytes()]);
    cells.fill(list, &[offsets.as_bytes()]);
    Ok(record.0)
}
