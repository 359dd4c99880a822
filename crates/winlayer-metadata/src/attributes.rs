//! The attribute word of a file.

use std::fmt;

bitflags::bitflags! {
    /// The `FILE_ATTRIBUTE_*` word (MS-FSCC 2.6).
    ///
    /// Bits without a name are kept as they are; [`Display`](fmt::Display) shows them as one hexadecimal number after the names.
    ///
    /// ```
    /// use winlayer_metadata::FileAttributes;
    /// let attributes = FileAttributes::from_bits_retain(0x80_0003);
    /// assert_eq!(attributes.to_string(), "READONLY|HIDDEN|0x800000");
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
    pub struct FileAttributes: u32 {
        /// The content may not be changed.
        const READONLY = 0x1;
        /// Left out of ordinary listings.
        const HIDDEN = 0x2;
        /// Belongs to the operating system.
        const SYSTEM = 0x4;
        /// A directory.
        const DIRECTORY = 0x10;
        /// Changed since the last backup.
        const ARCHIVE = 0x20;
        /// Reserved for devices.
        const DEVICE = 0x40;
        /// No other attribute is set; the way to say "clear all" where 0 means "leave as it is".
        const NORMAL = 0x80;
        /// Short-lived content.
        const TEMPORARY = 0x100;
        /// Has ranges without allocation.
        const SPARSE_FILE = 0x200;
        /// Carries reparse data (some exports set it on plain directories, so it does not decide).
        const REPARSE_POINT = 0x400;
        /// Compressed by the file system.
        const COMPRESSED = 0x800;
        /// Content is kept elsewhere.
        const OFFLINE = 0x1000;
        /// Not to be indexed for search.
        const NOT_CONTENT_INDEXED = 0x2000;
        /// Encrypted by the file system.
        const ENCRYPTED = 0x4000;
        /// Integrity checked (ReFS).
        const INTEGRITY_STREAM = 0x8000;
        /// Reserved for the system.
        const VIRTUAL = 0x1_0000;
        /// Not read by the integrity scrubber.
        const NO_SCRUB_DATA = 0x2_0000;
        /// Opening fetches the content; the same bit says "has extended attributes" in some directory listings.
        const RECALL_ON_OPEN = 0x4_0000;
        /// Kept present locally.
        const PINNED = 0x8_0000;
        /// Not kept present locally.
        const UNPINNED = 0x10_0000;
        /// Reading fetches the content.
        const RECALL_ON_DATA_ACCESS = 0x40_0000;
        const _ = !0;
    }
}

impl fmt::Display for FileAttributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut named = self.iter_names();
        for (name, _) in named.by_ref() {
            write!(f, "{separator}{name}")?;
            separator = "|";
        }
        let rest = named.remaining().bits();
        if rest != 0 || self.is_empty() {
            write!(f, "{separator}{rest:#x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::FileAttributes;

    #[test]
    fn shows_names_then_unknown_bits() {
        let show = |bits| FileAttributes::from_bits_retain(bits).to_string();
        assert_eq!(show(0), "0x0");
        assert_eq!(show(0x10), "DIRECTORY");
        assert_eq!(show(0x416), "HIDDEN|SYSTEM|DIRECTORY|REPARSE_POINT");
        assert_eq!(show(0x80_0003), "READONLY|HIDDEN|0x800000");
        assert_eq!(show(0x8000_0000), "0x80000000");
    }

    #[test]
    fn keeps_every_bit() {
        for bit in 0..32 {
            assert_eq!(FileAttributes::from_bits_retain(1 << bit).bits(), 1 << bit);
            assert_eq!(
                FileAttributes::from_bits_truncate(1 << bit).bits(),
                1 << bit
            );
        }
    }
}
