//! Which layers lie below: given one by one, or read from a chain.

use crate::failure::Failure;
use std::path::{Path, PathBuf};
use winlayer::LayerChain;

/// The parents of a layer that exists: those given, or those its `layerchain.json` names.
pub(super) fn of_layer(layer: &Path, given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if !given.is_empty() {
        return complete(given);
    }
    let chain = LayerChain::from_layer_folder(layer)?;
    Ok(paths(chain).split_off(1))
}

/// The parents of a layer that is to be imported: one alone is asked for its chain by the import.
pub(super) fn for_import(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    match given {
        [] | [_] => Ok(given.to_vec()),
        several => complete(several),
    }
}

/// The parents given, immediate first; one alone stands for its whole chain.
pub(super) fn complete(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if let [immediate] = given {
        return Ok(paths(LayerChain::from_layer_folder(immediate)?));
    }
    let mut parents: Vec<PathBuf> = Vec::with_capacity(given.len());
    for parent in given {
        let parent =
            std::path::absolute(parent).map_err(|error| Failure::io("find", parent, &error))?;
        if !parent.is_dir() {
            let message = format!("layer folder {} does not exist", parent.display());
            return Err(Failure::not_found(message));
        }
        if parents.contains(&parent) {
            let message = format!("--parent {} is given twice", parent.display());
            return Err(Failure::usage(message));
        }
        parents.push(parent);
    }
    check_order(&parents)?;
    Ok(parents)
}

/// Where a parent says itself what lies below it, it must agree: with the wrong order the platform
/// makes a layer that looks well and is not.
fn check_order(parents: &[PathBuf]) -> Result<(), Failure> {
    for (index, parent) in parents.iter().enumerate() {
        if !parent.join("layerchain.json").is_file() {
            continue;
        }
        let told = paths(LayerChain::from_layer_folder(parent)?).split_off(1);
        let given = parents.get(index + 1..).unwrap_or_default();
        if told != given {
            let message = format!(
                "the layers given below {} are not those its layerchain.json names",
                parent.display()
            );
            return Err(Failure::usage(message).with_hint(
                "give the immediate parent first and the base last, or only the first",
            ));
        }
    }
    Ok(())
}

fn paths(chain: LayerChain) -> Vec<PathBuf> {
    chain.layers.into_iter().map(|link| link.path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, slice::from_ref};

    /// `top` on `base`, with a chain file each, and `bare` without one.
    fn layers() -> (tempfile::TempDir, [PathBuf; 3]) {
        let folder = tempfile::tempdir().unwrap();
        let names = ["top", "base", "bare"].map(|name| folder.path().join(name));
        for name in &names {
            fs::create_dir(name).unwrap();
        }
        let [top, base, _] = &names;
        let chain = serde_json::to_vec(&[base]).unwrap();
        fs::write(top.join("layerchain.json"), chain).unwrap();
        fs::write(base.join("layerchain.json"), "[]").unwrap();
        (folder, names)
    }

    #[test]
    fn one_parent_stands_for_its_chain() {
        let (_folder, [top, base, bare]) = layers();
        assert_eq!(
            complete(from_ref(&top)).unwrap(),
            [top.clone(), base.clone()]
        );
        assert_eq!(complete(from_ref(&bare)).unwrap(), [bare]);
        assert_eq!(of_layer(&top, &[]).unwrap(), [base]);
    }

    #[test]
    fn parents_that_are_given_replace_those_of_the_chain() {
        let (_folder, [top, _, bare]) = layers();
        assert_eq!(of_layer(&top, from_ref(&bare)).unwrap(), [bare]);
    }

    #[test]
    fn a_wrong_order_is_refused_where_the_layers_tell() {
        let (_folder, [top, base, bare]) = layers();
        assert!(complete(&[top.clone(), base.clone()]).is_ok());
        for wrong in [
            vec![base.clone(), top.clone()],
            vec![top.clone(), bare.clone()],
            vec![top.clone(), top.clone()],
        ] {
            assert_eq!(complete(&wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
        // Without chain files nothing can be checked.
        let second = bare.parent().unwrap().join("second");
        fs::create_dir(&second).unwrap();
        assert!(complete(&[bare, second]).is_ok());
    }

    #[test]
    fn a_parent_that_does_not_exist_is_named() {
        let (folder, [top, ..]) = layers();
        let missing = folder.path().join("missing");
        assert_eq!(complete(from_ref(&missing)).unwrap_err().exit_code(), 3);
        assert_eq!(complete(&[top, missing]).unwrap_err().exit_code(), 3);
    }
}
