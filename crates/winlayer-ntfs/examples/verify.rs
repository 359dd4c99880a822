//! Verifies a volume: `cargo run -p winlayer-ntfs --example verify IMAGE`.
#![allow(clippy::print_stdout, reason = "a program")]

use std::{collections::BTreeMap, fs::File, time::Instant};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("which image?")?;
    let mut counts = BTreeMap::new();
    let start = Instant::now();
    let verified = winlayer_ntfs::verify(File::open(path)?, &mut |finding| {
        let count = counts.entry(finding.rule).or_insert(0_u64);
        *count += 1;
        if *count <= 5 {
            println!("{:?} {:?} {finding}", finding.rule.severity(), finding.rule);
        }
    })?;
    println!("{verified:?} in {:?}\n{counts:?}", start.elapsed());
    Ok(())
}
