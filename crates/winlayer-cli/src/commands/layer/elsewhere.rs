//! What can be done where there is no Windows.

use super::{super::refuse_json, from, from::From, parents};
use crate::args::LayerCommand;
use crate::failure::Failure;
use crate::output::Output;

/// Refuses, after everything that can be judged here was: a script is as right or wrong here as on
/// Windows.
pub(super) fn run(command: &LayerCommand, output: &Output) -> Result<(), Failure> {
    let here = match command {
        LayerCommand::Import(args) => match from::tell(args)? {
            From::Folders => {
                "`winlayer unpack --to folder` makes the store here; copy it to Windows and import it there"
            }
            From::Tar | From::Stdin => {
                parents::for_import(&args.parents.parents)?;
                "copy the layer tar to Windows and import it there"
            }
        },
        LayerCommand::Export(args) => {
            if args.file.is_none() {
                refuse_json(output, "layer export", "a tar to stdout")?;
            }
            parents::of_layer(&args.layer, &args.parents.parents)?;
            "`winlayer unpack --to tar --layer N` writes a layer of an image here"
        }
        LayerCommand::CreateScratch(args) => {
            parents::complete(&args.parents)?;
            "`winlayer unpack --to tree` gives the merged files here, as an ordinary folder to write to"
        }
        LayerCommand::Mount(args) => {
            parents::of_layer(&args.folder, &args.parents.parents)?;
            "`winlayer unpack --to tree` gives the merged files here"
        }
        LayerCommand::Unmount(_) => "nothing can be mounted here, so nothing needs to be undone",
        LayerCommand::Destroy(_) => {
            "a layer that Windows never finished is removed here like any other folder"
        }
        LayerCommand::MakeBase(_) => {
            "copy the folder to Windows, keeping its metadata, and make the base layer there"
        }
    };
    let message = format!("layer {} needs Windows", command.name());
    Err(Failure::failed(message).with_hint(here))
}
