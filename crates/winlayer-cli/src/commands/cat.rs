//! `winlayer cat`.

use super::refuse_json;
use crate::args::CatArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &CatArgs, output: &mut Output) -> Result<(), Failure> {
    refuse_json(output, "cat", "the file itself")?;
    let image = args.source.resolve(&args.image)?;
    Ok(winlayer::cat(
        &image,
        &args.path,
        args.layer,
        &args.limits.limits(),
        output,
    )?)
}
