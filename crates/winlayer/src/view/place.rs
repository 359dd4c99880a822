//! Paths as people write them.

use winlayer_tar::LayerPath;

use crate::{Error, Result};

/// A place in an image that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// As [`LayerPath`] spells it; empty for the whole image.
    pub(super) path: String,
    /// An alternate stream of that object.
    pub(super) stream: Option<String>,
}

impl Place {
    /// Reads `Windows\System32`, `C:\Windows`, `/Windows`, `Files/Windows`, `UtilityVM/Files/EFI` or
    /// `Hives/System_Delta`, in any case, optionally with `:stream` behind.
    ///
    /// Without a top-level name of a layer the path is below `Files`, the `C:` drive of a container.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let Spelled {
            absolute,
            mut names,
            stream,
        } = Spelled::parse(text, "an image")?;
        let top = names.first().map_or("", String::as_str);
        let has_top = ["Files", "UtilityVM", "Hives"]
            .iter()
            .any(|known| known.eq_ignore_ascii_case(top));
        if absolute || (!has_top && !names.is_empty()) {
            names.insert(0, "Files".to_owned());
        }
        if names.is_empty() {
            return Ok(Self {
                path: String::new(),
                stream,
            });
        }
        match LayerPath::parse(&names.join("/")) {
            Ok(path) => Ok(Self {
                path: path.as_str().to_owned(),
                stream,
            }),
            Err(error) => Err(no_path(text, "an image", &error.to_string())),
        }
    }

    /// The error for a place that does not exist.
    pub(super) fn missing(&self) -> Error {
        let path = crate::error::escape(&self.path);
        Error::not_found(match &self.stream {
            Some(stream) => format!(
                "no stream \"{}\" of \"{path}\"",
                crate::error::escape(stream)
            ),
            None if self.path.starts_with("Hives") => {
                format!("no \"{path}\": registry deltas belong to layers, name one with --layer")
            }
            None => format!("no \"{path}\" in the image"),
        })
    }
}

/// A path as it was written, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spelled {
    /// It began at a root: `/` or `C:`.
    pub(crate) absolute: bool,
    /// Without empty ones and `.`.
    pub(crate) names: Vec<String>,
    /// What followed a colon in the last name.
    pub(crate) stream: Option<String>,
}

impl Spelled {
    /// Takes a path apart; `place` ("an image") is what it is to be in.
    pub(crate) fn parse(text: &str, place: &str) -> Result<Self> {
        let mut path = text.replace('\\', "/");
        let mut absolute = path.starts_with('/');
        if let [drive, b':', rest @ ..] = path.as_bytes()
            && drive.is_ascii_alphabetic()
            && rest.first().is_none_or(|&byte| byte == b'/')
        {
            if !drive.eq_ignore_ascii_case(&b'C') {
                let why = format!("{place} has no drive but C:");
                return Err(no_path(text, place, &why));
            }
            path.drain(..2);
            absolute = true;
        }
        let last = path
            .rsplit_once('/')
            .map_or(path.as_str(), |(_, name)| name);
        let stream = last.split_once(':').map(|(_, stream)| stream);
        let stream =
            stream.map(|stream| stream.strip_suffix(":$DATA").unwrap_or(stream).to_owned());
        if let Some(colon) = path.find(':') {
            path.truncate(colon);
        }
        let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
        let names = names.map(str::to_owned).collect();
        Ok(Self {
            absolute,
            names,
            stream,
        })
    }
}

/// The error for a text that can be no path in `place`.
pub(crate) fn no_path(text: &str, place: &str, why: &str) -> Error {
    let text = crate::error::escape(text);
    Error::not_found(format!("\"{text}\" is no path in {place}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> String {
        Place::parse(text).unwrap().path
    }

    #[test]
    fn the_container_drive_is_the_default() {
        for text in [
            r"Windows\System32",
            r"C:\Windows\System32\",
            "c:/Windows/System32",
            "/Windows/System32",
            r"\Windows\.\System32",
            "Files/Windows/System32",
            "files/Windows//System32",
        ] {
            assert_eq!(path(text), "Files/Windows/System32", "{text}");
        }
        assert_eq!(path(r"C:\"), "Files");
        assert_eq!(path("C:"), "Files");
        assert_eq!(path("/"), "Files");
        assert_eq!(path(""), "");
        assert_eq!(path("/Files/x"), "Files/Files/x");
    }

    #[test]
    fn other_trees_are_named() {
        assert_eq!(path("utilityvm/files/EFI"), "UtilityVM/Files/EFI");
        assert_eq!(path("Hives/System_Delta"), "Hives/System_Delta");
    }

    #[test]
    fn a_stream_follows_a_colon() {
        let place = Place::parse(r"C:\a.txt:Zone.Identifier:$DATA").unwrap();
        assert_eq!(place.path, "Files/a.txt");
        assert_eq!(place.stream.as_deref(), Some("Zone.Identifier"));
        assert_eq!(Place::parse("a:b").unwrap().stream.as_deref(), Some("b"));
    }

    #[test]
    fn other_drives_and_paths_upwards_do_not_exist() {
        for text in [r"D:\x", "../x", r"Windows\..\..\x"] {
            assert_eq!(
                Place::parse(text).unwrap_err().kind(),
                crate::ErrorKind::NotFound
            );
        }
    }
}
