//! Many generated files, to give the base layer the size of a real one.

use std::{
    io::{self, Write},
    sync::Arc,
};

use winlayer_metadata::{
    ExtendedAttribute, ExtendedAttributes, FileAttributes, FileTime, SecurityDescriptor,
};
use winlayer_tar::{LayerPath, LayerTarWriter, Metadata, Object, ObjectKind};

use super::{
    content::{Noise, PROGRAM_BYTES, Program, Random, program},
    tree::times_of,
};

/// Files in one component directory.
const FILES_A_DIRECTORY: u64 = 8;
/// A file from this size on is a program, below it is a plain data file.
const SMALLEST_PROGRAM: u64 = 4 * PROGRAM_BYTES;

/// `files` files of `bytes` bytes in all, in component directories of `directory`.
#[derive(Debug)]
pub(super) struct Bulk {
    pub directory: &'static str,
    pub files: u64,
    pub bytes: u64,
    pub epoch: FileTime,
    pub directory_security: Option<Arc<SecurityDescriptor>>,
    pub file_security: Option<Arc<SecurityDescriptor>>,
}

impl Bulk {
    pub(super) fn write<W: Write>(
        self,
        tar: &mut LayerTarWriter<W>,
        noise: &mut Noise,
    ) -> io::Result<()> {
        let mut directory = String::new();
        for (index, size) in sizes(self.files, self.bytes).enumerate() {
            let index = index as u64;
            if index.is_multiple_of(FILES_A_DIRECTORY) {
                directory = self.component(index / FILES_A_DIRECTORY);
                self.write_directory(&directory, tar)?;
            }
            self.write_file(&directory, index, size, tar, noise)?;
        }
        Ok(())
    }

    fn component(&self, number: u64) -> String {
        let hash = Random::new(number).next();
        format!(
            "{}/amd64_sample-bulk-{number:07}_31bf3856ad364e35_10.0.20348.1_none_{hash:016x}",
            self.directory
        )
    }

    fn write_directory<W: Write>(&self, path: &str, tar: &mut LayerTarWriter<W>) -> io::Result<()> {
        tar.object(&Object {
            path: LayerPath::parse(path).map_err(io::Error::other)?,
            kind: ObjectKind::Directory,
            metadata: Metadata {
                attributes: FileAttributes::DIRECTORY,
                times: times_of(path, self.epoch),
                security: self.directory_security.clone(),
                extended_attributes: ExtendedAttributes::default(),
            },
        })
    }

    fn write_file<W: Write>(
        &self,
        directory: &str,
        index: u64,
        size: u64,
        tar: &mut LayerTarWriter<W>,
        noise: &mut Noise,
    ) -> io::Result<()> {
        let is_program = size >= SMALLEST_PROGRAM;
        let extension = if is_program { "dll" } else { "dat" };
        let path = format!("{directory}/bulk{index:08}.{extension}");
        let attributes = if is_program {
            vec![catalog_hint(index)]
        } else {
            Vec::new()
        };
        tar.object(&Object {
            kind: ObjectKind::File { size },
            metadata: Metadata {
                attributes: FileAttributes::ARCHIVE,
                times: times_of(&path, self.epoch),
                security: self.file_security.clone(),
                extended_attributes: ExtendedAttributes::from_list(attributes)
                    .map_err(io::Error::other)?,
            },
            path: LayerPath::parse(&path).map_err(io::Error::other)?,
        })?;
        if is_program {
            tar.write_all(&program(Program::Library))?;
        }
        noise.write(
            tar,
            index,
            if is_program {
                size - PROGRAM_BYTES
            } else {
                size
            },
        )
    }
}

/// What code integrity notes on a signed file: the catalogue that lists it.
fn catalog_hint(index: u64) -> ExtendedAttribute {
    let catalog = format!("sample-bulk-{index:04}~31bf3856ad364e35~amd64~~10.0.20348.1.cat");
    let length = u16::try_from(catalog.len()).unwrap_or(0);
    let mut value = vec![1, 0];
    value.extend(length.to_le_bytes());
    value.extend(catalog.into_bytes());
    ExtendedAttribute {
        flags: 0,
        name: b"$CI.CATALOGHINT".to_vec(),
        value,
    }
}

/// Sizes that sum up to `bytes`: most small, few large, as in a Windows directory.
fn sizes(files: u64, bytes: u64) -> impl Iterator<Item = u64> {
    let total: u128 = weights(files).sum();
    let mut reached = 0_u128;
    let mut handed_out = 0_u64;
    weights(files).map(move |weight| {
        reached += weight;
        let so_far = u128::from(bytes) * reached / total.max(1);
        let so_far = u64::try_from(so_far).unwrap_or(bytes);
        let size = so_far - handed_out;
        handed_out = so_far;
        size
    })
}

/// Powers of two with binomially distributed exponents, smeared out: close to a log-normal
/// distribution, in integers so that every machine agrees.
fn weights(files: u64) -> impl Iterator<Item = u128> {
    let mut random = Random::named("sizes");
    (0..files).map(move |_| {
        let dice = random.next();
        let exponent = (dice & 0xFF_FFFF).count_ones();
        u128::from(256 + (dice >> 56)) << exponent
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_sum_up_to_what_was_asked() {
        for (files, bytes) in [(1, 1), (7, 3), (1000, 1 << 30), (10, 0)] {
            assert_eq!(sizes(files, bytes).sum::<u64>(), bytes);
            assert_eq!(sizes(files, bytes).count() as u64, files);
        }
        assert_eq!(sizes(0, 0).count(), 0);
    }

    #[test]
    fn most_files_are_small_and_few_are_large() {
        let mut all: Vec<u64> = sizes(20_000, 2 << 30).collect();
        all.sort_unstable();
        let mean = (2 << 30) / 20_000;
        let (median, largest) = (all[10_000], all[19_999]);
        assert!(median * 3 < mean, "median {median}, mean {mean}");
        assert!(largest > mean * 50, "largest {largest}");
    }
}
