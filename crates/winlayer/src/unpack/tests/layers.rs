//! What becomes of the entries of a layer, and which layers are refused.

use super::*;
use crate::testing::opaque;

#[cfg(unix)]
#[test]
fn hard_links_go_to_the_nearest_layer_that_has_the_target() {
    let middle = vec![
        dir("Files"),
        dir("Files/Data"),
        file("Files/Data/a", "newer"),
    ];
    let upper = vec![
        dir("Files"),
        hard_link("Files/1", "Files/DATA/A"),
        hard_link("Files/2", "Files/Data/b"),
        hard_link("Files/3", "Files/2"),
    ];
    let place = Place::new();
    let unpacked = place.unpack(&[base(), middle, upper]).unwrap();
    let [top, middle, base] = [0, 1, 2].map(|index| unpacked.chain[index].path.clone());
    assert_eq!(
        inode(top.join("Files/1")),
        inode(middle.join("Files/Data/a"))
    );
    assert_eq!(inode(top.join("Files/2")), inode(base.join("Files/Data/b")));
    assert_eq!(inode(top.join("Files/3")), inode(base.join("Files/Data/b")));
    let store = LayerStore::open(&place.store()).unwrap();
    let record = store
        .layer_record(unpacked.chain[0].id.parse().unwrap())
        .unwrap();
    let links: Vec<_> = record
        .hard_links
        .iter()
        .map(|link| {
            (
                &*link.path,
                &*link.target,
                link.found_in == unpacked.chain[0].id,
            )
        })
        .collect();
    let expected = [
        ("Files/1", "Files/Data/a", false),
        ("Files/2", "Files/Data/b", false),
        ("Files/3", "Files/2", true),
    ];
    assert_eq!(links, expected);
    verify_store(&place.store()).unwrap();
}

#[test]
fn refuses_hard_links_without_a_proper_target() {
    let link = |target| vec![dir("Files"), hard_link("Files/l", target)];
    refused(
        link("Files/none"),
        ErrorKind::Unsafe,
        "neither earlier in this layer nor in one below",
    );
    refused(link("Files/Data"), ErrorKind::Unsafe, "is a directory");
    refused(link("Files/Link"), ErrorKind::Unsafe, "is a directory");
    refused(
        link("Files/Link/x"),
        ErrorKind::Unsafe,
        "behind \"Files/Link\", a link",
    );
    refused(
        link("Files/Data/a/x"),
        ErrorKind::Unsafe,
        "behind \"Files/Data/a\", a file",
    );
    let later = vec![
        dir("Files"),
        hard_link("Files/l", "Files/x"),
        file("Files/x", ""),
    ];
    refused(later, ErrorKind::Unsafe, "neither earlier");
}

#[test]
fn refuses_a_hard_link_to_what_a_layer_in_between_deleted() {
    let middle = vec![dir("Files"), whiteout("Files/data")];
    let upper = vec![dir("Files"), hard_link("Files/l", "Files/Data/a")];
    let place = Place::new();
    let error = place.unpack(&[base(), middle, upper]).unwrap_err();
    assert!(messages(&error).contains("neither earlier in this layer nor in one below"));
}

#[test]
fn refuses_to_reach_through_a_link_of_a_layer_below() {
    refused(
        vec![file("Files/Link/x", "")],
        ErrorKind::Unsafe,
        "\"Files/Link\" is a link",
    );
    refused(
        vec![file("Files/LINK/d/x", "")],
        ErrorKind::Unsafe,
        "\"Files/Link\" is a link",
    );
    refused(
        vec![whiteout("Files/link/x")],
        ErrorKind::Unsafe,
        "behind \"Files/Link\", which is a link",
    );
    refused(
        vec![opaque("Files/Link/x")],
        ErrorKind::Unsafe,
        "behind \"Files/Link\", which is a link",
    );
    refused(
        vec![file("Files/Data/a/x", "")],
        ErrorKind::Unsafe,
        "\"Files/Data/a\" is a file",
    );
}

#[test]
fn refuses_an_opaque_whiteout_of_what_is_no_directory_below() {
    for (directory, kind) in [("Link", "a link"), ("Data/a", "a file")] {
        refused(
            vec![opaque(&format!("Files/{directory}"))],
            ErrorKind::Unsafe,
            &format!("\"Files/{directory}\", which is {kind}"),
        );
    }
}

#[test]
fn refuses_to_reach_through_a_link_or_a_file_of_the_utility_vm_below() {
    let base = || {
        let link = vec![junction("UtilityVM/Files/link")];
        [base(), utility_vm(), link].concat()
    };
    for (hostile, says) in [
        (file("UtilityVM/Files/LINK/x", ""), "is a link"),
        (file("UtilityVM/Files/ntdll.dll/x", ""), "is a file"),
        (whiteout("UtilityVM/Files/link/x"), "is a link"),
        (opaque("UtilityVM/Files/link"), "is a link"),
        (opaque("UtilityVM/Files/ntdll.dll"), "is a file"),
    ] {
        let upper = vec![
            dir("Files"),
            dir("UtilityVM"),
            dir("UtilityVM/Files"),
            hostile,
        ];
        let error = Place::new().unpack(&[base(), upper]).unwrap_err();
        let text = messages(&error);
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{text}");
        assert!(text.contains(says), "{text}");
    }
}

#[test]
fn what_a_layer_replaces_or_removes_below_is_not_in_its_way() {
    let replaced = vec![
        dir("Files"),
        whiteout("Files/Link/gone"),
        opaque("Files/Link"),
        dir("Files/Link"),
    ];
    let removed = vec![
        dir("Files"),
        whiteout("Files/LINK"),
        file("Files/Link/x", ""),
    ];
    for upper in [replaced, removed] {
        let place = Place::new();
        place.unpack(&[base(), upper]).unwrap();
        verify_store(&place.store()).unwrap();
    }
}

#[test]
fn a_directory_may_take_the_place_of_a_link() {
    let upper = vec![dir("Files"), dir("Files/Link"), file("Files/Link/x", "")];
    let place = Place::new();
    place
        .unpack(&[base(), upper, vec![file("Files/Link/y", "")]])
        .unwrap();
}

#[test]
fn refuses_a_whiteout_in_a_base_layer() {
    let place = Place::new();
    let error = place
        .unpack(&[vec![dir("Files"), whiteout("Files/x")]])
        .unwrap_err();
    assert!(matches!(
        error.kind(),
        ErrorKind::Unsafe | ErrorKind::Verification
    ));
    assert!(messages(&error).starts_with("layer 1 of 1"));
}

#[test]
fn whiteouts_become_tombstones_of_what_is_not_made_anew() {
    let upper = vec![
        dir("Files"),
        whiteout("Files/Windows/win.ini"),
        whiteout("Files/Data"),
        dir("Files/Data"),
        dir("Files/Data/SUB"),
        file("Files/Data/A", "new"),
        whiteout("Files/never/was"),
        whiteout("Files/Link"),
        file("Files/Link", "new"),
    ];
    let (_place, unpacked) = unpack_somewhere(&[base(), upper]);
    let expected = [
        r"\Data\b",
        r"\Data\sub\c",
        r"\Windows\win.ini",
        r"\never\was",
    ];
    assert_eq!(tombstones(&unpacked), expected);
}

#[test]
fn an_opaque_directory_hides_the_layers_below_in_any_order() {
    let middle = vec![dir("Files"), dir("Files/Data"), file("Files/Data/m", "")];
    let upper = vec![
        file("Files/Data/a", ""),
        opaque("Files/Data"),
        file("Files/Data/n", ""),
    ];
    let place = Place::new();
    let unpacked = place.unpack(&[base(), middle.clone(), upper]).unwrap();
    assert_eq!(
        tombstones(&unpacked),
        [r"\Data\b", r"\Data\m", r"\Data\sub"]
    );
    // What the middle layer already deleted is not listed again.
    let middle = [middle, vec![whiteout("Files/Data/b")]].concat();
    let (_place, unpacked) = unpack_somewhere(&[base(), middle, vec![opaque("Files/Data")]]);
    assert_eq!(
        tombstones(&unpacked),
        [r"\Data\a", r"\Data\m", r"\Data\sub"]
    );
}

#[test]
fn names_follow_the_spelling_of_their_directory() {
    let place = Place::new();
    let unpacked = place
        .unpack(&[vec![
            dir("Files"),
            dir("Files/Dir"),
            file("Files/DIR/x", ""),
        ]])
        .unwrap();
    assert!(top(&unpacked).join("Files/Dir/x").is_file());
    refused(
        vec![file("Files/x", ""), file("Files/X", "")],
        ErrorKind::Unsafe,
        "same object",
    );
}

#[cfg(unix)]
#[test]
fn a_directory_without_an_entry_is_the_one_below_or_a_plain_one() {
    let place = Place::new();
    let unpacked = place
        .unpack(&[base(), vec![file("Files/Data/new/x", "")]])
        .unwrap();
    let [top, base] = [0, 1].map(|index| unpacked.chain[index].path.clone());
    let sidecar = "Files/Data.$wcidirs$";
    assert_eq!(inode(top.join(sidecar)), inode(base.join(sidecar)));
    assert_eq!(
        fs::read(top.join("Files/Data/new.$wcidirs$")).unwrap(),
        [0x10, 0, 0, 0]
    );
    assert_eq!(unpacked.warnings.len(), 1);
    let warning = &unpacked.warnings[0];
    assert!(warning.starts_with("layer 2 of 2"), "{warning}");
    let says = "3 directories have no entry and got the metadata of the layers below (2) or default metadata (1)";
    assert!(warning.contains(says), "{warning}");
    verify_store(&place.store()).unwrap();
}

#[cfg(unix)]
#[test]
fn a_utility_vm_that_is_changed_is_complete() {
    let boot = "UtilityVM/Files/EFI/Microsoft/Boot";
    let middle = vec![dir("Files")];
    let upper = vec![
        dir("Files"),
        dir("UtilityVM"),
        dir("UtilityVM/Files"),
        dir("UtilityVM/Files/efi"),
        file("UtilityVM/Files/efi/new.txt", "new"),
        whiteout("UtilityVM/Files/ntdll.dll"),
        hard_link("UtilityVM/Files/manager", &format!("{boot}/bootmgfw.efi")),
    ];
    let place = Place::new();
    let lower = [base(), utility_vm()].concat();
    let unpacked = place.unpack(&[lower, middle, upper]).unwrap();
    let [top, base] = [0, 2].map(|index| unpacked.chain[index].path.clone());
    let ours = |name: &str| top.join("UtilityVM/Files").join(name);
    let theirs = |name: &str| base.join("UtilityVM/Files").join(name);
    let manager = "Microsoft/Boot/bootmgfw.efi";
    assert_eq!(
        inode(ours(&format!("efi/{manager}"))),
        inode(theirs(&format!("EFI/{manager}")))
    );
    assert_eq!(
        inode(ours("manager")),
        inode(theirs(&format!("EFI/{manager}")))
    );
    let bcd = "Microsoft/Boot/BCD";
    assert_ne!(
        inode(ours(&format!("efi/{bcd}"))),
        inode(theirs(&format!("EFI/{bcd}")))
    );
    assert_eq!(
        fs::read(ours(&format!("efi/{bcd}"))).unwrap(),
        fs::read(theirs(&format!("EFI/{bcd}"))).unwrap()
    );
    assert!(!ours("ntdll.dll").exists() && theirs("ntdll.dll").exists());
    assert!(!ours("EFI").exists());
    assert_eq!(
        fs::read(base.join("bcd.bak")).unwrap(),
        b"boot configuration"
    );
    assert!(
        !top.join("bcd.bak").exists(),
        "the tar of this layer has no BCD"
    );
    let uvm = unpacked.uvm.unwrap();
    assert_eq!(uvm.uvm_layer_dir, top);
    assert_eq!(uvm.system_template_vhdx, None);
    verify_store(&place.store()).unwrap();
}

#[test]
fn a_whiteout_of_nothing_in_the_utility_vm_is_an_error() {
    let place = Place::new();
    let lower = [base(), utility_vm()].concat();
    let upper = vec![
        dir("UtilityVM"),
        dir("UtilityVM/Files"),
        whiteout("UtilityVM/Files/nothing"),
    ];
    let error = place.unpack(&[lower, upper]).unwrap_err();
    assert!(
        messages(&error).contains("the utility VM below does not have"),
        "{error:?}"
    );
}

#[test]
fn hives_are_plain_files() {
    let upper = vec![
        dir("Files"),
        dir("Hives"),
        file("Hives/System_Delta", "regf"),
    ];
    let (_place, unpacked) = unpack_somewhere(&[base(), upper]);
    assert_eq!(
        fs::read(top(&unpacked).join("Hives/System_Delta")).unwrap(),
        b"regf"
    );
    assert!(top(&unpacked).join("Hives.$wcidirs$").is_file());
}

#[test]
fn a_directory_made_anew_has_nothing_of_the_removed_one() {
    let upper = vec![
        whiteout("Files/Data"),
        file("Files/Data/sub/new", ""),
        whiteout("Files/Link"),
        file("Files/Link/x", "no longer behind a link"),
    ];
    let (_place, unpacked) = unpack_somewhere(&[base(), upper]);
    let top = &unpacked.chain[0].path;
    for directory in ["Files/Data", "Files/Data/sub", "Files/Link"] {
        let sidecar = fs::metadata(top.join(format!("{directory}.$wcidirs$"))).unwrap();
        let written = sidecar.modified().unwrap();
        assert_eq!(written, std::time::UNIX_EPOCH, "{directory}");
    }
    let tombstones = fs::read_to_string(top.join("tombstones.txt")).unwrap();
    assert!(tombstones.contains("\\Data\\a\n"), "{tombstones}");
    assert!(tombstones.contains("\\Data\\sub\\c\n"), "{tombstones}");
}

#[test]
fn a_directory_may_lie_where_its_new_parent_replaces_a_file() {
    let upper = vec![
        dir("Files"),
        dir("Files/Data"),
        dir("Files/Data/a"),
        file("Files/Data/a/x/y", ""),
    ];
    let (_place, unpacked) = unpack_somewhere(&[base(), upper]);
    assert!(
        unpacked.chain[0]
            .path
            .join("Files/Data/a/x.$wcidirs$")
            .exists()
    );
}

#[test]
fn a_utility_vm_with_directories_without_entries_can_be_completed() {
    let roots = || vec![dir("Files"), dir("UtilityVM"), dir("UtilityVM/Files")];
    let base = [roots(), vec![file("UtilityVM/Files/EFI/x", "")]].concat();
    let (place, unpacked) = unpack_somewhere(&[base, roots()]);
    let top = &unpacked.chain[0].path;
    assert!(top.join("UtilityVM/Files/EFI.$wcidirs$").exists());
    verify_store(&place.store()).unwrap();
}

#[test]
fn refuses_to_reach_through_a_link_of_the_utility_vm_below() {
    let roots = || vec![dir("Files"), dir("UtilityVM"), dir("UtilityVM/Files")];
    let base = [roots(), vec![junction("UtilityVM/Files/l")]].concat();
    let upper = [roots(), vec![file("UtilityVM/Files/l/x", "")]].concat();
    let error = Place::new().unpack(&[base, upper]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsafe);
    assert!(messages(&error).contains("is a link in a layer below"));
}

#[test]
fn the_index_has_what_a_hive_cannot_keep() {
    let mut delta = metadata(0x20);
    delta.security = Some(std::sync::Arc::new(
        SecurityDescriptor::from_sddl("O:BAG:BA").unwrap(),
    ));
    let hive = object(
        "Hives/System_Delta",
        ObjectKind::File { size: 4 },
        delta,
        b"regf",
    );
    let (_place, unpacked) = unpack_somewhere(&[base(), vec![dir("Files"), dir("Hives"), hive]]);
    let index = fs::read_to_string(unpacked.chain[0].path.join("layer-index.jsonl")).unwrap();
    let line = index.lines().find(|line| line.contains("System_Delta"));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    let base_64 = "AQAAgBQAAAAkAAAAAAAAAAAAAAABAgAAAAAABSAAAAAgAgAAAQIAAAAAAAUgAAAAIAIAAA==";
    assert_eq!(line["security"], base_64, "{line}");
}
