//! Raw tar blocks for tests, made without any code of the crate, so that a bug is not on both sides.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "every test binary uses its own part"
)]

pub mod layers;
pub mod oracle;
pub mod seeds;

/// Builds archives block by block, well formed or not.
#[derive(Clone, Debug, Default)]
pub struct Blocks(pub Vec<u8>);

pub type Block = [u8; 512];

/// A ustar header with a correct checksum.
pub fn header(name: &[u8], typeflag: u8, size: u64) -> Block {
    let mut block = [0; 512];
    let used = name.len().min(100);
    block[..used].copy_from_slice(&name[..used]);
    for (at, width) in [(100, 8), (108, 8), (116, 8), (136, 12), (329, 8), (337, 8)] {
        set(
            &mut block,
            at,
            format!("{:0>1$}\0", 0, width - 1).as_bytes(),
        );
    }
    set(&mut block, 124, format!("{size:011o}\0").as_bytes());
    block[156] = typeflag;
    set(&mut block, 257, b"ustar\x0000");
    seal(block)
}

pub fn set(block: &mut [u8], at: usize, bytes: &[u8]) {
    block[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The header with one field replaced and the checksum made right again.
pub fn with(mut block: Block, at: usize, bytes: &[u8]) -> Block {
    set(&mut block, at, bytes);
    seal(block)
}

pub fn with_link(block: Block, target: &[u8]) -> Block {
    with(block, 157, target)
}

/// GNU magic instead of POSIX.
pub fn gnu(block: Block) -> Block {
    with(block, 257, b"ustar  \0")
}

pub fn seal(mut block: Block) -> Block {
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    set(&mut block, 148, format!("{sum:06o}\0 ").as_bytes());
    block
}

/// One pax record.
pub fn record(key: &str, value: &[u8]) -> Vec<u8> {
    let mut length = 0;
    loop {
        let mut text = format!("{length} {key}=").into_bytes();
        text.extend_from_slice(value);
        text.push(b'\n');
        if text.len() == length {
            return text;
        }
        length = text.len();
    }
}

impl Blocks {
    pub fn block(mut self, block: Block) -> Self {
        self.0.extend_from_slice(&block);
        self
    }

    pub fn body(mut self, body: &[u8]) -> Self {
        self.0.extend_from_slice(body);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub fn entry(self, name: &str, typeflag: u8, body: &[u8]) -> Self {
        self.block(header(name.as_bytes(), typeflag, body.len() as u64))
            .body(body)
    }

    pub fn dir(self, name: &str) -> Self {
        self.entry(name, b'5', b"")
    }

    pub fn file(self, name: &str, body: &[u8]) -> Self {
        self.entry(name, b'0', body)
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.block(with_link(
            header(name.as_bytes(), b'2', 0),
            target.as_bytes(),
        ))
    }

    pub fn hard(self, name: &str, target: &str) -> Self {
        self.block(with_link(
            header(name.as_bytes(), b'1', 0),
            target.as_bytes(),
        ))
    }

    /// An extended header.
    pub fn pax(self, records: &[(&str, &str)]) -> Self {
        let bytes: Vec<u8> = records
            .iter()
            .flat_map(|(key, value)| record(key, value.as_bytes()))
            .collect();
        self.raw_pax(b'x', &bytes)
    }

    pub fn raw_pax(self, typeflag: u8, bytes: &[u8]) -> Self {
        self.block(header(b"PaxHeaders.0/x", typeflag, bytes.len() as u64))
            .body(bytes)
    }

    /// A GNU long name (`L`) or long link (`K`).
    pub fn long(self, typeflag: u8, bytes: &[u8]) -> Self {
        self.block(gnu(header(b"././@LongLink", typeflag, bytes.len() as u64)))
            .body(bytes)
    }

    pub fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}
