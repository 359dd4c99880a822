//! The system files.

use std::io::{Read, Seek};

use winlayer_metadata::Upcase;
use zerocopy::FromBytes;

use super::{Verifier, rule::Rule};
use crate::{
    Place, RecordFlags, Result,
    attribute::{Attribute, AttributeType, Content},
    definitions::attribute_definitions,
    format::{AttributeDefinition, VolumeInformation, system},
    read::{
        extents::Extents,
        name::{FileName, text},
        records::FullRecord,
    },
};

/// Names of records 0 to 11.
const NAMES: [&str; 12] = [
    "$MFT", "$MFTMirr", "$LogFile", "$Volume", "$AttrDef", ".", "$Bitmap", "$Boot", "$BadClus",
    "$Secure", "$UpCase", "$Extend",
];
/// Most of `$LogFile` that is looked at.
const MAX_LOG: u64 = 64 << 20;
/// A page of a log that nobody has written to.
static EMPTY_PAGE: [u8; 4096] = [0xff; 4096];
/// Bytes read at once.
const PIECE: usize = 1 << 20;

impl<D: Read + Seek> Verifier<'_, D> {
    pub(crate) fn check_system(&mut self) -> Result<()> {
        for (number, name) in (0..).zip(NAMES) {
            let record = self.system_record(number, Rule::SystemFile)?;
            let root = self.volume.root();
            let named = |record: &FullRecord| {
                let mut names = record.all(AttributeType::FILE_NAME);
                names.any(|attribute| {
                    let parsed = attribute.value().and_then(FileName::parse);
                    parsed.is_some_and(|parsed| {
                        parsed.parent() == root && text(&parsed.units) == name
                    })
                })
            };
            if !record.as_ref().is_some_and(named) {
                let place = Place::Record(number.into());
                self.sink.report(
                    place,
                    Rule::SystemFile,
                    format!("{name} in the root"),
                    "something else",
                );
            }
        }
        self.check_reserved()?;
        self.check_information()?;
        self.check_definitions()?;
        self.check_upcase()?;
        self.check_log()?;
        self.check_bad_clusters()
    }

    fn check_reserved(&mut self) -> Result<()> {
        for number in system::FIRST_RESERVED..system::FIRST_UNUSED {
            let record = self.system_record(number, Rule::SystemReserved)?;
            let empty = |record: &FullRecord| {
                let content = record.find(AttributeType::DATA, "");
                content.is_some_and(|content| content.size() == 0)
                    && record.find(AttributeType::FILE_NAME, "").is_none()
            };
            if !record.as_ref().is_some_and(empty) {
                let place = Place::Record(number.into());
                let expected = "a record in use, without content and name";
                self.sink
                    .report(place, Rule::SystemReserved, expected, "something else");
            }
        }
        for number in system::FIRST_UNUSED..system::QUOTA {
            // A record that continues $MFT may be here.
            if self.table.reference(number.into()).is_some() {
                let place = Place::Record(number.into());
                self.sink
                    .report(place, Rule::SystemReserved, "an unused record", "a file");
            }
        }
        Ok(())
    }

    fn check_information(&mut self) -> Result<()> {
        let number = system::VOLUME;
        let Some(record) = self.system_record(number, Rule::SystemFile)? else {
            return Ok(());
        };
        let place = || Place::Record(number.into());
        let attribute = record.find(AttributeType::VOLUME_INFORMATION, "");
        let information = attribute
            .and_then(|attribute| VolumeInformation::read_from_bytes(attribute.value()?).ok());
        let Some(information) = information else {
            self.sink
                .report(place(), Rule::Version, "$VOLUME_INFORMATION", "none");
            return Ok(());
        };
        let version = format!("{}.{}", information.major, information.minor);
        self.sink
            .expect(place, Rule::Version, "version", "3.1", &version);
        let flags = information.flags.get();
        if flags != 0 {
            let expected = "a volume that was left cleanly (0)";
            self.sink
                .report(place(), Rule::Dirty, expected, format!("{flags:#06x}"));
        }
        self.sink
            .expect(place, Rule::Reserved, "at 0", 0, information.unused.get());
        Ok(())
    }

    fn check_definitions(&mut self) -> Result<()> {
        let number = system::ATTR_DEF;
        let place = Place::Record(number.into());
        let Some(bytes) = self.small_content(number)? else {
            return Ok(());
        };
        let mut known = Vec::new();
        for definition in bytes.chunks_exact(size_of::<AttributeDefinition>()) {
            let Ok(definition) = AttributeDefinition::read_from_bytes(definition) else {
                break;
            };
            let kind = AttributeType(definition.kind.get());
            if kind.0 == 0 {
                break;
            }
            let units = definition.name.as_chunks::<2>().0.iter();
            let units = units.map(|&unit| u16::from_le_bytes(unit));
            let name =
                String::from_utf16_lossy(&units.take_while(|&unit| unit != 0).collect::<Vec<_>>());
            // $PROPERTY_SET has been given up, and is still there.
            if kind.name() != Some(name.as_str()) && kind.0 != 0xf0 {
                let expected = format!("the name of {kind}");
                self.sink
                    .report(place.clone(), Rule::AttributeDefinitions, expected, name);
            }
            if known.last().is_some_and(|&last| last >= kind) {
                let expected = "definitions in the order of types";
                self.sink.report(
                    place.clone(),
                    Rule::AttributeDefinitions,
                    expected,
                    kind.to_string(),
                );
            }
            known.push(kind);
        }
        let all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16]
            .map(|kind| AttributeType(kind << 4));
        for kind in all.iter().filter(|kind| !known.contains(kind)) {
            let expected = format!("a definition of {kind}");
            self.sink
                .report(place.clone(), Rule::AttributeDefinitions, expected, "none");
        }
        let ours = attribute_definitions();
        let differing = bytes
            .iter()
            .zip(&ours)
            .position(|(there, ours)| there != ours);
        if let Some(at) = differing {
            let expected = "the table of NTFS 3.1";
            let found = format!("a difference at {at}");
            self.sink
                .report(place, Rule::DefinitionTable, expected, found);
        }
        Ok(())
    }

    fn check_upcase(&mut self) -> Result<()> {
        let number = system::UPCASE;
        let place = Place::Record(number.into());
        let Some(bytes) = self.small_content(number)? else {
            return Ok(());
        };
        let units = bytes.as_chunks::<2>().0.iter();
        let table: Vec<u16> = units.map(|&unit| u16::from_le_bytes(unit)).collect();
        let ours = Upcase::table();
        if table.len() != ours.len() {
            let expected = format!("{} bytes", ours.len() * 2);
            self.sink
                .report(place, Rule::Upcase, expected, bytes.len().to_string());
            return Ok(());
        }
        if table == ours {
            return Ok(());
        }
        let of = |unit: u16| table.get(usize::from(unit)).copied().unwrap_or_default();
        let differing = (0..=u16::MAX).find(|&unit| of(unit) != Upcase::unit(unit));
        let Some(first) = differing else {
            return Ok(());
        };
        let ascii = (0..0x80).find(|&unit| of(unit) != Upcase::unit(unit));
        let unstable = (0..=u16::MAX).find(|&unit| of(of(unit)) != of(unit));
        match ascii.or(unstable) {
            Some(unit) => {
                let found = format!("{unit:#06x} to {:#06x}", of(unit));
                let expected = "upper case of ASCII, and of upper case itself";
                self.sink.report(place, Rule::Upcase, expected, found);
            }
            None => {
                let expected = format!("{first:#06x} to {:#06x}", Upcase::unit(first));
                self.sink.report(
                    place,
                    Rule::UpcaseTable,
                    expected,
                    format!("{:#06x}", of(first)),
                );
            }
        }
        Ok(())
    }

    /// The content of a system file of known, small size.
    fn small_content(&mut self, number: u32) -> Result<Option<Vec<u8>>> {
        let Some(record) = self.system_record(number, Rule::SystemFile)? else {
            return Ok(None);
        };
        let value = match record.need(AttributeType::DATA, "") {
            Ok(data) => self.value(data, number.into()),
            Err(error) => Err(error),
        };
        self.sink.check(Rule::SystemFile, value)
    }

    /// Empty is all 0xFF. Otherwise there are restart pages, of which one says that no client has anything left to do.
    fn check_log(&mut self) -> Result<()> {
        let number = system::LOG_FILE;
        let Some(record) = self.system_record(number, Rule::LogFile)? else {
            return Ok(());
        };
        let place = Place::Record(number.into());
        let data = record.find(AttributeType::DATA, "");
        let Some((data, Content::NonResident(value))) = data.map(|data| (data, &data.content))
        else {
            self.sink
                .report(place, Rule::LogFile, "$DATA in clusters", "none");
            return Ok(());
        };
        let extents = Extents::of(&self.volume.geometry, data, value, number.into());
        let Some(extents) = self.sink.check(Rule::LogFile, extents)? else {
            return Ok(());
        };
        let mut piece = vec![0; PIECE];
        let mut offset = 0;
        while offset < extents.size.min(MAX_LOG) {
            let length = (extents.size - offset).min(PIECE as u64) as usize;
            let bytes = piece.get_mut(..length).unwrap_or_default();
            let read = extents.read(&mut self.volume.device, offset, bytes);
            if self.sink.check(Rule::LogFile, read)?.is_none() {
                return Ok(());
            }
            if offset == 0 && bytes.starts_with(b"RSTR") {
                if !is_closed(bytes) {
                    let found = "work left to do";
                    self.sink
                        .report(place, Rule::LogFile, "a log that was closed", found);
                }
                return Ok(());
            }
            let written = |page: &[u8]| EMPTY_PAGE.get(..page.len()) != Some(page);
            if let Some(page) = bytes.chunks(EMPTY_PAGE.len()).position(written) {
                let at = offset + (page * EMPTY_PAGE.len()) as u64;
                let found = format!("something else from {at} on");
                self.sink
                    .report(place, Rule::LogFile, "an empty log (all 0xff)", found);
                return Ok(());
            }
            offset += length as u64;
        }
        Ok(())
    }

    fn check_bad_clusters(&mut self) -> Result<()> {
        let number = system::BAD_CLUSTERS;
        let Some(record) = self.system_record(number, Rule::BadClusters)? else {
            return Ok(());
        };
        let place = || Place::Record(number.into());
        let bad = record.find(AttributeType::DATA, "$Bad");
        let geometry = &self.volume.geometry;
        let whole = geometry.clusters() * geometry.cluster;
        self.sink.expect(
            place,
            Rule::BadClusters,
            "bytes of $Bad",
            whole,
            bad.map_or(0, Attribute::size),
        );
        if record
            .find(AttributeType::DATA, "")
            .is_none_or(|content| content.size() != 0)
        {
            self.sink
                .report(place(), Rule::BadClusters, "no content", "some");
        }
        Ok(())
    }

    /// `$MFT:$BITMAP` against the records.
    pub(crate) fn check_record_bitmap(&mut self) -> Result<()> {
        let Some(record) = self.system_record(system::MFT, Rule::MasterTable)? else {
            return Ok(());
        };
        let bitmap = match record.need(AttributeType::BITMAP, "") {
            Ok(bitmap) => self.value(bitmap, 0),
            Err(error) => Err(error),
        };
        let Some(bytes) = self.sink.check(Rule::RecordBitmap, bitmap)? else {
            return Ok(());
        };
        let place = Place::Attribute {
            record: 0,
            attribute: AttributeType::BITMAP.to_string(),
        };
        let records = self.volume.records();
        if (bytes.len() as u64) < records.div_ceil(8) || !bytes.len().is_multiple_of(8) {
            let expected = format!("whole words for {records} records");
            let found = format!("{} bytes", bytes.len());
            self.sink
                .report(place.clone(), Rule::RecordBitmap, expected, found);
        }
        for (number, byte) in (0..).step_by(8).zip(&bytes) {
            for bit in 0..8 {
                let number: u64 = number + bit;
                let marked = byte & (1 << bit) != 0;
                if marked != self.table.is_in_use(number) {
                    let expected = self.table.describe(number);
                    let found = if marked {
                        "its bit set"
                    } else {
                        "its bit clear"
                    };
                    self.sink
                        .report(place.clone(), Rule::RecordBitmap, expected, found);
                }
            }
        }
        Ok(())
    }

    /// Children of `$Extend` say that they are.
    pub(crate) fn check_extend_flag(&mut self, full: &FullRecord) {
        let extend = u64::from(system::EXTEND);
        let mut names = full
            .all(AttributeType::FILE_NAME)
            .filter_map(|name| FileName::parse(name.value()?));
        let inside = names.any(|name| name.parent().record() == extend);
        let says = full.base.flags.contains(RecordFlags::EXTEND);
        if says != inside {
            let place = Place::Record(full.number());
            let expected = format!("the flag of files in $Extend: {inside}");
            self.sink
                .report(place, Rule::RecordFlags, expected, says.to_string());
        }
    }
}

/// Whether a log with restart pages was closed: its restart area says so, or has no client in use.
fn is_closed(log: &[u8]) -> bool {
    let word = |at: usize| {
        log.get(at..at + 2)?
            .first_chunk()
            .map(|word| u16::from_le_bytes(*word))
    };
    // The page's head gives the place of the restart area, which has the first client in use at 12 and its flags at 14.
    let area = word(24).map(usize::from).filter(|area| *area < 4096);
    let Some(area) = area else {
        return false;
    };
    word(area + 12) == Some(u16::MAX) || word(area + 14).is_some_and(|flags| flags & 2 != 0)
}
