//! What `SOFTWARE` says: the product, its updates, and the programs on it.

use std::cmp::Ordering;

use super::{
    super::key::time, Answer, Asker, DotNet, Program, RegistryHive, Update, View, WindowsFacts,
    number, text, topmost,
};

const CURRENT_VERSION: &str = r"Microsoft\Windows NT\CurrentVersion";
const PACKAGES: &str = r"Microsoft\Windows\CurrentVersion\Component Based Servicing\Packages";
const DOTNET: &str = r"Microsoft\NET Framework Setup\NDP\v4\Full";
const UNINSTALL: [(&str, bool); 2] = [
    (r"Microsoft\Windows\CurrentVersion\Uninstall", false),
    (
        r"WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
        true,
    ),
];
/// State of a package that is installed.
const INSTALLED: u32 = 112;
const UPDATE: &str = "Package_for_";
const CUMULATIVE: &str = "RollupFix";

pub(super) fn product(facts: &mut WindowsFacts, asker: &mut Asker<'_>) {
    let hive = RegistryHive::Software;
    let mut product = asker.ask(hive, &current_version).unwrap_or_default();
    product.updates = asker.ask(hive, &updates).unwrap_or_default();
    product.cumulative_level = cumulative_level(&product.updates);
    product.dotnet = asker.ask(hive, &dotnet).flatten();
    product.programs = asker.ask(hive, &programs).unwrap_or_default();
    *facts = product;
}

fn current_version(view: &View) -> Answer<WindowsFacts> {
    let mut facts = WindowsFacts::default();
    let Some(key) = view.overlay.get(CURRENT_VERSION)? else {
        return Ok(facts);
    };
    facts.product = text(&key, "ProductName")?;
    facts.edition = text(&key, "EditionID")?;
    facts.installation_type = text(&key, "InstallationType")?;
    facts.display_version = text(&key, "DisplayVersion")?.or(text(&key, "ReleaseId")?);
    facts.build_lab = text(&key, "BuildLabEx")?;
    let build = text(&key, "CurrentBuildNumber")?.or(text(&key, "CurrentBuild")?);
    let major = number(&key, "CurrentMajorVersionNumber")?;
    let minor = number(&key, "CurrentMinorVersionNumber")?;
    if let (Some(build), Some(major), Some(minor)) = (build, major, minor) {
        facts.version = Some(match number(&key, "UBR")? {
            Some(revision) => format!("{major}.{minor}.{build}.{revision}"),
            None => format!("{major}.{minor}.{build}"),
        });
    }
    Ok(facts)
}

fn updates(view: &View) -> Answer<Vec<Update>> {
    let mut updates = Vec::new();
    let Some(packages) = view.overlay.get(PACKAGES)? else {
        return Ok(updates);
    };
    for key in packages.subkeys()? {
        let package = key.name().to_text();
        let Some(what) = package.strip_prefix(UPDATE) else {
            continue;
        };
        // NAME~PUBLIC KEY~ARCHITECTURE~LANGUAGE~VERSION
        let (name, rest) = what.split_once('~').unwrap_or((what, ""));
        let high = number(&key, "InstallTimeHigh")?;
        let low = number(&key, "InstallTimeLow")?;
        let ticks = high
            .zip(low)
            .map(|(high, low)| u64::from(high) << 32 | u64::from(low));
        updates.push(Update {
            kb: is_kb(name).then(|| name.to_owned()),
            version: rest.rsplit_once('~').map(|(_, version)| version.to_owned()),
            state: state(number(&key, "CurrentState")?.unwrap_or_default()),
            installed: ticks.filter(|ticks| *ticks != 0).map(time),
            cumulative: name == CUMULATIVE,
            layer: topmost(view, &key),
            package,
        });
    }
    Ok(updates)
}

fn is_kb(name: &str) -> bool {
    let digits = name.strip_prefix("KB").unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Names as the component store's log uses them.
fn state(state: u32) -> String {
    let name = match state {
        0 => "absent",
        5 => "uninstall pending",
        16 => "resolving",
        32 => "resolved",
        48 => "staging",
        64 => "staged",
        80 => "superseded",
        96 => "install pending",
        101 => "partially installed",
        INSTALLED => "installed",
        128 => "permanent",
        other => return other.to_string(),
    };
    name.to_owned()
}

fn cumulative_level(updates: &[Update]) -> Option<String> {
    let installed = state(INSTALLED);
    let levels = updates
        .iter()
        .filter(|update| update.cumulative && update.state == installed)
        .filter_map(|update| update.version.as_deref());
    let newest = levels.max_by(|a, b| compare_versions(a, b))?;
    let numbers: Vec<&str> = newest.split('.').take(2).collect();
    Some(numbers.join("."))
}

fn compare_versions(a: &str, b: &str) -> Ordering {
    let numbers = |version: &str| -> Vec<u64> {
        let parts = version.split('.');
        parts.map(|part| part.parse().unwrap_or(0)).collect()
    };
    numbers(a).cmp(&numbers(b))
}

fn dotnet(view: &View) -> Answer<Option<DotNet>> {
    let release = match view.overlay.get(DOTNET)? {
        Some(key) => number(&key, "Release")?,
        None => None,
    };
    Ok(release.map(|release| DotNet {
        release,
        version: dotnet_version(release),
    }))
}

/// The lowest release number of each version (Microsoft Learn, "Determine which .NET Framework
/// versions are installed").
fn dotnet_version(release: u32) -> Option<&'static str> {
    const VERSIONS: [(u32, &str); 11] = [
        (533_320, "4.8.1"),
        (528_040, "4.8"),
        (461_808, "4.7.2"),
        (461_308, "4.7.1"),
        (460_798, "4.7"),
        (394_802, "4.6.2"),
        (394_254, "4.6.1"),
        (393_295, "4.6"),
        (379_893, "4.5.2"),
        (378_675, "4.5.1"),
        (378_389, "4.5"),
    ];
    let mut versions = VERSIONS.iter();
    versions
        .find(|(lowest, _)| release >= *lowest)
        .map(|(_, version)| *version)
}

fn programs(view: &View) -> Answer<Vec<Program>> {
    let mut programs = Vec::new();
    for (path, wow64) in UNINSTALL {
        let Some(uninstall) = view.overlay.get(path)? else {
            continue;
        };
        for key in uninstall.subkeys()? {
            // Entries without a name are parts of others, which Windows does not show either.
            let Some(name) = text(&key, "DisplayName")? else {
                continue;
            };
            programs.push(Program {
                name,
                version: text(&key, "DisplayVersion")?,
                publisher: text(&key, "Publisher")?,
                key: key.name().to_text(),
                wow64,
                layer: topmost(view, &key),
            });
        }
    }
    programs.sort_by(|a, b| (&a.name, &a.key, a.wow64).cmp(&(&b.name, &b.key, b.wow64)));
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_of_dotnet_are_those_of_the_table_or_the_one_below() {
        let versions = [378_388, 378_758, 528_449, 533_325, 600_000].map(dotnet_version);
        let expected = [
            None,
            Some("4.5.1"),
            Some("4.8"),
            Some("4.8.1"),
            Some("4.8.1"),
        ];
        assert_eq!(versions, expected);
    }

    #[test]
    fn the_cumulative_level_is_the_newest_by_number_that_is_installed() {
        let update = |version: &str, number| Update {
            kb: None,
            package: String::new(),
            version: Some(version.to_owned()),
            state: state(number),
            installed: None,
            cumulative: true,
            layer: 1,
        };
        let updates = [
            update("20348.887.1.0", 112),
            update("20348.2113.1.0", 112),
            update("20348.9999.1.0", 64),
        ];
        assert_eq!(cumulative_level(&updates).as_deref(), Some("20348.2113"));
    }
}
