//! Which Windows an image is, from its registry.

mod software;
mod system;

use serde::Serialize;
use winlayer_hive::{HiveError, MergedKey};

use super::{ImageRegistry, RegistryFinding, RegistryHive, View};

/// What the merged registry says. What it does not say is missing or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WindowsFacts {
    /// `Windows Server 2022 Datacenter`
    pub product: Option<String>,
    /// `ServerDatacenter`
    pub edition: Option<String>,
    /// `Nano Server`, `Server Core` or `Server`
    pub installation_type: Option<String>,
    /// `21H2`
    pub display_version: Option<String>,
    /// What is installed, updates included: `10.0.20348.2113`
    pub version: Option<String>,
    /// What the image's config says is installed, its `os.version`.
    pub config_version: Option<String>,
    /// Whether the two are the same; none when either is missing.
    pub version_matches: Option<bool>,
    /// Name of the build: `20348.1.amd64fre.fe_release.210507-1500`
    pub build_lab: Option<String>,
    /// `ServerNT`, `LanmanNT` or `WinNT`
    pub product_type: Option<String>,
    /// Name of the machine.
    pub computer_name: Option<String>,
    /// Build and revision of the newest cumulative update that is installed: `20348.2113`
    pub cumulative_level: Option<String>,
    /// The packages of updates, by name.
    pub updates: Vec<Update>,
    /// .NET Framework 4.5 or later.
    pub dotnet: Option<DotNet>,
    /// Installed programs, by name.
    pub programs: Vec<Program>,
    /// Services and drivers, by name.
    pub services: Vec<Service>,
    /// Environment of the system, by name.
    pub environment: Vec<Variable>,
}

/// The package of an update (`Package_for_…`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Update {
    /// `KB5032198`; cumulative updates do not say it.
    pub kb: Option<String>,
    /// The whole name of the package.
    pub package: String,
    /// Version of the package: `20348.2113.1.0`
    pub version: Option<String>,
    /// `installed`, `superseded`, `staged`, …; a number when unknown.
    pub state: String,
    /// When it was installed, RFC 3339.
    pub installed: Option<String>,
    /// It is the cumulative update (`Package_for_RollupFix`).
    pub cumulative: bool,
    /// The layer that says so last, 1 for the base.
    pub layer: usize,
}

/// The .NET Framework.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DotNet {
    /// Its release number.
    pub release: u32,
    /// The version that has this number, or the newest below it: `4.8`
    pub version: Option<&'static str>,
}

/// An installed program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// As people see it.
    pub name: String,
    /// As the installer says.
    pub version: Option<String>,
    /// As the installer says.
    pub publisher: Option<String>,
    /// Name of its key below `Uninstall`.
    pub key: String,
    /// Registered among the 32-bit programs.
    pub wow64: bool,
    /// The layer that registers it, 1 for the base.
    pub layer: usize,
}

/// A service or driver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Service {
    /// Name of its key.
    pub name: String,
    /// `boot`, `system`, `automatic`, `manual` or `disabled`; a number when unknown.
    pub start: Option<String>,
    /// A driver, not a process.
    pub driver: bool,
    /// The program, not expanded.
    pub image_path: Option<String>,
    /// The topmost layer that says anything of it, 1 for the base.
    pub layer: usize,
}

/// An environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value, not expanded.
    pub value: String,
}

type Answer<T> = Result<T, HiveError>;

impl ImageRegistry {
    /// Which Windows this is. `config_version` is the `os.version` of the image's config. Hives that
    /// cannot be read become findings, and the others are still asked.
    pub fn windows(
        &self,
        config_version: Option<&str>,
        findings: &mut Vec<RegistryFinding>,
    ) -> WindowsFacts {
        let mut facts = WindowsFacts::default();
        software::product(&mut facts, &mut Asker::new(self, findings));
        system::machine(&mut facts, &mut Asker::new(self, findings));
        facts.config_version = config_version.map(str::to_owned);
        let both = facts.version.as_ref().zip(facts.config_version.as_ref());
        facts.version_matches = both.map(|(installed, config)| installed == config);
        facts
    }
}

/// Puts questions to the merged registry.
struct Asker<'a> {
    registry: &'a ImageRegistry,
    findings: &'a mut Vec<RegistryFinding>,
}

impl<'a> Asker<'a> {
    fn new(registry: &'a ImageRegistry, findings: &'a mut Vec<RegistryFinding>) -> Self {
        Self { registry, findings }
    }

    fn ask<T>(&mut self, hive: RegistryHive, question: &dyn Fn(&View) -> Answer<T>) -> Option<T> {
        let parts = self.registry.parts(hive, self.registry.layers());
        self.registry.ask(parts, self.findings, question)
    }
}

/// A value that is text.
fn text(key: &MergedKey<'_>, name: &str) -> Answer<Option<String>> {
    let data = key.value(name)?.map(|value| value.data()).transpose()?;
    let text = data.and_then(|data| data.to_text());
    Ok(text.filter(|text| !text.is_empty()))
}

/// A value that is a number.
fn number(key: &MergedKey<'_>, name: &str) -> Answer<Option<u32>> {
    let data = key.value(name)?.map(|value| value.data()).transpose()?;
    Ok(data.and_then(|data| data.to_u32()))
}

/// The topmost layer that has something to say of a key.
fn topmost(view: &View, key: &MergedKey<'_>) -> usize {
    let number = key.parts().next().map(|(number, _)| number);
    number.map_or(0, |number| view.layer(number))
}
