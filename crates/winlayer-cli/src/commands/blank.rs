//! `winlayer blank`.

use crate::args::BlankArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{self, Facts};
use winlayer::write_blank_disk;

pub(crate) fn run(args: &BlankArgs, output: &mut Output) -> Result<(), Failure> {
    let made = write_blank_disk(&args.file, args.child.as_deref(), &args.disk()?)?;
    if output.is_json() {
        return output.document(&made);
    }
    let mut facts = Facts::default();
    facts.add("disk", made.disk.display().to_string());
    if let Some(child) = &made.child {
        facts.add("child", child.display().to_string());
    }
    facts.add("size", text::size(made.size));
    output.summary(&facts.render())
}
