//! One module for each command.

mod blank;
mod cat;
mod chain;
mod completions;
mod demo;
pub(crate) mod doctor;
mod extract;
mod inspect;
mod layer;
mod ls;
mod man;
mod reg;
mod reg_diff;
mod sample;
mod selftest;
mod unpack;
mod uvm;
mod verify;

use crate::args::Command;
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use winlayer::{Image, Observer, Reference};

/// Does what was asked; results go to `output`.
///
/// False when the answer itself is bad news, which exits with 1 and needs no further words.
pub(crate) fn run(command: &Command, output: &mut Output) -> Result<bool, Failure> {
    match command {
        Command::Unpack(args) => unpack::run(args, output),
        Command::Inspect(args) => inspect::run(args, output),
        Command::Reg(args) => reg::run(args, output),
        Command::RegDiff(args) => reg_diff::run(args, output),
        Command::Ls(args) => ls::run(args, output),
        Command::Cat(args) => cat::run(args, output),
        Command::Extract(args) => extract::run(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Chain(args) => chain::run(args, output),
        Command::Uvm(args) => uvm::run(args, output),
        Command::Layer(args) => layer::run(args, output),
        Command::Doctor(args) => return doctor::run(args, output),
        Command::Selftest(args) => return selftest::run(args, output),
        Command::Blank(args) => blank::run(args, output),
        Command::Sample(args) => sample::run(args, output),
        Command::Demo(args) => demo::run(args, output),
        Command::Completions(args) => completions::run(args, output),
        Command::Man(args) => man::run(args, output),
    }?;
    Ok(true)
}

/// Commands whose result is bytes for another program have no JSON form.
fn refuse_json(output: &Output, command: &str, writes: &str) -> Result<(), Failure> {
    if output.is_json() {
        return Err(Failure::usage(format!(
            "{command} writes {writes}; --json does not go with it"
        )));
    }
    Ok(())
}

/// Disks have no layers to choose from.
fn refuse_layer(layer: Option<usize>) -> Result<(), Failure> {
    match layer {
        Some(_) => Err(Failure::usage("--layer only goes with an image")),
        None => Ok(()),
    }
}

/// Does `work` with progress shown when the image is in a registry: layers on disk are looked into
/// faster than anybody reads.
fn looking_into<T>(
    image: &Image,
    output: &Output,
    work: impl FnOnce(Option<&dyn Observer>) -> T,
) -> T {
    match image.reference() {
        Reference::Registry(_) => {
            let reporter = Reporter::start(image.layers(), output);
            let done = work(Some(reporter.observer().as_ref()));
            reporter.finish();
            done
        }
        _ => work(None),
    }
}
