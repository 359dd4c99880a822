//! Room: bytes, and inodes where their number is fixed.

use super::gib;
use crate::doctor::{Finding, Needs, facts::Volume};

const SPACE: &str = "free-space";
const INODES: &str = "free-inodes";

/// What to have without knowing the image: nanoserver takes about 0.5 GiB, servercore about 6.
const LITTLE: u64 = 1 << 30;
const LITTLE_INODES: u64 = 50_000;

pub(super) fn judge(volume: &Volume, needs: Option<&Needs>, findings: &mut Vec<Finding>) {
    findings.push(space(volume.free_bytes, needs));
    if let Some(free) = volume.free_inodes {
        findings.push(inodes(free, needs));
    }
}

fn space(free: Option<u64>, needs: Option<&Needs>) -> Finding {
    let Some(free) = free else {
        return Finding::note(SPACE, "free space", "could not be found out");
    };
    let Some(needs) = needs else {
        let found = format!("{} free", gib(free));
        if free < LITTLE {
            return Finding::warning(SPACE, "free space", found)
                .remedy("name the image with --image to compare with what it takes");
        }
        return Finding::ok(SPACE, "free space", found);
    };
    let (least, most) = needs.room();
    let takes = match needs.is_exact() {
        true => format!("{} takes about {}", needs.image, gib(most)),
        false => format!(
            "{} takes between {} and {}",
            needs.image,
            gib(least),
            gib(most)
        ),
    };
    let there = match needs.layers_there {
        0 => String::new(),
        1 => "; one of its layers is there already".to_owned(),
        number => format!("; {number} of its layers are there already"),
    };
    let found = format!("{} free, {takes}{there}", gib(free));
    let remedy = "free some space, or choose a destination on a larger disk";
    if free < least {
        Finding::problem(SPACE, "free space", found).remedy(remedy)
    } else if free < most {
        Finding::warning(SPACE, "free space", found).remedy(remedy)
    } else {
        Finding::ok(SPACE, "free space", found)
    }
}

fn inodes(free: u64, needs: Option<&Needs>) -> Finding {
    let what = "free inodes";
    let Some(needs) = needs else {
        let found = format!("{free} files may still be made");
        return match free < LITTLE_INODES {
            true => Finding::warning(INODES, what, found)
                .remedy("name the image with --image to compare with what it takes"),
            false => Finding::ok(INODES, what, found),
        };
    };
    // A directory in transport format has a sidecar; at most every entry is a directory.
    let (least, most) = (needs.entries, needs.entries.saturating_mul(2));
    let found = format!(
        "{free} files may still be made, {} takes between {least} and {most}",
        needs.image
    );
    let remedy = "remove files there, or choose a destination on a file system with more inodes";
    if free < least && needs.is_exact() {
        Finding::problem(INODES, what, found).remedy(remedy)
    } else if free < most {
        Finding::warning(INODES, what, found).remedy(remedy)
    } else {
        Finding::ok(INODES, what, found)
    }
}
