//! Lengths of time as they are written in a configuration: `"90s"`, `"10m"`, `"1h30m"`.

use std::time::Duration;

/// What a duration looks like, for messages.
pub(super) const FORMS: &str =
    "a duration such as \"90s\", \"10m\" or \"1h\" (units ms, s, m, h, d)";

/// More than any key needs, and far from where adding to the time of day could overflow.
const LONGEST: Duration = Duration::from_secs(3650 * 24 * 60 * 60);

/// Reads one duration, or a sum of them such as `1h30m`; `None` where it is not one, or is longer than ten years.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text;
    while !rest.is_empty() || text.is_empty() {
        let (number, after) = split(rest, |c| !c.is_ascii_digit());
        let (unit, after) = split(after, |c| c.is_ascii_digit());
        let number: u64 = number.parse().ok()?;
        let part = match unit {
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(60 * 60)?),
            "d" => Duration::from_secs(number.checked_mul(24 * 60 * 60)?),
            _ => return None,
        };
        total = total.checked_add(part)?;
        rest = after;
    }
    (total <= LONGEST).then_some(total)
}

/// Writes a duration the way [`parse`] reads it, in its largest whole units.
pub(super) fn show(duration: Duration) -> String {
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let mut left = duration.as_millis();
    let mut parts = Vec::new();
    for (unit, size) in units {
        if left >= size {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    if parts.is_empty() {
        return "0s".to_owned();
    }
    parts.concat()
}

fn split(text: &str, ends: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at_checked(text.find(ends).unwrap_or(text.len()))
        .unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_unit_and_sums() {
        let table = [
            ("250ms", 250),
            ("90s", 90_000),
            ("10m", 600_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("1h30m", 5_400_000),
            ("0s", 0),
        ];
        for (text, millis) in table {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
            assert_eq!(parse(&show(Duration::from_millis(millis))), parse(text));
        }
    }

    #[test]
    fn refuses_what_is_not_a_duration() {
        let table = [
            "",
            "90",
            "s",
            "1 h",
            "-1s",
            "1.5h",
            "1w",
            "1H",
            "5s ",
            "1m5",
            "99999999999999999999s",
            "18446744073709551615d",
            "4000d",
        ];
        for text in table {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
