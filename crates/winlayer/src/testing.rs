//! Small images for the tests of this crate.

use std::{fs, path::Path};

use winlayer_digest::{DiffId, Digest};
use winlayer_image::{Image, OciLayoutWriter, Platform, PlatformChoice, Reference, SourceOptions};
use winlayer_metadata::{FileAttributes, FileTime, FileTimes, ReparsePoint};
use winlayer_tar::{
    AlternateStream, HardLink, LayerItem, LayerPath, LayerTarWriter, Metadata, Object, ObjectKind,
};

/// An entry and its body.
pub(crate) type Item = (LayerItem, Vec<u8>);

/// 2020-01-01T00:00:00.1234567Z, the time of the golden vectors.
const TIME: FileTime = FileTime::from_ticks(132_223_104_001_234_567);

pub(crate) fn metadata(attributes: u32) -> Metadata {
    let times = FileTimes {
        created: TIME,
        accessed: TIME,
        written: TIME,
        changed: TIME,
    };
    let attributes = FileAttributes::from_bits_retain(attributes);
    Metadata {
        attributes,
        times,
        ..Metadata::default()
    }
}

pub(crate) fn path(name: &str) -> LayerPath {
    LayerPath::parse(name).unwrap()
}

pub(crate) fn object(name: &str, kind: ObjectKind, metadata: Metadata, body: &[u8]) -> Item {
    (
        LayerItem::Object(Object {
            path: path(name),
            kind,
            metadata,
        }),
        body.to_vec(),
    )
}

pub(crate) fn dir(name: &str) -> Item {
    object(name, ObjectKind::Directory, metadata(0x10), b"")
}

pub(crate) fn file(name: &str, body: impl AsRef<[u8]>) -> Item {
    let body = body.as_ref();
    let kind = ObjectKind::File {
        size: body.len() as u64,
    };
    object(name, kind, metadata(0x20), body)
}

/// A junction.
pub(crate) fn junction(name: &str) -> Item {
    let reparse = ReparsePoint::mount_point(r"C:\a").unwrap();
    object(
        name,
        ObjectKind::Link {
            reparse,
            directory: true,
        },
        metadata(0x410),
        b"",
    )
}

pub(crate) fn stream(name: &str, body: &str) -> Item {
    let stream = AlternateStream {
        name: name.into(),
        size: body.len() as u64,
    };
    (LayerItem::Stream(stream), body.into())
}

pub(crate) fn hard_link(name: &str, target: &str) -> Item {
    let (path, target) = (path(name), path(target));
    (
        LayerItem::HardLink(HardLink {
            path,
            target,
            metadata: metadata(0x20),
        }),
        Vec::new(),
    )
}

pub(crate) fn whiteout(name: &str) -> Item {
    (LayerItem::Whiteout(path(name)), Vec::new())
}

pub(crate) fn opaque(name: &str) -> Item {
    (LayerItem::OpaqueWhiteout(path(name)), Vec::new())
}

/// A small utility VM that boots.
pub(crate) fn utility_vm() -> Vec<Item> {
    let boot = "UtilityVM/Files/EFI/Microsoft/Boot";
    vec![
        dir("UtilityVM"),
        dir("UtilityVM/Files"),
        dir("UtilityVM/Files/EFI"),
        dir("UtilityVM/Files/EFI/Microsoft"),
        dir(boot),
        file(&format!("{boot}/bootmgfw.efi"), "boot manager"),
        file(&format!("{boot}/BCD"), "boot configuration"),
        file("UtilityVM/Files/ntdll.dll", "code"),
    ]
}

pub(crate) fn tar(items: &[Item]) -> Vec<u8> {
    let mut writer = LayerTarWriter::new(Vec::new());
    for (item, body) in items {
        writer.item(item).unwrap();
        std::io::Write::write_all(&mut writer, body).unwrap();
    }
    writer.finish().unwrap()
}

/// An OCI layout of these layers, base first.
pub(crate) fn image(folder: &Path, layers: &[Vec<Item>]) -> Image {
    let tars: Vec<Vec<u8>> = layers.iter().map(|items| tar(items)).collect();
    let diff_ids: Vec<DiffId> = tars
        .iter()
        .map(|tar| DiffId::new(Digest::of(tar)))
        .collect();
    image_of_tars(folder, &tars, &diff_ids)
}

pub(crate) fn image_of_tars(folder: &Path, tars: &[Vec<u8>], diff_ids: &[DiffId]) -> Image {
    let mut writer = OciLayoutWriter::create(folder).unwrap();
    let media_type = "application/vnd.oci.image.layer.v1.tar";
    let layers: Vec<_> = tars
        .iter()
        .zip(diff_ids)
        .map(|(tar, diff_id)| {
            let digest = writer.add_blob(tar).unwrap();
            (media_type.to_owned(), digest, tar.len() as u64, *diff_id)
        })
        .collect();
    let platform = Platform {
        os: "windows".into(),
        architecture: "amd64".into(),
        os_version: Some("10.0.20348.1".into()),
        ..Platform::default()
    };
    writer.finish(&layers, &platform, "test").unwrap();
    resolve(folder)
}

pub(crate) fn resolve(folder: &Path) -> Image {
    let reference: Reference = format!("oci:{}:test", folder.display()).parse().unwrap();
    let platform: PlatformChoice = "windows/amd64".parse().unwrap();
    let options = SourceOptions {
        platform,
        ..SourceOptions::default()
    };
    Image::resolve(&reference, &options).unwrap()
}

/// Every path below `folder` with the bytes of its file.
pub(crate) fn snapshot(folder: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(folder)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() {
                found.push((name, None));
                open.push(path);
            } else {
                found.push((name, Some(fs::read(path).unwrap())));
            }
        }
    }
    found.sort();
    found
}
