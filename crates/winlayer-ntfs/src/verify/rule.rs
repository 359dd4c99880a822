//! The rules of a sound volume.

use std::fmt;

/// How much a finding weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Windows accepts it, or makes it so itself; a fresh volume does not have it.
    Note,
    /// The volume is damaged.
    Error,
}

macro_rules! rules {
    ($($(#[doc = $doc:literal])+ $name:ident $severity:ident $title:literal,)+) => {
        /// What a volume keeps to, one variant a rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Rule {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Rule {
            /// Every rule.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// How much breaking it weighs.
            pub const fn severity(self) -> Severity {
                match self {
                    $(Self::$name => Severity::$severity,)+
                }
            }

            const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)+
                }
            }
        }
    };
}

rules! {
    /// The boot sector has the values of NTFS, and sizes that fit each other.
    BootSector Error "boot sector",
    /// The last sector of the partition is a copy of the first.
    BootCopy Error "copy of the boot sector",
    /// `$MFT` begins with itself and can be followed to its end.
    MasterTable Error "$MFT can be followed",
    /// `$MFTMirr` is where the boot sector says and equals the first records of `$MFT`, all bytes of them.
    Mirror Error "$MFTMirr equals $MFT",
    /// A record begins with `FILE`, or has never been written.
    RecordSignature Error "signature of a record",
    /// All sectors of a record or an index block end with its update sequence number.
    UpdateSequence Error "update sequence",
    /// A record has its own number.
    RecordNumber Error "number of a record",
    /// The sequence number of a record in use is not 0, that of records 1 to 15 is their number.
    RecordSequence Error "sequence number of a record",
    /// The used and allocated bytes of a record are those its attributes and the boot sector give.
    RecordSizes Error "sizes of a record",
    /// Attributes begin behind the update sequence, at a multiple of 8.
    FirstAttribute Error "place of the first attribute",
    /// The flags of a record say which indexes it has.
    RecordFlags Error "flags of a record",
    /// The next attribute id is greater than all that are there.
    NextAttributeId Error "next attribute id",
    /// Attribute ids are unique in a record.
    AttributeId Error "attribute ids",
    /// Attributes are ordered by type, then by name.
    AttributeOrder Error "order of attributes",
    /// The parts of an attribute are in it, aligned, and do not overlap.
    AttributeLayout Error "layout of an attribute",
    /// Attribute types are those of `$AttrDef`.
    AttributeType Error "type of an attribute",
    /// An attribute's value is in the record or in clusters as its type allows.
    AttributeResidence Error "residence of an attribute",
    /// Only streams, indexes and their bitmaps have names.
    AttributeName Error "name of an attribute",
    /// A value has a size its type allows.
    AttributeSize Error "size of an attribute",
    /// Only streams are compressed, encrypted or sparse.
    AttributeFlags Error "flags of an attribute",
    /// Only names are marked as indexed.
    IndexedFlag Error "mark of indexed attributes",
    /// Nothing but names can be there twice.
    DuplicateAttribute Error "attributes that are there twice",
    /// Every file has its standard information, and content unless it is an index.
    MissingAttribute Error "attributes a file must have",
    /// Fields without a meaning are zero.
    Reserved Note "fields without a meaning",
    /// `$MFT:$BITMAP` marks exactly the records in use.
    RecordBitmap Error "bitmap of records",
    /// Runs can be read and stay on the volume.
    Runs Error "runs",
    /// Allocated, real, initialized and used sizes agree with the runs and with each other.
    ValueSizes Error "sizes of a value",
    /// Only sparse and compressed values have holes.
    Holes Error "holes in a value",
    /// No cluster belongs to two values.
    ClusterTwice Error "clusters used once",
    /// `$Bitmap` marks every cluster that is used.
    ClusterUnmarked Error "used clusters marked in $Bitmap",
    /// `$Bitmap` marks no cluster that is not used.
    ClusterLeaked Error "unused clusters free in $Bitmap",
    /// `$Bitmap` has the size of the volume, with the bits behind its end set.
    BitmapTail Error "end of $Bitmap",
    /// Attribute lists are ordered by type, name and cluster, and their entries are well formed.
    ListOrder Error "order of an attribute list",
    /// An attribute list has exactly one entry for each attribute.
    ListEntry Error "entries of an attribute list",
    /// A record that continues another belongs to one in use, whose list leads to it.
    Extension Error "records that continue others",
    /// Names are 1 to 255 units without NUL and `/`, and of a known namespace.
    Name Error "names",
    /// Names of the Win32 namespace are such that Windows can open them.
    Win32Name Error "names of the Win32 namespace",
    /// A short name stands beside one long name in the same directory.
    ShortName Error "pairs of long and short names",
    /// The link count is the number of names.
    LinkCount Error "link count",
    /// Windows makes no more than 1024 links to a file.
    LinkLimit Note "most links to a file",
    /// Every file has a name, but for the reserved records.
    Nameless Error "files have names",
    /// Every name is in the directory it says.
    NameEntry Error "names are in their directories",
    /// Every entry of a directory is a name of the file it leads to.
    EntryName Error "entries are names of their files",
    /// Entries lead to records in use.
    EntryDangling Error "entries lead to files",
    /// Entries have the sequence number of the record they lead to.
    EntryStale Error "entries have the right sequence number",
    /// The key of an entry names the directory that has it.
    EntryParent Error "entries name their directory",
    /// The sizes, attribute word and tag in an entry are those of the file.
    EntryFacts Error "facts in an entry",
    /// The times in an entry are those of the file.
    EntryTimes Note "times in an entry",
    /// An entry has the packed length of the extended attributes of the file. The ntfs-3g driver leaves it out.
    EntryEaSize Note "length of extended attributes in an entry",
    /// The facts beside a file's own name are those of the file.
    NameFacts Note "facts beside a name",
    /// Every directory has one parent and is reached from the root.
    Unreachable Error "directories are reached from the root",
    /// No two names of a directory differ only in case.
    CaseCollision Note "names that differ only in case",
    /// The head of an index fits its kind and the volume.
    IndexRoot Error "head of an index",
    /// The nodes of an index are well formed.
    IndexNode Error "nodes of an index",
    /// Index blocks begin with `INDX` and have their own number.
    IndexBlock Error "blocks of an index",
    /// Entries are well formed: keys and data of their kind.
    IndexEntry Error "entries of an index",
    /// Entries are in the order of their index across the whole tree.
    IndexOrder Error "order of an index",
    /// All leaves of an index are equally deep, and no block has two parents.
    IndexShape Error "shape of an index",
    /// The bitmap of an index marks exactly the blocks in the tree.
    IndexBitmap Error "bitmap of an index",
    /// Blocks of an index have keys.
    IndexEmptyBlock Note "empty blocks of an index",
    /// The attribute word says that there is a reparse point, exactly if there is one.
    ReparseAttribute Error "attribute word and reparse point",
    /// Reparse points are well formed.
    ReparseBuffer Error "reparse points",
    /// `$Reparse:$R` has exactly the reparse points there are.
    ReparseIndex Error "index of reparse points",
    /// The attribute word says that content is sparse, exactly if it is.
    SparseAttribute Error "attribute word and sparse content",
    /// The attribute word of a directory's name says so, and of nothing else.
    DirectoryAttribute Error "attribute word and directory",
    /// `$ObjId:$O` has exactly the object ids there are.
    ObjectIdIndex Error "index of object ids",
    /// `$EA_INFORMATION` counts what is in `$EA`.
    EaInformation Error "lengths of extended attributes",
    /// Extended attributes form a chain of well-formed entries.
    EaList Error "extended attributes",
    /// Every file has a security descriptor: an id that exists, or one of its own.
    SecurityId Error "security ids",
    /// System files have one too. The ntfs-3g driver takes it from `$MFT`.
    SystemSecurity Note "security ids of system files",
    /// `$SII`, `$SDH` and `$SDS` have the same descriptors.
    SecurityIndex Error "indexes of descriptors",
    /// The hash of a descriptor is right.
    SecurityHash Error "hashes of descriptors",
    /// Each block of `$SDS` is followed by its copy.
    SecurityCopy Error "copies of descriptors",
    /// Entries of `$SDS` are aligned, cross no block, and have their own place.
    SecurityPlace Error "places of descriptors",
    /// Descriptors are well formed.
    SecurityDescriptor Error "descriptors",
    /// Records 0 to 11 and the files of `$Extend` are there under their names.
    SystemFile Error "system files",
    /// Records 12 to 15 are in use and empty, 16 to 23 are unused.
    SystemReserved Error "reserved records",
    /// `$UpCase` is a table that maps upper case to itself and ASCII as everywhere.
    Upcase Error "$UpCase",
    /// `$UpCase` is the table this crate compares names by; releases of Windows differ in it.
    UpcaseTable Note "table of $UpCase",
    /// `$AttrDef` has the definitions of NTFS 3.1.
    AttributeDefinitions Error "$AttrDef",
    /// `$AttrDef` is as mkntfs and this crate write it.
    DefinitionTable Note "table of $AttrDef",
    /// `$LogFile` is empty, or closed with nothing left to do.
    LogFile Error "$LogFile",
    /// `$BadClus:$Bad` is as large as the volume.
    BadClusters Error "$BadClus",
    /// `$Boot` is the first 8192 bytes of the volume.
    BootFile Error "$Boot",
    /// The volume is of version 3.1.
    Version Error "version",
    /// The volume was left cleanly.
    Dirty Note "state of the volume",
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}
