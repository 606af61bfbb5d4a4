//! What is typed as a value: durations, sizes, counts. Says what was expected where it is none.

use crate::base::text::sanitize;
use std::time::Duration;

/// A number and a unit.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: u64 =
        digits.parse().map_err(|_| "expected a number and a unit, such as 30s, 5m or 1h".to_owned())?;
    let seconds = match unit {
        "s" | "" => number,
        "m" => number.saturating_mul(60),
        "h" => number.saturating_mul(3600),
        "d" => number.saturating_mul(24 * 3600),
        "ms" => return Ok(Duration::from_millis(number)),
        _ => return Err(format!("unknown unit `{}`; expected ms, s, m, h or d", sanitize(unit))),
    };
    Ok(Duration::from_secs(seconds))
}

/// The id of a task; none at all would make one task of all that forgot it.
pub(super) fn task(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("expected the id of a task".to_owned());
    }
    Ok(text.to_owned())
}

/// A duration whose unit must be said: a forgotten `d` would remove what is older than seconds.
pub(super) fn age(text: &str) -> Result<Duration, String> {
    if text.ends_with(|c: char| c.is_ascii_digit()) {
        return Err("expected a number and a unit, such as 90d or 48h".to_owned());
    }
    duration(text)
}

pub(super) fn size(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: u64 =
        digits.parse().map_err(|_| "expected a number and a unit, such as 500MiB or 10GiB".to_owned())?;
    let factor = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return Err(format!("unknown unit `{unit}`; expected B, KiB, MiB, GiB, kB, MB or GB")),
    };
    Ok(number.saturating_mul(factor))
}

pub(super) fn count(text: &str) -> Result<usize, String> {
    if text == "all" {
        Ok(usize::MAX)
    } else {
        text.parse().map_err(|_| "expected a number or `all`".to_owned())
    }
}
