//! A value of a hive file (`vk`) and its data.

use std::{borrow::Cow, fmt};

use zerocopy::{FromBytes, little_endian::U32};

use super::{Key, key::start, part};
use crate::{
    Hive, HiveError, Name, ValueData, ValueType,
    format::{BigData, KeyValue, SEGMENT},
    hive::damaged,
};

/// The values of a key. After an error nothing follows.
#[derive(Clone, Debug)]
pub struct Values<'h> {
    hive: &'h Hive<'h>,
    owner: u32,
    list: u32,
    count: u32,
    /// Read when the first value is asked for.
    cells: Option<Cow<'h, [u8]>>,
    at: usize,
}

impl<'h> Values<'h> {
    pub(super) fn new(key: &Key<'h>) -> Self {
        Self {
            hive: key.hive(),
            owner: key.offset(),
            list: key.node().value_list.get(),
            count: key.value_count(),
            cells: None,
            at: 0,
        }
    }

    fn list(&self) -> Result<Cow<'h, [u8]>, HiveError> {
        let length = (self.count as usize).checked_mul(size_of::<U32>());
        let content = self.hive.cell(self.list)?;
        length
            .and_then(|length| part(content, 0, length))
            .ok_or_else(|| {
                let found = format!("{} values and a shorter list", self.count);
                damaged(self.owner, "a list of all values", found)
            })
    }

    fn advance(&mut self) -> Result<Option<Value<'h>>, HiveError> {
        let cells = match &mut self.cells {
            Some(cells) => cells,
            None => {
                let list = self.list()?;
                self.cells.insert(list)
            }
        };
        let Some(Ok((cell, _))) = cells.get(self.at..).map(U32::read_from_prefix) else {
            return Ok(None);
        };
        self.at += size_of::<U32>();
        Value::read(self.hive, cell.get()).map(Some)
    }
}

impl<'h> Iterator for Values<'h> {
    type Item = Result<Value<'h>, HiveError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.count == 0 {
            return None;
        }
        let value = self.advance();
        if value.is_err() {
            self.count = 0;
        }
        value.transpose()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.count as usize))
    }
}

/// A value of a [`Key`]; its data is read when asked for.
#[derive(Clone)]
pub struct Value<'h> {
    hive: &'h Hive<'h>,
    cell: u32,
    record: KeyValue,
    name: Name<'h>,
}

impl<'h> Value<'h> {
    fn read(hive: &'h Hive<'h>, cell: u32) -> Result<Self, HiveError> {
        let content = hive.cell(cell)?;
        let record = KeyValue::read_from_prefix(&content)
            .ok()
            .map(|(record, _)| record)
            .filter(|record| record.signature == KeyValue::SIGNATURE)
            .ok_or_else(|| damaged(cell, "a value (vk)", start(&content)))?;
        let length = record.name_length.get();
        let is_latin1 = record.flags.get() & KeyValue::LATIN1_NAME != 0;
        let name = part(content, size_of::<KeyValue>(), length.into())
            .and_then(|bytes| Name::stored(bytes, is_latin1))
            .ok_or_else(|| {
                let found = format!("a length of {length} bytes");
                damaged(cell, "a value name", found)
            })?;
        Ok(Self {
            hive,
            cell,
            record,
            name,
        })
    }

    /// The value's name; empty for the default value.
    pub fn name(&self) -> &Name<'h> {
        &self.name
    }

    /// Its type.
    pub fn kind(&self) -> ValueType {
        ValueType(self.record.data_type.get())
    }

    /// Deltas: whether it says that the value of this name is gone from the hives below.
    pub fn is_tombstone(&self) -> bool {
        self.record.flags.get() & KeyValue::TOMBSTONE != 0
    }

    /// Length of the data in bytes, as the value says; a tombstone has none.
    pub fn data_len(&self) -> usize {
        if self.is_tombstone() {
            0
        } else {
            (self.record.data_length.get() & !KeyValue::INLINE) as usize
        }
    }

    /// Type and data; a tombstone's are `REG_NONE` and nothing.
    ///
    /// # Errors
    /// [`HiveError::Damaged`] when cells of the data are missing or too short.
    pub fn data(&self) -> Result<ValueData<'h>, HiveError> {
        Ok(ValueData {
            kind: self.kind(),
            bytes: self.bytes()?,
        })
    }

    fn bytes(&self) -> Result<Cow<'h, [u8]>, HiveError> {
        let length = self.data_len();
        if length == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        if self.record.data_length.get() & KeyValue::INLINE != 0 {
            let bytes = self.record.data.get(..length);
            return bytes
                .map(|bytes| Cow::Owned(bytes.to_vec()))
                .ok_or_else(|| self.too_long(length));
        }
        if length > self.hive.bins_size() as usize {
            return Err(self.too_long(length));
        }
        let cell = u32::from_le_bytes(self.record.data);
        let content = self.hive.cell(cell)?;
        if length > SEGMENT && self.hive.minor_version() > 3 {
            return self.segments(cell, &content, length).map(Cow::Owned);
        }
        part(content, 0, length).ok_or_else(|| {
            let found = "a shorter cell";
            damaged(cell, "data of the length its value says", found)
        })
    }

    fn segments(&self, cell: u32, content: &[u8], length: usize) -> Result<Vec<u8>, HiveError> {
        let record = BigData::read_from_prefix(content)
            .ok()
            .map(|(record, _)| record)
            .filter(|record| record.signature == BigData::SIGNATURE)
            .ok_or_else(|| damaged(cell, "a list of segments (db)", start(content)))?;
        let count = usize::from(record.segments.get());
        let list = self.hive.cell(record.list.get())?;
        let cells = part(list, 0, count * size_of::<U32>())
            .filter(|_| count == length.div_ceil(SEGMENT))
            .ok_or_else(|| {
                let found = format!("{count} segments for {length} bytes");
                damaged(cell, "as many segments as the data needs", found)
            })?;
        let mut bytes = Vec::with_capacity(length);
        let (cells, _) = cells.as_chunks::<4>();
        for segment in cells {
            let segment = u32::from_le_bytes(*segment);
            let wanted = SEGMENT.min(length - bytes.len());
            let content = self.hive.cell(segment)?;
            let Some(data) = content.get(..wanted) else {
                let found = format!("{} bytes", content.len());
                return Err(damaged(segment, "a whole segment of data", found));
            };
            bytes.extend_from_slice(data);
        }
        Ok(bytes)
    }

    fn too_long(&self, length: usize) -> HiveError {
        let found = format!("{length} bytes");
        damaged(self.cell, "data that fits where it is said to be", found)
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Value")
            .field("name", &self.name)
            .field("kind", &self.kind())
            .field("cell", &format_args!("{:#x}", self.cell))
            .finish_non_exhaustive()
    }
}
