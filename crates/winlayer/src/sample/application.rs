//! The third layer: an application, as a Dockerfile would add it.

use std::io;

use super::{
    APPLICATION_EPOCH,
    content::Program,
    descriptors::Descriptors,
    hives,
    tree::{Content, LayerTree},
};

pub(super) fn layer() -> io::Result<LayerTree> {
    let security = Descriptors::new()?;
    let mut tree = LayerTree::new(APPLICATION_EPOCH);
    tree.directory("Files", &security.drive);
    application(&mut tree, &security)?;
    removals(&mut tree, &security);
    tree.directory("Hives", &None);
    let software = hives::software_application().map_err(io::Error::other)?;
    tree.file("Hives/Software_Delta", software, &None);
    Ok(tree)
}

fn application(tree: &mut LayerTree, security: &Descriptors) -> io::Result<()> {
    let (directory, file) = (&security.inherited_directory, &security.inherited_file);
    tree.directory("Files/app", directory);
    tree.file(
        "Files/app/winlayer-sample.exe",
        Content::Program(Program::Console, 150_000),
        file,
    );
    tree.file(
        "Files/app/appsettings.json",
        "{\r\n  \"greeting\": \"Grüß Gott, 世界\"\r\n}\r\n",
        file,
    );
    tree.directory("Files/app/data", directory);
    tree.file("Files/app/data/empty.db", "", file);
    tree.directory_link(
        "Files/app/logs",
        r"C:\ProgramData\Winlayer\Cache",
        directory,
    )?;
    // To a file of the base layer, of the update, and of this layer.
    tree.hard_link("Files/app/where.exe", "Files/Windows/System32/where.exe");
    tree.hard_link("Files/app/shell.exe", "Files/Windows/System32/cmd.exe");
    tree.hard_link(
        "Files/app/winlayer-sample2.exe",
        "Files/app/winlayer-sample.exe",
    );
    Ok(())
}

fn removals(tree: &mut LayerTree, security: &Descriptors) {
    let (directory, file) = (&security.inherited_directory, &security.inherited_file);
    tree.directory("Files/ProgramData", &security.program_data);
    tree.whiteout("Files/ProgramData/Application Data");
    tree.directory("Files/ProgramData/Winlayer", directory);
    // Another spelling of the same name, as Windows sees it.
    tree.whiteout("Files/ProgramData/Winlayer/OBSOLETE.TXT");
    tree.directory("Files/ProgramData/Winlayer/Cache", directory);
    tree.opaque("Files/ProgramData/Winlayer/Cache");
    tree.file(
        "Files/ProgramData/Winlayer/Cache/fresh.tmp",
        "{\"from\": \"application\"}\n",
        file,
    );
    tree.file(
        "Files/ProgramData/Winlayer/Cache/two.tmp",
        "{\"from\": \"application\"}\n",
        file,
    );
    // Removed and made again: nothing of the old directory shows through.
    tree.whiteout("Files/ProgramData/Winlayer/Settings");
    tree.directory("Files/ProgramData/Winlayer/Settings", directory);
    tree.file(
        "Files/ProgramData/Winlayer/Settings/b.json",
        "{\"from\": \"application\"}\n",
        file,
    );
    tree.directory("Files/Windows", &security.system_directory);
    tree.directory("Files/Windows/Temp", &security.private_directory);
    tree.whiteout("Files/Windows/Temp/setup.log");
    tree.whiteout("Files/Windows/Temp/never there.log");
    tree.whiteout("Files/Windows/win.ini");
    tree.file(
        "Files/Windows/win.ini",
        "; replaced\r\n",
        &security.system_file,
    );
}
