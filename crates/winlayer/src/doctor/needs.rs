//! [`Needs`]: how much room an image takes.

use std::path::Path;

use winlayer_image::{Image, Reference};
use winlayer_tar::Limits;

use crate::{InspectOptions, LayerStore, Observer, Result, inspect};

/// How many bytes a compressed byte of a Windows layer becomes, at most, in the images seen so far
/// (they are between 2.2 and 2.8).
const LARGEST_RATIO: u64 = 3;
/// The same at the least.
const SMALLEST_RATIO: u64 = 2;
/// Bytes of an average entry of a Windows image: 24 to 33 KiB in nanoserver and servercore.
const BYTES_AN_ENTRY: u64 = 16 << 10;

/// What an image will take at its destination.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The image, as it was named.
    pub image: String,
    /// Bytes of all tars that are to be unpacked, at the least.
    pub least_bytes: u64,
    /// The same at the most; equal when the tars were read.
    pub most_bytes: u64,
    /// Tar entries, or about how many.
    pub entries: u64,
    /// Layers the destination has already, which take no room.
    pub layers_there: usize,
}

impl Needs {
    /// Of unpacking `image` to `dest`.
    ///
    /// An image in a registry is judged by its compressed size, without fetching it; one on disk is
    /// read to the end, which takes a while.
    ///
    /// # Errors
    ///
    /// An image on disk cannot be read or is not valid.
    pub fn of(
        image: &Image,
        dest: &Path,
        limits: &Limits,
        observer: Option<&dyn Observer>,
    ) -> Result<Self> {
        let remote = matches!(image.reference(), Reference::Registry(_));
        let options = InspectOptions {
            contents: !remote,
            registry: false,
            limits: limits.clone(),
            ..InspectOptions::default()
        };
        let facts = inspect(image, &options, observer)?;
        let store = LayerStore::open(dest).ok();
        let mut needs = Self {
            image: facts.image,
            ..Self::default()
        };
        for (layer, described) in image.layers().iter().zip(&facts.layers) {
            let folder = store
                .as_ref()
                .and_then(|store| store.layer_folder(layer.chain_id).ok().flatten());
            if folder.is_some() {
                needs.layers_there += 1;
                continue;
            }
            match &described.contents {
                Some(contents) => {
                    let entries = [
                        contents.files,
                        contents.directories,
                        contents.links,
                        contents.hard_links,
                    ];
                    let bytes = contents.uncompressed_bytes;
                    needs.add(bytes, bytes, entries.iter().sum());
                }
                None => needs.estimate(layer.compressed_bytes, &layer.media_type),
            }
        }
        Ok(needs)
    }

    fn estimate(&mut self, compressed: u64, media_type: &str) {
        let (least, most) = if media_type.ends_with("tar") {
            (compressed, compressed)
        } else {
            (
                compressed.saturating_mul(SMALLEST_RATIO),
                compressed.saturating_mul(LARGEST_RATIO),
            )
        };
        self.add(least, most, most / BYTES_AN_ENTRY);
    }

    fn add(&mut self, least: u64, most: u64, entries: u64) {
        self.least_bytes = self.least_bytes.saturating_add(least);
        self.most_bytes = self.most_bytes.saturating_add(most);
        self.entries = self.entries.saturating_add(entries);
    }

    /// Whether the sizes were read, not estimated.
    pub fn is_exact(&self) -> bool {
        self.least_bytes == self.most_bytes
    }

    /// Room the unpacked layers take, at the least and at the most: a tar rounds to 512 bytes where
    /// file systems round to 4 KiB and keep their own records, and a layer in transport format has
    /// a second file for each directory.
    pub(super) fn room(&self) -> (u64, u64) {
        let with_overhead = |bytes: u64| {
            let files = self.entries.saturating_mul(4096).min(bytes);
            bytes.saturating_add(bytes / 8).saturating_add(files / 4)
        };
        (
            with_overhead(self.least_bytes),
            with_overhead(self.most_bytes),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{dir, file, image};

    #[test]
    fn of_an_image_on_disk_are_read_and_not_guessed() {
        let folder = tempfile::tempdir().unwrap();
        let image = image(folder.path(), &[vec![dir("Files"), file("Files/a", "a")]]);
        let needs = Needs::of(&image, &folder.path().join("x"), &Limits::default(), None).unwrap();
        assert!(needs.is_exact());
        assert_eq!((needs.entries, needs.layers_there), (2, 0));
        assert!(needs.room().0 > needs.least_bytes);
    }

    #[test]
    fn of_compressed_layers_lie_between_two_bounds() {
        let mut needs = Needs::default();
        needs.estimate(1 << 20, "application/vnd.oci.image.layer.v1.tar+gzip");
        assert_eq!((needs.least_bytes, needs.most_bytes), (2 << 20, 3 << 20));
        assert_eq!(needs.entries, 192);
        needs.estimate(1 << 20, "application/vnd.oci.image.layer.v1.tar");
        assert_eq!((needs.least_bytes, needs.most_bytes), (3 << 20, 4 << 20));
        assert!(!needs.is_exact());
    }
}
