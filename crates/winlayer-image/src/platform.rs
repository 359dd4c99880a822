//! Which of an image's variants is wanted, and what an image says of itself.

use std::{cmp::Ordering, fmt, str::FromStr};

use crate::{reference::ReferenceError, text::printable};

/// The variant of an image to take: `OS/ARCHITECTURE[:OS.VERSION]`.
///
/// The version is `10.0.BUILD` or `10.0.BUILD.REVISION` and matches by whole components:
/// `10.0.20348` takes `10.0.20348.2113`, but not `10.0.203480`.
///
/// ```
/// use winlayer_image::PlatformChoice;
///
/// let choice: PlatformChoice = "windows/amd64:10.0.20348".parse()?;
/// assert_eq!(choice.os_version.as_deref(), Some("10.0.20348"));
/// # Ok::<(), winlayer_image::ReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformChoice {
    /// Operating system in Go's spelling; `windows`.
    pub os: String,
    /// Processor architecture in Go's spelling: `amd64`, `arm64`, …
    pub architecture: String,
    /// First components of the `os.version` wanted; without it the highest version is taken.
    pub os_version: Option<String>,
}

/// Windows on this machine's processor, any version.
impl Default for PlatformChoice {
    fn default() -> Self {
        Self {
            os: "windows".into(),
            architecture: go_architecture(std::env::consts::ARCH).into(),
            os_version: None,
        }
    }
}

/// Go's name of a processor architecture given in another common spelling.
fn go_architecture(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "aarch64" => "arm64",
        "x86" | "i386" | "i686" => "386",
        other => other,
    }
}

impl FromStr for PlatformChoice {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |why: &str| {
            ReferenceError::new(format!(
                "{:?} is not a platform: {why}; write windows/ARCHITECTURE[:OS.VERSION], as in windows/amd64:10.0.20348",
                printable(text)
            ))
        };
        let (platform, version) = match text.split_once(':') {
            Some((platform, version)) => (platform, Some(version)),
            None => (text, None),
        };
        let Some((os, architecture)) = platform.split_once('/') else {
            return Err(refuse("it needs an operating system and an architecture"));
        };
        if os != "windows" {
            return Err(refuse("only Windows images can be unpacked"));
        }
        let plain = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-'
        };
        if architecture.is_empty() || !architecture.bytes().all(plain) {
            return Err(refuse(
                "the architecture is lower-case letters and digits, without a variant",
            ));
        }
        if version.is_some_and(|version| OsVersion::parse(version).is_none()) {
            return Err(refuse(
                "the version is up to four numbers with dots between them",
            ));
        }
        Ok(Self {
            os: os.into(),
            architecture: go_architecture(architecture).into(),
            os_version: version.map(Into::into),
        })
    }
}

impl fmt::Display for PlatformChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.os_version
            .iter()
            .try_for_each(|version| write!(f, ":{version}"))
    }
}

impl PlatformChoice {
    /// How well `offer` fits; None when it does not. Greater is better.
    pub(crate) fn rank(&self, offer: &Platform) -> Option<Rank> {
        if offer.os != self.os || offer.architecture != self.architecture {
            return None;
        }
        let offered = offer.os_version.as_deref().and_then(OsVersion::parse);
        let wanted = self.os_version.as_deref().and_then(OsVersion::parse);
        if wanted.is_some() && offered.is_none() && offer.os_version.is_some() {
            return None;
        }
        let same = match (wanted, &offered) {
            (Some(wanted), Some(offered)) if !wanted.is_prefix_of(offered) => return None,
            (Some(_), Some(_)) => true,
            // A missing version matches (as in containerd), but only behind one that is known to.
            (_, None) | (None, _) => false,
        };
        Some(Rank { same, offered })
    }
}

/// Order among matching variants: one of the version asked for first, then the highest version.
///
/// containerd compares versions as text, which puts build 9600 above 20348; numbers are meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Rank {
    same: bool,
    offered: Option<OsVersion>,
}

/// `os.version`: up to four numbers, compared as numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OsVersion(Vec<u32>);

impl OsVersion {
    fn parse(text: &str) -> Option<Self> {
        let digits =
            |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let parts: Option<Vec<u32>> = text
            .split('.')
            .map(|part| part.parse().ok().filter(|_| digits(part)))
            .collect();
        parts.filter(|parts| parts.len() <= 4).map(Self)
    }

    fn is_prefix_of(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

impl Ord for OsVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for OsVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The platform an image is for, by its config (OCI image specification, config.md).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Platform {
    /// `windows`.
    pub os: String,
    /// `amd64`, `arm64`, …
    pub architecture: String,
    /// `10.0.BUILD.REVISION`.
    pub os_version: Option<String>,
    /// Features the host must have; `win32k` for images that need more than Nano Server.
    pub os_features: Vec<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}",
            printable(&self.os),
            printable(&self.architecture)
        )?;
        self.os_version
            .iter()
            .try_for_each(|version| write!(f, ":{}", printable(version)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn offer(os: &str, architecture: &str, version: Option<&str>) -> Platform {
        Platform {
            os: os.into(),
            architecture: architecture.into(),
            os_version: version.map(Into::into),
            os_features: Vec::new(),
        }
    }

    fn choice(text: &str) -> PlatformChoice {
        text.parse().unwrap()
    }

    #[test]
    fn versions_match_by_whole_components() {
        let wanted = choice("windows/amd64:10.0.20348");
        for (version, fits) in [
            (Some("10.0.20348.2113"), true),
            (Some("10.0.20348"), true),
            (Some("10.0.203480"), false),
            (Some("10.0.17763.5329"), false),
            (Some("10.0"), false),
            (Some("ltsc2022"), false),
            (None, true),
        ] {
            assert_eq!(
                wanted.rank(&offer("windows", "amd64", version)).is_some(),
                fits,
                "{version:?}"
            );
        }
        assert!(
            choice("windows/amd64:10.0.20348.1")
                .rank(&offer("windows", "amd64", Some("10.0.20348.10")))
                .is_none()
        );
    }

    #[test]
    fn other_systems_and_architectures_do_not_match() {
        let wanted = choice("windows/amd64");
        assert!(wanted.rank(&offer("linux", "amd64", None)).is_none());
        assert!(wanted.rank(&offer("windows", "arm64", None)).is_none());
        assert!(wanted.rank(&offer("windows", "amd64", None)).is_some());
    }

    #[test]
    fn the_highest_version_wins_by_number_and_a_missing_one_loses() {
        let wanted = choice("windows/amd64");
        let rank = |version| wanted.rank(&offer("windows", "amd64", version)).unwrap();
        assert!(rank(Some("10.0.20348.1")) > rank(Some("10.0.9600.9")));
        assert!(rank(Some("10.0.20348.1000")) > rank(Some("10.0.20348.999")));
        assert!(rank(Some("10.0.17763")) > rank(None));
        let wanted = choice("windows/amd64:10.0.17763");
        let rank = |version| wanted.rank(&offer("windows", "amd64", version)).unwrap();
        assert!(rank(Some("10.0.17763.1")) > rank(None));
    }

    #[test]
    fn refuses_other_spellings_and_shows_the_right_one() {
        for text in [
            "",
            "windows",
            "linux/amd64",
            "windows/",
            "windows/amd64/v2",
            "windows/amd64:",
            "windows/amd64:ltsc2022",
            "windows/amd64:1.2.3.4.5",
            "windows/amd64:+1",
        ] {
            let error = text.parse::<PlatformChoice>().unwrap_err().to_string();
            assert!(error.contains("windows/amd64:10.0.20348"), "{error}");
        }
        assert_eq!(choice("windows/x86_64").architecture, "amd64");
    }

    proptest! {
        #[test]
        fn display_and_parse_are_inverse(architecture in "[a-z][a-z0-9]{1,6}", version in proptest::option::of("[0-9]{1,3}(\\.[0-9]{1,5}){0,3}")) {
            let choice = PlatformChoice { os: "windows".into(), architecture: go_architecture(&architecture).into(), os_version: version };
            prop_assert_eq!(choice.to_string().parse::<PlatformChoice>(), Ok(choice));
        }
    }
}
