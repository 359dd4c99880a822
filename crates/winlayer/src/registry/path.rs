//! Names of keys as people write them.

use std::{fmt, str::FromStr};

use super::RegistryHive;
use crate::Error;

/// A key by its full name: `HKLM\SOFTWARE\Microsoft`, `HKEY_LOCAL_MACHINE\SYSTEM\Select`,
/// `HKU\.DEFAULT\Environment`, `HKCR\.exe`; in any case, also with PowerShell's colon (`HKLM:\…`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryPath {
    hive: RegistryHive,
    /// Below the root of the hive.
    below: String,
}

impl RegistryPath {
    /// The hive that has the key.
    pub fn hive(&self) -> RegistryHive {
        self.hive
    }

    /// The path below the root of the hive, without backslashes at its ends.
    pub fn below(&self) -> &str {
        &self.below
    }

    /// What follows `CurrentControlSet`, which stands for the control set that `Select` names.
    pub(super) fn below_current_control_set(&self) -> Option<&str> {
        const NAME: &str = "CurrentControlSet";
        if self.hive != RegistryHive::System {
            return None;
        }
        let (first, rest) = self.below.split_once('\\').unwrap_or((&self.below, ""));
        first.eq_ignore_ascii_case(NAME).then_some(rest)
    }
}

impl fmt::Display for RegistryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hive.root())?;
        match self.below.is_empty() {
            true => Ok(()),
            false => write!(f, "\\{}", self.below),
        }
    }
}

/// Root names, what they stand for, and where that is in the hive.
const ROOTS: [(&str, RegistryHive, &str); 7] = [
    (r"HKLM\SYSTEM", RegistryHive::System, ""),
    (r"HKLM\SOFTWARE", RegistryHive::Software, ""),
    (r"HKLM\SAM", RegistryHive::Sam, ""),
    (r"HKLM\SECURITY", RegistryHive::Security, ""),
    (r"HKU\.DEFAULT", RegistryHive::Default, ""),
    (r"HKU\S-1-5-18", RegistryHive::Default, ""),
    (r"HKCR", RegistryHive::Software, "Classes"),
];

impl FromStr for RegistryPath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let names: Vec<&str> = text.split('\\').filter(|name| !name.is_empty()).collect();
        let (first, rest) = names.split_first().unwrap_or((&"", &[]));
        let first = first.strip_suffix(':').unwrap_or(first);
        let short = match first.to_ascii_uppercase().as_str() {
            "HKEY_LOCAL_MACHINE" => "HKLM".to_owned(),
            "HKEY_USERS" => "HKU".to_owned(),
            "HKEY_CLASSES_ROOT" => "HKCR".to_owned(),
            other => other.to_owned(),
        };
        for (root, hive, inside) in ROOTS {
            let (top, name) = root.split_once('\\').unwrap_or((root, ""));
            let taken = usize::from(!name.is_empty());
            let named = rest.first().copied().unwrap_or_default();
            if short == top && (taken == 0 || named.eq_ignore_ascii_case(name)) {
                let below = rest.iter().skip(taken).copied();
                let inside = Some(inside).filter(|inside| !inside.is_empty());
                let below: Vec<&str> = inside.into_iter().chain(below).collect();
                let below = below.join("\\");
                return Ok(Self { hive, below });
            }
        }
        Err(Error::no_such_hive(text))
    }
}
