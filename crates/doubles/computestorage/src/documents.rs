//! The JSON documents, read as strictly as the schema allows (hcsshim `computestorage/storage.go`, `schema2/layer.go`).

use serde::Deserialize;

use winlayer_double_common::arguments::{self, Parent};
use winlayer_double_common::call::Call;
use winlayer_double_common::codes::{INVALID_JSON, POINTER};
use winlayer_double_common::guid::Guid;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LayerData {
    #[serde(rename = "SchemaVersion")]
    schema_version: Version,
    #[serde(rename = "Layers", default)]
    layers: Option<Vec<Layer>>,
    #[serde(rename = "FilterType")]
    filter_type: Option<FilterType>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    #[serde(rename = "Major")]
    major: u32,
    #[serde(rename = "Minor")]
    minor: u32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Layer {
    #[serde(rename = "Id")]
    id: String,
    #[serde(rename = "Path")]
    path: String,
    #[serde(rename = "PathType")]
    _path_type: Option<PathType>,
    #[serde(rename = "Cache")]
    _cache: Option<Cache>,
}

#[derive(Debug, Deserialize, PartialEq, Eq)]
enum FilterType {
    #[serde(rename = "WCIFS")]
    Wcifs,
    UnionFS,
}

#[derive(Debug, Deserialize)]
enum PathType {
    AbsolutePath,
}

#[derive(Debug, Deserialize)]
enum Cache {
    Unspecified,
    Disabled,
    Enabled,
    Private,
    PrivateAllowSharing,
}

/// What HcsSetupBaseOSLayer is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OsLayerOptions {
    /// What the layer is for.
    #[serde(rename = "Type")]
    pub(crate) kind: OsLayerType,
    #[serde(rename = "DisableCiCacheOptimization", default)]
    disable_ci_cache: Option<bool>,
    #[serde(rename = "SkipUpdateBcdForBoot", default)]
    pub(crate) skip_bcd: Option<bool>,
}

/// The two kinds of base layers.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
pub(crate) enum OsLayerType {
    /// Of a container.
    Container,
    /// Of a utility VM.
    Vm,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportOptions {
    #[serde(rename = "IsWritableLayer", default)]
    is_writable: Option<bool>,
}

/// Whether members may be false, null or empty instead of left out: never.
fn left_out(call: &mut Call, is_there_in_vain: bool, what: &str) {
    call.rule(
        !is_there_in_vain,
        INVALID_JSON,
        format!("{what} should be left out"),
    );
}

/// Reads, records and checks layer data; `needed` says that it must list layers.
///
/// # Safety
///
/// Null or a string.
pub(crate) unsafe fn layer_data(call: &mut Call, pointer: *const u16, needed: bool) -> Vec<Parent> {
    // SAFETY: passed on.
    let Some(data) = (unsafe { parsed::<LayerData>(call, "layer_data", pointer) }) else {
        return Vec::new();
    };
    let version = (data.schema_version.major, data.schema_version.minor);
    call.rule(
        matches!(version, (2, 1 | 5)),
        INVALID_JSON,
        format!("schema version {version:?} is neither 2.1 nor 2.5"),
    );
    call.rule(
        data.filter_type != Some(FilterType::UnionFS),
        INVALID_JSON,
        "winlayer's layers are of WCIFS",
    );
    left_out(
        call,
        data.layers.as_ref().is_some_and(Vec::is_empty),
        "an empty list of layers",
    );
    let layers = data.layers.unwrap_or_default();
    call.rule(
        !needed || !layers.is_empty(),
        INVALID_JSON,
        "no layers are named",
    );
    let mut given = Vec::new();
    for (at, layer) in layers.into_iter().enumerate() {
        let lower = layer.id == layer.id.to_lowercase();
        match Guid::parse(&layer.id) {
            Some(id) if lower => given.push((id, layer.path)),
            _ => call.violation(
                INVALID_JSON,
                format!("the id of layer {at} is {:?}", layer.id),
            ),
        }
    }
    arguments::check_parents(call, given)
}

/// Reads, records and checks the options of a base layer.
///
/// # Safety
///
/// Null or a string.
pub(crate) unsafe fn os_layer_options(
    call: &mut Call,
    pointer: *const u16,
) -> Option<OsLayerOptions> {
    // SAFETY: passed on.
    let options = unsafe { parsed::<OsLayerOptions>(call, "options", pointer) }?;
    left_out(
        call,
        options.disable_ci_cache == Some(false),
        "DisableCiCacheOptimization false",
    );
    left_out(
        call,
        options.skip_bcd == Some(false),
        "SkipUpdateBcdForBoot false",
    );
    Some(options)
}

/// Reads, records and checks the options of an export: whether the layer is a writable one.
///
/// # Safety
///
/// Null or a string.
pub(crate) unsafe fn export_options(call: &mut Call, pointer: *const u16) -> bool {
    // SAFETY: passed on.
    let options = unsafe { parsed::<ExportOptions>(call, "options", pointer) };
    let is_writable = options.and_then(|options| options.is_writable);
    left_out(call, is_writable == Some(false), "IsWritableLayer false");
    is_writable.unwrap_or_default()
}

/// # Safety
///
/// Null or a string.
unsafe fn parsed<T: for<'a> Deserialize<'a>>(
    call: &mut Call,
    key: &str,
    pointer: *const u16,
) -> Option<T> {
    // SAFETY: passed on.
    let Some(text) = (unsafe { arguments::text(pointer) }) else {
        call.violation(POINTER, format!("{key} is null"));
        return None;
    };
    call.note(key, text.as_str());
    serde_json::from_str(&text)
        .map_err(|error| call.violation(INVALID_JSON, format!("{key}: {error}: {text}")))
        .ok()
}
