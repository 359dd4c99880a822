//! Readers and checkers of NTFS volumes that we have no part in: `scripts/ntfs-oracles`.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Answer, Place, answer};

/// A reader, and what it must have compared with the layers' tars.
pub(crate) type Reader<'a> = (&'a str, &'a str);

pub(crate) const MOUNT: Reader<'static> = (
    "mount",
    "sha256,sd,eas,reparse,streams,names,links,created,written,accessed,changed,attributes,kind,size",
);
pub(crate) const WIM: Reader<'static> = (
    "wim",
    "sha1,sd,reparse_tag,reparse_sha1,streams_sha1,names,links,created_s,written_s,accessed_s,attributes,kind",
);
pub(crate) const DISSECT: Reader<'static> = (
    "dissect_ntfs",
    "sha256,sd,eas,reparse,streams,names,links,created,written,accessed,changed,attributes,kind,size",
);
pub(crate) const LIBFSNTFS: Reader<'static> = (
    "libfsntfs",
    "sha256,ea_size,reparse_size,substitute,streams,names,links,created,written,accessed,changed,attributes",
);
pub(crate) const SEVENZIP: Reader<'static> = (
    "sevenzip",
    "size,stream_sizes,sd_size,names,links,created,written,accessed,changed,attributes,kind",
);
/// Slow: a process for each attribute.
pub(crate) const SLEUTHKIT: Reader<'static> = (
    "sleuthkit",
    "size,eas,reparse,stream_sizes,names,links,created,written,accessed,changed,attributes,kind",
);
/// Boots a virtual machine.
pub(crate) const KERNEL: Reader<'static> = (
    "ntfs3",
    "sha256,sd,eas,names,links,created,written,accessed,changed,attributes,kind,size",
);

/// Where a container keeps the hives that deltas are merged into.
const HIVES: &str = "Windows/System32/config/*";

impl Place {
    /// Runs a script of the oracles here, which must succeed; gives what it prints.
    #[track_caller]
    pub(crate) fn oracle<A: AsRef<OsStr>>(&self, script: &str, arguments: &[A]) -> String {
        let mut command = self.oracle_command(script, arguments);
        let answer = answer(&mut command);
        assert_eq!(
            answer.code,
            Some(0),
            "install the test tools with `cargo xtask setup`, if it is them: {answer:#?}"
        );
        answer.stdout
    }

    fn oracle_command<A: AsRef<OsStr>>(&self, script: &str, arguments: &[A]) -> Command {
        let script = scripts().join("ntfs-oracles").join(format!("{script}.py"));
        let mut command = self.python();
        command.arg(script).args(arguments);
        command
    }

    /// Python with the readers from PyPI, to be run here.
    pub(crate) fn python(&self) -> Command {
        let mut command = Command::new(python());
        command
            .current_dir(self.root())
            .env("TMPDIR", self.root())
            .stdin(Stdio::null());
        command
    }

    /// Puts what a reader finds on the volume in `image` into a file.
    #[track_caller]
    pub(crate) fn dump(&self, reader: &str, image: &str) -> String {
        self.dump_to(reader, &[image], &format!("{image}.{reader}"))
    }

    /// Puts what the tars of `oci:image` say into a file, but for the hives that are merged.
    #[track_caller]
    pub(crate) fn dump_of_tars(&self, more: &[&str]) -> String {
        let arguments = [&["image", "--skip-content", HIVES], more].concat();
        self.dump_to("layers", &arguments, "tars")
    }

    #[track_caller]
    fn dump_to(&self, script: &str, arguments: &[&str], to: &str) -> String {
        let mut command = self.oracle_command(script, arguments);
        let output = command.stdout(File::create(self.path(to)).unwrap());
        let answer = Answer::new(script.to_owned(), output.output().unwrap());
        assert_eq!(answer.code, Some(0), "{script} {arguments:?}: {answer:#?}");
        to.to_owned()
    }

    /// Every checker is content with the volume in `image`, and every reader finds on it what the tars say.
    #[track_caller]
    pub(crate) fn holds_what_the_tars_say(&self, image: &str, tars: &str, readers: &[Reader<'_>]) {
        self.oracle("checks", &[image, "--exact-names"]);
        for &(reader, fields) in readers {
            let dump = self.dump(reader, image);
            let said = self.oracle("compare", &[tars, &dump, "--require", fields]);
            assert!(said.contains(" 0 differences"), "{said}");
        }
    }
}

/// The interpreter that has the readers from PyPI.
fn python() -> PathBuf {
    let script = scripts().join("install-ntfs-peers.sh");
    let output = Command::new("sh")
        .arg(script)
        .arg("--python")
        .output()
        .unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

fn scripts() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::canonicalize(here.join("../../scripts")).unwrap()
}
