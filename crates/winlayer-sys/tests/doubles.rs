//! The layer calls against the stand-ins for Windows' libraries, which check every argument.
//!
//! Each test runs its body in a process of its own, with the libraries' environment.
#![cfg(windows)]
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "doubles/failures.rs"]
mod failures;

use std::{
    env, fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use winlayer_sys::{
    BackupReader, BackupWriter, Dir, Family, HostCompute, ObjectAccess, ObjectKind, ParentLayer,
    PlatformError, Privilege, PrivilegeGuard, Privileges,
    virtdisk::{AttachOptions, VirtualDisk},
};
use winlayer_testkit::doubles::Doubles;

/// Runs `body` in a child of this test, whose name is `test`, with `failures` injected. Its calls
/// broke no rule; `check` looks at them.
fn with_doubles(test: &str, failures: &str, body: impl FnOnce(), check: impl FnOnce(&Doubles)) {
    if env::var_os("WINLAYER_DOUBLES_LOG").is_some() {
        return body();
    }
    let doubles = Doubles::new().failing(failures);
    let mut child = Command::new(env::current_exe().unwrap());
    let output = doubles
        .apply(child.args(["--exact", test, "--nocapture"]))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}\n{}\n{:#?}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        doubles.calls(),
    );
    doubles.assert_clean();
    check(&doubles);
}

fn privileges() -> PrivilegeGuard {
    Privileges::acquire(&[Privilege::Backup, Privilege::Restore, Privilege::Security]).unwrap()
}

/// What a base layer's tar leaves: hives without content, and a boot configuration.
fn base_files(layer: &Path) {
    let config = layer.join(r"Files\Windows\System32\config");
    fs::create_dir_all(&config).unwrap();
    for hive in ["DEFAULT", "SAM", "SECURITY", "SOFTWARE", "SYSTEM"] {
        fs::write(config.join(hive), b"").unwrap();
    }
    let boot = layer.join(r"UtilityVM\Files\EFI\Microsoft\Boot");
    fs::create_dir_all(&boot).unwrap();
    fs::write(boot.join("BCD"), b"regf").unwrap();
}

/// A folder with a finished base layer, which is the chain of parents.
struct Store {
    folder: tempfile::TempDir,
    platform: HostCompute,
    parents: Vec<ParentLayer>,
    _privileges: PrivilegeGuard,
}

impl Store {
    fn new(family: Family) -> Self {
        let _privileges = privileges();
        let platform = HostCompute::load(family).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().join("base");
        base_files(&base);
        platform.process_base_image(&base).unwrap();
        for made in ["blank-base.vhdx", "blank.vhdx", "layout", "Hives"] {
            assert!(base.join(made).exists(), "{made}");
        }
        let parents = vec![platform.parent(&base).unwrap()];
        Self {
            folder,
            platform,
            parents,
            _privileges,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An imported layer becomes the immediate parent.
    fn import(&mut self, name: &str) {
        let (layer, staging) = (self.path(name), self.path("staging"));
        transport(&staging);
        fs::create_dir(&layer).unwrap();
        let imported = self.platform.import_layer(&layer, &staging, &self.parents);
        imported.unwrap();
        // What the platform makes of it in the end is not looked at here.
        fs::create_dir_all(layer.join("Files")).unwrap();
        fs::remove_dir_all(&staging).unwrap();
        let parent = self.platform.parent(&layer).unwrap();
        self.parents.insert(0, parent);
    }

    /// Everything there is to do with layers and a scratch.
    fn life(&mut self) {
        let utility_vm = self.path(r"base\UtilityVM");
        self.platform.process_utility_image(&utility_vm).unwrap();
        assert!(utility_vm.join("SystemTemplate.vhdx").exists());
        self.import("layer");

        let scratch = self.path("scratch");
        let (platform, parents) = (&self.platform, &self.parents);
        platform.create_scratch(&scratch, parents).unwrap();
        assert!(scratch.join("sandbox.vhdx").exists());
        platform
            .expand_scratch(&scratch, 40 << 30, parents)
            .unwrap();

        let path = platform.mount(&scratch, parents).unwrap();
        assert_eq!(path, platform.mount_path(&scratch).unwrap());
        assert!(path.ends_with('\\'), "{path}");
        platform.unprepare(&scratch).unwrap();
        platform.deactivate(&scratch).unwrap();

        let export = self.path("export");
        fs::create_dir(&export).unwrap();
        platform.export_layer(&scratch, &export, parents).unwrap();
        let disk = scratch.join("sandbox.vhdx");
        let vm = "6b6e4b9a-4b5a-4b5e-8c1e-0123456789ab";
        platform.grant_vm_access(vm, &disk).unwrap();

        assert!(platform.layer_exists(&scratch).unwrap());
        platform.destroy_layer(&scratch).unwrap();
        assert!(!platform.layer_exists(&scratch).unwrap());
    }
}

/// The least a transport folder has.
fn transport(staging: &Path) {
    fs::create_dir_all(staging.join("Files")).unwrap();
    fs::write(staging.join("Files.$wcidirs$"), [0x10, 0, 0, 0]).unwrap();
}

#[test]
fn vmcompute_gets_what_it_wants() {
    with_doubles(
        "vmcompute_gets_what_it_wants",
        "",
        || Store::new(Family::VmCompute).life(),
        |doubles| {
            let story = doubles.story();
            assert_eq!(
                story,
                [
                    "ProcessBaseImage",
                    "ProcessUtilityImage",
                    "ImportLayer",
                    "CreateSandboxLayer",
                    "ExpandSandboxSize",
                    "OpenVirtualDisk",
                    "AttachVirtualDisk",
                    "GetLayerMountPath",
                    "GetLayerMountPath",
                    "DetachVirtualDisk",
                    "ActivateLayer",
                    "PrepareLayer",
                    "GetLayerMountPath",
                    "GetLayerMountPath",
                    "GetLayerMountPath",
                    "GetLayerMountPath",
                    "UnprepareLayer",
                    "DeactivateLayer",
                    "ExportLayer",
                    "GrantVmAccess",
                    "DestroyLayer",
                ]
            );
            // The length of the partition, and the volume grown to it.
            assert_eq!(doubles.calls_of("DeviceIoControl").len(), 2);
            let prepare = &doubles.calls_of("PrepareLayer")[0];
            let parents = prepare.parents();
            // Immediate parent first.
            assert!(parents[0].ends_with("layer") && parents[1].ends_with("base"));
            let lengths = doubles.calls_of("GetLayerMountPath");
            let asked: Vec<bool> = lengths
                .iter()
                .map(|call| call.flag("asks_length"))
                .collect();
            assert_eq!(asked, [true, false, true, false, true, false]);
        },
    );
}

#[test]
fn computestorage_gets_what_it_wants() {
    with_doubles(
        "computestorage_gets_what_it_wants",
        "",
        || Store::new(Family::ComputeStorage).life(),
        |doubles| {
            let story = doubles.story();
            for call in [
                "HcsFormatWritableLayerVhd",
                "HcsSetupBaseOSLayer",
                "HcsImportLayer",
                "HcsAttachLayerStorageFilter",
                "HcsDetachLayerStorageFilter",
                "HcsExportLayer",
                "HcsDestroyLayer",
            ] {
                assert!(story.iter().any(|name| name == call), "{call}: {story:?}");
            }
            for call in ["ImportLayer", "ProcessBaseImage", "PrepareLayer"] {
                assert!(!story.iter().any(|name| name == call), "{call}: {story:?}");
            }
            // The sequence of a base layer, then of a utility VM.
            assert_eq!(
                story[..9],
                [
                    "CreateVirtualDisk",
                    "HcsFormatWritableLayerVhd",
                    "HcsSetupBaseOSLayer",
                    "CreateVirtualDisk",
                    "CreateVirtualDisk",
                    "AttachVirtualDisk",
                    "HcsSetupBaseOSLayer",
                    "DetachVirtualDisk",
                    "CreateVirtualDisk",
                ]
            );
        },
    );
}

fn mount_one(expected: Result<(), u32>) {
    let store = Store::new(Family::VmCompute);
    let scratch = store.path("scratch");
    let (platform, parents) = (&store.platform, &store.parents);
    platform.create_scratch(&scratch, parents).unwrap();
    let mounted = platform.mount(&scratch, parents);
    let outcome = mounted.map(drop);
    assert_eq!(outcome.map_err(|error| error.win32().unwrap()), expected);
}

#[test]
fn a_late_disk_is_mounted_anew() {
    with_doubles(
        "a_late_disk_is_mounted_anew",
        "PrepareLayer=0x80070015@1",
        || mount_one(Ok(())),
        |doubles| {
            let story = doubles.story();
            let calls: Vec<&str> = story[2..].iter().map(String::as_str).collect();
            assert_eq!(
                calls[..5],
                [
                    "ActivateLayer",
                    "PrepareLayer",
                    "DeactivateLayer",
                    "ActivateLayer",
                    "PrepareLayer",
                ]
            );
        },
    );
}

#[test]
fn a_disk_that_never_comes_is_given_up_after_five_more_tries() {
    with_doubles(
        "a_disk_that_never_comes_is_given_up_after_five_more_tries",
        "PrepareLayer=0x8007048F",
        || mount_one(Err(1167)),
        |doubles| {
            assert_eq!(doubles.calls_of("PrepareLayer").len(), 6);
            assert_eq!(doubles.calls_of("ActivateLayer").len(), 6);
            assert_eq!(doubles.calls_of("DeactivateLayer").len(), 6);
        },
    );
}

#[test]
fn a_filter_in_the_way_is_not_waited_for() {
    with_doubles(
        "a_filter_in_the_way_is_not_waited_for",
        "PrepareLayer=0x80070001",
        || mount_one(Err(1)),
        |doubles| {
            assert_eq!(doubles.calls_of("PrepareLayer").len(), 1);
            assert_eq!(doubles.calls_of("DeactivateLayer").len(), 1);
        },
    );
}

#[test]
fn layers_are_prepared_one_at_a_time() {
    with_doubles(
        "layers_are_prepared_one_at_a_time",
        "",
        || {
            let store = Store::new(Family::VmCompute);
            let (platform, parents) = (&store.platform, &store.parents);
            thread::scope(|scope| {
                for number in 0..4 {
                    let scratch = store.path(&format!("scratch{number}"));
                    scope.spawn(move || {
                        platform.create_scratch(&scratch, parents).unwrap();
                        platform.mount(&scratch, parents).unwrap();
                    });
                }
            });
        },
        |doubles| assert_eq!(doubles.calls_of("PrepareLayer").len(), 4),
    );
}

#[test]
fn disks_are_made_attached_and_detached() {
    with_doubles(
        "disks_are_made_attached_and_detached",
        "",
        || {
            let folder = tempfile::tempdir().unwrap();
            let base = folder.path().join("base.vhdx");
            drop(VirtualDisk::create(&base, 1 << 30).unwrap());
            let child = folder.path().join("child.vhdx");
            drop(VirtualDisk::create_differencing(&child, &base).unwrap());

            let disk = VirtualDisk::open(&child).unwrap();
            disk.attach(AttachOptions {
                read_only: true,
                no_drive_letter: true,
                permanent: false,
            })
            .unwrap();
            assert!(!disk.physical_path().unwrap().as_os_str().is_empty());
            disk.detach().unwrap();
        },
        |_| {},
    );
}

#[test]
fn streams_are_written_read_and_released() {
    with_doubles(
        "streams_are_written_read_and_released",
        "",
        || {
            let _privileges = privileges();
            let folder = tempfile::tempdir().unwrap();
            let dir = Dir::open_ambient(folder.path()).unwrap();
            // A DATA record of two bytes, cut in its middle.
            let mut record = vec![1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            record.extend(b"hi");
            let object = dir.create_object("a", ObjectKind::File).unwrap();
            let mut writer = BackupWriter::new(object, true);
            writer.write_all(&record[..7]).unwrap();
            writer.write_all(&record[7..]).unwrap();
            assert_eq!(writer.finish().unwrap().path(), "a");

            // Given up in the middle: dropping releases the context too.
            let object = dir.create_object("b", ObjectKind::File).unwrap();
            let mut writer = BackupWriter::new(object, false);
            writer.write_all(&record).unwrap();
            drop(writer);

            // Nothing written, nothing to release.
            let object = dir.create_object("c", ObjectKind::Directory).unwrap();
            drop(BackupWriter::new(object, true).finish().unwrap());

            let object = dir.open_object("a", ObjectAccess::ReadBackup).unwrap();
            let mut reader = BackupReader::new(object, true);
            let mut stream = Vec::new();
            reader.read_to_end(&mut stream).unwrap();
            drop(reader.finish().unwrap());
            assert!(stream.ends_with(b"hi"), "{stream:?}");
        },
        |doubles| {
            let written = doubles.calls_of("BackupWrite");
            assert_eq!(written.len(), 2);
            for call in written {
                let stream = doubles.stream(&call);
                assert!(stream.starts_with(&[1, 0]) && stream.ends_with(b"hi"));
                assert_eq!(stream.len(), 22);
            }
        },
    );
}
