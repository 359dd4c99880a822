//! `winlayer man`.

use crate::args::{Cli, ManArgs};
use crate::failure::Failure;
use crate::output::Output;
use clap::CommandFactory;
use serde::Serialize;
use std::fs;
use std::path::PathBuf;

#[derive(Serialize)]
struct Document {
    files: Vec<PathBuf>,
}

/// One page for the program and one for each command, named as `man` looks for them.
pub(crate) fn run(args: &ManArgs, output: &mut Output) -> Result<(), Failure> {
    fs::create_dir_all(&args.dir).map_err(|error| Failure::io("create", &args.dir, &error))?;
    let mut program = Cli::command();
    program.build();
    let mut files = vec![write_page(args, program.clone(), "winlayer")?];
    for command in program
        .get_subcommands()
        .filter(|command| command.get_name() != "help")
    {
        let name = format!("winlayer-{}", command.get_name());
        files.push(write_page(args, command.clone(), &name)?);
    }
    if output.is_json() {
        return output.document(&Document { files });
    }
    output.summary(&format!(
        "wrote {} man pages to {}\n",
        files.len(),
        args.dir.display()
    ))
}

fn write_page(args: &ManArgs, command: clap::Command, name: &str) -> Result<PathBuf, Failure> {
    let path = args.dir.join(format!("{name}.1"));
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(command).render(&mut page);
    let written = rendered.and_then(|()| fs::write(&path, page));
    written.map_err(|error| Failure::io("write", &path, &error))?;
    Ok(path)
}
