//! `winlayer reg`.

use super::looking_into;
use crate::args::RegArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::text::escape;
use std::fmt::Write;
use winlayer::{RegistryData, RegistryKey, RegistryValue, read_hive};

pub(crate) fn run(args: &RegArgs, output: &mut Output) -> Result<(), Failure> {
    let path = args.path()?;
    let image = args.source.resolve(&args.image)?;
    let (jobs, limits) = (args.jobs.jobs(), args.limits.limits());
    let registry = looking_into(&image, output, |observer| {
        read_hive(&image, path.hive(), args.layer, jobs, &limits, observer)
    })?;
    let key = registry.key(&path, args.layer)?;
    match &args.value {
        Some(name) => print_value(&key, name, output),
        None if output.is_json() => output.document(&key),
        None => output.data(&describe(&key)),
    }
}

/// The data alone, so that a script can take it.
fn print_value(key: &RegistryKey, name: &str, output: &mut Output) -> Result<(), Failure> {
    let Some(value) = key.value(name) else {
        let what = format!("no value \"{name}\" in \"{}\"", key.key);
        return Err(Failure::not_found(what));
    };
    if output.is_json() {
        return output.document(value);
    }
    output.data(&format!("{}\n", data(value, "\n")))
}

fn describe(key: &RegistryKey) -> String {
    let mut text = format!("{}\n", escape(&key.key));
    let width = |width: fn(&RegistryValue) -> usize| key.values.iter().map(width).max();
    let name_width = width(|value| name(value).chars().count()).unwrap_or_default();
    let kind_width = width(|value| value.kind.len()).unwrap_or_default();
    for value in &key.values {
        let data = data(value, "; ");
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "  {:name_width$}  {:kind_width$}  {data}",
            name(value),
            value.kind
        );
    }
    for name in &key.deleted_values {
        let _ = writeln!(text, "  - {}", escape(name));
    }
    for name in &key.subkeys {
        let _ = writeln!(text, "{}\\{}", escape(&key.key), escape(name));
    }
    for name in &key.deleted_subkeys {
        let _ = writeln!(text, "- {}\\{}", escape(&key.key), escape(name));
    }
    text
}

/// A value's name, fit for a terminal.
pub(super) fn name(value: &RegistryValue) -> String {
    match value.name.as_str() {
        "" => "(Default)".to_owned(),
        name => escape(name).into_owned(),
    }
}

/// A value's data, fit for a terminal, with `between` the texts of a list.
pub(super) fn data(value: &RegistryValue, between: &str) -> String {
    match &value.data {
        RegistryData::Texts(texts) => {
            let texts: Vec<_> = texts.iter().map(|text| escape(text)).collect();
            texts.join(between)
        }
        other => escape(&other.to_string()).into_owned(),
    }
}
