//! `winlayer sample`.

use crate::args::SampleArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::escape;
use serde::Serialize;
use winlayer::{Reference, SampleOptions, write_sample};

/// What an added file weighs when nobody says how much.
const BYTES_A_FILE: u64 = 4096;

#[derive(Serialize)]
struct Document {
    image: String,
    manifest_digest: String,
}

pub(crate) fn run(args: &SampleArgs, output: &mut Output) -> Result<(), Failure> {
    let Reference::OciLayout { dir, tag } = &args.image else {
        return Err(Failure::usage(format!(
            "a sample is written to oci:DIR[:TAG], not to {}",
            args.image
        )));
    };
    if args.files == 0 && args.bytes.is_some_and(|bytes| bytes > 0) {
        return Err(Failure::usage(
            "--bytes is shared out among added files; give --files too",
        ));
    }
    let tag = tag.clone().unwrap_or_else(|| "latest".to_owned());
    let bytes = args
        .bytes
        .unwrap_or_else(|| args.files.saturating_mul(BYTES_A_FILE));
    let options = SampleOptions {
        files: args.files,
        bytes,
        tag: tag.clone(),
    };
    let manifest_digest = write_sample(dir, &options)?.to_string();
    let image = Reference::OciLayout {
        dir: dir.clone(),
        tag: Some(tag),
    }
    .to_string();
    if output.is_json() {
        return output.document(&Document {
            image,
            manifest_digest,
        });
    }
    output.summary(&format!("wrote {} ({manifest_digest})\n", escape(&image)))
}
