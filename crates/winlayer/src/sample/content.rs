//! File contents that look like what they stand for: bytes that compress about 2.5 to 1, as
//! machine code does, behind the header of a small but valid executable.

use std::io::{self, Write};

/// A small fast generator (xorshift64*); the same seed always gives the same numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Spread by SplitMix64, so that neighbouring seeds share nothing; never zero.
        let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Self((z ^ (z >> 31)) | 1)
    }

    /// A generator for the thing called `name`.
    pub(super) fn named(name: &str) -> Self {
        Self::new(hash(name))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

/// FNV-1a.
pub(super) fn hash(name: &str) -> u64 {
    name.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

/// Unit of generation; runs are repeated from anywhere in it.
const BLOCK: usize = 32 * 1024;

/// Writes pseudo-random bytes without holding more than one block.
pub(super) struct Noise {
    block: Vec<u8>,
}

impl Noise {
    pub(super) fn new() -> Self {
        Self {
            block: vec![0; BLOCK],
        }
    }

    /// Writes `size` bytes that depend on nothing but `seed`.
    pub(super) fn write(&mut self, out: &mut impl Write, seed: u64, size: u64) -> io::Result<()> {
        let mut random = Random::new(seed);
        let mut left = size;
        while left > 0 {
            self.mix(&mut random);
            let part = left.min(BLOCK as u64);
            let bytes = usize::try_from(part)
                .ok()
                .and_then(|part| self.block.get(..part));
            out.write_all(bytes.unwrap_or_default())?;
            left -= part;
        }
        Ok(())
    }

    /// Makes the next block: fresh bytes in turn with runs copied from earlier in the block.
    fn mix(&mut self, random: &mut Random) {
        let mut at = 0;
        while at < BLOCK {
            let dice = random.next();
            let fresh = 8 * (1 + (dice & 3) as usize);
            for _ in 0..fresh / 8 {
                if let Some(target) = self.block.get_mut(at..).and_then(|b| b.first_chunk_mut()) {
                    *target = random.next().to_le_bytes();
                    at += 8;
                }
            }
            let run = 8 + ((dice >> 8) & 63) as usize;
            let from = (dice >> 16) as usize % at;
            let run = run.min(BLOCK - at).min(at - from);
            self.block.copy_within(from..from + run, at);
            at += run;
        }
    }
}

/// What sort of program a stub is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Program {
    /// A console program.
    Console,
    /// A library.
    Library,
    /// A driver or kernel.
    Native,
    /// A program for UEFI, such as a boot manager.
    Efi,
}

/// Size of [`program`]'s result.
pub(super) const PROGRAM_BYTES: u64 = 1024;

/// A valid x64 PE image (Microsoft "PE Format") with one section, whose code returns zero.
pub(super) fn program(kind: Program) -> Vec<u8> {
    let (subsystem, characteristics, image_base) = match kind {
        Program::Console => (3_u16, 0x0022_u16, 0x1_4000_0000_u64),
        Program::Library => (3, 0x2022, 0x1_8000_0000),
        Program::Native => (1, 0x0022, 0x1_4000_0000),
        Program::Efi => (10, 0x0022, 0x1000_0000),
    };
    let mut image = Vec::with_capacity(1024);
    image.extend(b"MZ");
    image.resize(60, 0);
    image.extend(64_u32.to_le_bytes()); // where the PE header is
    image.extend(b"PE\0\0");
    words(&mut image, &[0x8664, 1]); // x64, one section
    longs(&mut image, &[0x6096_4A80, 0, 0]); // time, no symbols
    words(&mut image, &[240, characteristics, 0x020B, 14]); // optional header, PE32+, linker
    longs(&mut image, &[512, 0, 0, 0x1000, 0x1000]); // sizes, entry point, code
    image.extend(image_base.to_le_bytes());
    longs(&mut image, &[0x1000, 0x200]); // alignment in memory and in the file
    words(&mut image, &[10, 0, 10, 0, 10, 0]); // system, image and subsystem versions
    longs(&mut image, &[0, 0x2000, 0x200, 0]); // image and header sizes, no checksum
    words(&mut image, &[subsystem, 0x0160]); // ASLR with high entropy, DEP
    for size in [0x10_0000_u64, 0x1000, 0x10_0000, 0x1000] {
        image.extend(size.to_le_bytes()); // stack and heap
    }
    longs(&mut image, &[0, 16]);
    image.resize(image.len() + 16 * 8, 0); // empty data directories
    image.extend(b".text\0\0\0");
    longs(&mut image, &[3, 0x1000, 512, 512, 0, 0, 0, 0x6000_0020]);
    image.resize(512, 0);
    image.extend([0x31, 0xC0, 0xC3]); // xor eax, eax; ret
    image.resize(1024, 0);
    image
}

fn words(image: &mut Vec<u8>, values: &[u16]) {
    image.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

fn longs(image: &mut Vec<u8>, values: &[u32]) {
    image.extend(values.iter().flat_map(|value| value.to_le_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_compresses_like_machine_code() {
        let mut noise = Noise::new();
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
        for seed in 0..100 {
            noise.write(&mut packed, seed, 50_000).unwrap();
        }
        let ratio = 5_000_000.0 / packed.finish().unwrap().len() as f64;
        assert!((2.2..2.8).contains(&ratio), "{ratio}");
    }

    #[test]
    fn noise_of_one_seed_is_always_the_same() {
        let mut noise = Noise::new();
        let mut write = |seed, size| {
            let mut bytes = Vec::new();
            noise.write(&mut bytes, seed, size).unwrap();
            bytes
        };
        let first = write(7, 100_000);
        assert_eq!(first.len(), 100_000);
        assert_ne!(first, write(8, 100_000));
        assert_eq!(first, write(7, 100_000));
    }

    #[test]
    fn a_program_is_a_pe_image_of_two_file_sectors() {
        let image = program(Program::Efi);
        assert_eq!(image.len() as u64, PROGRAM_BYTES);
        assert_eq!((&image[..2], &image[64..68]), (&b"MZ"[..], &b"PE\0\0"[..]));
        assert_eq!(image[64 + 24 + 68], 10, "subsystem: EFI application");
    }
}
