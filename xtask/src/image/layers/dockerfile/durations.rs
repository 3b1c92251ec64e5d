//! Durations as Go writes them: `1m30s`, `1.5h`, `500ms`.

use super::error::shown;

const UNITS: [(&str, u64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("μs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Nanoseconds.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let problem = || {
        format!(
            "`{}` is not a duration; hint: `30s`, `1m30s`, `500ms`",
            shown(text)
        )
    };
    if text.strip_prefix('+').unwrap_or(text) == "0" {
        return Ok(0);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return Err(problem());
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let (whole, after) = digits(rest);
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => digits(after),
            None => ("", after),
        };
        if whole.is_empty() && fraction.is_empty() {
            return Err(problem());
        }
        let end = after
            .find(|c: char| c == '.' || c.is_ascii_digit())
            .unwrap_or(after.len());
        let (name, after) = after.split_at(end);
        let unit = UNITS.iter().find(|(unit, _)| *unit == name);
        let (_, unit) = unit.ok_or_else(problem)?;
        let whole = match whole {
            "" => Some(0),
            whole => whole.parse::<u64>().ok(),
        };
        // Below a nanosecond nothing counts: 15 digits of an hour are more than enough.
        let fraction = &fraction[..fraction.len().min(15)];
        let scale = 10u128.pow(u32::try_from(fraction.len()).unwrap_or(15));
        let part = u128::from(*unit) * fraction.parse::<u128>().unwrap_or(0) / scale;
        total = whole
            .and_then(|whole| whole.checked_mul(*unit))
            .and_then(|whole| whole.checked_add(u64::try_from(part).ok()?))
            .and_then(|whole| whole.checked_add(total))
            .filter(|total| i64::try_from(*total).is_ok())
            .ok_or_else(problem)?;
        rest = after;
    }
    if total != 0 && total < 1_000_000 {
        return Err(format!("`{}` is shorter than a millisecond", shown(text)));
    }
    Ok(total)
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

/// As Go prints it.
pub(super) fn format(nanoseconds: u64) -> String {
    if nanoseconds == 0 {
        return "0s".to_owned();
    }
    if nanoseconds < 1_000_000_000 {
        // No shorter than a millisecond: `parse` refuses it.
        return format!("{}ms", decimal(nanoseconds, 1_000_000));
    }
    let (minutes, rest) = (nanoseconds / 60_000_000_000, nanoseconds % 60_000_000_000);
    let seconds = decimal(rest, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{seconds}s"),
        (0, minutes) => format!("{minutes}m{seconds}s"),
        (hours, minutes) => format!("{hours}h{minutes}m{seconds}s"),
    }
}

fn decimal(value: u64, unit: u64) -> String {
    let width = unit.ilog10() as usize;
    let text = format!("{}.{:0width$}", value / unit, value % unit);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
