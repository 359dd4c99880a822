//! One measured action a process: see `xtask/src/bench/hive.rs`.

use std::{env, error::Error, fs, path::Path};

use notatin::parser_builder::ParserBuilder;
use winlayer_hive::{Hive, HiveTree, Key, Overlay, PagedSource, TreeKey, ValueData};

type Outcome = Result<(), Box<dyn Error>>;

/// Classes of the base, each a key with one below it: about 100 MiB.
const BASE_KEYS: u32 = 158_000;
/// Classes below one key; as many as the fullest keys of a SOFTWARE hive have.
const SIBLINGS: u32 = 10_000;
/// Every how many of them the delta changes, and how many it adds: about 20 MiB.
const CHANGED_EVERY: u32 = 6;
const ADDED_KEYS: u32 = 10_000;
const CURRENT_VERSION: &str = r"Microsoft\Windows NT\CurrentVersion";

fn main() -> Outcome {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["nothing"] => Ok(()),
        ["make", base, delta] => make(base.as_ref(), delta.as_ref()),
        ["lookup", hive] => lookup(hive),
        ["lookup-merged", hives @ ..] => lookup_merged(hives),
        ["walk", hive] => walk(hive),
        ["walk-notatin", hive] => walk_notatin(hive),
        ["merge", base, delta, result] => merge(base, delta, result),
        other => Err(format!("unknown arguments {other:?}").into()),
    }
}

/// Hives in the proportions of a SOFTWARE hive: many small keys with a few short values.
fn make(base: &Path, delta: &Path) -> Outcome {
    let mut tree = HiveTree::new(r"\SystemRoot\System32\Config\SOFTWARE");
    let version = tree.root_mut().create(CURRENT_VERSION)?;
    version.set("UBR", ValueData::dword(1))?;
    for number in 0..BASE_KEYS {
        class(tree.root_mut(), number, 0)?;
    }
    fs::write(base, tree.to_bytes()?)?;

    let mut tree = HiveTree::delta("Software_Delta");
    let version = tree.root_mut().create(CURRENT_VERSION)?;
    version.set("UBR", ValueData::dword(2113))?;
    let root = tree.root_mut();
    for number in (0..BASE_KEYS).step_by(CHANGED_EVERY as usize) {
        if number % 7 == 0 {
            root.delete_key(&path(number))?;
        } else {
            class(root, number, 1)?;
        }
    }
    for number in BASE_KEYS..BASE_KEYS + ADDED_KEYS {
        root.create(&path(number))?.replace_tree();
        class(root, number, 1)?;
    }
    Ok(fs::write(delta, tree.to_bytes()?)?)
}

fn guid(number: u32) -> String {
    format!("{{{number:08X}-5CDD-4E70-ACC1-F32B344D4795}}")
}

/// Where a class is.
fn path(number: u32) -> String {
    format!(r"Classes\{:02}\{}", number / SIBLINGS, guid(number))
}

fn class(root: &mut TreeKey, number: u32, revision: u32) -> Outcome {
    let class = root.create(&path(number))?;
    class.set("", ValueData::string(&format!("Class {number}.{revision}")))?;
    class.set("AppID", ValueData::string(&guid(number ^ 0x5555)))?;
    let server = class.create("InprocServer32")?;
    let path = format!(r"%SystemRoot%\System32\component{}.dll", number % 500);
    server.set("", ValueData::expand_string(&path))?;
    server.set("ThreadingModel", ValueData::string("Both"))?;
    server.set("Revision", ValueData::dword(revision))?;
    Ok(())
}

fn lookup(path: &str) -> Outcome {
    let hive = Hive::from_source(PagedSource::open(path)?)?;
    let key = hive.get(CURRENT_VERSION)?.ok_or("no key")?;
    let value = key.value("UBR")?.ok_or("no value")?;
    println!("{:?}", value.data()?.to_u32());
    Ok(())
}

fn lookup_merged(paths: &[&str]) -> Outcome {
    let mut hives = Vec::new();
    for path in paths {
        hives.push(Hive::from_source(PagedSource::open(path)?)?);
    }
    let overlay = Overlay::new(hives)?;
    let key = overlay.get(CURRENT_VERSION)?.ok_or("no key")?;
    let value = key.value("UBR")?.ok_or("no value")?;
    println!("{:?}", value.data()?.to_u32());
    Ok(())
}

/// Names and data of everything, added up so that nothing is left out.
#[derive(Debug, Default)]
struct Sum {
    keys: u64,
    values: u64,
    bytes: u64,
}

fn walk(path: &str) -> Outcome {
    fn add(key: &Key<'_>, sum: &mut Sum) -> Outcome {
        sum.keys += 1;
        sum.bytes += key.name().to_text().len() as u64;
        for value in key.values() {
            let value = value?;
            sum.values += 1;
            sum.bytes += value.name().to_text().len() as u64;
            let data = value.data()?;
            let text = data.to_text();
            sum.bytes += text.map_or(data.bytes.len(), |text| text.len()) as u64;
        }
        key.subkeys().try_for_each(|subkey| add(&subkey?, sum))
    }
    let bytes = fs::read(path)?;
    let mut sum = Sum::default();
    add(&Hive::from_bytes(&bytes)?.root()?, &mut sum)?;
    println!("{sum:?}");
    Ok(())
}

fn walk_notatin(path: &str) -> Outcome {
    let parser = ParserBuilder::from_path(path.to_owned())
        .recover_deleted(false)
        .build()?;
    let mut sum = Sum::default();
    for key in notatin::parser::ParserIterator::new(&parser).iter() {
        sum.keys += 1;
        sum.bytes += key.key_name.len() as u64;
        for value in key.value_iter() {
            sum.values += 1;
            sum.bytes += value.get_pretty_name().len() as u64;
            std::hint::black_box(value.get_content());
        }
    }
    println!("{sum:?}");
    Ok(())
}

fn merge(base: &str, delta: &str, result: &str) -> Outcome {
    let (base, delta) = (fs::read(base)?, fs::read(delta)?);
    let overlay = Overlay::new([Hive::from_bytes(&base)?, Hive::from_bytes(&delta)?])?;
    Ok(fs::write(result, overlay.to_bytes()?)?)
}
