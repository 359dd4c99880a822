//! The security descriptors a Windows installation gives its directories and files.

use std::{io, sync::Arc};

use winlayer_metadata::SecurityDescriptor;

use super::tree::Descriptor;

/// `NT SERVICE\TrustedInstaller`.
pub(super) const TRUSTED_INSTALLER: &str =
    "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464";
/// `User Manager\ContainerAdministrator`.
const CONTAINER_ADMINISTRATOR: &str = "S-1-5-93-2-1";
/// `ALL RESTRICTED APPLICATION PACKAGES`.
const RESTRICTED_PACKAGES: &str = "S-1-15-2-2";

/// Descriptors by what they protect.
pub(super) struct Descriptors {
    /// `C:\`
    pub drive: Descriptor,
    /// `C:\Windows`, `C:\Program Files`
    pub system_directory: Descriptor,
    /// Directories below those
    pub component_directory: Descriptor,
    /// Files that belong to the system
    pub system_file: Descriptor,
    /// Files nobody but the system and administrators may see
    pub private_file: Descriptor,
    /// Their directory
    pub private_directory: Descriptor,
    /// `C:\Users`
    pub users: Descriptor,
    /// A profile of the container's administrator
    pub profile: Descriptor,
    /// `C:\ProgramData`
    pub program_data: Descriptor,
    /// What inherits everything from `C:\ProgramData`
    pub inherited_directory: Descriptor,
    pub inherited_file: Descriptor,
    /// Links of old names, which nobody may list
    pub legacy_link: Descriptor,
    /// A directory with audit rules and a low integrity label
    pub audited_directory: Descriptor,
}

impl Descriptors {
    pub(super) fn new() -> io::Result<Self> {
        let ti = TRUSTED_INSTALLER;
        let rp = RESTRICTED_PACKAGES;
        let ca = CONTAINER_ADMINISTRATOR;
        Ok(Self {
            drive: parse(&format!(
                "O:{ti}G:{ti}D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1200a9;;;BU)\
                 (A;CI;LC;;;BU)(A;CIIO;DC;;;BU)(A;OICIIO;GA;;;CO)"
            ))?,
            system_directory: parse(&format!(
                "O:{ti}G:{ti}D:PAI(A;;FA;;;{ti})(A;CIIO;GA;;;{ti})(A;;0x1301bf;;;SY)\
                 (A;OICIIO;GA;;;SY)(A;;0x1301bf;;;BA)(A;OICIIO;GA;;;BA)(A;;0x1200a9;;;BU)\
                 (A;OICIIO;GXGR;;;BU)(A;OICIIO;GA;;;CO)(A;;0x1200a9;;;AC)(A;OICIIO;GXGR;;;AC)\
                 (A;;0x1200a9;;;{rp})(A;OICIIO;GXGR;;;{rp})"
            ))?,
            component_directory: parse(&format!(
                "O:{ti}G:{ti}D:AI(A;ID;FA;;;{ti})(A;CIIOID;GA;;;{ti})(A;ID;0x1200a9;;;SY)\
                 (A;OICIIOID;GXGR;;;SY)(A;ID;0x1200a9;;;BA)(A;OICIIOID;GXGR;;;BA)\
                 (A;ID;0x1200a9;;;BU)(A;OICIIOID;GXGR;;;BU)"
            ))?,
            system_file: parse(&format!(
                "O:{ti}G:{ti}D:PAI(A;;FA;;;{ti})(A;;0x1200a9;;;BA)(A;;0x1200a9;;;SY)\
                 (A;;0x1200a9;;;BU)(A;;0x1200a9;;;AC)(A;;0x1200a9;;;{rp})"
            ))?,
            private_file: parse("O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)")?,
            private_directory: parse("O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")?,
            users: parse(
                "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;;0x1200a9;;;BU)\
                 (A;OICIIO;GXGR;;;BU)(A;;0x1200a9;;;WD)(A;OICIIO;GXGR;;;WD)",
            )?,
            profile: parse(&format!(
                "O:{ca}G:{ca}D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;{ca})"
            ))?,
            program_data: parse(
                "O:SYG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICIIO;GA;;;CO)\
                 (A;OICI;0x1200a9;;;BU)(A;CI;DCLCRPCR;;;BU)",
            )?,
            inherited_directory: parse(
                "O:BAG:SYD:AI(A;OICIID;FA;;;SY)(A;OICIID;FA;;;BA)(A;OICIIOID;GA;;;CO)\
                 (A;OICIID;0x1200a9;;;BU)(A;CIID;DCLCRPCR;;;BU)",
            )?,
            inherited_file: parse("O:BAG:SYD:AI(A;ID;FA;;;SY)(A;ID;FA;;;BA)(A;ID;0x1200a9;;;BU)")?,
            legacy_link: parse(
                "O:SYG:SYD:PAI(D;;CC;;;WD)(A;;0x1200a9;;;WD)(A;;FA;;;SY)(A;;FA;;;BA)",
            )?,
            audited_directory: parse(
                "O:BAG:SYD:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)\
                 S:(AU;OICISAFA;DCSDWDWO;;;WD)(ML;OICI;NW;;;LW)",
            )?,
        })
    }
}

fn parse(sddl: &str) -> io::Result<Descriptor> {
    SecurityDescriptor::from_sddl(sddl)
        .map(|parsed| Some(Arc::new(parsed)))
        .map_err(io::Error::other)
}
