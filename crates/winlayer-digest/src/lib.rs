//! Content digests as container images use them: [`Digest`] of a blob, [`DiffId`] of an unpacked
//! layer tar, [`ChainId`] of a layer together with all layers below it.
//!
//! Three types, because mixing them up is the classic mistake: a manifest lists digests of
//! *compressed* blobs, the image config lists DiffIDs of *uncompressed* tars, and a store names its
//! layers by ChainID.
//!
//! Text form: `sha256:` + 64 lower-case hex digits (OCI image specification, `descriptor.md`,
//! section "Digests"). Nothing else is accepted, so a digest is always safe as a file name part.

use std::{fmt, str::FromStr};

use sha2::Digest as _;

/// A SHA-256 content digest, `sha256:<64 lower-case hex digits>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// The text is not a digest this crate accepts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a digest: expected sha256:<64 lower-case hex digits>, found {found:?}")]
pub struct ParseDigestError {
    /// The refused text, cut to 100 characters.
    pub found: String,
}

impl Digest {
    /// The digest of `bytes`.
    ///
    /// ```
    /// let empty = winlayer_digest::Digest::of(b"");
    /// assert!(empty.to_string().starts_with("sha256:e3b0c442"));
    /// ```
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Wraps the 32 raw bytes of a SHA-256 sum.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 64 lower-case hex digits without `sha256:`; safe as a file name everywhere.
    pub fn hex(&self) -> String {
        const DIGITS: [char; 16] = [
            '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
        ];
        let nibbles = self.0.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        nibbles
            .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
            .collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseDigestError {
            found: text.chars().take(100).collect(),
        })
    }
}

fn parse(text: &str) -> Option<Digest> {
    let (pairs, rest) = text.strip_prefix("sha256:")?.as_bytes().as_chunks::<2>();
    let pairs: &[[u8; 2]; 32] = pairs.try_into().ok()?;
    if !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = nibble(*high)? << 4 | nibble(*low)?;
    }
    Some(Digest(bytes))
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

macro_rules! digest_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Digest);

        impl $name {
            /// Gives the digest this meaning; the caller vouches for it.
            pub const fn new(digest: Digest) -> Self {
                Self(digest)
            }

            /// The digest without its meaning.
            pub const fn digest(&self) -> Digest {
                self.0
            }

            /// The 64 lower-case hex digits without `sha256:`.
            pub fn hex(&self) -> String {
                self.0.hex()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

digest_newtype! {
    /// Digest of a layer's uncompressed tar, every trailing byte included (OCI `config.md`).
    DiffId
}
digest_newtype! {
    /// Identity of a layer applied on top of all layers below it (OCI `config.md`, "Layer ChainID").
    ChainId
}

impl ChainId {
    /// The ChainID of a base layer: its DiffID.
    pub const fn base(diff_id: DiffId) -> Self {
        Self(diff_id.0)
    }

    /// The ChainID of a layer with DiffID `diff_id` on top of the chain `self`:
    /// `sha256("<self> <diff_id>")`.
    pub fn child(&self, diff_id: DiffId) -> Self {
        Self(Digest::of(format!("{self} {diff_id}").as_bytes()))
    }

    /// The ChainIDs of all layers, base first, for DiffIDs given base first.
    pub fn chain(diff_ids: impl IntoIterator<Item = DiffId>) -> Vec<Self> {
        diff_ids
            .into_iter()
            .scan(None::<Self>, |below, diff_id| {
                let id = below.map_or(Self::base(diff_id), |below| below.child(diff_id));
                *below = Some(id);
                Some(id)
            })
            .collect()
    }
}

/// Streaming SHA-256.
#[derive(Clone, Debug, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// A hasher that has seen no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes added.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_canonical_spelling_is_a_digest() {
        let hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(format!("sha256:{hex}").parse(), Ok(Digest::of(b"")));
        for text in [
            hex.to_owned(),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:sha256:{hex}"),
            format!("sha256:{hex}0"),
            format!("sha256:{}", &hex[1..]),
            format!("SHA256:{hex}"),
            format!("sha512:{hex}"),
            "sha256:../../../../etc/passwd".into(),
            String::new(),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }

    // Worked by hand with coreutils: printf '%s %s' sha256:… sha256:… | sha256sum
    #[test]
    fn chain_ids_follow_the_oci_rule() {
        let [a, b] = [b"a", b"b"].map(|bytes| DiffId::new(Digest::of(bytes)));
        let chain = ChainId::chain([a, b]);
        assert_eq!(chain[0].digest(), a.digest());
        assert_eq!(
            chain[1].to_string(),
            "sha256:51c0c8ace48498d6f5fee6b0592cc06f2da0f3cbe09c5a34a97dce85c3889676"
        );
    }
}
