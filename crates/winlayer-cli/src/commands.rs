//! One module for each command.

mod cat;
mod chain;
mod completions;
mod demo;
mod inspect;
mod ls;
mod man;
mod sample;
mod unpack;
mod uvm;
mod verify;

use crate::args::Command;
use crate::failure::Failure;
use crate::output::Output;

/// Does what was asked; results go to `output`.
pub(crate) fn run(command: &Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Unpack(args) => unpack::run(args, output),
        Command::Inspect(args) => inspect::run(args, output),
        Command::Ls(args) => ls::run(args, output),
        Command::Cat(args) => cat::run(args, output),
        Command::Verify(args) => verify::run(args, output),
        Command::Chain(args) => chain::run(args, output),
        Command::Uvm(args) => uvm::run(args, output),
        Command::Sample(args) => sample::run(args, output),
        Command::Demo(args) => demo::run(args, output),
        Command::Completions(args) => completions::run(args, output),
        Command::Man(args) => man::run(args, output),
    }
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
