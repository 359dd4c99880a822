//! The tools of ntfs-3g and its mounted driver.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use tempfile::TempDir;

/// An image of a volume in a folder of its own.
pub struct Image {
    folder: TempDir,
}

impl Image {
    /// A volume as mkntfs makes it; `arguments` come before the image.
    pub fn formatted(size: u64, arguments: &[&str]) -> Self {
        let image = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        File::create(image.path()).unwrap().set_len(size).unwrap();
        let mut command = Command::new("mkntfs");
        command.args(["-F", "-Q", "-q"]).args(arguments);
        run(command.arg(image.path()));
        image
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("volume.img")
    }

    pub fn open(&self) -> File {
        File::open(self.path()).unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    /// Mounts the volume with the ntfs-3g driver while `work` runs on it.
    pub fn mounted<T>(&self, work: impl FnOnce(&Path) -> T) -> T {
        let target = self.folder.path().join("mount");
        fs::create_dir_all(&target).unwrap();
        let mount = Mount::new(&self.path(), &target);
        let done = work(&target);
        drop(mount);
        done
    }

    /// What a tool of ntfs-3g prints about the volume.
    pub fn tool(&self, name: &str, arguments: &[&str]) -> Vec<u8> {
        run(Command::new(name).args(arguments).arg(self.path()))
    }
}

struct Mount {
    target: PathBuf,
    driver: Child,
}

impl Mount {
    fn new(image: &Path, target: &Path) -> Self {
        let before = target.metadata().unwrap().dev();
        let driver = Command::new("ntfs-3g")
            .args(["-o", "streams_interface=windows,no_detach"])
            .args([image, target])
            .spawn()
            .expect("ntfs-3g (Debian package ntfs-3g)");
        let start = Instant::now();
        while target.metadata().unwrap().dev() == before {
            assert!(
                start.elapsed() < Duration::from_secs(30),
                "ntfs-3g does not mount"
            );
            thread::sleep(Duration::from_millis(5));
        }
        let target = target.to_owned();
        Self { target, driver }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.target).status();
        if unmounted.is_ok_and(|status| status.success()) {
            let _ = self.driver.wait();
        } else {
            let _ = self.driver.kill();
        }
    }
}

/// Runs a tool that must succeed, and returns what it prints.
pub fn run(command: &mut Command) -> Vec<u8> {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} (Debian packages ntfs-3g, wimtools): {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    output.stdout
}

/// Sets what the driver keeps under `system.ntfs_NAME`.
pub fn set(path: &Path, name: &str, value: &[u8]) {
    lsetxattr(
        path,
        format!("system.ntfs_{name}"),
        value,
        XattrFlags::empty(),
    )
    .unwrap_or_else(|error| panic!("{name} of {}: {error}", path.display()));
}

/// Reads it back.
pub fn get(path: &Path, name: &str) -> Vec<u8> {
    let mut value = vec![0; 65536];
    let length = lgetxattr(path, format!("system.ntfs_{name}"), &mut value[..])
        .unwrap_or_else(|error| panic!("{name} of {}: {error}", path.display()));
    value.truncate(length);
    value
}

/// Extended attributes as `$EA` has them: the last entry, too, gives the distance to what follows it.
pub fn ea_list(attributes: &[(&str, u8, &[u8])]) -> Vec<u8> {
    let mut list = Vec::new();
    for (name, flags, value) in attributes {
        let length = (8 + name.len() + 1 + value.len()).next_multiple_of(4);
        let end = list.len() + length;
        list.extend((length as u32).to_le_bytes());
        list.extend([*flags, name.len() as u8]);
        list.extend((value.len() as u16).to_le_bytes());
        list.extend(name.as_bytes());
        list.push(0);
        list.extend(*value);
        list.resize(end, 0);
    }
    list
}
