//! The `winlayer` command: arguments in, one call of the library, words or JSON out.
//!
//! * [`args`]: what may be typed, with the help texts
//! * [`commands`]: one module for each command
//! * [`output`]: what reaches stdout; [`progress`]: what reaches stderr while work goes on
//! * [`failure`]: errors as people, scripts and exit codes see them
//! * [`source`]: images and disks, told apart
//! * [`text`]: sizes, durations and names made fit for a terminal

mod args;
mod commands;
mod failure;
mod output;
mod progress;
mod source;
mod text;
mod values;

use args::Cli;
use clap::Parser;
use failure::Failure;
use output::Output;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return answer_without_command(&error),
    };
    let mut output = Output::to_stdout(cli.form.json, cli.form.quiet);
    let result =
        commands::run(&cli.command, &mut output).and_then(|good| output.flush().map(|()| good));
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        // The reader of a pipe has seen enough; that is its right.
        Err(_) if output.is_closed() => ExitCode::SUCCESS,
        Err(failure) => report(&failure, &mut output),
    }
}

/// Says on stderr what went wrong, as a JSON document on stdout too where JSON was asked for.
fn report(failure: &Failure, output: &mut Output) -> ExitCode {
    if output.is_json() && !failure.is_told() {
        // The message on stderr and the exit code still say it when stdout cannot be written.
        let _ = output.document(failure).and_then(|()| output.flush());
    }
    output::to_stderr(&failure.to_string());
    ExitCode::from(failure.exit_code())
}

/// `--help`, `--version` and arguments that do not parse.
fn answer_without_command(error: &clap::Error) -> ExitCode {
    if error.use_stderr() && std::env::args_os().any(|argument| argument == "--json") {
        let mut output = Output::to_stdout(true, false);
        let failure = Failure::usage(first_paragraph(&error.render().to_string()));
        let _ = output.document(&failure).and_then(|()| output.flush());
    }
    // Nothing is left to do when the terminal is gone.
    let _ = error.print();
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
}

/// What clap says before it repeats the usage.
fn first_paragraph(message: &str) -> String {
    let paragraph = message.strip_prefix("error: ").unwrap_or(message).lines();
    let lines: Vec<_> = paragraph
        .map(str::trim)
        .take_while(|line| !line.is_empty())
        .collect();
    lines.join(" ")
}
