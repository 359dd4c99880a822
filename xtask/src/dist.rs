//! `dist`: the program as it is given away, one file in one archive.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use winlayer_digest::Digest;

use crate::{
    run::{cargo, root, run, show, works},
    zip,
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A system the program is built for.
struct Platform {
    target: &'static str,
    /// In the archive's name.
    name: &'static str,
    program: &'static str,
}

const WINDOWS: Platform = Platform {
    target: "x86_64-pc-windows-gnu",
    name: "x86_64-windows",
    program: "winlayer.exe",
};

const LINUX: Platform = Platform {
    target: "x86_64-unknown-linux-gnu",
    name: "x86_64-linux",
    program: "winlayer",
};

/// What every Windows since Server 2016 and Windows 10 has, Nano Server too.
///
/// The DLLs of the container platform are not among them: they come with a feature, so they are
/// looked up when they are needed, and a program that imports them does not start without.
const SYSTEM_LIBRARIES: [&str; 13] = [
    "advapi32.dll",
    "bcrypt.dll",
    "bcryptprimitives.dll",
    "crypt32.dll",
    "kernel32.dll",
    "msvcrt.dll",
    "ncrypt.dll",
    "ntdll.dll",
    "ole32.dll",
    "oleaut32.dll",
    "secur32.dll",
    "userenv.dll",
    "ws2_32.dll",
];

/// Builds the archive for Windows, and with `linux` the one for Linux.
pub fn dist(linux: bool) -> Result<()> {
    make(&WINDOWS)?;
    if linux {
        make(&LINUX)?;
    }
    Ok(())
}

fn make(platform: &Platform) -> Result<()> {
    let program = build(platform)?;
    if platform.target == WINDOWS.target {
        check_imports(&program)?;
        check_start(&program)?;
    }
    let archive = target_folder()
        .join("dist")
        .join(format!("winlayer-{VERSION}-{}.zip", platform.name));
    pack(&program, platform.program, &archive)?;
    let bytes = fs::read(&archive)?;
    println!(
        "{}: {} bytes, {}",
        archive.display(),
        bytes.len(),
        Digest::of(&bytes)
    );
    Ok(())
}

fn target_folder() -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    folder.unwrap_or_else(|| root().join("target"))
}

/// The program in the profile `dist`, without the paths and the hour of this machine in it.
fn build(platform: &Platform) -> Result<PathBuf> {
    let root = fs::canonicalize(root())?;
    let home = env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo_home = home.or_else(|| Some(env::home_dir()?.join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=.", root.display())];
    if let Some(home) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=cargo", home.display()));
    }
    if platform.target == WINDOWS.target {
        flags.push("-Clink-arg=-Wl,--no-insert-timestamp".to_owned());
    }
    let arguments = [
        "build",
        "--locked",
        "--package",
        "winlayer-cli",
        "--profile",
        "dist",
        "--target",
        platform.target,
    ];
    let mut build = cargo(&arguments);
    build
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_INCREMENTAL", "0");
    run(&mut build).with_context(|| {
        format!(
            "cannot build for {target}; if its standard library is missing: rustup target add \
             {target}, and install mingw-w64",
            target = platform.target
        )
    })?;
    let program = target_folder()
        .join(platform.target)
        .join("dist")
        .join(platform.program);
    ensure!(program.is_file(), "{} was not built", program.display());
    Ok(program)
}

/// One exe must be enough: no DLL of the compiler may be needed beside it.
fn check_imports(program: &Path) -> Result<()> {
    let tools = ["x86_64-w64-mingw32-objdump", "objdump"];
    let tool = tools.into_iter().find(|tool| works(tool, "--version"));
    let tool = tool.context("objdump is missing: install binutils")?;
    let mut dump = Command::new(tool);
    dump.arg("-p").arg(program);
    let output = dump.output()?;
    ensure!(output.status.success(), "{} failed", show(&dump));
    let text = String::from_utf8_lossy(&output.stdout);
    let imports = imports(&text);
    ensure!(!imports.is_empty(), "{} shows no imports", show(&dump));
    let strange: Vec<_> = imports.iter().filter(|name| !is_system(name)).collect();
    if !strange.is_empty() {
        bail!("the program needs {strange:?}, which not every Windows has");
    }
    println!("imports: {}", imports.join(", "));
    Ok(())
}

/// The names after `DLL Name:`, lower case, each once.
fn imports(dump: &str) -> Vec<String> {
    let lines = dump.lines();
    let mut names: Vec<String> = lines
        .filter_map(|line| line.trim().strip_prefix("DLL Name:"))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    names.sort();
    names.dedup();
    names
}

/// `api-ms-win-…` are the sets by which Windows itself names its functions.
fn is_system(name: &str) -> bool {
    SYSTEM_LIBRARIES.contains(&name) || name.starts_with("api-ms-win-")
}

fn check_start(program: &Path) -> Result<()> {
    let mut start = if cfg!(windows) {
        Command::new(program)
    } else if is_there("winlayer-wine") {
        let mut wine = Command::new("winlayer-wine");
        wine.arg(program);
        wine
    } else {
        println!("NOT TESTED: whether the program starts; there is no Wine here");
        return Ok(());
    };
    let output = start.arg("--version").output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success() && said.trim() == format!("winlayer {VERSION}"),
        "{} said {said:?} ({})",
        show(&start),
        output.status
    );
    println!("starts: {}", said.trim());
    Ok(())
}

fn is_there(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn pack(program: &Path, name: &str, archive: &Path) -> Result<()> {
    let folder = archive.parent().context("an archive lies in a folder")?;
    fs::create_dir_all(folder)?;
    let bytes = zip::archive_of_one(name, &fs::read(program)?)?;
    fs::write(archive, bytes).with_context(|| format!("cannot write {}", archive.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_the_compiler_and_of_the_container_platform_are_none_of_windows() {
        let dump = "\n\tDLL Name: KERNEL32.dll\n\tvma: x\n\tDLL Name: libgcc_s_seh-1.dll\n";
        assert_eq!(imports(dump), ["kernel32.dll", "libgcc_s_seh-1.dll"]);
        assert!(is_system("kernel32.dll") && is_system("api-ms-win-core-synch-l1-2-0.dll"));
        assert!(!is_system("libgcc_s_seh-1.dll") && !is_system("vmcompute.dll"));
    }
}
