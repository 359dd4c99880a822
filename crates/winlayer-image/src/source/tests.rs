//! Images on disk: layouts written by us, tars of them, and `docker save` archives.

use std::{
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{
    Image, ImageError, ImageErrorKind, OciLayoutWriter, Platform, Reference, SourceOptions,
    image_error_in,
};
use serde_json::json;
use tempfile::TempDir;
use winlayer_digest::{DiffId, Digest};

const GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

fn platform(os: &str) -> Platform {
    Platform {
        os: os.into(),
        architecture: "amd64".into(),
        os_version: Some("10.0.20348.2113".into()),
        os_features: vec!["win32k".into()],
    }
}

fn diff_id(bytes: &[u8]) -> DiffId {
    DiffId::new(Digest::of(bytes))
}

/// Writes an image whose layer blobs are `blobs`.
fn write(dir: &Path, tag: &str, os: &str, blobs: &[&[u8]]) -> Digest {
    let mut writer = OciLayoutWriter::create(dir).unwrap();
    let layers: Vec<_> = blobs
        .iter()
        .map(|blob| {
            (
                GZIP.to_owned(),
                writer.add_blob(blob).unwrap(),
                blob.len() as u64,
                diff_id(blob),
            )
        })
        .collect();
    writer.finish(&layers, &platform(os), tag).unwrap()
}

fn options() -> SourceOptions {
    SourceOptions {
        platform: "windows/amd64".parse().unwrap(),
        ..SourceOptions::default()
    }
}

fn resolve(reference: &str) -> Result<Image, ImageError> {
    Image::resolve(&reference.parse::<Reference>().unwrap(), &options())
}

fn refused(reference: &str) -> ImageError {
    resolve(reference).expect_err(reference)
}

fn read(image: &Image, index: usize) -> Result<Vec<u8>, ImageErrorKind> {
    let mut bytes = Vec::new();
    let mut reader = image
        .open_layer(&image.layers()[index], None)
        .map_err(|error| error.kind())?;
    match reader.read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(image_error_in(&error).unwrap().kind()),
    }
}

fn blob_path(dir: &Path, digest: Digest) -> PathBuf {
    dir.join("blobs/sha256").join(digest.hex())
}

#[test]
fn a_written_layout_is_read_back() {
    let dir = TempDir::new().unwrap();
    let digest = write(dir.path(), "v1", "windows", &[b"base", b"top"]);
    for reference in [
        format!("oci:{}", dir.path().display()),
        format!("oci:{}:v1", dir.path().display()),
        format!("oci:{}:{digest}", dir.path().display()),
    ] {
        let image = resolve(&reference).unwrap();
        assert_eq!(image.manifest_digest(), digest);
        assert_eq!(image.platform(), &platform("windows"));
        assert_eq!(image.layers()[0].chain_id.digest(), Digest::of(b"base"));
        assert_eq!(
            (read(&image, 0), read(&image, 1)),
            (Ok(b"base".to_vec()), Ok(b"top".to_vec()))
        );
    }
}

#[test]
fn the_same_image_is_written_as_the_same_bytes() {
    let (a, b) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    assert_eq!(
        write(a.path(), "v1", "windows", &[b"base"]),
        write(b.path(), "v1", "windows", &[b"base"])
    );
    assert_eq!(
        fs::read(a.path().join("index.json")).unwrap(),
        fs::read(b.path().join("index.json")).unwrap()
    );
}

#[test]
fn writing_again_replaces_a_tag_and_keeps_the_others() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "v1", "windows", &[b"old"]);
    let other = write(dir.path(), "v2", "windows", &[b"other"]);
    let new = write(dir.path(), "v1", "windows", &[b"new"]);
    assert_eq!(
        resolve(&format!("oci:{}:v1", dir.path().display()))
            .unwrap()
            .manifest_digest(),
        new
    );
    assert_eq!(
        resolve(&format!("oci:{}:v2", dir.path().display()))
            .unwrap()
            .manifest_digest(),
        other
    );
    let error = refused(&format!("oci:{}", dir.path().display()));
    assert_eq!(error.kind(), ImageErrorKind::NotFound);
    assert!(error.to_string().contains("v1, v2"), "{error}");
}

#[test]
fn a_blob_file_is_moved_in_and_must_be_there_at_the_end() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("blob");
    fs::write(&file, b"layer").unwrap();
    let digest = Digest::of(b"layer");
    let mut writer = OciLayoutWriter::create(&dir.path().join("oci")).unwrap();
    writer.add_blob_file(&file, digest).unwrap();
    assert!(!file.exists());
    let missing = (GZIP.to_owned(), Digest::of(b"none"), 4, diff_id(b"none"));
    let error = writer
        .finish(&[missing], &platform("windows"), "v1")
        .unwrap_err();
    assert_eq!(error.kind(), ImageErrorKind::NotFound);
}

#[test]
fn a_missing_tag_tells_the_tags_there_are_without_control_characters() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "v1\u{1b}[2J", "windows", &[b"base"]);
    let error = refused(&format!("oci:{}:none", dir.path().display()));
    assert_eq!(error.kind(), ImageErrorKind::NotFound);
    assert!(error.to_string().contains("v1\\u{1b}[2J"), "{error}");
}

#[test]
fn what_is_no_layout_is_told_apart() {
    let dir = TempDir::new().unwrap();
    let here = dir.path().display();
    assert_eq!(
        refused(&format!("oci:{here}/none")).kind(),
        ImageErrorKind::NotFound
    );
    assert_eq!(
        refused(&format!("oci:{here}")).kind(),
        ImageErrorKind::NotFound
    );
    fs::write(dir.path().join("file"), b"x").unwrap();
    let error = refused(&format!("oci:{here}/file"));
    assert!(error.to_string().contains("oci-archive:"), "{error}");
    fs::write(
        dir.path().join("oci-layout"),
        br#"{"imageLayoutVersion":"2.0.0"}"#,
    )
    .unwrap();
    assert_eq!(
        refused(&format!("oci:{here}")).kind(),
        ImageErrorKind::Unsupported
    );
}

#[test]
fn a_linux_image_does_not_match() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "v1", "linux", &[b"base"]);
    let error = refused(&format!("oci:{}", dir.path().display()));
    assert_eq!(error.kind(), ImageErrorKind::NoMatchingPlatform);
    assert!(error.to_string().contains("linux/amd64"), "{error}");
}

#[test]
fn damaged_blobs_never_pass() {
    let dir = TempDir::new().unwrap();
    let manifest = write(dir.path(), "v1", "windows", &[b"base"]);
    let reference = format!("oci:{}", dir.path().display());
    let layer = blob_path(dir.path(), Digest::of(b"base"));
    let image = resolve(&reference).unwrap();
    fs::write(&layer, b"bass").unwrap();
    assert_eq!(read(&image, 0), Err(ImageErrorKind::Verification));
    fs::write(&layer, b"bas").unwrap();
    assert_eq!(read(&image, 0), Err(ImageErrorKind::Verification));
    fs::write(&layer, b"base!").unwrap();
    assert_eq!(read(&image, 0), Err(ImageErrorKind::Verification));
    fs::remove_file(&layer).unwrap();
    assert_eq!(read(&image, 0), Err(ImageErrorKind::NotFound));
    let manifest = blob_path(dir.path(), manifest);
    let mut bytes = fs::read(&manifest).unwrap();
    bytes[0] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    assert_eq!(refused(&reference).kind(), ImageErrorKind::Verification);
}

#[test]
fn documents_beyond_the_limit_are_not_read() {
    let dir = TempDir::new().unwrap();
    write(dir.path(), "v1", "windows", &[b"base"]);
    let reference: Reference = format!("oci:{}", dir.path().display()).parse().unwrap();
    let options = SourceOptions {
        max_document_bytes: Some(200),
        ..options()
    };
    assert_eq!(
        Image::resolve(&reference, &options).unwrap_err().kind(),
        ImageErrorKind::Limit
    );
}

/// A tar of `files` (path, content) and links (path, target).
fn archive(path: &Path, files: &[(&str, &[u8])], links: &[(&str, &str)]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, *bytes).unwrap();
    }
    for (name, target) in links {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header, name, target).unwrap();
    }
    tar.finish().unwrap();
}

#[test]
fn a_tar_of_a_layout_reads_like_the_layout() {
    let dir = TempDir::new().unwrap();
    let layout = dir.path().join("oci");
    let digest = write(&layout, "v1", "windows", &[b"base", b"top"]);
    for prefix in [".", ""] {
        let file = dir.path().join("image.tar");
        let mut tar = tar::Builder::new(File::create(&file).unwrap());
        tar.append_dir_all(prefix, &layout).unwrap();
        tar.finish().unwrap();
        let image = resolve(&format!("oci-archive:{}:v1", file.display())).unwrap();
        assert_eq!(image.manifest_digest(), digest);
        assert_eq!(
            (read(&image, 1), read(&image, 0)),
            (Ok(b"top".to_vec()), Ok(b"base".to_vec()))
        );
    }
}

#[test]
fn archives_that_are_compressed_cut_or_no_archive_are_refused() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("image.tar");
    let reference = format!("oci-archive:{}", file.display());
    fs::write(&file, [0x1f, 0x8b, 8, 0, 0, 0]).unwrap();
    let error = refused(&reference);
    assert_eq!(error.kind(), ImageErrorKind::Unsupported);
    assert!(error.to_string().contains("gunzip"), "{error}");
    fs::write(&file, [b'x'; 1024]).unwrap();
    assert_eq!(refused(&reference).kind(), ImageErrorKind::Malformed);
    archive(&file, &[("a", b"1"), ("./a", b"2")], &[]);
    assert_eq!(refused(&reference).kind(), ImageErrorKind::Malformed);
    archive(&file, &[("a", b"1")], &[("b", "../../etc/passwd")]);
    assert_eq!(refused(&reference).kind(), ImageErrorKind::Malformed);
    assert_eq!(
        refused(&format!("{reference}.none")).kind(),
        ImageErrorKind::NotFound
    );
}

fn config(os: &str, layers: &[&[u8]]) -> Vec<u8> {
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| diff_id(layer).to_string())
        .collect();
    let config = json!({ "os": os, "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": diff_ids } });
    config.to_string().into_bytes()
}

#[test]
fn docker_archives_of_every_age_are_read() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("save.tar");
    let reference = format!("docker-archive:{}", file.display());
    let config = config("windows", &[b"base", b"base"]);
    let manifest = |config: &str, layers: [&str; 2]| {
        json!([{ "Config": config, "RepoTags": ["app:v1"], "Layers": layers }])
            .to_string()
            .into_bytes()
    };
    let blob = format!("blobs/sha256/{}", Digest::of(b"base").hex());
    let named = format!("blobs/sha256/{}", Digest::of(&config).hex());

    let old = manifest("c.json", ["aa/layer.tar", "bb/layer.tar"]);
    archive(
        &file,
        &[
            ("c.json", &config),
            ("aa/layer.tar", b"base"),
            ("manifest.json", &old),
        ],
        &[("bb/layer.tar", "../aa/layer.tar")],
    );
    let image = resolve(&reference).unwrap();
    assert_eq!(image.manifest_digest(), Digest::of(&config));
    assert_eq!(image.layers()[1].digest, None);
    assert_eq!(image.layers()[1].compressed_bytes, 4);
    assert_eq!(
        (read(&image, 0), read(&image, 1)),
        (Ok(b"base".to_vec()), Ok(b"base".to_vec()))
    );
    for name in ["app:v1", "docker.io/library/app:v1"] {
        assert!(resolve(&format!("{reference}:{name}")).is_ok(), "{name}");
    }
    let error = refused(&format!("{reference}:app"));
    assert_eq!(error.kind(), ImageErrorKind::NotFound);
    assert!(error.to_string().contains("app:v1"), "{error}");

    let new = manifest(&named, [&blob, &blob]);
    archive(
        &file,
        &[(&named, &config), (&blob, b"base"), ("manifest.json", &new)],
        &[],
    );
    let image = resolve(&reference).unwrap();
    assert_eq!(image.layers()[0].digest, Some(Digest::of(b"base")));
    archive(
        &file,
        &[(&named, &config), (&blob, b"bass"), ("manifest.json", &new)],
        &[],
    );
    assert_eq!(
        read(&resolve(&reference).unwrap(), 0),
        Err(ImageErrorKind::Verification)
    );
    archive(
        &file,
        &[(&named, b"{}"), (&blob, b"base"), ("manifest.json", &new)],
        &[],
    );
    assert_eq!(refused(&reference).kind(), ImageErrorKind::Verification);
    archive(&file, &[(&named, &config), ("manifest.json", &new)], &[]);
    assert_eq!(refused(&reference).kind(), ImageErrorKind::NotFound);
}

#[test]
fn links_that_go_round_in_an_archive_end() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("save.tar");
    let config = config("windows", &[b"x"]);
    let manifest = json!([{ "Config": "c.json", "RepoTags": null, "Layers": ["a"] }]).to_string();
    archive(
        &file,
        &[("c.json", &config), ("manifest.json", manifest.as_bytes())],
        &[("a", "b"), ("b", "a")],
    );
    assert_eq!(
        refused(&format!("docker-archive:{}", file.display())).kind(),
        ImageErrorKind::NotFound
    );
}

#[test]
fn a_linux_docker_archive_does_not_match() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("save.tar");
    let config = config("linux", &[b"x"]);
    let manifest =
        json!([{ "Config": "c.json", "RepoTags": ["a:b"], "Layers": ["l"] }]).to_string();
    archive(
        &file,
        &[
            ("c.json", &config),
            ("l", b"x"),
            ("manifest.json", manifest.as_bytes()),
        ],
        &[],
    );
    assert_eq!(
        refused(&format!("docker-archive:{}", file.display())).kind(),
        ImageErrorKind::NoMatchingPlatform
    );
}
