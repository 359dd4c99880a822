//! The rules: facts in, findings out.

mod destination;
mod space;
mod unix;
mod windows;

use super::{
    Finding,
    facts::{Facts, System},
};

/// In the order people ask: can the system do it, can the place, is there room.
pub(super) fn judge(facts: &Facts) -> Vec<Finding> {
    let Facts {
        destination,
        system,
        needs,
    } = facts;
    let mut findings = Vec::new();
    match system {
        System::Unix(unix) => unix::judge(unix, &mut findings),
        System::Windows(windows) => windows::judge(windows, destination, &mut findings),
    }
    destination::judge(destination, system, &mut findings);
    space::judge(&destination.volume, needs.as_ref(), &mut findings);
    findings
}

/// A few names for one line: `a, b and c`.
fn list<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [first @ .., last] => {
            let first: Vec<&str> = first.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", first.join(", "), last.as_ref())
        }
    }
}

/// `12.3 GiB`: enough digits to compare two of them.
fn gib(bytes: u64) -> String {
    match bytes {
        0..0x4000_0000 => format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20)),
        _ => format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30)),
    }
}

#[cfg(test)]
mod tests;
