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
    if let Some(boots) = boots(found) {
        facts.add("boots", boots);
    }
    facts.add("template", template);
    facts.render()
}

/// What the boot configuration says; one that cannot be read is none of this command's errors.
fn boots(found: &UvmBootFiles) -> Option<String> {
    match found.boot_entry() {
        Ok(entry) => {
            let entry = entry?;
            let said: Vec<String> = entry.description.into_iter().chain(entry.loader).collect();
            Some(said.join(", "))
        }
        Err(error) => Some(format!("not known: {error}")),
    }
}
