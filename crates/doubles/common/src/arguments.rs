//! Arguments as they come in, and the rules each must keep whatever the call.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::abi::{DriverInfo, LayerDescriptor};
use crate::call::Call;
use crate::codes::{INVALID_ARGUMENT, PATH_NOT_FOUND, POINTER};
use crate::guid::{Guid, name_to_guid};
use crate::state::load;
use crate::sys::{plain, verbatim};

/// A layer below, as the caller described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The id given for it.
    pub id: Guid,
    /// Its folder, in the form `\\?\…`.
    pub path: PathBuf,
}

/// Whether a path may, must or must not begin with `\\?\`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Either.
    Any,
    /// Must.
    Verbatim,
    /// Must not.
    Plain,
}

/// The string at `pointer`, or nothing when it is null, endless or not UTF-16.
///
/// # Safety
///
/// `pointer` is null or points to UTF-16 units with a NUL among them.
#[must_use]
pub unsafe fn text(pointer: *const u16) -> Option<String> {
    if pointer.is_null() {
        return None;
    }
    let mut units = Vec::new();
    for at in 0..32768 {
        // SAFETY: nothing before this unit was NUL, so it belongs to the string.
        let unit = unsafe { *pointer.add(at) };
        if unit == 0 {
            return String::from_utf16(&units).ok();
        }
        units.push(unit);
    }
    None
}

/// Records and checks a driver info: filter driver, no padding, an empty home.
///
/// # Safety
///
/// Null, or a readable structure with a valid string.
pub unsafe fn driver(call: &mut Call, info: *const DriverInfo) {
    // SAFETY: the caller of the export passes null or a readable structure.
    let Some(info) = (unsafe { info.as_ref() }) else {
        return call.violation(POINTER, "the driver info is null");
    };
    call.rule(
        info.kind == 1,
        INVALID_ARGUMENT,
        format!("driver type is {}, not 1", info.kind),
    );
    call.rule(
        info.pad == 0,
        INVALID_ARGUMENT,
        "the driver info's padding is not 0",
    );
    // SAFETY: null or a string, as above.
    match unsafe { text(info.home) } {
        None => call.violation(POINTER, "HomeDir is null; vmcompute.dll would crash"),
        Some(home) => call.rule(
            home.is_empty(),
            INVALID_ARGUMENT,
            format!("HomeDir is {home:?}, not empty"),
        ),
    }
}

/// Records and checks a path: absolute, backslashes, no separator at the end, the form asked for.
///
/// # Safety
///
/// Null or a string.
pub unsafe fn path(call: &mut Call, key: &str, pointer: *const u16, form: Form) -> PathBuf {
    // SAFETY: null or a string.
    let Some(given) = (unsafe { text(pointer) }) else {
        call.violation(POINTER, format!("{key} is null or not UTF-16"));
        return PathBuf::new();
    };
    call.note(key, given.as_str());
    check_path(call, key, &given, form);
    verbatim(&given)
}

/// The rules of [`path`] for a string that is at hand.
pub fn check_path(call: &mut Call, key: &str, given: &str, form: Form) {
    let is_verbatim = given.starts_with(r"\\?\");
    call.rule(
        !given.contains('/'),
        PATH_NOT_FOUND,
        format!("{key} has forward slashes: {given}"),
    );
    call.rule(
        is_absolute(plain(given)),
        PATH_NOT_FOUND,
        format!("{key} is not absolute: {given}"),
    );
    call.rule(
        !given.ends_with('\\'),
        PATH_NOT_FOUND,
        format!("{key} ends with a separator: {given}"),
    );
    let dots = plain(given)
        .split('\\')
        .any(|component| matches!(component, "." | ".."));
    call.rule(
        !dots,
        PATH_NOT_FOUND,
        format!("{key} is not a clean path: {given}"),
    );
    match form {
        Form::Verbatim => call.rule(
            is_verbatim,
            PATH_NOT_FOUND,
            format!(r"{key} must begin with \\?\: {given}"),
        ),
        Form::Plain => call.rule(
            !is_verbatim,
            PATH_NOT_FOUND,
            format!(r"{key} must not begin with \\?\: {given}"),
        ),
        Form::Any => {}
    }
    let units = given.encode_utf16().count();
    call.rule(
        is_verbatim || units < 248,
        PATH_NOT_FOUND,
        format!(r"{key} has {units} units and no \\?\: {given}"),
    );
}

fn is_absolute(path: &str) -> bool {
    let mut characters = path.chars();
    let drive = characters
        .next()
        .is_some_and(|letter| letter.is_ascii_alphabetic());
    (drive && characters.next() == Some(':') && characters.next() == Some('\\'))
        || path.starts_with(r"\\")
        || path.starts_with(r"UNC\")
        || path.starts_with("Volume{")
}

/// Records and checks an array of descriptors.
///
/// # Safety
///
/// `first` is null or points to `count` descriptors.
pub unsafe fn parents(call: &mut Call, first: *const LayerDescriptor, count: u32) -> Vec<Parent> {
    if first.is_null() {
        call.rule(
            count == 0,
            POINTER,
            format!("{count} descriptors, but the pointer is null"),
        );
        call.note("parents", json!([]));
        return Vec::new();
    }
    if count > 4096 {
        call.violation(INVALID_ARGUMENT, format!("{count} descriptors"));
        return Vec::new();
    }
    // SAFETY: the caller of the export passes `count` descriptors.
    let descriptors = unsafe { std::slice::from_raw_parts(first, count as usize) };
    let mut parents = Vec::new();
    for (at, descriptor) in descriptors.iter().enumerate() {
        call.rule(
            descriptor.flags == 0,
            INVALID_ARGUMENT,
            format!("flags of parent {at} are {:#x}", descriptor.flags),
        );
        call.rule(
            descriptor.pad == 0,
            INVALID_ARGUMENT,
            format!("padding of parent {at} is not 0"),
        );
        // SAFETY: a descriptor holds null or a string.
        match unsafe { text(descriptor.path) } {
            None => call.violation(POINTER, format!("the path of parent {at} is null")),
            Some(path) => parents.push((descriptor.id, path)),
        }
    }
    check_parents(call, parents)
}

/// Records parents given as ids and paths, and checks the ids, the folders and their order.
pub fn check_parents(call: &mut Call, given: Vec<(Guid, String)>) -> Vec<Parent> {
    let listed: Vec<Value> = given
        .iter()
        .map(|(id, path)| json!({"id": id.to_string(), "path": path}))
        .collect();
    call.note("parents", listed);
    let mut parents = Vec::new();
    for (at, (id, path)) in given.into_iter().enumerate() {
        check_path(call, &format!("the path of parent {at}"), &path, Form::Any);
        let expected = name_to_guid(last_component(Path::new(&path)));
        call.rule(
            id == expected,
            PATH_NOT_FOUND,
            format!("the id of parent {at} is {id}, not {expected}"),
        );
        let folder = verbatim(&path);
        call.rule(
            folder.is_dir(),
            PATH_NOT_FOUND,
            format!("parent {at} is not there: {path}"),
        );
        parents.push(Parent { id, path: folder });
    }
    check_order(call, &parents);
    parents
}

/// Immediate parent first, base last, as far as the folders say what they lie on.
fn check_order(call: &mut Call, parents: &[Parent]) {
    for (at, parent) in parents.iter().enumerate() {
        let Some(said) = parent_of(&parent.path) else {
            continue;
        };
        let given = parents
            .get(at + 1)
            .map(|next| last_component(&next.path).to_lowercase());
        let text = format!("parent {at} lies on {said:?}, but {given:?} comes next");
        call.rule(
            said.map(|name| name.to_lowercase()) == given,
            PATH_NOT_FOUND,
            text,
        );
    }
}

/// The name of the folder that `layer` lies on: outer none when it does not say, inner none for a base.
#[must_use]
pub fn parent_of(layer: &Path) -> Option<Option<String>> {
    // Written by moby's rule after the import: absolute folders, immediate parent first.
    if let Value::Array(chain) = load(&layer.join("layerchain.json")) {
        let first = chain.first().and_then(Value::as_str);
        return Some(first.map(|path| {
            path.rsplit(['\\', '/'])
                .next()
                .unwrap_or_default()
                .to_owned()
        }));
    }
    let record = load(&layer.join("layer.json"));
    match record.get("parent_chain_id") {
        Some(Value::String(id)) => Some(Some(id.rsplit(':').next().unwrap_or_default().to_owned())),
        Some(Value::Null) => Some(None),
        _ => None,
    }
}

/// The last component of `path`, as NameToGuid is given it.
#[must_use]
pub fn last_component(path: &Path) -> &str {
    path.to_str()
        .and_then(|path| path.rsplit('\\').next())
        .unwrap_or_default()
}
