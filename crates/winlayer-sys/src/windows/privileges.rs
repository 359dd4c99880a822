//! Privileges of the whole process.

use crate::PlatformError;

/// A privilege an account may hold and a process may switch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// `SeBackupPrivilege`: read whatever the permissions say.
    Backup,
    /// `SeRestorePrivilege`: write whatever the permissions say, and set any owner.
    Restore,
    /// `SeSecurityPrivilege`: read and write audit lists; needed where the layer is on a mounted disk image.
    Security,
    /// `SeManageVolumePrivilege`: grow and mount volumes.
    ManageVolume,
    /// `SeTakeOwnershipPrivilege`.
    TakeOwnership,
}

/// Namespace for [`Privileges::acquire`].
#[derive(Debug)]
pub struct Privileges;

impl Privileges {
    /// Switches `privileges` on for the whole process, until the guard is dropped. Guards nest: a
    /// privilege goes back to what it was before the first when the last is dropped.
    ///
    /// The process and not the thread, because work goes to other threads, and because the layer
    /// calls do part of theirs on threads of their own.
    ///
    /// # Errors
    ///
    /// Names the first privilege the account does not hold (ERROR_NOT_ALL_ASSIGNED); none is
    /// changed then.
    pub fn acquire(privileges: &[Privilege]) -> Result<PrivilegeGuard, PlatformError> {
        todo!("{privileges:?}")
    }
}

/// Keeps privileges switched on.
#[derive(Debug)]
#[must_use = "the privileges are given back when this is dropped"]
pub struct PrivilegeGuard(());
