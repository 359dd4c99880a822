//! `winlayer uvm`.

use super::chain;
use crate::args::UvmArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::Facts;
use winlayer::{UvmBootFiles, locate_unprocessed_uvm_boot_files, locate_uvm_boot_files};

pub(crate) fn run(args: &UvmArgs, output: &mut Output) -> Result<(), Failure> {
    let chain = chain::find(&args.place)?;
    let found = if args.processed {
        locate_uvm_boot_files(&chain)?
    } else {
        locate_unprocessed_uvm_boot_files(&chain)?
    };
    if output.is_json() {
        return output.document(&found);
    }
    output.data(&describe(&found))
}

fn describe(found: &UvmBootFiles) -> String {
    let template = match &found.system_template_vhdx {
        Some(path) => path.display().to_string(),
        None => "none yet: Windows makes it when it processes the layer".to_owned(),
    };
    let mut facts = Facts::default();
    facts.add("layer", found.uvm_layer_dir.display().to_string());
    facts.add("OS files", found.os_files_dir.display().to_string());
    facts.add("boot manager", &found.boot_rel_path);
    facts.add("template", template);
    facts.render()
}
