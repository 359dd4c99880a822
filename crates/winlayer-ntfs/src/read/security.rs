//! Security descriptors: `$Secure`.

use std::{
    collections::HashMap,
    io::{Read, Seek},
    sync::Arc,
};

use winlayer_metadata::SecurityDescriptor;
use zerocopy::FromBytes;

use super::{Volume, extents::Extents, index::Index, object::NtfsObject};
use crate::{
    NtfsError, Result,
    attribute::{AttributeType, Content},
    format::{SecurityHeader, system},
};

/// Longest descriptor read, its head included.
const MAX_ENTRY: u32 = SecurityHeader::BLOCK as u32;

/// What has been read of `$Secure`.
#[derive(Debug, Default)]
pub(crate) struct Security {
    file: Option<Arc<SecureFile>>,
    cache: HashMap<u32, Option<Arc<SecurityDescriptor>>>,
}

#[derive(Debug)]
struct SecureFile {
    by_id: Index,
    descriptors: Extents,
}

impl<D: Read + Seek> Volume<D> {
    /// The descriptor with an id of [`NtfsObject::security_id`]; none when the volume has no such id. What has been read is kept.
    ///
    /// # Errors
    ///
    /// `$Secure` is damaged, or the descriptor is none.
    pub fn descriptor(&mut self, security_id: u32) -> Result<Option<Arc<SecurityDescriptor>>> {
        if let Some(known) = self.security.cache.get(&security_id) {
            return Ok(known.clone());
        }
        let file = self.secure_file()?;
        let order = |key: &[u8]| match key.first_chunk() {
            Some(id) => security_id.cmp(&u32::from_le_bytes(*id)),
            None => std::cmp::Ordering::Greater,
        };
        let found = match self.find(&file.by_id, order)? {
            Some(found) => Some(Arc::new(self.stored(&file, security_id, &found.data)?)),
            None => None,
        };
        self.security.cache.insert(security_id, found.clone());
        Ok(found)
    }

    /// The descriptor of an object: by its id, or one of its own as old volumes have it; none when it has neither.
    ///
    /// # Errors
    ///
    /// As for [`descriptor`](Self::descriptor).
    pub fn descriptor_of(
        &mut self,
        object: &NtfsObject,
    ) -> Result<Option<Arc<SecurityDescriptor>>> {
        if object.security_id != 0 {
            return self.descriptor(object.security_id);
        }
        let own = object.record.find(AttributeType::SECURITY_DESCRIPTOR, "");
        let Some(attribute) = own.filter(|own| own.size() <= MAX_ENTRY.into()) else {
            return Ok(None);
        };
        let bytes = self.value(attribute, object.reference.record())?;
        let descriptor = SecurityDescriptor::parse(&bytes).map_err(|error| {
            let place = attribute.place(object.reference.record());
            NtfsError::damaged(place, "a security descriptor", error.to_string())
        })?;
        Ok(Some(Arc::new(descriptor)))
    }

    fn secure_file(&mut self) -> Result<Arc<SecureFile>> {
        if let Some(file) = &self.security.file {
            return Ok(Arc::clone(file));
        }
        let number = system::SECURE.into();
        let missing = || {
            let place = crate::Place::Record(number);
            NtfsError::damaged(place, "$Secure", "no file")
        };
        let record = self.load(number)?.ok_or_else(missing)?;
        let by_id = self.index(&record, "$SII")?;
        let attribute = record.need(AttributeType::DATA, "$SDS")?;
        let descriptors = match &attribute.content {
            Content::NonResident(value) => Extents::of(&self.geometry, attribute, value, number)?,
            Content::Resident { .. } => return Err(missing()),
        };
        let file = Arc::new(SecureFile { by_id, descriptors });
        self.security.file = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Reads what an entry of `$SII` points to, which begins with the same head.
    fn stored(&mut self, file: &SecureFile, id: u32, entry: &[u8]) -> Result<SecurityDescriptor> {
        let place = || crate::Place::Attribute {
            record: system::SECURE.into(),
            attribute: "$DATA:$SDS".to_owned(),
        };
        let damaged = |expected: &str, found: String| NtfsError::damaged(place(), expected, found);
        let (header, _) = SecurityHeader::read_from_prefix(entry)
            .map_err(|_| damaged("20 bytes about a descriptor", entry.len().to_string()))?;
        let (offset, length) = (header.offset.get(), header.length.get());
        let end = offset.checked_add(length.into());
        let whole = end.is_some_and(|end| end <= file.descriptors.size);
        if !whole || !(20..=MAX_ENTRY).contains(&length) {
            let found = format!("{length} bytes at {offset}");
            return Err(damaged("a descriptor in the stream", found));
        }
        let mut bytes = vec![0; length as usize];
        file.descriptors
            .read(&mut self.device, offset, &mut bytes)?;
        let (stored, descriptor) = SecurityHeader::read_from_prefix(&bytes)
            .map_err(|_| damaged("20 bytes before a descriptor", length.to_string()))?;
        if stored != header || stored.id.get() != id {
            let expected = format!("the head of id {id} at {offset}");
            return Err(damaged(&expected, format!("{stored:?}")));
        }
        SecurityDescriptor::parse(descriptor)
            .map_err(|error| damaged("a security descriptor", error.to_string()))
    }
}
