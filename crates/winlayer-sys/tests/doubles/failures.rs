//! Calls that fail: the error tells which, on what and what that means, and nothing half-made stays.

use super::*;

/// The call failed for an object of that name, and the error says what its code means.
#[track_caller]
fn failed(result: Result<(), PlatformError>, call: &str, name: &str, meaning: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.call(), call, "{error}");
    assert!(error.path().ends_with(name), "{error}");
    assert!(error.meaning().unwrap().starts_with(meaning), "{error}");
}

#[test]
fn a_failed_import_names_the_call_and_the_layer() {
    with_doubles(
        "failures::a_failed_import_names_the_call_and_the_layer",
        "ImportLayer=0x80070003",
        || {
            let store = Store::new(Family::VmCompute);
            let (layer, staging) = (store.path("layer"), store.path("staging"));
            fs::create_dir(&layer).unwrap();
            transport(&staging);
            let import = store
                .platform
                .import_layer(&layer, &staging, &store.parents);
            let error = import.unwrap_err();
            assert_eq!((error.call(), error.win32()), ("ImportLayer", Some(3)));
            assert!(error.path().ends_with("layer"));
            assert!(error.remedy().unwrap().contains("do not move"), "{error}");
        },
        |_| {},
    );
}

/// Each fails the first time; the next time, nothing is in its way.
#[test]
fn the_newer_functions_name_the_call_and_the_layer() {
    with_doubles(
        "failures::the_newer_functions_name_the_call_and_the_layer",
        "HcsGetLayerVhdMountPath=0x80070490@1;HcsAttachLayerStorageFilter=0x80070001@1;\
         HcsDetachLayerStorageFilter=0x80370105@1;HcsExportLayer=0x80070003@1;\
         HcsDestroyLayer=0x80070020@1;GrantVmAccess=0x80070005@1",
        || {
            let store = Store::new(Family::ComputeStorage);
            let (platform, parents) = (&store.platform, &store.parents);
            let (scratch, disk) = (store.path("scratch"), store.path(r"scratch\sandbox.vhdx"));
            platform.create_scratch(&scratch, parents).unwrap();

            let mount = || platform.mount(&scratch, parents).map(drop);
            let unmounted = "the layer is not mounted";
            failed(
                mount(),
                "HcsGetLayerVhdMountPath",
                "sandbox.vhdx",
                unmounted,
            );
            let filter = "a file-system filter driver";
            failed(mount(), "HcsAttachLayerStorageFilter", "scratch", filter);
            mount().unwrap();

            let unprepare = || platform.unprepare(&scratch);
            let state = "not possible in the state it is in";
            failed(unprepare(), "HcsDetachLayerStorageFilter", "scratch", state);
            unprepare().unwrap();
            platform.deactivate(&scratch).unwrap();

            let folder = store.path("export");
            fs::create_dir(&folder).unwrap();
            let export = || platform.export_layer(&scratch, &folder, parents);
            let parent = "a parent layer is not where it was finished";
            failed(export(), "HcsExportLayer", "scratch", parent);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
            export().unwrap();

            let vm = "6b6e4b9a-4b5a-4b5e-8c1e-0123456789ab";
            let grant = || platform.grant_vm_access(vm, &disk);
            let denied = "access denied: the file's permissions may not be changed";
            failed(grant(), "GrantVmAccess", "sandbox.vhdx", denied);
            grant().unwrap();

            let destroy = || platform.destroy_layer(&scratch);
            let open = "another process has the file open";
            failed(destroy(), "HcsDestroyLayer", "scratch", open);
            assert!(disk.exists());
            destroy().unwrap();
            assert!(!scratch.exists());
        },
        |_| {},
    );
}

#[test]
fn a_disk_that_is_not_opened_or_detached_is_named() {
    with_doubles(
        "failures::a_disk_that_is_not_opened_or_detached_is_named",
        "OpenVirtualDisk=32@1;DetachVirtualDisk=32@1",
        || {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("disk.vhdx");
            drop(VirtualDisk::create(&path, 1 << 30).unwrap());
            let in_use = "the virtual disk is still mounted or in use";
            let open = || VirtualDisk::open(&path);
            failed(open().map(drop), "OpenVirtualDisk", "disk.vhdx", in_use);

            let disk = open().unwrap();
            disk.attach(AttachOptions::default()).unwrap();
            failed(disk.detach(), "DetachVirtualDisk", "disk.vhdx", in_use);
            disk.detach().unwrap();
            disk.attach(AttachOptions::default()).unwrap();
        },
        |_| {},
    );
}

#[test]
fn what_server_2019_does_not_detach_the_older_call_does() {
    with_doubles(
        "failures::what_server_2019_does_not_detach_the_older_call_does",
        "DetachVirtualDisk=87",
        || {
            let store = Store::new(Family::ComputeStorage);
            let scratch = store.path("scratch");
            let platform = &store.platform;
            platform.create_scratch(&scratch, &store.parents).unwrap();
            platform.activate(&scratch).unwrap();
            platform.deactivate(&scratch).unwrap();
        },
        |doubles| {
            let story = doubles.story();
            assert!(
                story.ends_with(&["DetachVirtualDisk".into(), "DeactivateLayer".into()]),
                "{story:?}"
            );
        },
    );
}

#[test]
fn disks_of_a_base_layer_that_failed_are_removed() {
    with_doubles(
        "failures::disks_of_a_base_layer_that_failed_are_removed",
        "HcsSetupBaseOSLayer=0x80070005",
        || {
            let _privileges = privileges();
            let platform = HostCompute::load(Family::ComputeStorage).unwrap();
            let folder = tempfile::tempdir().unwrap();
            base_files(folder.path());
            let error = platform.process_base_image(folder.path()).unwrap_err();
            assert_eq!(error.call(), "HcsSetupBaseOSLayer");
            assert!(!folder.path().join("blank-base.vhdx").exists());

            let utility_vm = folder.path().join("UtilityVM");
            let error = platform.process_utility_image(&utility_vm).unwrap_err();
            assert_eq!(error.win32(), Some(5));
            assert!(!utility_vm.join("SystemTemplateBase.vhdx").exists());
        },
        |_| {},
    );
}

#[test]
fn disks_of_a_utility_vm_that_stay_attached_are_removed() {
    with_doubles(
        "failures::disks_of_a_utility_vm_that_stay_attached_are_removed",
        "DetachVirtualDisk=32",
        || {
            let _privileges = privileges();
            let platform = HostCompute::load(Family::ComputeStorage).unwrap();
            let folder = tempfile::tempdir().unwrap();
            base_files(folder.path());
            let utility_vm = folder.path().join("UtilityVM");
            let processed = platform.process_utility_image(&utility_vm);
            let in_use = "the virtual disk is still mounted or in use";
            failed(
                processed,
                "DetachVirtualDisk",
                "SystemTemplateBase.vhdx",
                in_use,
            );
            for disk in ["SystemTemplateBase.vhdx", "SystemTemplate.vhdx"] {
                assert!(!utility_vm.join(disk).exists(), "{disk}");
            }
        },
        |_| {},
    );
}

#[test]
fn a_failed_stream_names_the_object() {
    with_doubles(
        "failures::a_failed_stream_names_the_object",
        "BackupWrite=0x8007000D",
        || {
            let _privileges = privileges();
            let folder = tempfile::tempdir().unwrap();
            let dir = Dir::open_ambient(folder.path()).unwrap();
            let object = dir.create_object("a", ObjectKind::File).unwrap();
            let mut writer = BackupWriter::new(object, true);
            let error = writer.write_all(&[0; 20]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let error = error.downcast::<PlatformError>().unwrap();
            assert_eq!((error.call(), error.win32()), ("BackupWrite", Some(13)));
            assert!(error.path().ends_with("a"), "{error}");
        },
        |_| {},
    );
}
