//! Privileges of the whole process.

use std::{
    collections::BTreeMap,
    os::windows::io::{AsRawHandle as _, FromRawHandle as _, OwnedHandle},
    path::Path,
    ptr,
    sync::{Mutex, MutexGuard, PoisonError},
};

use windows_sys::Win32::{
    Foundation::{ERROR_NOT_ALL_ASSIGNED, GetLastError, LUID},
    Security::{
        AdjustTokenPrivileges, LUID_AND_ATTRIBUTES, LookupPrivilegeValueW, SE_PRIVILEGE_ENABLED,
        TOKEN_ADJUST_PRIVILEGES, TOKEN_PRIVILEGES, TOKEN_QUERY,
    },
    System::Threading::{GetCurrentProcess, OpenProcessToken},
};

use super::{library::last_error, text::wide};
use crate::{PlatformCode, PlatformError};

type Result<T> = std::result::Result<T, PlatformError>;

/// A privilege an account may hold and a process may switch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Privilege {
    /// `SeBackupPrivilege`: read whatever the permissions say.
    Backup,
    /// `SeRestorePrivilege`: write whatever the permissions say, and set any owner.
    Restore,
    /// `SeSecurityPrivilege`: read and write audit lists; needed where the layer is on a mounted disk
    /// image.
    Security,
    /// `SeManageVolumePrivilege`: grow and mount volumes.
    ManageVolume,
    /// `SeTakeOwnershipPrivilege`: become the owner of anything.
    TakeOwnership,
}

impl Privilege {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::Backup,
        Self::Restore,
        Self::Security,
        Self::ManageVolume,
        Self::TakeOwnership,
    ];

    /// The name Windows knows it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backup => "SeBackupPrivilege",
            Self::Restore => "SeRestorePrivilege",
            Self::Security => "SeSecurityPrivilege",
            Self::ManageVolume => "SeManageVolumePrivilege",
            Self::TakeOwnership => "SeTakeOwnershipPrivilege",
        }
    }

    /// Its number on this machine since it was started.
    pub(super) fn luid(self) -> Result<LUID> {
        let name = wide(self.name());
        let mut luid = LUID {
            LowPart: 0,
            HighPart: 0,
        };
        // SAFETY: the string ends with a NUL and outlives the call; the number is ours to write.
        let done = unsafe { LookupPrivilegeValueW(ptr::null(), name.as_ptr(), &mut luid) };
        if done == 0 {
            return Err(last_error("LookupPrivilegeValueW", Path::new(self.name())));
        }
        Ok(luid)
    }
}

/// The token of the process.
pub(super) fn process_token(access: u32) -> Result<OwnedHandle> {
    let mut token = ptr::null_mut();
    // SAFETY: the pseudo handle of the process is always valid; the token's is ours to write.
    let done = unsafe { OpenProcessToken(GetCurrentProcess(), access, &mut token) };
    if done == 0 {
        return Err(last_error("OpenProcessToken", Path::new("")));
    }
    // SAFETY: the call succeeded, so the handle is open and nobody else's.
    Ok(unsafe { OwnedHandle::from_raw_handle(token) })
}

/// How many guards hold a privilege, and whether the first of them switched it on.
#[derive(Clone, Copy, Debug)]
struct Held {
    guards: usize,
    ours: bool,
}

static HELD: Mutex<BTreeMap<Privilege, Held>> = Mutex::new(BTreeMap::new());

fn held() -> MutexGuard<'static, BTreeMap<Privilege, Held>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The privileges of this process, see [`Privileges::acquire`].
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
    pub fn acquire(privileges: &[Privilege]) -> Result<PrivilegeGuard> {
        let token = process_token(TOKEN_ADJUST_PRIVILEGES | TOKEN_QUERY)?;
        // Dropping it on an error gives back those that were switched on.
        let mut guard = PrivilegeGuard {
            token,
            privileges: Vec::with_capacity(privileges.len()),
        };
        for &privilege in privileges {
            guard.add(privilege)?;
        }
        Ok(guard)
    }
}

/// Keeps privileges switched on.
#[derive(Debug)]
#[must_use = "the privileges are given back when this is dropped"]
pub struct PrivilegeGuard {
    token: OwnedHandle,
    privileges: Vec<Privilege>,
}

impl PrivilegeGuard {
    fn add(&mut self, privilege: Privilege) -> Result<()> {
        let mut held = held();
        match held.get_mut(&privilege) {
            Some(entry) => entry.guards += 1,
            None => {
                let was_on = adjust(&self.token, privilege, true)?;
                let entry = Held {
                    guards: 1,
                    ours: !was_on,
                };
                held.insert(privilege, entry);
            }
        }
        self.privileges.push(privilege);
        Ok(())
    }
}

impl Drop for PrivilegeGuard {
    fn drop(&mut self) {
        let mut held = held();
        for privilege in self.privileges.drain(..) {
            let Some(entry) = held.get_mut(&privilege) else {
                continue;
            };
            entry.guards = entry.guards.saturating_sub(1);
            if entry.guards > 0 {
                continue;
            }
            if entry.ours {
                // There is nobody to tell; a privilege left on harms less than a panic.
                let _ = adjust(&self.token, privilege, false);
            }
            held.remove(&privilege);
        }
    }
}

/// Switches a privilege and returns whether it was on.
fn adjust(token: &OwnedHandle, privilege: Privilege, on: bool) -> Result<bool> {
    const CALL: &str = "AdjustTokenPrivileges";
    let luid = privilege.luid()?;
    let state = |attributes| TOKEN_PRIVILEGES {
        PrivilegeCount: 1,
        Privileges: [LUID_AND_ATTRIBUTES {
            Luid: luid,
            Attributes: attributes,
        }],
    };
    let new = state(if on { SE_PRIVILEGE_ENABLED } else { 0 });
    let mut old = state(0);
    let mut length = size_of::<TOKEN_PRIVILEGES>() as u32;
    let path = Path::new(privilege.name());
    // SAFETY: the handle is open; both structures have room for one privilege, as said.
    let (done, code) = unsafe {
        let token = token.as_raw_handle();
        let done = AdjustTokenPrivileges(token, 0, &new, length, &mut old, &mut length);
        (done, GetLastError())
    };
    // It succeeds without having done it when the account does not hold the privilege.
    if done == 0 || code == ERROR_NOT_ALL_ASSIGNED {
        return Err(PlatformError::new(CALL, path, PlatformCode::Win32(code)));
    }
    // The old state lists only what was changed.
    let [before] = old.Privileges;
    let changed = old.PrivilegeCount > 0;
    Ok(if changed {
        before.Attributes & SE_PRIVILEGE_ENABLED != 0
    } else {
        on
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::{PrivilegeState, privileges};

    // One test, for the privileges are the process's.
    #[test]
    fn guards_nest_and_the_last_gives_back_what_was() {
        let state = || {
            let all = privileges().unwrap();
            let found = all.iter().find(|(name, _)| *name == Privilege::Security);
            found.unwrap().1
        };
        let before = state();
        if before == PrivilegeState::Missing {
            let error = Privileges::acquire(&[Privilege::Security]).unwrap_err();
            assert_eq!(error.win32(), Some(ERROR_NOT_ALL_ASSIGNED));
            return;
        }
        let all =
            Privileges::acquire(&[Privilege::Backup, Privilege::Restore, Privilege::Security]);
        let outer = all.unwrap();
        assert_eq!(state(), PrivilegeState::Enabled);
        let inner = Privileges::acquire(&[Privilege::Security, Privilege::Security]).unwrap();
        drop(outer);
        assert_eq!(state(), PrivilegeState::Enabled);
        drop(inner);
        assert_eq!(state(), before);
        assert!(held().get(&Privilege::Security).is_none());
    }

    #[test]
    fn names_are_those_of_this_windows() {
        for privilege in Privilege::ALL {
            privilege.luid().unwrap();
        }
    }
}
