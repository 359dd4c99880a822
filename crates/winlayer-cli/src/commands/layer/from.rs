//! What `layer import` is given: layers made by `unpack --to folder`, or one layer tar.

use crate::args::ImportArgs;
use crate::failure::Failure;
use std::io::{self, IsTerminal};
use std::path::Path;

/// Told by what is there, never by a name's ending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// A store or a layer folder.
    Folders,
    /// A file.
    Tar,
    /// A layer tar from a pipe.
    Stdin,
}

/// Tells, and refuses options that do not go with it.
pub(super) fn tell(args: &ImportArgs) -> Result<From, Failure> {
    let has_parents = !args.parents.parents.is_empty();
    let shown = args.from.display();
    let from = if args.from == Path::new("-") {
        From::Stdin
    } else if args.from.is_file() {
        From::Tar
    } else if has_parents && !args.from.exists() {
        return Err(Failure::not_found(format!("{shown} does not exist")));
    } else {
        From::Folders
    };
    if from == From::Folders && has_parents {
        let message = format!("--parent does not go with {shown}, a folder");
        return Err(Failure::usage(message).with_hint("a layer folder names its own parents"));
    }
    if from != From::Folders && args.image.is_some() {
        let message = format!("--image does not go with {shown}, a layer tar");
        return Err(Failure::usage(message));
    }
    if from == From::Stdin && io::stdin().is_terminal() {
        let message = "- reads a layer tar from stdin, which is a terminal";
        return Err(Failure::usage(message).with_hint("name a file, or pipe a layer tar in"));
    }
    Ok(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command, LayerCommand};
    use clap::Parser as _;
    use std::fs;

    fn told(words: &[&str]) -> Result<From, Failure> {
        let words = [&["winlayer", "layer", "import"], words].concat();
        let Command::Layer(args) = Cli::try_parse_from(words).unwrap().command else {
            panic!("layer");
        };
        let LayerCommand::Import(args) = args.command else {
            panic!("import");
        };
        tell(&args)
    }

    #[test]
    fn a_file_is_a_tar_and_all_else_is_folders() {
        let folder = tempfile::tempdir().unwrap();
        let (file, folder) = (folder.path().join("layer.gz"), folder.path());
        fs::write(&file, "").unwrap();
        let [file, folder] = [&file, folder].map(|path| path.to_str().unwrap());
        assert_eq!(told(&[file, "dest"]).unwrap(), From::Tar);
        assert_eq!(told(&[file, "dest", "-p", "base"]).unwrap(), From::Tar);
        assert_eq!(told(&[folder, "dest"]).unwrap(), From::Folders);
        assert_eq!(told(&["missing", "dest"]).unwrap(), From::Folders);
    }

    #[test]
    fn options_of_the_other_kind_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("layer.tar");
        fs::write(&file, "").unwrap();
        let [file, folder] = [&file, folder.path()].map(|path| path.to_str().unwrap());
        assert!(told(&[file, "dest", "--image", "a"]).is_err());
        assert!(told(&["-", "dest", "--image", "a"]).is_err());
        assert!(told(&[folder, "dest", "-p", "base"]).is_err());
        assert!(told(&["missing", "dest", "-p", "base"]).is_err());
    }
}
