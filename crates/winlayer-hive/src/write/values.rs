//! The `vk` cells of a key and their data.

use zerocopy::{IntoBytes, little_endian::U32};

use super::{cells::Cells, count, short, stored_name};
use crate::{
    HiveError, HiveKind, Key, Value, ValueContent, ValueData, ValueType,
    format::{BigData, KeyValue, NIL, SEGMENT},
};

/// Most bytes of one value: the segment count has 16 bits.
const MAX_DATA: usize = SEGMENT * u16::MAX as usize;

/// Adds a key's values; the cell of the list of them.
pub(super) fn add(key: &Key, kind: HiveKind, cells: &mut Cells) -> Result<u32, HiveError> {
    if key.values().is_empty() {
        return Ok(NIL);
    }
    let list = cells.reserve(size_of::<u32>() * key.values().len())?;
    let mut offsets = Vec::with_capacity(key.values().len());
    for value in key.values() {
        offsets.push(U32::new(add_value(key, value, kind, cells)?));
    }
    cells.fill(list, &[offsets.as_bytes()]);
    Ok(list.0)
}

/// Length of a value's data.
pub(super) fn data_len(value: &Value) -> usize {
    match &value.content {
        ValueContent::Data(data) => data.bytes.len(),
        ValueContent::Tombstone => 0,
    }
}

fn add_value(
    key: &Key,
    value: &Value,
    kind: HiveKind,
    cells: &mut Cells,
) -> Result<u32, HiveError> {
    let (name, is_latin1) = stored_name(value.name.units());
    // The default value has no name, so none that could be Latin-1.
    let name_flag = if is_latin1 && !name.is_empty() {
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
    match &value.content {
        ValueContent::Data(data) => {
            let (length, field) = add_data(key, data, cells)?;
            record.data_length = length.into();
            record.data = field;
            record.data_type = data.kind.0.into();
        }
        ValueContent::Tombstone if kind == HiveKind::Delta => {
            record.flags = (name_flag | KeyValue::TOMBSTONE).into();
        }
        ValueContent::Tombstone => {
            return Err(HiveError::NotADelta {
                name: key.name().to_string(),
            });
        }
    }
    cells.fill(cell, &[record.as_bytes(), &name]);
    Ok(cell.0)
}

/// Stores data; the length and offset fields that lead to it.
fn add_data(key: &Key, data: &ValueData, cells: &mut Cells) -> Result<(u32, [u8; 4]), HiveError> {
    let bytes = data.bytes.as_slice();
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
        offsets.push(U32::new(cells.add(&[segment])?.0));
    }
    cells.fill(record, &[header.as_bytes()]);
    cells.fill(list, &[offsets.as_bytes()]);
    Ok(record.0)
}
