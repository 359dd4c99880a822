//! The facts about a file, and whether its attributes agree about them.

use std::io::{Read, Seek};

use winlayer_metadata::{ExtendedAttributes, FileAttributes, ReparsePoint};
use zerocopy::FromBytes;

use super::{Verifier, rule::Rule};
use crate::{
    Place, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content, attribute_flags},
    format::{EaInformation, FileNameHeader, StandardInformation, system},
    read::{
        name::FileName,
        object::{MAX_EA, end_chain, parse_standard_information},
        records::FullRecord,
    },
};

/// What is repeated beside every name of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    /// Created, written, changed, accessed.
    pub times: [i64; 4],
    pub allocated: u64,
    pub size: u64,
    pub attributes: u32,
    pub tag_or_ea_size: u32,
}

impl Facts {
    pub(crate) const DIRECTORY: u32 = FileNameHeader::DIRECTORY;

    /// As they stand beside a name.
    pub(crate) fn of_name(name: &FileName) -> Self {
        let header = &name.header;
        Self {
            times: [
                header.created,
                header.written,
                header.changed,
                header.accessed,
            ]
            .map(|time| time.get()),
            allocated: header.allocated.get(),
            size: header.size.get(),
            attributes: header.attributes.get(),
            tag_or_ea_size: header.tag_or_ea_size.get(),
        }
    }
}

impl<D: Read + Seek> Verifier<'_, D> {
    /// Checks what the attributes of a file say of each other, and returns what its names should say.
    pub(crate) fn check_facts(&mut self, full: &FullRecord) -> Result<Facts> {
        let number = full.number();
        let standard = full.find(AttributeType::STANDARD_INFORMATION, "");
        let standard_value = standard.and_then(Attribute::value).unwrap_or_default();
        let standard = parse_standard_information(standard_value).unwrap_or_default();
        let word = standard.attributes.get();
        self.check_word(full, word);
        self.check_security_id(full, &standard, standard_value.len());
        let tag = self.check_reparse(full, word)?;
        let packed = self.check_extended(full)?;
        self.check_object_id(full);

        let flags = full.base.flags;
        let marks = FileNameHeader::DIRECTORY | FileNameHeader::VIEW;
        let mut facts = Facts {
            times: [
                standard.created,
                standard.written,
                standard.changed,
                standard.accessed,
            ]
            .map(|time| time.get()),
            attributes: word & !marks,
            tag_or_ea_size: tag.unwrap_or(packed.into()),
            ..Facts::default()
        };
        if flags.contains(RecordFlags::DIRECTORY) {
            facts.attributes |= FileNameHeader::DIRECTORY;
        }
        if flags.contains(RecordFlags::VIEW_INDEX) {
            facts.attributes |= FileNameHeader::VIEW;
        }
        if let Some(content) = full.find(AttributeType::DATA, "") {
            facts.size = content.size();
            facts.allocated = match &content.content {
                Content::Resident { value, .. } => (value.len() as u64).next_multiple_of(8),
                Content::NonResident(value) => value.in_use.unwrap_or(value.allocated),
            };
        }
        if number == u64::from(system::ROOT) {
            facts.attributes = word & !marks | FileNameHeader::DIRECTORY;
        }
        Ok(facts)
    }

    /// The attribute word against the flags of streams.
    fn check_word(&mut self, full: &FullRecord, word: u32) {
        let number = full.number();
        let place = || Place::Attribute {
            record: number,
            attribute: AttributeType::STANDARD_INFORMATION.to_string(),
        };
        let sparse = |stream: &Attribute| stream.flags & attribute_flags::SPARSE != 0;
        let content = full.find(AttributeType::DATA, "").is_some_and(sparse);
        let any = full.all(AttributeType::DATA).any(sparse);
        let says = word & FileAttributes::SPARSE_FILE.bits() != 0;
        // Windows marks the file for its content; a mark made by another stream's being sparse does not harm.
        if (content && !says) || (says && !any) {
            let found = format!("{word:#x}");
            let expected = format!("the bit of sparse content: {content}");
            self.sink
                .report(place(), Rule::SparseAttribute, expected, found);
        }
        if word & FileAttributes::DIRECTORY.bits() != 0 {
            let found = format!("{word:#x}");
            let expected = "no bit 0x10, which is not stored";
            self.sink
                .report(place(), Rule::DirectoryAttribute, expected, found);
        }
    }

    fn check_security_id(
        &mut self,
        full: &FullRecord,
        standard: &StandardInformation,
        length: usize,
    ) {
        let number = full.number();
        let id = standard.security_id.get();
        let place = || Place::Attribute {
            record: number,
            attribute: AttributeType::STANDARD_INFORMATION.to_string(),
        };
        let unused = [standard.max_versions, standard.version, standard.class_id];
        if unused.iter().any(|field| field.get() != 0) {
            let found = format!("{unused:?}");
            self.sink
                .report(place(), Rule::Reserved, "zeros at 36", found);
        }
        if ![0, 48, 72].contains(&length) {
            self.sink.report(
                place(),
                Rule::AttributeSize,
                "48 or 72 bytes",
                length.to_string(),
            );
        }
        let own = full.find(AttributeType::SECURITY_DESCRIPTOR, "").is_some();
        let known = self
            .security_ids
            .as_ref()
            .is_none_or(|ids| ids.contains(&id));
        if (id == 0 && !own) || (id != 0 && !known) {
            let expected = "the id of a descriptor in $Secure";
            let rule = match id == 0 && number < system::FIRST_UNUSED.into() {
                true => Rule::SystemSecurity,
                false => Rule::SecurityId,
            };
            self.sink.report(place(), rule, expected, id.to_string());
        }
    }

    /// The tag, when there is a reparse point.
    fn check_reparse(&mut self, full: &FullRecord, word: u32) -> Result<Option<u32>> {
        let number = full.number();
        let attribute = full.find(AttributeType::REPARSE_POINT, "");
        let says = word & FileAttributes::REPARSE_POINT.bits() != 0;
        if says != attribute.is_some() {
            let place = Place::Attribute {
                record: number,
                attribute: AttributeType::STANDARD_INFORMATION.to_string(),
            };
            let expected = format!("the bit of a reparse point: {}", attribute.is_some());
            self.sink.report(
                place,
                Rule::ReparseAttribute,
                expected,
                format!("{word:#x}"),
            );
        }
        let Some(attribute) =
            attribute.filter(|attribute| attribute.size() <= ReparsePoint::MAX_LEN as u64)
        else {
            return Ok(None);
        };
        let place = || attribute.place(number);
        let value = self.value(attribute, number);
        let Some(bytes) = self.sink.check(Rule::ReparseBuffer, value)? else {
            return Ok(None);
        };
        if let Err(error) = ReparsePoint::parse(&bytes) {
            let expected = "a reparse buffer";
            self.sink
                .report(place(), Rule::ReparseBuffer, expected, error.to_string());
        }
        let tag = bytes.first_chunk().map(|tag| u32::from_le_bytes(*tag));
        let Some(tag) = tag else {
            return Ok(None);
        };
        if let Some(entries) = &mut self.reparse_points {
            match entries.remove(&full.base.reference()) {
                Some(indexed) if indexed == tag => {}
                other => {
                    let found = other.map_or("none".to_owned(), |tag| format!("one for {tag:#x}"));
                    let expected = format!("an entry for {tag:#x} in $Reparse:$R");
                    self.sink
                        .report(place(), Rule::ReparseIndex, expected, found);
                }
            }
        }
        Ok(Some(tag))
    }

    /// The packed length of the extended attributes.
    fn check_extended(&mut self, full: &FullRecord) -> Result<u16> {
        let number = full.number();
        let information = full.find(AttributeType::EA_INFORMATION, "");
        let list = full.find(AttributeType::EA, "");
        let place = || Place::Attribute {
            record: number,
            attribute: AttributeType::EA_INFORMATION.to_string(),
        };
        let header = information
            .and_then(|attribute| EaInformation::read_from_bytes(attribute.value()?).ok());
        let Some(list) = list.filter(|list| list.size() <= MAX_EA) else {
            if header.is_some_and(|header| header.length.get() != 0) {
                self.sink
                    .report(place(), Rule::EaInformation, "$EA beside it", "none");
            }
            return Ok(0);
        };
        let value = self.value(list, number);
        let Some(mut bytes) = self.sink.check(Rule::EaList, value)? else {
            return Ok(0);
        };
        let expected = match count(&bytes) {
            Some(expected) => expected,
            None => {
                let expected = "entries that each lead to the next";
                self.sink
                    .report(list.place(number), Rule::EaList, expected, "others");
                return Ok(0);
            }
        };
        end_chain(&mut bytes);
        if let Err(error) = ExtendedAttributes::parse(&bytes) {
            let expected = "extended attributes";
            self.sink.report(
                list.place(number),
                Rule::EaList,
                expected,
                error.to_string(),
            );
        }
        if header != Some(expected) {
            let found = format!("{header:?}");
            self.sink
                .report(place(), Rule::EaInformation, format!("{expected:?}"), found);
        }
        Ok(expected.packed_length.get())
    }

    fn check_object_id(&mut self, full: &FullRecord) {
        let attribute = full.find(AttributeType::OBJECT_ID, "");
        let id = attribute.and_then(|attribute| attribute.value()?.first_chunk::<16>().copied());
        // $Volume has the volume's own id, which is in no index.
        let (Some(id), Some(entries)) = (id, &mut self.object_ids) else {
            return;
        };
        if full.number() == u64::from(system::VOLUME) {
            return;
        }
        let found = match entries.remove(&id) {
            Some(file) if file == full.base.reference() => return,
            Some(file) => format!("one for file {file}"),
            None => "none".to_owned(),
        };
        let place = Place::Record(full.number());
        let expected = format!("an entry for {id:02x?} in $ObjId:$O");
        self.sink
            .report(place, Rule::ObjectIdIndex, expected, found);
    }
}

/// What `$EA_INFORMATION` should say; none when the entries do not lead from one to the next and to the end.
fn count(list: &[u8]) -> Option<EaInformation> {
    let (mut packed, mut need, mut at) = (0_u32, 0_u16, 0_usize);
    while at < list.len() {
        let entry = list.get(at..)?;
        let next = u32::from_le_bytes(*entry.first_chunk()?) as usize;
        let (flags, name) = (*entry.get(4)?, usize::from(*entry.get(5)?));
        let value = usize::from(u16::from_le_bytes([*entry.get(6)?, *entry.get(7)?]));
        if next != (9 + name + value).next_multiple_of(4) {
            return None;
        }
        packed = packed.checked_add((5 + name + value) as u32)?;
        need += u16::from(flags & 0x80 != 0);
        at = at.checked_add(next)?;
    }
    (at == list.len()).then(|| EaInformation {
        packed_length: (packed as u16).into(),
        need_ea_count: need.into(),
        length: (list.len() as u32).into(),
    })
}
