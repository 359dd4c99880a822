//! `winlayer completions`.

use super::refuse_json;
use crate::args::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::output::Output;
use clap::CommandFactory;
use std::io::Write;

pub(crate) fn run(args: &CompletionsArgs, output: &mut Output) -> Result<(), Failure> {
    refuse_json(output, "completions", "a script")?;
    // The generator panics when its writer fails, so it gets one that does not.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "winlayer", &mut script);
    Ok(output.write_all(&script)?)
}
