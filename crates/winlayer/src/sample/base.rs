//! The base layer: a small Windows with everything a layer tar can carry.

use std::io;

use winlayer_metadata::{FileAttributes, FileTime, FileTimes};

use super::{
    BASE_EPOCH, SampleOptions,
    bulk::Bulk,
    content::Program,
    descriptors::Descriptors,
    hives,
    tree::{Content, LayerTree},
};

const HIDDEN_SYSTEM: FileAttributes = FileAttributes::HIDDEN.union(FileAttributes::SYSTEM);

/// The component whose files are also `System32`'s.
pub(super) const SHELL_COMPONENT: &str = "Files/Windows/WinSxS/\
    amd64_sample-shell_31bf3856ad364e35_10.0.20348.587_none_5d2f0f6c8f1b7a43";

pub(super) fn layer(options: &SampleOptions) -> io::Result<LayerTree> {
    let security = Descriptors::new()?;
    let mut tree = LayerTree::new(BASE_EPOCH);
    drive(&mut tree, &security)?;
    program_files(&mut tree, &security);
    program_data(&mut tree, &security)?;
    users(&mut tree, &security)?;
    windows(&mut tree, &security);
    config_hives(&mut tree, &security)?;
    component_store(&mut tree, &security);
    names_and_paths(&mut tree, &security);
    links(&mut tree, &security)?;
    odd_files(&mut tree, &security);
    utility_vm(&mut tree, &security)?;
    tree.bulk(
        "Files/Windows/WinSxS/amd64_sample-bulk",
        Bulk {
            directory: "Files/Windows/WinSxS",
            files: options.files,
            bytes: options.bytes,
            epoch: BASE_EPOCH,
            directory_security: security.component_directory.clone(),
            file_security: security.system_file.clone(),
        },
    );
    Ok(tree)
}

fn drive(tree: &mut LayerTree, security: &Descriptors) -> io::Result<()> {
    tree.directory("Files", &security.drive)
        .attributes(HIDDEN_SYSTEM);
    tree.junction(
        "Files/Documents and Settings",
        r"C:\Users",
        &security.legacy_link,
    )?
    .attributes(HIDDEN_SYSTEM);
    tree.file(
        "Files/License.txt",
        "Made by winlayer. Nothing in this image is from Microsoft.\r\n",
        &security.inherited_file,
    );
    Ok(())
}

fn program_files(tree: &mut LayerTree, security: &Descriptors) {
    for root in ["Files/Program Files", "Files/Program Files (x86)"] {
        tree.directory(root, &security.system_directory)
            .attributes(FileAttributes::READONLY);
        tree.directory(
            &format!("{root}/Common Files"),
            &security.component_directory,
        );
        tree.file(
            &format!("{root}/desktop.ini"),
            "[.ShellClassInfo]\r\n",
            &security.system_file,
        )
        .attributes(HIDDEN_SYSTEM);
    }
}

fn program_data(tree: &mut LayerTree, security: &Descriptors) -> io::Result<()> {
    let inherited = &security.inherited_directory;
    tree.directory("Files/ProgramData", &security.program_data)
        .attributes(FileAttributes::HIDDEN | FileAttributes::NOT_CONTENT_INDEXED);
    tree.junction(
        "Files/ProgramData/Application Data",
        r"C:\ProgramData",
        &security.legacy_link,
    )?
    .attributes(HIDDEN_SYSTEM);
    tree.directory("Files/ProgramData/Microsoft", inherited);
    tree.directory("Files/ProgramData/Microsoft/Crypto", inherited);
    tree.directory(
        "Files/ProgramData/Microsoft/Crypto/Keys",
        &security.private_directory,
    )
    .attributes(FileAttributes::SYSTEM);
    tree.directory("Files/ProgramData/Winlayer", inherited)
        .stream("notes", b"a directory can have streams too\r\n");
    tree.directory(
        "Files/ProgramData/Winlayer/Audited",
        &security.audited_directory,
    );
    for (directory, files) in [
        ("Cache", ["one.tmp", "three.tmp", "two.tmp"]),
        ("Settings", ["a.json", "b.json", "c.json"]),
    ] {
        let directory = format!("Files/ProgramData/Winlayer/{directory}");
        tree.directory(&directory, inherited);
        for file in files {
            tree.file(
                &format!("{directory}/{file}"),
                "{\"from\": \"base\"}\n",
                &security.inherited_file,
            );
        }
    }
    tree.file(
        "Files/ProgramData/Winlayer/Obsolete.txt",
        "to be removed\r\n",
        &security.inherited_file,
    );
    Ok(())
}

fn users(tree: &mut LayerTree, security: &Descriptors) -> io::Result<()> {
    tree.directory("Files/Users", &security.users)
        .attributes(FileAttributes::READONLY);
    tree.directory_link(
        "Files/Users/All Users",
        r"C:\ProgramData",
        &security.legacy_link,
    )?
    .attributes(HIDDEN_SYSTEM);
    tree.junction(
        "Files/Users/Default User",
        r"C:\Users\Default",
        &security.legacy_link,
    )?
    .attributes(HIDDEN_SYSTEM);
    tree.directory("Files/Users/ContainerAdministrator", &security.profile);
    tree.directory("Files/Users/Default", &security.users)
        .attributes(FileAttributes::HIDDEN);
    let profile = hives::user_profile().map_err(io::Error::other)?;
    tree.file(
        "Files/Users/Default/NTUSER.DAT",
        profile,
        &security.private_file,
    )
    .attributes(FileAttributes::HIDDEN);
    tree.directory("Files/Users/Public", &security.users)
        .attributes(FileAttributes::READONLY);
    tree.directory("Files/Users/Public/Desktop", &security.inherited_directory)
        .attributes(FileAttributes::HIDDEN);
    tree.directory(
        "Files/Users/Public/Downloads",
        &security.inherited_directory,
    );
    tree.file(
        "Files/Users/Public/Downloads/setup.exe",
        Content::Program(Program::Console, 20_000),
        &security.inherited_file,
    )
    .stream("Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")
    .stream("empty", b"");
    Ok(())
}

fn windows(tree: &mut LayerTree, security: &Descriptors) {
    tree.directory("Files/Windows", &security.system_directory);
    for directory in [
        "Fonts",
        "Logs",
        "System32",
        "System32/drivers",
        "System32/drivers/etc",
        "System32/en-US",
        "SysWOW64",
        "WinSxS",
        "WinSxS/Catalogs",
        "WinSxS/Manifests",
    ] {
        tree.directory(
            &format!("Files/Windows/{directory}"),
            &security.component_directory,
        );
    }
    tree.directory("Files/Windows/Temp", &security.private_directory);
    tree.file(
        "Files/Windows/Temp/setup.log",
        "done\r\n",
        &security.private_file,
    );
    tree.file(
        "Files/Windows/win.ini",
        "; for 16-bit app support\r\n[fonts]\r\n",
        &security.system_file,
    );
    for (name, kind, size) in [
        ("System32/cmd.exe", Program::Console, 78_000),
        ("System32/drivers/legacy.sys", Program::Native, 9_000),
        ("System32/drivers/ntfs.sys", Program::Native, 120_000),
        ("System32/kernel32.dll", Program::Library, 95_000),
        ("System32/ntdll.dll", Program::Library, 160_000),
        ("System32/ntoskrnl.exe", Program::Native, 400_000),
        ("System32/svchost.exe", Program::Console, 30_000),
        ("System32/where.exe", Program::Console, 24_000),
        ("SysWOW64/ntdll.dll", Program::Library, 130_000),
    ] {
        tree.file(
            &format!("Files/Windows/{name}"),
            Content::Program(kind, size),
            &security.system_file,
        )
        .extended_attribute("$KERNEL.PURGE.ESBCACHE", &ESB_CACHE)
        .extended_attribute("$CI.CATALOGHINT", &CATALOG_HINT);
    }
    tree.file(
        "Files/Windows/System32/en-US/cmd.exe.mui",
        Content::Program(Program::Library, 6_000),
        &security.system_file,
    );
    tree.file(
        "Files/Windows/System32/drivers/etc/hosts",
        "# 127.0.0.1 localhost\r\n",
        &security.system_file,
    );
    tree.file(
        "Files/Windows/Fonts/lucon.ttf",
        &[0, 1, 0, 0],
        &security.system_file,
    );
}

fn config_hives(tree: &mut LayerTree, security: &Descriptors) -> io::Result<()> {
    let config = "Files/Windows/System32/config";
    tree.directory(config, &security.private_directory);
    for (name, hive) in [
        ("DEFAULT", hives::default_user()),
        ("SAM", hives::sam()),
        ("SECURITY", hives::security()),
        ("SOFTWARE", hives::software()),
        ("SYSTEM", hives::system()),
    ] {
        let hive = hive.map_err(io::Error::other)?;
        tree.file(&format!("{config}/{name}"), hive, &security.private_file);
    }
    Ok(())
}

/// Components: the same files under two names, the longer of which is written as a link.
fn component_store(tree: &mut LayerTree, security: &Descriptors) {
    tree.directory(SHELL_COMPONENT, &security.component_directory);
    for file in ["cmd.exe", "where.exe"] {
        tree.hard_link(
            &format!("{SHELL_COMPONENT}/{file}"),
            &format!("Files/Windows/System32/{file}"),
        );
    }
    tree.file(
        &format!("{SHELL_COMPONENT}/readme.txt"),
        "only here\r\n",
        &security.system_file,
    );
    let manifest = SHELL_COMPONENT.replacen("WinSxS/", "WinSxS/Manifests/", 1);
    tree.file(
        &format!("{manifest}.manifest"),
        "<?xml version=\"1.0\"?>\r\n<assembly manifestVersion=\"1.0\"/>\r\n",
        &security.system_file,
    );
}

fn names_and_paths(tree: &mut LayerTree, security: &Descriptors) {
    let (directory, file) = (&security.inherited_directory, &security.inherited_file);
    tree.directory("Files/ProgramData/Winlayer/Names", directory);
    for name in [
        "UPPER lower.TXT",
        "Straße.txt",
        "STRASSE.TXT",
        "файл.txt",
        "文件.txt",
        "ﬁle.txt",
        "İstanbul.txt",
        "ıspanak.txt",
        "𝄞 clef.txt",
        "😀.txt",
        "a\u{301}\u{327}.txt",
        "שלום.txt",
        "with 'quotes' & $(things); #1.txt",
        "-rf",
        "~",
        " leading space",
        "no-break\u{a0}space.txt",
        "zero\u{200b}width.txt",
        "[brackets]{braces}%TEMP%^!.txt",
    ] {
        tree.file(
            &format!("Files/ProgramData/Winlayer/Names/{name}"),
            name,
            file,
        );
    }
    let longest = "n".repeat(255);
    tree.file(
        &format!("Files/ProgramData/Winlayer/Names/{longest}"),
        "255 units\n",
        file,
    );
    let mut path = "Files/ProgramData/Winlayer/Long".to_owned();
    tree.directory(&path, directory);
    for depth in 1..=20 {
        path = format!(
            "{path}/{depth:02}-{}",
            "a-rather-long-directory-name-".repeat(2)
        );
        tree.directory(&path, directory);
        if depth == 5 || depth == 20 {
            tree.file(&format!("{path}/deep file {depth}.txt"), "found\n", file)
                .stream("deep", b"stream");
        }
    }
}

fn links(tree: &mut LayerTree, security: &Descriptors) -> io::Result<()> {
    let descriptor = &security.inherited_directory;
    let links = "Files/ProgramData/Winlayer/Links";
    tree.directory(links, descriptor);
    tree.file_link(
        &format!("{links}/relative file"),
        r"..\Settings\a.json",
        descriptor,
    )?;
    tree.file_link(
        &format!("{links}/absolute file"),
        r"C:\Windows\win.ini",
        descriptor,
    )?;
    tree.file_link(
        &format!("{links}/dangling"),
        r"..\nowhere\at all",
        descriptor,
    )?;
    tree.file_link(
        &format!("{links}/rooted file"),
        r"\Windows\win.ini",
        descriptor,
    )?;
    tree.directory_link(
        &format!("{links}/relative directory"),
        r"..\Settings",
        descriptor,
    )?;
    tree.directory_link(
        &format!("{links}/absolute directory"),
        r"C:\Windows\System32",
        descriptor,
    )?;
    tree.directory_link(&format!("{links}/loop"), ".", descriptor)?;
    tree.directory_link(
        &format!("{links}/share"),
        r"\\server\share\文件",
        descriptor,
    )?;
    tree.junction(
        &format!("{links}/junction"),
        r"C:\Windows\System32\drivers",
        descriptor,
    )?;
    Ok(())
}

fn odd_files(tree: &mut LayerTree, security: &Descriptors) {
    let file = &security.inherited_file;
    let odd = "Files/ProgramData/Winlayer/Odd";
    tree.directory(odd, &security.inherited_directory);
    tree.directory(
        &format!("{odd}/empty directory"),
        &security.inherited_directory,
    );
    tree.file(&format!("{odd}/empty"), "", file);
    tree.file(&format!("{odd}/empty with streams"), "", file)
        .stream("only stream", b"content");
    tree.file(&format!("{odd}/read-only"), "r", file)
        .attributes(FileAttributes::READONLY);
    tree.file(&format!("{odd}/hidden"), "h", file)
        .attributes(FileAttributes::HIDDEN);
    tree.file(&format!("{odd}/system"), "s", file)
        .attributes(FileAttributes::SYSTEM);
    tree.file(
        &format!("{odd}/inherits everything"),
        "no descriptor of its own",
        &None,
    );
    let dotted = FileTime::from_ticks(FileTime::UNIX_EPOCH.ticks() - 141_829_399_999_999);
    let old = FileTimes {
        created: FileTime::from_ticks(1),
        accessed: FileTime::UNIX_EPOCH,
        written: dotted,
        changed: FileTime::from_ticks(FileTime::UNIX_EPOCH.ticks() - 1),
    };
    tree.file(&format!("{odd}/before 1970"), "old", file)
        .times(old);
    for size in [511, 512, 513, 65_535, 65_536, 65_537_usize] {
        tree.file(&format!("{odd}/{size} bytes"), vec![b'x'; size], file);
    }
    let sparse = FileAttributes::SPARSE_FILE;
    tree.file(&format!("{odd}/sparse"), vec![0; 300_000], file)
        .attributes(sparse);
}

fn utility_vm(tree: &mut LayerTree, security: &Descriptors) -> io::Result<()> {
    let files = "UtilityVM/Files";
    tree.directory("UtilityVM", &None);
    tree.directory(files, &security.drive);
    for directory in ["EFI", "EFI/Microsoft", "EFI/Microsoft/Boot", "Users"] {
        tree.directory(
            &format!("{files}/{directory}"),
            &security.inherited_directory,
        );
    }
    tree.directory(&format!("{files}/Windows"), &security.system_directory);
    for directory in ["System32", "System32/drivers"] {
        tree.directory(
            &format!("{files}/Windows/{directory}"),
            &security.component_directory,
        );
    }
    let boot = format!("{files}/EFI/Microsoft/Boot");
    let bcd = hives::boot_configuration().map_err(io::Error::other)?;
    tree.file(&format!("{boot}/BCD"), bcd, &security.inherited_file);
    for log in ["BCD.LOG", "BCD.LOG1", "BCD.LOG2"] {
        tree.file(&format!("{boot}/{log}"), "", &security.inherited_file)
            .attributes(HIDDEN_SYSTEM);
    }
    tree.file(
        &format!("{boot}/bootmgfw.efi"),
        Content::Program(Program::Efi, 40_000),
        &security.system_file,
    );
    let system32 = format!("{files}/Windows/System32");
    for (name, kind) in [
        ("VmComputeAgent.exe", Program::Console),
        ("drivers/legacy-vm.sys", Program::Native),
        ("drivers/vmbus.sys", Program::Native),
        ("winload.efi", Program::Efi),
    ] {
        tree.file(
            &format!("{system32}/{name}"),
            Content::Program(kind, 30_000),
            &security.system_file,
        );
    }
    // The utility VM shares most of its files with the container's tree.
    for file in [
        "System32/drivers/ntfs.sys",
        "System32/kernel32.dll",
        "System32/ntdll.dll",
        "System32/ntoskrnl.exe",
    ] {
        tree.hard_link(
            &format!("{files}/Windows/{file}"),
            &format!("Files/Windows/{file}"),
        );
    }
    tree.directory(&format!("{system32}/config"), &security.private_directory);
    for (name, hive) in [
        ("DEFAULT", hives::empty("DEFAULT")),
        ("SAM", hives::empty("SAM")),
        ("SECURITY", hives::empty("SECURITY")),
        ("SOFTWARE", hives::software()),
        ("SYSTEM", hives::system()),
    ] {
        let hive = hive.map_err(io::Error::other)?;
        tree.file(
            &format!("{system32}/config/{name}"),
            hive,
            &security.private_file,
        );
    }
    Ok(())
}

/// What the kernel caches about a checked image; opaque to everyone else.
const ESB_CACHE: [u8; 24] = [
    0x18, 0, 0, 0, 2, 0, 0x0E, 0, 0x80, 0x5A, 0x3D, 0x91, 0x7C, 0x43, 0xD7, 1, 0, 0, 0, 0, 0x0C,
    0x80, 0, 0,
];
/// The catalogue that lists a file: version, length, name.
const CATALOG_HINT: [u8; 20] = *b"\x01\x00\x10\x00sample-shell.cat";
