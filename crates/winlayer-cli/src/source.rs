//! What a command looks into: an image, or a disk.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use winlayer::Reference;

/// An image or a disk file.
///
/// `disk:FILE` is a disk, and so is the path of an existing file, or what can only be such a path; everything else is an
/// image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Image(Reference),
    Disk(PathBuf),
}

/// Before the path of a disk.
const DISK: &str = "disk:";
/// Before the name of an image, whatever files there are.
const IMAGES: [&str; 4] = ["docker://", "oci:", "oci-archive:", "docker-archive:"];
/// Endings of disk files, in any case.
const ENDINGS: [&str; 3] = [".vhdx", ".avhdx", ".vhd"];

impl Source {
    /// As the text of the path, which for an existing file need not be text.
    pub(crate) fn of(path: &Path) -> Result<Self, String> {
        match path.to_str() {
            Some(text) => text.parse(),
            None => Ok(Self::Disk(path.to_owned())),
        }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix(DISK) {
            Some("") => return Err("the path is missing: write disk:FILE".to_owned()),
            Some(path) => return Ok(Self::Disk(path.into())),
            None => {}
        }
        let is_image = IMAGES.iter().any(|prefix| text.starts_with(prefix));
        if !is_image && (Path::new(text).is_file() || can_only_be_a_path(text)) {
            return Ok(Self::Disk(text.into()));
        }
        let reference = text.parse::<Reference>();
        reference
            .map(Self::Image)
            .map_err(|error| error.to_string())
    }
}

/// Such text means no image in a registry.
fn can_only_be_a_path(text: &str) -> bool {
    let drive =
        matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let lower = text.to_ascii_lowercase();
    drive
        || text.starts_with(['/', '\\'])
        || ["./", "../", ".\\", "..\\"]
            .iter()
            .any(|start| text.starts_with(start))
        || ENDINGS.iter().any(|ending| lower.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn disk(text: &str) -> Option<PathBuf> {
        match text.parse().unwrap() {
            Source::Disk(path) => Some(path),
            Source::Image(_) => None,
        }
    }

    #[test]
    fn paths_are_disks() {
        for text in [
            "./image.img",
            "/dev/sda",
            r"C:\disks\a.img",
            r"..\a",
            "gone.VHDX",
            "Cargo.toml",
        ] {
            assert_eq!(disk(text), Some(text.into()), "{text}");
        }
        assert_eq!(disk("disk:oci:odd"), Some("oci:odd".into()));
    }

    #[test]
    fn names_of_images_are_images() {
        for text in [
            "oci:layout",
            "oci:disk.vhdx",
            "nanoserver",
            "mcr.microsoft.com/windows/nanoserver:ltsc2022",
            "localhost:5000/a",
            "docker-archive:x.tar",
        ] {
            assert_eq!(disk(text), None, "{text}");
        }
    }

    #[test]
    fn nothing_is_no_disk() {
        assert!("disk:".parse::<Source>().is_err());
        assert!("".parse::<Source>().is_err());
    }
}
