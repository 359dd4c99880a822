//! Writes the seeds of the fuzz targets to `corpus/`; those of winlayer-image need `--cfg fuzzing`.

#[path = "../../crates/winlayer-hive/tests/support/mod.rs"]
mod hive;
#[path = "../../crates/winlayer-tar/tests/support/mod.rs"]
mod layer;
#[path = "../../crates/winlayer-metadata/tests/support/mod.rs"]
mod metadata;
#[path = "../../crates/winlayer-ntfs/tests/support/mod.rs"]
mod ntfs;
#[path = "../../crates/winlayer-vhdx/tests/support/mod.rs"]
mod vhdx;

use std::{fs, io, path::Path};

fn main() -> io::Result<()> {
    for (name, seed) in layer::seeds::seeds() {
        write("layer_tar", name, &seed)?;
    }
    for (target, _, seeds) in hive::seeds::targets() {
        write_all(target, &seeds)?;
    }
    for (target, _, seeds) in metadata::seeds::targets() {
        write_all(target, &seeds)?;
    }
    for (target, _, seeds) in vhdx::seeds::targets() {
        write_all(target, &seeds)?;
    }
    for (target, _, seeds) in ntfs::seeds::targets() {
        write_all(target, &seeds)?;
    }
    #[cfg(fuzzing)]
    for (target, _, seeds) in winlayer_image::fuzzing::targets() {
        write_all(target, &seeds)?;
    }
    Ok(())
}

fn write_all(target: &str, seeds: &[Vec<u8>]) -> io::Result<()> {
    for (number, seed) in seeds.iter().enumerate() {
        write(target, &format!("seed{number}"), seed)?;
    }
    Ok(())
}

fn write(target: &str, name: &str, seed: &[u8]) -> io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(name), seed)
}
