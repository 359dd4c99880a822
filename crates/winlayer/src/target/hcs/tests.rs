//! Whole unpacks, imports and exports against stand-ins for the platform's libraries.
//!
//! The stand-ins are configured through the environment, so each job runs in a process of its own:
//! this test program again, with [`job`] as its only test.

#![cfg(feature = "doubles")]

mod failures;
mod imports;
mod scratches;
mod tars;
mod unpacks;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use winlayer_testkit::{
    doubles::{DoubleCall, Doubles},
    tools,
};

use crate::{
    HcsFamily, LayerStore, Target, UnpackOptions, hcs,
    testing::{
        Item, dir, file, hard_link, image, junction, metadata, object, resolve, snapshot, stream,
        whiteout,
    },
    unpack_windows_image,
};

const JOB: &str = "WINLAYER_TEST_JOB";
const RESULT: &str = "WINLAYER_TEST_RESULT";
const SEPARATOR: char = '\n';

/// Does what the environment says, in a process of its own.
#[test]
fn job() {
    let Ok(job) = std::env::var(JOB) else { return };
    let words: Vec<&str> = job.split(SEPARATOR).collect();
    let text = match carry_out(&words) {
        Ok(text) => format!("ok {text}"),
        Err(error) => {
            let call = error.platform_error().map(|error| error.call());
            format!("{:?} {} [{call:?}]", error.kind(), messages(&error))
        }
    };
    fs::write(std::env::var_os(RESULT).unwrap(), text).unwrap();
}

fn messages(error: &crate::Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

fn carry_out(words: &[&str]) -> crate::Result<String> {
    let (family, words) = match words {
        ["newer", rest @ ..] => (HcsFamily::ComputeStorage, rest),
        _ => (HcsFamily::VmCompute, words),
    };
    let layer_options = || hcs::LayerOptions {
        family,
        ..hcs::LayerOptions::default()
    };
    match *words {
        ["unpack", image, store] => {
            let options = UnpackOptions {
                jobs: 3,
                ..UnpackOptions::new(Target::Hcs { family })
            };
            let unpacked =
                unpack_windows_image(&resolve(Path::new(image)), Path::new(store), &options)?;
            Ok(unpacked.chain[0].path.display().to_string())
        }
        ["import", folder, store] => {
            let imported = hcs::import_folder(Path::new(folder), Path::new(store), family)?;
            Ok(format!("{} {}", imported.imported, imported.chain.len()))
        }
        ["import-tar", tar, store, ref parents @ ..] => {
            import_tar(hcs::LayerTar::File(tar.into()), store, parents)
        }
        ["import-stream", tar, store, ref parents @ ..] => {
            let stream = Box::new(fs::File::open(tar).unwrap());
            import_tar(hcs::LayerTar::Stream(stream), store, parents)
        }
        ["export", layer, file] => {
            let out = std::io::BufWriter::new(fs::File::create(file).unwrap());
            let out = hcs::export_layer(Path::new(layer), &layer_options(), out)?;
            out.into_inner().unwrap();
            Ok(String::new())
        }
        ["scratch", folder, ref parents @ ..] => {
            let options = hcs::ScratchOptions {
                parents: parents.iter().map(PathBuf::from).collect(),
                bytes: Some(40 << 30),
                utility_vm: true,
                family,
            };
            hcs::create_scratch(Path::new(folder), &options)?;
            Ok(String::new())
        }
        ["mount", folder] => hcs::mount(Path::new(folder), &layer_options()),
        ["unmount", folder] => hcs::unmount(Path::new(folder), family).map(|()| String::new()),
        ["destroy", folder] => hcs::destroy(Path::new(folder), family).map(|()| String::new()),
        ["make-base", folder] => hcs::make_base(Path::new(folder), family).map(|()| String::new()),
        _ => panic!("{words:?}"),
    }
}

fn import_tar(tar: hcs::LayerTar, store: &str, parents: &[&str]) -> crate::Result<String> {
    let options = hcs::TarOptions {
        parents: parents.iter().map(PathBuf::from).collect(),
        ..hcs::TarOptions::default()
    };
    let imported = hcs::import_tar(tar, Path::new(store), &options)?;
    Ok(format!("{} {}", imported.reused, imported.path.display()))
}

/// A folder for images and stores, and the stand-ins.
struct Place {
    folder: tempfile::TempDir,
    doubles: Doubles,
}

impl Place {
    fn new() -> Self {
        Self::with(Doubles::new())
    }

    fn with(doubles: Doubles) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            doubles,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> PathBuf {
        self.path("store")
    }

    /// Runs a job; the text it gives, or the error's.
    fn run(&self, words: &[&str]) -> Result<String, String> {
        let (result, temporary) = (self.path("result"), self.path("temporary"));
        fs::create_dir_all(&temporary).unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "target::hcs::tests::job"])
            .env(JOB, words.join(&SEPARATOR.to_string()))
            .env(RESULT, &result)
            .env("TMP", &temporary);
        self.doubles.apply(&mut command);
        let output = tools::start(|| command.output()).unwrap();
        let text = fs::read_to_string(&result);
        let text = text.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stdout)));
        let _ = fs::remove_file(&result);
        match text.strip_prefix("ok ") {
            Some(text) => Ok(text.to_owned()),
            None => Err(text),
        }
    }

    fn image(&self, layers: &[Vec<Item>]) -> PathBuf {
        let folder = self.path("image");
        image(&folder, layers);
        folder
    }

    /// Unpacks; the topmost layer's folder.
    fn unpack(&self, layers: &[Vec<Item>]) -> Result<PathBuf, String> {
        let image = self.image(layers);
        let store = self.store();
        let top = self.run(&["unpack", text(&image), text(&store)])?;
        Ok(PathBuf::from(top))
    }

    /// Has calls fail from now on, or none.
    fn fail(&mut self, rules: &str) {
        self.doubles.fail(rules);
    }

    /// The same image as folders, on no platform at all.
    fn folders(&self) -> PathBuf {
        let store = self.path("folders");
        let image = resolve(&self.path("image"));
        let options = UnpackOptions::new(Target::Folder);
        let unpacked = unpack_windows_image(&image, &store, &options).unwrap();
        unpacked.chain[0].path.clone()
    }

    /// Temporary files, and what of the store is neither a finished layer nor the record of an image.
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for name in ["temporary", "store/ingest", "store/locks"] {
            let folder = self.path(name);
            if folder.exists() {
                left.extend(snapshot(&folder).into_iter().map(|(path, _)| path));
            }
        }
        if let Ok(layers) = fs::read_dir(self.store().join("layers")) {
            let layers = layers.map(|entry| entry.unwrap().path());
            let unfinished = layers.filter(|layer| !layer.join("layer.json").exists());
            left.extend(unfinished.map(|layer| layer.display().to_string()));
        }
        left
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

const CONFIG: &str = "Files/Windows/System32/config";
const BOOT: &str = "UtilityVM/Files/EFI/Microsoft/Boot";

/// A base layer the platform accepts.
fn base() -> Vec<Item> {
    let mut items = vec![
        dir("Files"),
        dir("Files/Data"),
        file("Files/Data/a", "a"),
        stream("s", "stream of a"),
        file("Files/Data/b", "b"),
        dir("Files/Data/sub"),
        file("Files/Data/sub/c", "c"),
        file("Files/empty", ""),
        junction("Files/Link"),
        file("Files/large", "0123456789abcdef".repeat(60_000)),
        dir("Files/Windows"),
        dir("Files/Windows/System32"),
        dir(CONFIG),
        hard_link("Files/zlink", "Files/Data/a"),
    ];
    for hive in ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"] {
        items.push(file(&format!("{CONFIG}/{hive}"), "regf of a base"));
    }
    items.extend(utility_vm("of the base"));
    items
}

fn utility_vm(what: &str) -> Vec<Item> {
    vec![
        dir("UtilityVM"),
        dir("UtilityVM/Files"),
        dir("UtilityVM/Files/EFI"),
        dir("UtilityVM/Files/EFI/Microsoft"),
        dir(BOOT),
        file(&format!("{BOOT}/BCD"), format!("regf {what}")),
        file(&format!("{BOOT}/bootmgfw.efi"), "boot manager"),
        file("UtilityVM/Files/ntdll.dll", format!("code {what}")),
        file("UtilityVM/Files/kernel32.dll", format!("code {what}")),
    ]
}

/// A layer that does a bit of everything.
fn diff() -> Vec<Item> {
    vec![
        dir("Files"),
        dir("Files/Data"),
        whiteout("Files/Data/b"),
        whiteout("Files/Data/sub"),
        file("Files/Data/new", "new"),
        hard_link("Files/Data/of-below", "Files/Data/a"),
        hard_link("Files/Data/of-here", "Files/Data/new"),
        junction("Files/Other"),
        dir("Hives"),
        // One that changes nothing.
        file(
            "Hives/System_Delta",
            winlayer_hive::HiveTree::delta("System_Delta")
                .to_bytes()
                .unwrap(),
        ),
        dir("UtilityVM"),
        dir("UtilityVM/Files"),
        file("UtilityVM/Files/ntdll.dll", "new code"),
        whiteout("UtilityVM/Files/kernel32.dll"),
    ]
}
