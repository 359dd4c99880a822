//! Writes the seeds of the fuzz targets to `corpus/`.

#[path = "../../crates/winlayer-tar/tests/support/mod.rs"]
mod support;

fn main() -> std::io::Result<()> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/layer_tar");
    std::fs::create_dir_all(&folder)?;
    for (name, seed) in support::seeds::seeds() {
        std::fs::write(folder.join(name), seed)?;
    }
    Ok(())
}
