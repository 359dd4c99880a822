//! Failures on demand: `WINLAYER_DOUBLES_FAIL="Name=0xHRESULT[@n][!];…"`.
//!
//! `@n` fails the n-th call of that name in this process (counted from 1), without it every call
//! fails. With `!` the effect takes place and the call fails all the same, as when Windows gives up
//! near the end.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};

/// What shall happen to this call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The answer.
    pub code: u32,
    /// Whether the effect takes place first.
    pub after_effect: bool,
}

static COUNTS: LazyLock<Mutex<HashMap<String, u32>>> = LazyLock::new(Mutex::default);

/// Counts this call of `name` and says whether it shall fail.
#[must_use]
pub fn injected(name: &str) -> Option<Injected> {
    let count = {
        let mut counts = COUNTS.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        *count
    };
    let wanted = std::env::var("WINLAYER_DOUBLES_FAIL").ok()?;
    wanted
        .split([';', ','])
        .find_map(|rule| matching(rule.trim(), name, count))
}

fn matching(rule: &str, name: &str, count: u32) -> Option<Injected> {
    let rest = rule.strip_prefix(name)?.strip_prefix('=')?;
    let (rest, after_effect) = rest
        .strip_suffix('!')
        .map_or((rest, false), |rest| (rest, true));
    let (code, at) = rest
        .split_once('@')
        .map_or((rest, None), |(code, at)| (code, at.parse::<u32>().ok()));
    if rest.contains('@') && at != Some(count) {
        return None;
    }
    let code = match code.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok()?,
        None => code.parse().ok()?,
    };
    Some(Injected { code, after_effect })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_the_call_the_code_and_the_turn() {
        let now = |code| {
            Some(Injected {
                code,
                after_effect: false,
            })
        };
        assert_eq!(
            matching("ImportLayer=0x80070003", "ImportLayer", 7),
            now(0x8007_0003)
        );
        assert_eq!(matching("ImportLayer=0x80070003@2", "ImportLayer", 1), None);
        assert_eq!(
            matching("ImportLayer=0x80070003@2", "ImportLayer", 2),
            now(0x8007_0003)
        );
        assert_eq!(matching("ImportLayerX=5", "ImportLayer", 1), None);
        let late = Some(Injected {
            code: 5,
            after_effect: true,
        });
        assert_eq!(matching("DestroyLayer=5@1!", "DestroyLayer", 1), late);
    }
}
