//! Every rule of an import can be broken, and is then seen.
#![cfg(windows)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests, which end the test"
)]

mod driver;

use std::fs;
use std::path::{Path, PathBuf};

use driver::*;
use winlayer_double_common::abi::{DriverInfo, LayerDescriptor};
use winlayer_double_common::stream::record;

/// An import that would succeed.
struct Import {
    driver: Driver,
    import: WithFolder,
    base: PathBuf,
    layer: PathBuf,
    staged: PathBuf,
}

impl Import {
    fn new() -> Self {
        let driver = Driver::new();
        let import = export(&driver.doubles, "vmcompute.dll", "ImportLayer");
        let (base, layer, staged) = (
            driver.path("base"),
            driver.path("layer"),
            driver.path("staged"),
        );
        base_layer(&base);
        fs::create_dir(&layer).unwrap();
        staging(&staged);
        Self {
            driver,
            import,
            base,
            layer,
            staged,
        }
    }

    fn call(
        &self,
        layer: &[u16],
        source: &[u16],
        info: &DriverInfo,
        descriptors: &[LayerDescriptor],
    ) -> u32 {
        let count = descriptors.len() as u32;
        // SAFETY: structures and strings live across the call.
        unsafe {
            (self.import)(
                info,
                layer.as_ptr(),
                source.as_ptr(),
                descriptors.as_ptr(),
                count,
            )
        }
    }

    /// The import, with one argument spoilt.
    fn spoilt(&self, spoil: impl FnOnce(&mut DriverInfo, &mut Vec<LayerDescriptor>)) -> u32 {
        let mut arguments = Arguments::new(&[&self.base]);
        let mut info = arguments.info();
        spoil(&mut info, &mut arguments.descriptors);
        self.call(
            &verbatim(&self.layer),
            &plain(&self.staged),
            &info,
            &arguments.descriptors,
        )
    }

    fn broken(&self, code: u32, text: &str) {
        assert_eq!(
            self.spoilt(|_, _| ()),
            code,
            "{text}: {:#?}",
            self.driver.doubles.violations()
        );
        let violations = self.driver.doubles.violations();
        assert!(
            violations.iter().any(|violation| violation.contains(text)),
            "{text}: {violations:#?}"
        );
        assert!(
            !self.layer.join("Files").exists(),
            "nothing happens when a rule is broken"
        );
        self.driver.doubles.clear();
    }
}

#[test]
fn arguments_are_checked_one_by_one() {
    let import = Import::new();
    let one = |code: u32, text: &str, answer: u32| {
        assert_eq!(answer, code, "{text}");
        let violation = import.driver.only_violation();
        assert!(violation.contains(text), "{violation}");
    };
    one(
        0x8007_0057,
        "driver type",
        import.spoilt(|info, _| info.kind = 0),
    );
    one(
        0x8007_0057,
        "padding",
        import.spoilt(|info, _| info.pad = 7),
    );
    one(
        0x8000_4003,
        "HomeDir is null",
        import.spoilt(|info, _| info.home = std::ptr::null()),
    );
    let home = wide("C:\\home");
    one(
        0x8007_0057,
        "not empty",
        import.spoilt(|info, _| info.home = home.as_ptr()),
    );
    one(
        0x8007_0057,
        "flags of parent 0",
        import.spoilt(|_, parents| parents[0].flags = 1 << 31),
    );
    one(
        0x8007_0057,
        "padding of parent 0",
        import.spoilt(|_, parents| parents[0].pad = 1),
    );
    one(
        0x8007_0003,
        "the id of parent 0",
        import.spoilt(|_, parents| parents[0].id.data1 ^= 1),
    );
    one(
        0x8007_0057,
        "names none",
        import.spoilt(|_, parents| parents.clear()),
    );
    let arguments = Arguments::new(&[&import.base]);
    let (info, parents) = (arguments.info(), &arguments.descriptors);
    let (layer, staged) = (&import.layer, &import.staged);
    one(
        0x8007_0003,
        r"must begin with \\?\",
        import.call(&plain(layer), &plain(staged), &info, parents),
    );
    one(
        0x8007_0003,
        r"must not begin with \\?\",
        import.call(&verbatim(layer), &verbatim(staged), &info, parents),
    );
    let slash = wide(&format!(r"\\?\{}\", layer.display()));
    one(
        0x8007_0003,
        "ends with a separator",
        import.call(&slash, &plain(staged), &info, parents),
    );
    let relative = wide("staged");
    let answer = import.call(&verbatim(layer), &relative, &info, parents);
    assert_eq!(answer, 0x8007_0003, "relative source");
    import.driver.doubles.clear();
    privileges(false);
    assert_eq!(import.spoilt(|_, _| ()), 0x8007_0522);
    import.driver.doubles.clear();
    privileges(true);
    assert_eq!(
        import.spoilt(|_, _| ()),
        0,
        "{:#?}",
        import.driver.doubles.violations()
    );
    import.driver.doubles.assert_clean();
}

#[test]
fn the_order_of_parents_is_that_of_the_folders() {
    let import = Import::new();
    let above = import.driver.path("above");
    fs::create_dir(&above).unwrap();
    fs::write(above.join("layerchain.json"), r#"["/srv/layers/base"]"#).unwrap();
    fs::write(
        import.base.join("layer.json"),
        r#"{"parent_chain_id":null}"#,
    )
    .unwrap();
    let with = |parents: &[&Path]| {
        let arguments = Arguments::new(parents);
        let info = arguments.info();
        import.call(
            &verbatim(&import.layer),
            &plain(&import.staged),
            &info,
            &arguments.descriptors,
        )
    };
    assert_eq!(with(&[&import.base, &above]), 0x8007_0003);
    assert!(
        import
            .driver
            .doubles
            .violations()
            .iter()
            .any(|text| text.contains("lies on"))
    );
    assert_eq!(with(&[&above]), 0x8007_0003, "the base is left out");
    import.driver.doubles.clear();
    assert_eq!(
        with(&[&above, &import.base]),
        0,
        "{:#?}",
        import.driver.doubles.violations()
    );
}

#[test]
fn the_state_of_the_staging_folder_is_checked() {
    let import = Import::new();
    let staged = import.staged.clone();
    let sidecar = |name: &str| staged.join(format!("{name}.$wcidirs$"));
    for name in ["Files", "Hives", r"Files\Windows"] {
        let bytes = fs::read(sidecar(name)).unwrap();
        fs::remove_file(sidecar(name)).unwrap();
        import.broken(0x8007_0002, "has no .$wcidirs$");
        fs::write(sidecar(name), bytes).unwrap();
    }
    fs::write(sidecar(r"Files\nothing"), framed(0x10, &[])).unwrap();
    import.broken(0x8007_0002, "has no directory");
    fs::remove_file(sidecar(r"Files\nothing")).unwrap();
    fs::write(staged.join("tombstones.txt"), "").unwrap();
    import.broken(0x8007_000D, "would be deleted");
    fs::remove_file(staged.join("tombstones.txt")).unwrap();
    fs::write(staged.join(r"Files\link\inside"), file(b"")).unwrap();
    import.broken(0x8007_000D, "is a link, and something is in it");
    fs::remove_file(staged.join(r"Files\link\inside")).unwrap();
    let open = fs::File::open(staged.join(r"Files\Windows\new.txt")).unwrap();
    import.broken(0x8007_0020, "still open");
    drop(open);
    fs::create_dir(import.layer.join("Files")).unwrap();
    assert_eq!(import.spoilt(|_, _| ()), 0x8007_00B7);
    fs::remove_dir(import.layer.join("Files")).unwrap();
    import.driver.doubles.clear();
    assert_eq!(
        import.spoilt(|_, _| ()),
        0,
        "{:#?}",
        import.driver.doubles.violations()
    );
}

#[test]
fn a_staged_file_must_be_well_formed() {
    let import = Import::new();
    let path = import.staged.join(r"Files\Windows\new.txt");
    let data = || record(1, 0, b"x");
    let security = || record(3, 0, &DESCRIPTOR);
    let mut named = record(4, 0, b"");
    named[16] = 2;
    named.extend([b'a', 0]);
    let cases: [(&str, Vec<u8>); 10] = [
        ("no DATA record", framed(0x20, &[security()])),
        ("out of order", framed(0x20, &[data(), security()])),
        ("twice", framed(0x20, &[data(), data()])),
        (
            "stream attributes",
            framed(0x20, &[record(3, 2, &DESCRIPTOR), data()]),
        ),
        ("ends inside", framed(0x20, &[data()[..20].to_vec()])),
        ("unknown stream", framed(0x20, &[record(11, 0, b"")])),
        ("descriptor", framed(0x20, &[record(3, 0, b"SSSS"), data()])),
        ("not named", framed(0x20, &[data(), named])),
        (
            "reparse tag",
            framed(0x20, &[record(8, 0, &[0x18, 0, 0, 0x80, 0, 0, 0, 0])]),
        ),
        ("shorter", vec![0x20, 0]),
    ];
    for (text, bytes) in cases {
        fs::write(&path, bytes).unwrap();
        import.broken(0x8007_000D, text);
    }
    fs::write(
        import.staged.join(r"Files\Windows.$wcidirs$"),
        framed(0x10, &[data()]),
    )
    .unwrap();
    fs::write(&path, file(b"x")).unwrap();
    import.broken(0x8007_000D, "a directory has content");
}

#[test]
fn failures_are_injected_before_or_after_the_effect() {
    let import = Import::new();
    import.driver.fail("ImportLayer=0x80070003");
    assert_eq!(import.spoilt(|_, _| ()), 0x8007_0003);
    assert!(!import.layer.join("Files").exists());
    import.driver.fail("DestroyLayer=5;ImportLayer=0x80370105!");
    assert_eq!(import.spoilt(|_, _| ()), 0x8037_0105);
    assert!(import.layer.join("Files").exists());
    let calls = import.driver.doubles.calls_of("ImportLayer");
    assert!(calls.iter().all(|call| call.flag("injected")), "{calls:#?}");
    assert_eq!(calls[0].parents(), std::slice::from_ref(&import.base));
    import.driver.doubles.assert_clean();
}
