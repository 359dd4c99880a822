//! `bench`: winlayer beside its peers, in one run on one input.

mod disk;
mod hive;
mod measure;
pub mod metadata;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};

use self::{
    measure::{Measured, Program, measure},
    report::{Report, Row},
};
use crate::run::{command, root, run};

const HELP: &str = "\
Measures winlayer beside its peers and writes docs/benchmarks.md

Usage: cargo xtask bench [OPTIONS] [NAME...]

Names: verify, tree, folder, reuse, disk, hive (default: all)
The registry's part of the page is also written when `hive` is the only name.

Options:
  --dir DIR     work below this folder (default: /dev/shm, memory, so that no disk is measured)
  --bytes SIZE  size of the sample's base layer (default: 2GiB)
  --files N     number of its files (default: 20000)
  --runs N      runs of each program, the median counts (default: 3)
";

/// What to measure, with which input.
struct Options {
    names: Vec<String>,
    dir: PathBuf,
    bytes: String,
    files: String,
    runs: usize,
}

/// Where one run keeps its input and output.
struct Bench {
    options: Options,
    winlayer: String,
    work: PathBuf,
    image: PathBuf,
    /// Layer blobs, base first.
    blobs: Vec<PathBuf>,
    report: Report,
}

/// Runs the named benchmarks.
pub fn bench(arguments: &[&str]) -> Result<()> {
    if arguments.contains(&"--help") {
        print!("{HELP}");
        return Ok(());
    }
    let options = parse(arguments)?;
    run(&mut command(
        "bash",
        &["scripts/install-test-tools.sh", "--bench"],
    ))?;
    if options.names == ["hive"] {
        return hive_alone(&options);
    }
    run(&mut command(
        "cargo",
        &["build", "--release", "--package", "winlayer-cli"],
    ))?;
    let mut bench = prepare(options)?;
    let wanted = |name: &str| {
        bench.options.names.is_empty() || bench.options.names.iter().any(|n| n == name)
    };
    let [verify, tree, folder, reuse, disk, hive] =
        ["verify", "tree", "folder", "reuse", "disk", "hive"].map(wanted);
    if verify {
        bench.verify()?;
    }
    if tree {
        bench.tree()?;
    }
    if folder || reuse {
        bench.folder_and_reuse()?;
    }
    if disk {
        bench.disk()?;
        bench.small_files()?;
    }
    if hive {
        hive::hive(&bench.work, bench.options.runs, &mut bench.report)?;
    }
    let markdown = bench.report.markdown();
    println!("\n{markdown}");
    if bench.options.names.is_empty() {
        fs::create_dir_all(root().join("docs"))?;
        fs::write(root().join("docs/benchmarks.md"), markdown)?;
    }
    fs::remove_dir_all(&bench.work).context("cannot remove the benchmark's folder")
}

/// Measures hives and replaces their sections, which are the page's last, and nothing else.
fn hive_alone(options: &Options) -> Result<()> {
    let work = work(options)?;
    let mut report = Report::part("Registry", options.runs);
    hive::hive(&work, options.runs, &mut report)?;
    let sections = report.markdown();
    println!("{sections}");
    let page = root().join("docs/benchmarks.md");
    let text = fs::read_to_string(&page)?;
    let (others, _) = text.split_once("\n## Registry").unwrap_or((&text, ""));
    fs::write(&page, format!("{others}{sections}"))?;
    fs::remove_dir_all(&work).context("cannot remove the benchmark's folder")
}

fn work(options: &Options) -> Result<PathBuf> {
    let name = format!("winlayer-bench-{}", std::process::id());
    let work = options.dir.join(name);
    fs::create_dir_all(&work)?;
    Ok(work)
}

fn parse(arguments: &[&str]) -> Result<Options> {
    let mut options = Options {
        names: Vec::new(),
        dir: "/dev/shm".into(),
        bytes: "2GiB".into(),
        files: "20000".into(),
        runs: 3,
    };
    let mut words = arguments.iter();
    while let Some(&word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} needs a value"))
        };
        match word {
            "--dir" => options.dir = value()?.into(),
            "--bytes" => options.bytes = (*value()?).into(),
            "--files" => options.files = (*value()?).into(),
            "--runs" => options.runs = value()?.parse()?,
            "verify" | "tree" | "folder" | "reuse" | "disk" | "hive" => {
                options.names.push(word.into())
            }
            other => bail!("unknown argument {other:?}\n\n{HELP}"),
        }
    }
    Ok(options)
}

fn prepare(options: Options) -> Result<Bench> {
    let work = work(&options)?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root().join("target"), PathBuf::from);
    let winlayer = target
        .join("release/winlayer")
        .to_string_lossy()
        .into_owned();
    let image = work.join("image");
    let reference = format!("oci:{}", image.display());
    let sample = [
        "sample",
        &reference,
        "--files",
        &options.files,
        "--bytes",
        &options.bytes,
    ];
    run(&mut command(&winlayer, &sample))?;
    let blobs = layer_blobs(&winlayer, &reference, &image)?;
    let input = format!(
        "`winlayer sample oci:DIR --files {} --bytes {}`: {} layers, {} MB compressed",
        options.files,
        options.bytes,
        blobs.len(),
        size(&blobs)? / 1_000_000
    );
    let report = Report::new(&input, options.dir.as_path(), options.runs);
    Ok(Bench {
        options,
        winlayer,
        work,
        image,
        blobs,
        report,
    })
}

fn layer_blobs(winlayer: &str, reference: &str, image: &Path) -> Result<Vec<PathBuf>> {
    let output = command(winlayer, &["inspect", reference, "--json"]).output()?;
    ensure!(output.status.success(), "winlayer inspect failed");
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let layers = facts["layers"]
        .as_array()
        .context("inspect --json has no layers")?;
    layers
        .iter()
        .map(|layer| {
            let digest = layer["digest"].as_str().context("a layer has no digest")?;
            Ok(image.join("blobs").join(digest.replace(':', "/")))
        })
        .collect()
}

fn size(files: &[PathBuf]) -> Result<u64> {
    files.iter().map(|file| Ok(fs::metadata(file)?.len())).sum()
}

impl Bench {
    /// Digest, DiffID and every tar rule, against what one core needs for inflate or SHA-256 alone.
    fn verify(&mut self) -> Result<()> {
        let base = self
            .blobs
            .first()
            .context("no layers")?
            .to_string_lossy()
            .into_owned();
        let tar = self.work.join("base.tar");
        run(&mut command(
            "sh",
            &["-c", &format!("igzip -dc '{base}' > '{}'", tar.display())],
        ))?;
        let ours = self.ours("verify", &[])?;
        let inflate = [
            ("igzip", Program::new("igzip", &["-dc", &base])),
            (
                "libdeflate",
                Program::new("libdeflate-gunzip", &["-kc", &base]),
            ),
            ("pigz", Program::new("pigz", &["-p1", "-dc", &base])),
            ("gzip", Program::new("gzip", &["-dc", &base])),
        ];
        let mut best = f64::INFINITY;
        let mut rows = vec![Row::new(
            "`winlayer verify` (digests, DiffIDs, every entry, all layers)",
            ours,
        )];
        for (name, program) in inflate {
            let peer = measure(&program, self.options.runs, || Ok(()))?;
            best = best.min(peer.seconds);
            rows.push(Row::new(
                &format!("inflate alone, base layer: {name}"),
                peer,
            ));
        }
        let sha = Program::new("openssl", &["dgst", "-sha256", &tar.to_string_lossy()]);
        let sha = measure(&sha, self.options.runs, || Ok(()))?;
        rows.push(Row::new("SHA-256 alone, base layer's tar: openssl", sha));
        let ratio = ours.seconds / best.max(sha.seconds);
        let verdict =
            format!("{ratio:.2} times the slower of best inflate and SHA-256 (goal: 1.15)");
        self.report.section("Verify", rows, &verdict);
        fs::remove_file(tar)?;
        Ok(())
    }

    /// The merged tree, against bsdtar extracting the same layers over each other.
    fn tree(&mut self) -> Result<()> {
        let (ours_dir, peer_dir) = (self.work.join("tree"), self.work.join("bsdtar"));
        let ours = Program::new(
            &self.winlayer,
            &[
                "unpack",
                "--quiet",
                "--to",
                "tree",
                &self.reference(),
                &ours_dir.to_string_lossy(),
            ],
        );
        let ours = measure(&ours, self.options.runs, || remove(&ours_dir))?;
        let layers = self.blobs.iter().map(|blob| {
            format!(
                "bsdtar -xf '{}' -C '{}'",
                blob.display(),
                peer_dir.display()
            )
        });
        let script = layers.collect::<Vec<_>>().join(" && ");
        let peer = Program::new("sh", &["-c", &script]);
        let peer = measure(&peer, self.options.runs, || {
            remove(&peer_dir)?;
            Ok(fs::create_dir(&peer_dir)?)
        })?;
        remove(&ours_dir)?;
        remove(&peer_dir)?;
        let rows = vec![
            Row::new("`winlayer unpack --to tree` (verified)", ours),
            Row::new("`bsdtar -xf` of each layer (not verified)", peer),
        ];
        let verdict = format!(
            "{:.2} times bsdtar (goal: 1.25)",
            ours.seconds / peer.seconds
        );
        self.report.section("Tree", rows, &verdict);
        Ok(())
    }

    /// The layer store: unpacked once, then found unpacked.
    fn folder_and_reuse(&mut self) -> Result<()> {
        let store = self.work.join("store");
        let arguments = [
            "unpack",
            "--quiet",
            "--to",
            "folder",
            &self.reference(),
            &store.to_string_lossy(),
        ];
        let program = Program::new(&self.winlayer, &arguments);
        let folder = measure(&program, self.options.runs, || remove(&store))?;
        let reuse = measure(&program, self.options.runs.max(5), || Ok(()))?;
        remove(&store)?;
        let bare = measure(&Program::new(&self.winlayer, &["--version"]), 5, || Ok(()))?;
        let over = folder.peak_kib.saturating_sub(bare.peak_kib) / 1024;
        let rows = vec![
            Row::new("`winlayer unpack --to folder` (verified)", folder),
            Row::new("the same again: already unpacked", reuse),
            Row::new("bare process: `winlayer --version`", bare),
        ];
        let verdict = format!(
            "peak memory {over} MiB above the bare process (goal: 64); already unpacked: {:.0} ms (goal: 50)",
            reuse.seconds * 1000.0
        );
        self.report
            .section("Folder, memory and reuse", rows, &verdict);
        Ok(())
    }

    fn ours(&self, verb: &str, arguments: &[&str]) -> Result<Measured> {
        let reference = self.reference();
        let mut words = vec![verb, "--quiet", reference.as_str()];
        words.extend(arguments);
        measure(
            &Program::new(&self.winlayer, &words),
            self.options.runs,
            || Ok(()),
        )
    }

    fn reference(&self) -> String {
        format!("oci:{}", self.image.display())
    }
}

fn remove(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir)?;
    }
    Ok(())
}
