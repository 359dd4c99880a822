//! Volumes and disks: beside verifying alone, the ntfs-3g driver, and wimlib.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::{
    Bench, layer_blobs,
    measure::{Measured, Program, measure},
    remove,
    report::Row,
};
use crate::run::{command, run};

const MIB: f64 = 1_048_576.0;
/// Bytes an entry may take in memory, beside what a bare process and the pipeline may.
const ENTRY: f64 = 400.0;
const PIPELINE: f64 = 64.0 * MIB;
/// Bytes of the 20,000 small files together.
const SMALL: &str = "40MB";

impl Bench {
    /// The image as a disk and as a volume.
    pub(super) fn disk(&mut self) -> Result<()> {
        let facts = self.facts()?;
        let verify = self.ours("verify", &[])?;
        let (disk, disk_bytes) = self.unpack("vhdx", &self.reference())?;
        let (volume, volume_bytes) = self.unpack("ntfs", &self.reference())?;
        let bare = measure(&Program::new(&self.winlayer, &["--version"]), 5, || Ok(()))?;
        let driver = Driver::new(&self.work, self.blobs.clone(), volume_bytes);
        let plain = driver.measure(self.options.runs, None)?;
        let described = driver.measure(self.options.runs, Some(&facts.metadata))?;
        fs::remove_file(&facts.metadata)?;
        let wim = self.wimapply(volume_bytes, "fast")?;
        let plain_wim = self.wimapply(volume_bytes, "none")?;
        let rows = vec![
            Row::new(
                "`winlayer verify` (inflates, hashes, checks every entry)",
                verify,
            ),
            Row::new("`winlayer unpack --to vhdx` (verified)", disk),
            Row::new("`winlayer unpack --to ntfs` (verified)", volume),
            Row::new(
                "mkntfs, ntfs-3g, `bsdtar -xf` of each layer: only content",
                plain,
            ),
            Row::new("the same, and descriptors, attributes, times", described),
            Row::new(
                "`wimapply` of the same, compressed (XPRESS), onto another volume",
                wim,
            ),
            Row::new(
                "`wimapply` of the same, not compressed: only copied",
                plain_wim,
            ),
            Row::new("bare process: `winlayer --version`", bare),
        ];
        let over = disk.peak_kib.saturating_sub(bare.peak_kib) as f64 * 1024.0;
        let entry = (over - PIPELINE).max(0.0) / facts.entries as f64;
        let verdict = format!(
            "the disk takes {:.2} times as long as verifying (goal: at most 1.3), the driver with metadata {:.1} times as long as \
             the disk (goal: 4), wimapply {:.1} times, {:.1} where it need not inflate (goal: 2); the disk's file is {:.1} % larger than the {:.0} MB in its files \
             (goal: 3); peak memory {:.0} MiB above the bare process for {} entries, {entry:.0} bytes an entry beyond 64 MiB \
             (goal: {ENTRY})",
            disk.seconds / verify.seconds,
            described.seconds / disk.seconds,
            wim.seconds / disk.seconds,
            plain_wim.seconds / disk.seconds,
            (disk_bytes as f64 / facts.content as f64 - 1.0) * 100.0,
            facts.content as f64 / 1e6,
            over / MIB,
            facts.entries,
        );
        self.report.section("Disks", rows, &verdict);
        Ok(())
    }

    /// Many small files: ours with all their metadata, the driver with none.
    pub(super) fn small_files(&mut self) -> Result<()> {
        let image = self.work.join("small");
        let reference = format!("oci:{}", image.display());
        let sample = ["sample", &reference, "--files", "20000", "--bytes", SMALL];
        run(&mut command(&self.winlayer, &sample))?;
        let blobs = layer_blobs(&self.winlayer, &reference, &image)?;
        let (ours, bytes) = self.unpack("ntfs", &reference)?;
        let driver = Driver::new(&self.work, blobs, bytes).measure(self.options.runs, None)?;
        fs::remove_dir_all(image)?;
        let rows = vec![
            Row::new(
                "`winlayer unpack --to ntfs` (verified, with all metadata)",
                ours,
            ),
            Row::new("mkntfs, ntfs-3g, `bsdtar -xf`: only content", driver),
        ];
        let ratio = ours.seconds / driver.seconds;
        let verdict = format!(
            "20000 files of {SMALL} in {ratio:.2} of the driver's time (goal: at most 0.20)"
        );
        self.report.section("Disks: small files", rows, &verdict);
        Ok(())
    }

    /// Unpacks to a file of this kind; gives also the length of the file, which is gone afterwards.
    fn unpack(&self, kind: &str, reference: &str) -> Result<(Measured, u64)> {
        let file = self.work.join(kind);
        let path = file.to_string_lossy();
        let arguments = ["unpack", "--quiet", "--to", kind, reference, &path];
        let program = Program::new(&self.winlayer, &arguments);
        let measured = measure(&program, self.options.runs, || remove_file(&file))?;
        let bytes = fs::metadata(&file)?.len();
        remove_file(&file)?;
        Ok((measured, bytes))
    }

    /// The volume as wimlib would write it: captured first with this compression, which does not count.
    fn wimapply(&self, bytes: u64, compression: &str) -> Result<Measured> {
        let [volume, wim, other] = ["ntfs", "wim", "applied"].map(|name| self.work.join(name));
        let [volume_path, wim_path, other_path] =
            [&volume, &wim, &other].map(|path| path.to_string_lossy());
        let reference = self.reference();
        let unpack = [
            "unpack",
            "--quiet",
            "--to",
            "ntfs",
            &reference,
            &volume_path,
        ];
        run(&mut command(&self.winlayer, &unpack))?;
        // It tells its progress in thousands of lines.
        let capture =
            format!("wimcapture --compress={compression} '{volume_path}' '{wim_path}' > /dev/null");
        run(&mut command("sh", &["-c", &capture]))?;
        remove_file(&volume)?;
        let program = Program::new("wimapply", &[&wim_path, &other_path]);
        let measured = measure(&program, self.options.runs, || format_volume(&other, bytes))?;
        remove_file(&wim)?;
        remove_file(&other)?;
        Ok(measured)
    }

    fn facts(&self) -> Result<Facts> {
        let [tree, metadata] = ["tree", "metadata.jsonl"].map(|name| self.work.join(name));
        let [tree_path, metadata_path] = [&tree, &metadata].map(|path| path.to_string_lossy());
        let reference = self.reference();
        let arguments = [
            "unpack",
            "--quiet",
            "--to",
            "tree",
            "--metadata",
            &metadata_path,
            &reference,
            &tree_path,
        ];
        run(&mut command(&self.winlayer, &arguments))?;
        let mut seen = HashSet::new();
        let content = content(&tree, &mut seen)?;
        remove(&tree)?;
        let entries = fs::read_to_string(&metadata)?.lines().count() as u64;
        Ok(Facts {
            metadata,
            entries,
            content,
        })
    }
}

/// What the merged image has in it.
struct Facts {
    /// Its objects as JSON lines.
    metadata: PathBuf,
    entries: u64,
    /// Bytes of all files.
    content: u64,
}

/// The layers through mkntfs, the mounted driver and bsdtar.
struct Driver {
    volume: PathBuf,
    mount: PathBuf,
    blobs: Vec<PathBuf>,
    bytes: u64,
}

impl Driver {
    /// `bytes` are what our volume of the same takes.
    fn new(work: &Path, blobs: Vec<PathBuf>, bytes: u64) -> Self {
        let (volume, mount) = (work.join("driver"), work.join("mount"));
        Self {
            volume,
            mount,
            blobs,
            bytes,
        }
    }

    fn measure(&self, runs: usize, metadata: Option<&Path>) -> Result<Measured> {
        fs::create_dir_all(&self.mount)?;
        let program = Program::new("sh", &["-euc", &self.script(metadata)?]);
        let measured = measure(&program, runs, || remove_file(&self.volume))?;
        remove_file(&self.volume)?;
        fs::remove_dir(&self.mount)?;
        Ok(measured)
    }

    /// The driver runs in the foreground of a job, so that its time and memory count.
    fn script(&self, metadata: Option<&Path>) -> Result<String> {
        let (volume, mount) = (self.volume.display(), self.mount.display());
        let mut script = format!(
            "PATH=$PATH:/usr/sbin:/sbin\n\
             truncate -s {} '{volume}'; mkntfs -F -Q -q -s 512 '{volume}' 2> /dev/null\n\
             ntfs-3g -o streams_interface=windows,no_detach '{volume}' '{mount}' 2> /dev/null & driver=$!\n\
             until mountpoint -q '{mount}'; do sleep 0.01; done\n\
             trap \"umount '{mount}'; wait $driver\" EXIT\n",
            roomy(self.bytes)
        );
        for blob in &self.blobs {
            // Owners and modes are nothing that the volume has, and times of streams cannot be set.
            script += &format!(
                "bsdtar -x -m --no-same-owner --no-same-permissions -f '{}' -C '{mount}'\n",
                blob.display()
            );
        }
        if let Some(metadata) = metadata {
            let helper = std::env::current_exe().context("cannot find this program")?;
            script += &format!(
                "'{}' set-metadata '{}' '{mount}/Files'\n",
                helper.display(),
                metadata.display()
            );
        }
        Ok(script)
    }
}

/// An empty volume that has room for what another one of `bytes` holds.
fn format_volume(volume: &Path, bytes: u64) -> Result<()> {
    remove_file(volume)?;
    fs::File::create(volume)?.set_len(roomy(bytes))?;
    let path = volume.to_string_lossy();
    let format = format!("PATH=$PATH:/usr/sbin:/sbin mkntfs -F -Q -q -s 512 '{path}' 2> /dev/null");
    run(&mut command("sh", &["-c", &format]))
}

fn roomy(bytes: u64) -> u64 {
    (bytes + bytes / 2 + (256 << 20)).next_multiple_of(1 << 20)
}

/// Bytes of the files below, each once.
fn content(folder: &Path, seen: &mut HashSet<u64>) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        if facts.is_dir() {
            sum += content(&entry.path(), seen)?;
        } else if facts.is_file() && is_new(&facts, seen) {
            sum += facts.len();
        }
    }
    Ok(sum)
}

/// Whether none of a file's names has been met before.
#[cfg(unix)]
fn is_new(facts: &fs::Metadata, seen: &mut HashSet<u64>) -> bool {
    use std::os::unix::fs::MetadataExt;
    seen.insert(facts.ino())
}

/// Other systems do not have the peers anyway.
#[cfg(not(unix))]
fn is_new(_: &fs::Metadata, _: &mut HashSet<u64>) -> bool {
    true
}

fn remove_file(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
