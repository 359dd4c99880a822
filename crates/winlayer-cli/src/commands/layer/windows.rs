//! The commands where they can be obeyed.

use super::{super::chain, super::refuse_json, from, from::From, parents};
use crate::args::{
    CreateScratchArgs, DestroyArgs, ExportArgs, ImportArgs, LayerCommand, MakeBaseArgs, MountArgs,
    PlaceArgs, UnmountArgs,
};
use crate::failure::Failure;
use crate::output::Output;
use crate::progress::Reporter;
use crate::text::count;
use flate2::Compression;
use serde::Serialize;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use winlayer::Error;
use winlayer::hcs::{self, LayerOptions, LayerTar, ScratchOptions, TarOptions};

pub(super) fn run(command: &LayerCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        LayerCommand::Import(args) => import(args, output),
        LayerCommand::Export(args) => export(args, output),
        LayerCommand::CreateScratch(args) => create_scratch(args, output),
        LayerCommand::Mount(args) => mount(args, output),
        LayerCommand::Unmount(args) => unmount(args, output),
        LayerCommand::Destroy(args) => destroy(args, output),
        LayerCommand::MakeBase(args) => make_base(args, output),
    }
}

/// With what on this machine may have caused the error.
fn explained<T>(result: winlayer::Result<T>, place: &Path) -> Result<T, Failure> {
    result.map_err(|error: Error| Failure::explained(error, place))
}

/// The folder a command worked on.
#[derive(Serialize)]
struct Folder<'a> {
    folder: &'a Path,
}

fn import(args: &ImportArgs, output: &mut Output) -> Result<(), Failure> {
    match from::tell(args)? {
        From::Folders => import_folders(args, output),
        From::Tar => import_tar(LayerTar::File(args.from.clone()), args, output),
        From::Stdin => import_tar(LayerTar::Stream(Box::new(io::stdin())), args, output),
    }
}

fn import_tar(tar: LayerTar, args: &ImportArgs, output: &mut Output) -> Result<(), Failure> {
    // How much is to be read is not known beforehand.
    output.hide_progress();
    let reporter = Reporter::start(&[], output);
    let options = TarOptions {
        parents: parents::for_import(&args.parents.parents)?,
        family: args.family.library(),
        limits: args.limits.limits(),
        observer: Some(reporter.observer()),
    };
    let imported = hcs::import_tar(tar, &args.dest, &options);
    reporter.finish();
    let imported = explained(imported, &args.dest)?;
    if output.is_json() {
        return output.document(&imported);
    }
    let what = match imported.reused {
        true => "already there:",
        false => "imported",
    };
    let (id, path) = (&imported.id, imported.path.display());
    output.summary(&format!("{what} {id}\nlayer  {path}\n"))
}

fn import_folders(args: &ImportArgs, output: &mut Output) -> Result<(), Failure> {
    let place = PlaceArgs {
        dest: args.from.clone(),
        image: args.image.clone(),
    };
    let chain = chain::find(&place)?;
    let Some(top) = chain.top() else {
        return Err(Failure::not_found(format!(
            "{} holds no layer",
            args.from.display()
        )));
    };
    let imported = hcs::import_folder(top, &args.dest, args.family.library());
    let imported = explained(imported, &args.dest)?;
    if output.is_json() {
        return output.document(&imported);
    }
    let new = u64::try_from(imported.imported).unwrap_or(u64::MAX);
    let layers = u64::try_from(imported.chain.len()).unwrap_or(u64::MAX);
    let mut text = format!(
        "imported {} of {}\n",
        count(new, "layer", "layers"),
        count(layers, "layer", "layers")
    );
    if let Some(top) = imported.chain.first() {
        text.push_str(&format!("top layer  {}\n", top.path.display()));
    }
    output.summary(&text)
}

#[derive(Serialize)]
struct Exported<'a> {
    layer: &'a Path,
    file: &'a Path,
    bytes: u64,
}

fn export(args: &ExportArgs, output: &mut Output) -> Result<(), Failure> {
    let options = LayerOptions {
        parents: Some(parents::of_layer(&args.layer, &args.parents.parents)?),
        family: args.family.library(),
    };
    let Some(file) = &args.file else {
        refuse_json(output, "layer export", "a tar to stdout")?;
        return write_tar(args, &options, &mut *output);
    };
    let failed = |error: io::Error| Failure::io("write", file, &error);
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    // Beside its place, so that half a layer never has the name of a whole one.
    let mut temporary =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    write_tar(args, &options, temporary.as_file_mut())?;
    temporary.as_file().sync_all().map_err(failed)?;
    let written: File = temporary
        .persist(file)
        .map_err(|error| failed(error.error))?;
    let bytes = written.metadata().map_err(failed)?.len();
    if output.is_json() {
        return output.document(&Exported {
            layer: &args.layer,
            file,
            bytes,
        });
    }
    output.summary(&format!("wrote {}\n", file.display()))
}

fn write_tar(
    args: &ExportArgs,
    options: &LayerOptions,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let export = |out: &mut dyn Write| -> Result<(), Failure> {
        let out = BufWriter::with_capacity(1 << 20, out);
        let mut out = explained(hcs::export_layer(&args.layer, options, out), &args.layer)?;
        Ok(out.flush()?)
    };
    if args.gzip {
        let mut gzip = flate2::write::GzEncoder::new(out, Compression::default());
        export(&mut gzip)?;
        gzip.finish()?.flush()?;
    } else if args.zstd {
        let mut zstd = zstd::Encoder::new(out, 0)?;
        export(&mut zstd)?;
        zstd.finish()?.flush()?;
    } else {
        export(out)?;
    }
    Ok(())
}

fn create_scratch(args: &CreateScratchArgs, output: &mut Output) -> Result<(), Failure> {
    let options = ScratchOptions {
        parents: parents::complete(&args.parents)?,
        bytes: args.size,
        utility_vm: args.utility_vm,
        family: args.family.library(),
    };
    explained(hcs::create_scratch(&args.folder, &options), &args.folder)?;
    done("made", &args.folder, output)
}

#[derive(Serialize)]
struct Mounted<'a> {
    folder: &'a Path,
    volume: &'a str,
}

fn mount(args: &MountArgs, output: &mut Output) -> Result<(), Failure> {
    let options = LayerOptions {
        parents: Some(parents::of_layer(&args.folder, &args.parents.parents)?),
        family: args.family.library(),
    };
    let volume = explained(hcs::mount(&args.folder, &options), &args.folder)?;
    if output.is_json() {
        return output.document(&Mounted {
            folder: &args.folder,
            volume: &volume,
        });
    }
    // For scripts: the path as it is.
    output.data(&format!("{volume}\n"))
}

fn unmount(args: &UnmountArgs, output: &mut Output) -> Result<(), Failure> {
    explained(
        hcs::unmount(&args.folder, args.family.library()),
        &args.folder,
    )?;
    done("unmounted", &args.folder, output)
}

fn destroy(args: &DestroyArgs, output: &mut Output) -> Result<(), Failure> {
    explained(
        hcs::destroy(&args.layer, args.family.library()),
        &args.layer,
    )?;
    done("removed", &args.layer, output)
}

fn make_base(args: &MakeBaseArgs, output: &mut Output) -> Result<(), Failure> {
    explained(
        hcs::make_base(&args.folder, args.family.library()),
        &args.folder,
    )?;
    done("made a base layer of", &args.folder, output)
}

fn done(what: &str, folder: &Path, output: &mut Output) -> Result<(), Failure> {
    let folder: PathBuf = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    if output.is_json() {
        return output.document(&Folder { folder: &folder });
    }
    output.summary(&format!("{what} {}\n", folder.display()))
}
