//! Volumes filled by a driver of others: ntfs-3g, through FUSE.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Mounts the volume in the file `image`, which mkntfs made, beside it while `work` is done.
pub(crate) fn mounted(image: &Path, work: impl FnOnce(&Path)) {
    let target = image.with_extension("mount");
    fs::create_dir(&target).unwrap();
    let before = target.metadata().unwrap().dev();
    let driver = Command::new("ntfs-3g")
        .args(["-o", "streams_interface=windows,no_detach"])
        .args([image, &target])
        .stderr(Stdio::null())
        .spawn()
        .expect("ntfs-3g (Debian package ntfs-3g)");
    let mut mount = Mount {
        target: &target,
        driver,
    };
    let start = Instant::now();
    while target.metadata().unwrap().dev() == before {
        assert!(start.elapsed() < Duration::from_secs(30), "no mount");
        thread::sleep(Duration::from_millis(5));
    }
    work(&target);
    mount.end();
    drop(mount);
    fs::remove_dir(&target).unwrap();
}

struct Mount<'a> {
    target: &'a Path,
    driver: Child,
}

impl Mount<'_> {
    /// The driver has written everything when it is gone.
    fn end(&mut self) {
        let ended = Command::new("umount").arg(self.target).status().unwrap();
        assert!(ended.success());
        assert!(self.driver.wait().unwrap().success());
    }
}

impl Drop for Mount<'_> {
    /// For a test that failed.
    fn drop(&mut self) {
        if self.driver.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = Command::new("umount").arg("-l").arg(self.target).status();
            let _ = self.driver.wait();
        }
    }
}
