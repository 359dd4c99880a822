//! What must hold for any bytes from outside, for the fuzz targets and, with the seeds, as tests.

use std::cell::Cell;

use crate::{
    document::Descriptor,
    error::{ImageError, ImageErrorKind},
    platform::PlatformChoice,
    reference::Reference,
    registry,
    resolve::{self, Root},
    source::{Documents, Role},
};

/// Between the documents of an input for [`image_documents`]: a byte JSON cannot hold.
const SEPARATOR: u8 = 0x1e;

/// Hands out documents in order, whatever is asked for: an input cannot know its own digests.
struct Reel<'d> {
    documents: Vec<&'d [u8]>,
    next: Cell<usize>,
}

impl Documents for Reel<'_> {
    fn document(&self, _: &Descriptor, _: Role) -> Result<Vec<u8>, ImageError> {
        let at = self.next.replace(self.next.get().saturating_add(1));
        let document = self.documents.get(at).map(|bytes| bytes.to_vec());
        document.ok_or_else(|| ImageError::new(ImageErrorKind::NotFound, "no more documents"))
    }
}

/// Documents separated by 0x1e, the first of them the root: what resolves is a sound image, and no
/// error holds control characters.
pub fn image_documents(data: &[u8]) {
    let mut documents = data.split(|byte| *byte == SEPARATOR);
    let Some(root) = documents.next() else { return };
    let reel = Reel {
        documents: documents.collect(),
        next: Cell::new(0),
    };
    let root = Root {
        descriptor: Descriptor::of("application/json", root),
        bytes: Some(root.to_vec()),
    };
    match resolve::resolve(&reel, vec![root], &PlatformChoice::default()) {
        Ok(image) => {
            assert!(!image.layers.is_empty());
            for (index, layer) in image.layers.iter().enumerate() {
                assert_eq!(layer.index, index);
                assert!(layer.digest.is_some());
            }
            assert!(image.manifest.is_object() && image.config.is_object());
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
    }
}

/// A value of `WWW-Authenticate`: schemes and parameter names are as the rest of the client looks
/// for them.
pub fn www_authenticate(data: &[u8]) {
    let Ok(header) = std::str::from_utf8(data) else {
        return;
    };
    registry::check_challenges(header);
}

/// The name of an image: what is accepted is written so that it is read back as the same.
pub fn image_reference(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match text.parse::<Reference>() {
        Ok(reference) => {
            let written = reference.to_string();
            assert_eq!(written.parse().as_ref(), Ok(&reference), "{written:?}");
        }
        Err(error) => assert!(!error.to_string().contains(char::is_control), "{error:?}"),
    }
}

/// A target's function by its name, and inputs it starts from.
pub type Target = (&'static str, fn(&[u8]), Vec<Vec<u8>>);

/// All targets.
pub fn targets() -> Vec<Target> {
    let texts = |texts: &[&str]| texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    vec![
        ("image_documents", image_documents, document_seeds()),
        (
            "www_authenticate",
            www_authenticate,
            texts(&[
                r#"Bearer realm="https://auth.example/token",service="r",scope="repository:a:pull""#,
                r#"Negotiate, basic Realm = "a \"b\"" , BEARER realm=x, service=y"#,
                "Basic realm=",
            ]),
        ),
        (
            "image_reference",
            image_reference,
            texts(&[
                "mcr.microsoft.com/windows/nanoserver:ltsc2022",
                "docker://[::1]:5000/a/b:t@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                "oci:C:\\a:v1",
                "oci-archive:a.tar:v1",
                "docker-archive:a.tar:r.example/a:v1",
                "busybox",
            ]),
        ),
    ]
}

fn document_seeds() -> Vec<Vec<u8>> {
    const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let platform = r#"{"os":"windows","architecture":"amd64","os.version":"10.0.20348.1"}"#;
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"{DIGEST}","size":2,"platform":{platform}}}]}}"#
    );
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{DIGEST}","size":2}},"layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"{DIGEST}","size":3,"urls":["https://a.example/b"]}}]}}"#
    );
    let config = format!(
        r#"{{"os":"windows","architecture":"amd64","os.version":"10.0.20348.1","rootfs":{{"type":"layers","diff_ids":["{DIGEST}"]}}}}"#
    );
    let joined = |documents: &[&str]| documents.join("\u{1e}").into_bytes();
    vec![
        joined(&[&manifest, &config]),
        joined(&[&index, &manifest, &config]),
        joined(&[&index]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seeds_whole_cut_and_damaged_pass_their_targets() {
        for (_, check, seeds) in targets() {
            for seed in seeds {
                check(&seed);
                for at in 0..seed.len() {
                    check(&seed[..at]);
                    let mut damaged = seed.clone();
                    damaged[at] ^= 1 << (at % 7);
                    check(&damaged);
                    damaged[at] = b'"';
                    check(&damaged);
                }
            }
        }
    }

    #[test]
    fn the_seeds_of_whole_images_resolve() {
        for seed in &document_seeds()[..2] {
            let mut documents = seed.split(|byte| *byte == SEPARATOR);
            let root = documents.next().unwrap();
            let reel = Reel {
                documents: documents.collect(),
                next: Cell::new(0),
            };
            let root = Root {
                descriptor: Descriptor::of("application/json", root),
                bytes: Some(root.to_vec()),
            };
            let image = resolve::resolve(&reel, vec![root], &PlatformChoice::default()).unwrap();
            assert_eq!(image.layers.len(), 1);
        }
    }
}
