//! `winlayer cat`.

use super::{refuse_json, refuse_layer};
use crate::args::CatArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::source::Source;

pub(crate) fn run(args: &CatArgs, output: &mut Output) -> Result<(), Failure> {
    refuse_json(output, "cat", "the file itself")?;
    let reference = match &args.subject {
        Source::Image(reference) => reference,
        Source::Disk(path) => {
            refuse_layer(args.layer)?;
            let disk = args.disk.file(path);
            return Ok(winlayer::cat_disk(&disk, &args.path, output)?);
        }
    };
    args.disk.refuse_for_image()?;
    let image = args.source.resolve(reference)?;
    Ok(winlayer::cat(
        &image,
        &args.path,
        args.layer,
        &args.limits.limits(),
        output,
    )?)
}
