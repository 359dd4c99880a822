//! `winlayer chain`, and finding the chain other commands mean.

use crate::args::{ChainArgs, PlaceArgs};
use crate::failure::Failure;
use crate::output::Output;
use serde::Serialize;
use std::path::Path;
use winlayer::{ChainId, ChainLink, Digest, ImageRecord, LayerChain, LayerStore};

#[derive(Serialize)]
struct Document<'a> {
    chain: &'a [ChainLink],
}

pub(crate) fn run(args: &ChainArgs, output: &mut Output) -> Result<(), Failure> {
    let chain = find(&args.place)?;
    if output.is_json() {
        return output.document(&Document {
            chain: &chain.layers,
        });
    }
    // For scripts: the path as it is, one a line.
    for layer in &chain.layers {
        output.data(&format!("{}\n", layer.path.display()))?;
    }
    Ok(())
}

/// The chain of a layer folder, or of an image in a store.
pub(super) fn find(place: &PlaceArgs) -> Result<LayerChain, Failure> {
    let dest = &place.dest;
    if dest.join("layer.json").is_file() {
        if place.image.is_some() {
            return Err(Failure::usage(format!(
                "--image does not go with {}, one layer",
                dest.display()
            )));
        }
        return Ok(LayerChain::from_layer_folder(dest)?);
    }
    let store = LayerStore::open(dest)?;
    let record = choose(store.images()?, place.image.as_deref(), dest)?;
    let digest: Digest = record.chain_id.parse().map_err(|error| {
        Failure::not_found(format!(
            "the record of {} has no usable chain: {error}",
            record.image
        ))
        .with_hint("unpack the image again")
    })?;
    Ok(store.chain(ChainId::new(digest))?)
}

/// The one image meant; several names of one chain are no choice to make.
fn choose(
    records: Vec<ImageRecord>,
    wanted: Option<&str>,
    dest: &Path,
) -> Result<ImageRecord, Failure> {
    let fits = |record: &ImageRecord| {
        wanted.is_none_or(|wanted| {
            let bare = wanted.strip_prefix("docker://").unwrap_or(wanted);
            let name = record
                .image
                .strip_prefix("docker://")
                .unwrap_or(&record.image);
            bare == name || wanted == record.manifest_digest
        })
    };
    let (fitting, others): (Vec<_>, Vec<_>) = records.into_iter().partition(fits);
    let mut candidates = fitting.into_iter();
    let Some(first) = candidates.next() else {
        return Err(nothing_fits(wanted, &others, dest));
    };
    if let Some(second) = candidates.find(|record| record.chain_id != first.chain_id) {
        let message = format!(
            "{} holds several images, {} and {} among them",
            dest.display(),
            first.image,
            second.image
        );
        return Err(Failure::usage(message).with_hint(format!("choose: --image {}", first.image)));
    }
    Ok(first)
}

fn nothing_fits(wanted: Option<&str>, others: &[ImageRecord], dest: &Path) -> Failure {
    let dest = dest.display();
    let Some(wanted) = wanted else {
        return Failure::not_found(format!("{dest} holds no image"))
            .with_hint(format!("winlayer unpack IMAGE {dest}"));
    };
    let failure = Failure::not_found(format!("{dest} does not hold {wanted}"));
    match others.first() {
        Some(other) => failure.with_hint(format!("it holds {}", other.image)),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(image: &str, chain_id: &str) -> ImageRecord {
        ImageRecord {
            image: image.to_owned(),
            manifest_digest: format!("sha256:{image}"),
            chain_id: chain_id.to_owned(),
        }
    }

    fn choice(records: &[ImageRecord], wanted: Option<&str>) -> Result<String, u8> {
        let chosen = choose(records.to_vec(), wanted, Path::new("store"));
        chosen
            .map(|record| record.image)
            .map_err(|failure| failure.exit_code())
    }

    #[test]
    fn needs_no_name_when_there_is_one_chain() {
        let records = [record("a", "1"), record("b", "1")];
        assert_eq!(choice(&records, None), Ok("a".to_owned()));
    }

    #[test]
    fn asks_which_of_several_images_is_meant() {
        let records = [record("a", "1"), record("docker://b", "2")];
        assert_eq!(choice(&records, None), Err(2));
        assert_eq!(choice(&records, Some("b")), Ok("docker://b".to_owned()));
        assert_eq!(choice(&records, Some("sha256:a")), Ok("a".to_owned()));
        assert_eq!(choice(&records, Some("c")), Err(3));
    }
}
