//! `winlayer demo`: the whole path with a sample image, each step as one would type it.

use super::run as run_command;
use crate::args::{Cli, DemoArgs};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use clap::Parser;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io};

/// A sentence about the step, and what one would type.
struct Step {
    why: &'static str,
    command: &'static [&'static str],
}

const STEPS: [Step; 15] = [
    Step {
        why: "Make a small Windows image: a base, an update and an application layer",
        command: &["sample", "oci:image:demo"],
    },
    Step {
        why: "See what is in it",
        command: &["inspect", "--contents", "oci:image:demo"],
    },
    Step {
        why: "Unpack it: one folder a layer, each verified before it appears",
        command: &["unpack", "oci:image:demo", "store", "--to", "folder"],
    },
    Step {
        why: "Again: nothing is left to do",
        command: &["unpack", "oci:image:demo", "store", "--to", "folder"],
    },
    Step {
        why: "The chain of layers, topmost first, as Windows wants it",
        command: &["chain", "store"],
    },
    Step {
        why: "What boots the utility VM",
        command: &["uvm", "store"],
    },
    Step {
        why: "The merged file system as plain files, the rest of the metadata beside it",
        command: &[
            "unpack",
            "oci:image:demo",
            "tree",
            "--to",
            "tree",
            "--metadata",
            "tree.jsonl",
        ],
    },
    Step {
        why: "Look inside without unpacking",
        command: &["ls", "-l", "oci:image:demo", "C:\\"],
    },
    Step {
        why: "Read a file",
        command: &["cat", "oci:image:demo", "C:\\app\\appsettings.json"],
    },
    Step {
        why: "Write one layer back as a tar",
        command: &[
            "unpack",
            "oci:image:demo",
            "layer3.tar",
            "--to",
            "tar",
            "--layer",
            "3",
        ],
    },
    Step {
        why: "A disk with all of the metadata, which Windows, Hyper-V and QEMU attach",
        command: &["unpack", "oci:image:demo", "image.vhdx", "--to", "vhdx"],
    },
    Step {
        why: "Look into the disk",
        command: &["ls", "-l", "image.vhdx", "C:\\app"],
    },
    Step {
        why: "Check the disk: container, partitions, every structure of the volume",
        command: &["verify", "image.vhdx"],
    },
    Step {
        why: "Check every file of the store",
        command: &["verify", "store"],
    },
    Step {
        why: "Check every file of the tree",
        command: &["verify", "tree", "--metadata", "tree.jsonl"],
    },
];

#[derive(Serialize)]
struct Document {
    directory: PathBuf,
    kept: bool,
    steps: Vec<Done>,
    seconds: f64,
}

#[derive(Serialize)]
struct Done {
    command: String,
    seconds: f64,
}

pub(crate) fn run(args: &DemoArgs, output: &mut Output) -> Result<(), Failure> {
    let Some(dir) = &args.dir else {
        let scratch = tempfile::Builder::new()
            .prefix("winlayer-demo-")
            .tempdir()
            .map_err(|error| Failure::io("make a directory in", &env::temp_dir(), &error))?;
        let result = show(scratch.path(), false, output);
        let path = scratch.path().to_path_buf();
        scratch
            .close()
            .map_err(|error| Failure::io("remove", &path, &error))?;
        return result;
    };
    make_empty(dir)?;
    show(dir, true, output)
}

pub(super) fn make_empty(dir: &Path) -> Result<(), Failure> {
    fs::create_dir_all(dir).map_err(|error| Failure::io("create", dir, &error))?;
    let mut entries = fs::read_dir(dir).map_err(|error| Failure::io("read", dir, &error))?;
    if entries.next().is_some() {
        let message = format!("{} is not empty", dir.display());
        return Err(Failure::usage(message).with_hint("name a new directory, or none"));
    }
    Ok(())
}

/// Runs the steps inside `dir`, so that paths read as one would type them.
fn show(dir: &Path, kept: bool, output: &mut Output) -> Result<(), Failure> {
    let home = env::current_dir().map_err(|error| Failure::io("find", Path::new("."), &error))?;
    env::set_current_dir(dir).map_err(|error| Failure::io("enter", dir, &error))?;
    output.hide_progress();
    let started = Instant::now();
    let steps = show_steps(dir, output);
    // Windows removes no directory somebody is in.
    env::set_current_dir(&home).map_err(|error| Failure::io("go back to", &home, &error))?;
    let steps = steps?;
    let seconds = started.elapsed().as_secs_f64();
    if output.is_json() {
        return output.document(&Document {
            directory: dir.to_path_buf(),
            kept,
            steps,
            seconds,
        });
    }
    let end = if kept { "kept in" } else { "removed" };
    output.summary(&format!(
        "\nThat took {}; {end} {}\n",
        text::duration(seconds),
        dir.display()
    ))
}

fn show_steps(dir: &Path, output: &mut Output) -> Result<Vec<Done>, Failure> {
    if !output.is_json() {
        output.summary(&format!("$ cd {}\n", dir.display()))?;
    }
    STEPS.iter().map(|step| run_step(step, output)).collect()
}

fn run_step(step: &Step, output: &mut Output) -> Result<Done, Failure> {
    let typed = std::iter::once("winlayer").chain(step.command.iter().copied());
    let shown = typed.clone().map(quote).collect::<Vec<_>>().join(" ");
    if !output.is_json() {
        output.summary(&format!("\n# {}\n$ {shown}\n", step.why))?;
        output.flush()?;
    }
    let cli = Cli::try_parse_from(typed).map_err(|error| Failure::usage(error.to_string()))?;
    let started = Instant::now();
    if output.is_json() {
        // The demo's own document says what was done; the steps' words go nowhere.
        run_command(
            &cli.command,
            &mut Output::new(false, true, Box::new(io::sink())),
        )?;
    } else {
        run_command(&cli.command, output)?;
    }
    Ok(Done {
        command: shown,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// As a shell would need it.
fn quote(word: &str) -> String {
    if word.contains(['\\', ' ', '$']) {
        format!("'{word}'")
    } else {
        word.to_owned()
    }
}
