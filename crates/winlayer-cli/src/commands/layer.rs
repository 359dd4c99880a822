//! `winlayer layer`: single layers as Windows keeps them.

#[cfg(not(windows))]
mod elsewhere;
mod from;
mod parents;
#[cfg(windows)]
mod windows;

#[cfg(not(windows))]
use elsewhere as platform;
#[cfg(windows)]
use windows as platform;

use crate::args::LayerArgs;
use crate::failure::Failure;
use crate::output::Output;

pub(crate) fn run(args: &LayerArgs, output: &mut Output) -> Result<(), Failure> {
    platform::run(&args.command, output)
}
