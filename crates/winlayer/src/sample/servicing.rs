//! The second layer: an update as Windows servicing leaves it.

use std::io;

use super::{
    SERVICING_EPOCH, base,
    content::Program,
    descriptors::Descriptors,
    hives,
    tree::{Content, LayerTree},
};

/// The component that replaces the base layer's.
const SHELL_COMPONENT: &str = "Files/Windows/WinSxS/\
    amd64_sample-shell_31bf3856ad364e35_10.0.20348.2113_none_8a17c05be24f9d60";

pub(super) fn layer() -> io::Result<LayerTree> {
    let security = Descriptors::new()?;
    let mut tree = LayerTree::new(SERVICING_EPOCH);
    files(&mut tree, &security);
    component_store(&mut tree, &security);
    hive_deltas(&mut tree)?;
    utility_vm(&mut tree, &security);
    Ok(tree)
}

fn files(tree: &mut LayerTree, security: &Descriptors) {
    tree.directory("Files", &security.drive);
    tree.directory("Files/Windows", &security.system_directory);
    for directory in ["System32", "System32/drivers", "WinSxS", "WinSxS/Manifests"] {
        tree.directory(
            &format!("Files/Windows/{directory}"),
            &security.component_directory,
        );
    }
    for (name, kind, size) in [
        ("System32/cmd.exe", Program::Console, 79_500),
        ("System32/drivers/modern.sys", Program::Native, 11_000),
        ("System32/ntdll.dll", Program::Library, 161_000),
        ("System32/ntoskrnl.exe", Program::Native, 404_000),
    ] {
        tree.file(
            &format!("Files/Windows/{name}"),
            Content::Program(kind, size),
            &security.system_file,
        )
        .extended_attribute(
            "$KERNEL.PURGE.ESBCACHE",
            b"\x08\x00\x00\x00\x03\x00\x0E\x00",
        );
    }
    tree.whiteout("Files/Windows/System32/drivers/legacy.sys");
}

/// The new component comes, partly as links to files the base layer has; the old one goes.
fn component_store(tree: &mut LayerTree, security: &Descriptors) {
    tree.directory(SHELL_COMPONENT, &security.component_directory);
    let system32 = "Files/Windows/System32";
    tree.hard_link(
        &format!("{SHELL_COMPONENT}/cmd.exe"),
        &format!("{system32}/cmd.exe"),
    );
    tree.hard_link(
        &format!("{SHELL_COMPONENT}/cmd.exe.mui"),
        &format!("{system32}/en-US/cmd.exe.mui"),
    );
    tree.hard_link(
        &format!("{SHELL_COMPONENT}/where.exe"),
        &format!("{system32}/where.exe"),
    );
    tree.whiteout(base::SHELL_COMPONENT);
    let manifest = |component: &str| {
        format!(
            "{}.manifest",
            component.replacen("WinSxS/", "WinSxS/Manifests/", 1)
        )
    };
    tree.file(
        &manifest(SHELL_COMPONENT),
        "<?xml version=\"1.0\"?>\r\n",
        &security.system_file,
    );
    tree.whiteout(&manifest(base::SHELL_COMPONENT));
}

fn hive_deltas(tree: &mut LayerTree) -> io::Result<()> {
    tree.directory("Hives", &None);
    for (name, hive) in [
        ("DefaultUser_Delta", hives::unchanged("DefaultUser_Delta")),
        ("Sam_Delta", hives::unchanged("Sam_Delta")),
        ("Security_Delta", hives::unchanged("Security_Delta")),
        ("Software_Delta", hives::software_update()),
        ("System_Delta", hives::system_update()),
    ] {
        tree.file(
            &format!("Hives/{name}"),
            hive.map_err(io::Error::other)?,
            &None,
        );
    }
    Ok(())
}

fn utility_vm(tree: &mut LayerTree, security: &Descriptors) {
    let files = "UtilityVM/Files";
    tree.directory("UtilityVM", &None);
    tree.directory(files, &security.drive);
    tree.directory(&format!("{files}/Windows"), &security.system_directory);
    for directory in ["System32", "System32/drivers"] {
        tree.directory(
            &format!("{files}/Windows/{directory}"),
            &security.component_directory,
        );
    }
    let system32 = format!("{files}/Windows/System32");
    let agent = Content::Program(Program::Console, 31_000);
    tree.file(
        &format!("{system32}/VmComputeAgent.exe"),
        agent,
        &security.system_file,
    );
    tree.whiteout(&format!("{system32}/drivers/legacy-vm.sys"));
    for file in ["ntdll.dll", "ntoskrnl.exe"] {
        tree.hard_link(
            &format!("{system32}/{file}"),
            &format!("Files/Windows/System32/{file}"),
        );
    }
    // Of a layer below, under a name the utility VM did not have.
    tree.hard_link(
        &format!("{system32}/svchost.exe"),
        "Files/Windows/System32/svchost.exe",
    );
}
