use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
};

use winlayer_image::{Image, PlatformChoice, Reference, SourceOptions};
use winlayer_metadata::{FileAttributes, FileTime, ReparseTag, Upcase};
use winlayer_tar::{LayerItem, LayerReader, LayerRole, ObjectKind, ReadOptions};

use super::*;

/// A written sample and its layers read back.
struct Sample {
    dir: tempfile::TempDir,
    image: Image,
}

fn sample_with(files: u64, bytes: u64) -> Sample {
    let dir = tempfile::tempdir().unwrap();
    let options = SampleOptions {
        files,
        bytes,
        ..SampleOptions::default()
    };
    let digest = write_sample(dir.path(), &options).unwrap();
    let reference = Reference::OciLayout {
        dir: dir.path().to_owned(),
        tag: Some("latest".to_owned()),
    };
    let platform = PlatformChoice {
        os: "windows".to_owned(),
        architecture: "amd64".to_owned(),
        os_version: None,
    };
    let options = SourceOptions {
        platform,
        ..SourceOptions::default()
    };
    let image = Image::resolve(&reference, &options).unwrap();
    assert_eq!(image.manifest_digest(), digest);
    Sample { dir, image }
}

fn sample() -> Sample {
    sample_with(0, 0)
}

impl Sample {
    /// The items of layer `index` (base 0) and what follows them.
    fn items(&self, index: usize) -> Vec<(LayerItem, Vec<u8>)> {
        let layer = &self.image.layers()[index];
        let role = if index == 0 {
            LayerRole::Base
        } else {
            LayerRole::Diff
        };
        let options = ReadOptions {
            role: Some(role),
            ..ReadOptions::default()
        };
        let blob = self.image.open_layer(layer, None).unwrap();
        let mut reader = LayerReader::open(blob, options);
        let mut items = Vec::new();
        while let Some(mut entry) = reader.next_entry().unwrap() {
            let mut body = Vec::new();
            io::Read::read_to_end(&mut entry.body, &mut body).unwrap();
            items.push((entry.item.clone(), body));
        }
        let summary = reader.finish().unwrap();
        assert_eq!(summary.diff_id, layer.diff_id);
        assert_eq!(summary.warnings, [""; 0]);
        items
    }

    /// Contents of the files of layer `index` by path.
    fn files(&self, index: usize) -> HashMap<String, Vec<u8>> {
        let file = |(item, body)| match item {
            LayerItem::Object(object) => Some((object.path.as_str().to_owned(), body)),
            _ => None,
        };
        self.items(index).into_iter().filter_map(file).collect()
    }

    #[cfg(target_os = "linux")]
    fn blob(&self, index: usize) -> PathBuf {
        let digest = self.image.layers()[index].digest.unwrap();
        self.dir.path().join("blobs/sha256").join(digest.hex())
    }
}

fn path(item: &LayerItem) -> Option<&str> {
    match item {
        LayerItem::Object(object) => Some(object.path.as_str()),
        LayerItem::HardLink(link) => Some(link.path.as_str()),
        LayerItem::Whiteout(path) | LayerItem::OpaqueWhiteout(path) => Some(path.as_str()),
        LayerItem::Stream(_) => None,
    }
}

/// Standard output of a tool the tests need.
#[cfg(target_os = "linux")]
fn run(program: &str, arguments: &[&std::ffi::OsStr]) -> String {
    let output = std::process::Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "cannot run {program} ({error}); install the test tools with `cargo xtask setup`"
            )
        });
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{program}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn files_below(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if entry.is_dir() {
            files.extend(files_below(&entry));
        } else {
            files.insert(entry.clone(), fs::read(entry).unwrap());
        }
    }
    files
}

#[test]
fn the_same_options_give_the_same_bytes() {
    let [a, b] = [sample_with(50, 500_000), sample_with(50, 500_000)].map(|sample| {
        let root = sample.dir.path().to_owned();
        let relative =
            |(path, bytes): (PathBuf, _)| (path.strip_prefix(&root).unwrap().to_owned(), bytes);
        files_below(&root)
            .into_iter()
            .map(relative)
            .collect::<BTreeMap<_, _>>()
    });
    assert!(a == b);
    assert_eq!(
        a.len(),
        2 + 3 + 2,
        "layout, index, three layers, config, manifest: {:?}",
        a.keys()
    );
}

/// Pins the image: a change here changes what every benchmark and every report compares with.
#[test]
fn the_sample_of_this_version_is_this_one() {
    let sample = sample();
    let diff_ids: Vec<String> = sample
        .image
        .layers()
        .iter()
        .map(|layer| layer.diff_id.hex()[..16].to_owned())
        .collect();
    assert_eq!(
        diff_ids,
        ["348c2da9a9b740de", "25c6e4e0f20d7be1", "3be82a8895c41fad"]
    );
}

#[test]
fn entries_come_in_the_exporters_order() {
    let sample = sample_with(30, 100_000);
    let mut below: HashSet<String> = HashSet::new();
    for index in 0..3 {
        let mut seen: HashSet<String> = HashSet::new();
        let mut last = Vec::new();
        let mut owner = false;
        for (item, _) in sample.items(index) {
            let Some(name) = path(&item) else {
                assert!(owner, "a stream without an object before it");
                continue;
            };
            owner = matches!(item, LayerItem::Object(_));
            let parts: Vec<String> = name.split('/').map(str::to_owned).collect();
            match &item {
                LayerItem::Whiteout(_) | LayerItem::OpaqueWhiteout(_) => {
                    let directory = match item {
                        LayerItem::OpaqueWhiteout(_) => &parts[..],
                        _ => &parts[..parts.len() - 1],
                    };
                    assert!(
                        last.starts_with(directory) && last.len() == directory.len(),
                        "{name} does not follow its directory but {last:?}"
                    );
                    continue;
                }
                LayerItem::HardLink(link) => {
                    let target = link.target.as_str();
                    let earlier = seen.contains(target);
                    assert!(
                        earlier || below.contains(target),
                        "{name} links to {target}"
                    );
                    assert!(
                        index > 0 || earlier,
                        "{name}: the base layer has nothing below"
                    );
                }
                _ => {}
            }
            assert!(last < parts, "{name} comes after {last:?}");
            if let Some((parent, _)) = name.rsplit_once('/') {
                assert!(seen.contains(parent), "{name} comes before its directory");
            }
            seen.insert(name.to_owned());
            last = parts;
        }
        below.extend(seen);
    }
}

#[test]
fn whiteouts_remove_what_is_there() {
    let sample = sample();
    let mut below: Vec<String> = Vec::new();
    for index in 0..3 {
        let items = sample.items(index);
        for (item, _) in &items {
            if let LayerItem::Whiteout(path) | LayerItem::OpaqueWhiteout(path) = item {
                let there = below.iter().any(|lower| Upcase::eq(lower, path.as_str()));
                let expected = !path.file_name().starts_with("never there");
                assert_eq!(there, expected, "{path:?}");
            }
        }
        below.extend(
            items
                .iter()
                .filter_map(|(item, _)| path(item))
                .map(str::to_owned),
        );
    }
}

#[test]
fn the_base_layer_carries_everything_a_layer_can() {
    let sample = sample();
    let items = sample.items(0);
    let objects: Vec<_> = items
        .iter()
        .filter_map(|(item, _)| match item {
            LayerItem::Object(object) => Some(object),
            _ => None,
        })
        .collect();
    let link_count = |tag: ReparseTag, is_directory: bool| {
        objects
            .iter()
            .filter(|object| {
                matches!(&object.kind, ObjectKind::Link { reparse, directory }
                    if reparse.tag() == tag && *directory == is_directory)
            })
            .count()
    };
    assert!(link_count(ReparseTag::SYMLINK, false) >= 4);
    assert!(link_count(ReparseTag::SYMLINK, true) >= 5);
    assert!(link_count(ReparseTag::MOUNT_POINT, true) >= 4);

    let with = |flag| {
        objects
            .iter()
            .filter(|o| o.metadata.attributes.contains(flag))
            .count()
    };
    for flag in [
        FileAttributes::HIDDEN,
        FileAttributes::SYSTEM,
        FileAttributes::READONLY,
    ] {
        assert!(with(flag) > 1);
    }
    assert!(
        objects
            .iter()
            .any(|o| o.metadata.times.written < FileTime::UNIX_EPOCH)
    );
    assert!(objects.iter().any(|o| o.path.as_str().len() > 1024));
    assert!(
        objects
            .iter()
            .any(|o| o.path.as_str().chars().any(|c| c > '\u{FFFF}'))
    );
    assert!(
        objects
            .iter()
            .any(|o| !o.metadata.extended_attributes.is_empty())
    );
    assert!(
        objects
            .iter()
            .filter(|o| o.metadata.security.is_none())
            .count()
            <= 2
    );
    let owner = objects[0]
        .metadata
        .security
        .as_ref()
        .and_then(|sd| sd.owner())
        .unwrap();
    assert_eq!(owner.to_string(), descriptors::TRUSTED_INSTALLER);

    let hard_links = items
        .iter()
        .filter(|(item, _)| matches!(item, LayerItem::HardLink(_)));
    assert_eq!(hard_links.count(), 6);
    let stream_owners = items.windows(2).filter_map(|pair| match pair {
        [(LayerItem::Object(owner), _), (LayerItem::Stream(_), _)] => Some(&owner.kind),
        _ => None,
    });
    assert!(
        stream_owners
            .clone()
            .any(|kind| *kind == ObjectKind::Directory)
    );
    assert!(
        stream_owners
            .clone()
            .any(|kind| *kind == ObjectKind::File { size: 0 })
    );
}

#[test]
fn extra_files_have_the_total_size_asked_for() {
    let sample = sample_with(100, 1_234_567);
    let files = sample.files(0);
    let bulk: Vec<u64> = files
        .iter()
        .filter(|(name, _)| name.contains("/bulk"))
        .map(|(_, content)| content.len() as u64)
        .collect();
    assert_eq!((bulk.len(), bulk.iter().sum::<u64>()), (100, 1_234_567));
}

#[test]
fn the_config_names_platform_entrypoint_and_history() {
    let sample = sample();
    let config = sample.image.config_json();
    assert_eq!(
        sample.image.platform().os_version.as_deref(),
        Some("10.0.20348.2113")
    );
    assert_eq!(config["created"], "2024-02-29T12:00:00Z");
    assert_eq!(config["os"], "windows");
    assert_eq!(
        config["config"]["Entrypoint"][0],
        r"C:\app\winlayer-sample.exe"
    );
    let history = config["history"].as_array().unwrap();
    let with_layer = history
        .iter()
        .filter(|entry| entry["empty_layer"] != true)
        .count();
    assert_eq!((with_layer, history.len()), (3, 4));
}

// The programs it asks are Debian's.
#[cfg(target_os = "linux")]
#[test]
fn bsdtar_lists_every_layer() {
    let sample = sample();
    for (index, member) in [
        "Files/Windows/System32/config/SOFTWARE",
        "Hives/Software_Delta",
        "Files/app/winlayer-sample.exe",
    ]
    .into_iter()
    .enumerate()
    {
        let listing = run("bsdtar", &["-tf".as_ref(), sample.blob(index).as_ref()]);
        assert!(listing.lines().any(|line| line == member), "{listing}");
    }
}

// The programs it asks are Debian's.
#[cfg(target_os = "linux")]
#[test]
fn every_full_hive_is_read_by_libhivex() {
    let sample = sample();
    let dir = tempfile::tempdir().unwrap();
    let mut hives = 0;
    for (name, content) in sample.files(0) {
        if !content.starts_with(b"regf") {
            continue;
        }
        let file = dir.path().join("hive");
        fs::write(&file, content).unwrap();
        assert!(
            run("hivexml", &[file.as_ref()]).contains("root=\"1\""),
            "{name}"
        );
        run("reglookup", &[file.as_ref()]);
        hives += 1;
    }
    assert_eq!(
        hives,
        5 + 1 + 1 + 5,
        "config, NTUSER.DAT, BCD, and the utility VM's config"
    );
}

// The programs it asks are Debian's.
#[cfg(target_os = "linux")]
#[test]
fn the_hives_say_which_windows_this_is() {
    let sample = sample();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("SOFTWARE");
    let write = |index: usize, name: &str| fs::write(&file, &sample.files(index)[name]).unwrap();
    let get = |value: &str| {
        let key = r"\Microsoft\Windows NT\CurrentVersion";
        run("hivexget", &[file.as_ref(), key.as_ref(), value.as_ref()])
            .trim_end()
            .to_owned()
    };
    write(0, "Files/Windows/System32/config/SOFTWARE");
    assert_eq!(get("CurrentBuild"), "20348");
    assert_eq!(get("ProductName"), "Windows Server 2022 Datacenter");
    assert_eq!(get("UBR"), BASE_REVISION.to_string());
    // The update's delta holds a value tombstone, which libhivex does not know.
    write(1, "Hives/Software_Delta");
    let listing = run("reglookup", &[file.as_ref()]);
    assert!(
        listing.contains(
            &format!("CurrentVersion/UBR,DWORD,{FINAL_REVISION:#010X}").replace("0X", "0x")
        ),
        "{listing}"
    );
    assert!(
        sample
            .image
            .platform()
            .os_version
            .as_ref()
            .unwrap()
            .ends_with(&FINAL_REVISION.to_string())
    );
}

// The programs it asks are Debian's.
#[cfg(target_os = "linux")]
#[test]
fn the_boot_configuration_names_the_boot_manager() {
    let sample = sample();
    let files = sample.files(0);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("BCD");
    fs::write(&file, &files["UtilityVM/Files/EFI/Microsoft/Boot/BCD"]).unwrap();
    let key = r"\Objects\{9dea862c-5cdd-4e70-acc1-f32b344d4795}\Elements\12000002";
    let path = run(
        "hivexget",
        &[file.as_ref(), key.as_ref(), "Element".as_ref()],
    );
    let name = format!("UtilityVM/Files{}", path.trim_end().replace('\\', "/"));
    assert!(files[&name].starts_with(b"MZ"), "{name}");
}

#[test]
fn a_directory_that_cannot_be_written_is_one_clear_error() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = write_sample(file.path(), &SampleOptions::default()).unwrap_err();
    assert!(error.to_string().contains("cannot"), "{error}");
}
