//! What a utility VM's boot configuration boots.

use std::{fs, io::Read, path::Path};

use serde::Serialize;
use winlayer_hive::{BcdElementType, BcdStore, Hive, HiveError, Overlay};
use winlayer_metadata::backup_stream::{BackupStreamReader, StreamId};

use super::UvmBootFiles;
use crate::{Error, Result};

/// The copy of the boot configuration that an unpack leaves as the image has it, in the layer that
/// brings it; a layer that only takes it over from its parent has none.
const COPY: &str = "bcd.bak";
/// Bytes of the attributes before the backup stream of a file in the transport format.
const ATTRIBUTES: usize = 4;
const LOGS: [&str; 3] = ["bcd.log.bak", "bcd.log1.bak", "bcd.log2.bak"];
/// No boot configuration is larger; hostile ones may be.
const MOST_BYTES: u64 = 64 << 20;

/// The entry of the boot configuration that is booted when nobody chooses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UvmBootEntry {
    /// Its title: `Windows Server`
    pub description: Option<String>,
    /// The loader below the system's root: `\Windows\System32\winload.efi`
    pub loader: Option<String>,
}

impl UvmBootFiles {
    /// What the utility VM boots, by the boot configuration as the image has it, where the layer folder
    /// has a copy of that, else by the one it boots with; none when that names nothing to boot.
    ///
    /// # Errors
    ///
    /// It cannot be read, or is no boot configuration.
    pub fn boot_entry(&self) -> Result<Option<UvmBootEntry>> {
        let mut path = self.uvm_layer_dir.join(COPY);
        let bytes = match read(&path)? {
            Some(bytes) => bytes,
            None => {
                path = self.os_files_dir.join("EFI/Microsoft/Boot/BCD");
                match read(&path)? {
                    Some(bytes) => content(bytes)?,
                    None => return Ok(None),
                }
            }
        };
        let mut logs = Vec::new();
        for log in LOGS {
            logs.extend(read(&self.uvm_layer_dir.join(log))?);
        }
        let logs: Vec<&[u8]> = logs.iter().map(Vec::as_slice).collect();
        entry(bytes, &logs)
            .map_err(|error| Error::malformed(format!("{}: {}", path.display(), describe(&error))))
    }
}

/// What a file holds: itself, or the data in its transport format.
fn content(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if bytes.starts_with(b"regf") {
        return Ok(bytes);
    }
    let failed = |error| Error::io("read the boot configuration", error);
    let mut records = BackupStreamReader::new(bytes.get(ATTRIBUTES..).unwrap_or_default());
    let mut content = Vec::new();
    while let Some(header) = records
        .next_record()
        .map_err(|error| failed(error.into()))?
    {
        if header.id == StreamId::Data {
            records.read_to_end(&mut content).map_err(failed)?;
        }
    }
    Ok(content)
}

fn describe(error: &HiveError) -> String {
    crate::registry::describe(error)
}

fn entry(bytes: Vec<u8>, logs: &[&[u8]]) -> std::result::Result<Option<UvmBootEntry>, HiveError> {
    let hive = Overlay::new([Hive::from_bytes_with_logs(bytes, logs)?])?;
    let store = BcdStore::read(&hive)?;
    let text = |kind| {
        let loader = store.default_loader()?;
        loader.text(kind).map(str::to_owned)
    };
    let entry = UvmBootEntry {
        description: text(BcdElementType::DESCRIPTION),
        loader: text(BcdElementType::PATH),
    };
    Ok(store.default_loader().map(|_| entry))
}

/// A file that may be missing.
fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    let failed = |error| Error::io(format!("read {}", path.display()), error);
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
        Ok(found) if found.is_file() && found.len() <= MOST_BYTES => {
            fs::read(path).map(Some).map_err(failed)
        }
        Ok(_) => Err(Error::malformed(format!(
            "{}: no file of a boot configuration",
            path.display()
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn no_copy_is_no_entry_and_a_broken_one_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let files = UvmBootFiles {
            uvm_layer_dir: folder.path().to_owned(),
            os_files_dir: folder.path().join("UtilityVM/Files"),
            system_template_vhdx: None,
            boot_rel_path: String::new(),
        };
        assert_eq!(files.boot_entry().unwrap(), None);
        fs::write(folder.path().join(COPY), "no hive").unwrap();
        let error = files.boot_entry().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Verification);
        assert!(
            error.to_string().contains("bcd.bak: not a registry hive"),
            "{error}"
        );
    }
}
