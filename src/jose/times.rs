//! The times of a key, as they stand beside it in the key file; none of them is ever published.

use serde_json::Value;

/// When a key begins to sign.
pub(super) const SIGNS_FROM: &str = "remint_signs_from";
/// When it stops.
pub(super) const SIGNS_UNTIL: &str = "remint_signs_until";
/// When it leaves the published set.
pub(super) const PUBLISHED_UNTIL: &str = "remint_published_until";

/// Before the end of the year 9999: later times cannot be written in RFC 3339.
const LATEST: u64 = 253_402_207_200;

/// When a key signs and is published, in whole seconds since the Unix epoch (RFC 7519 §2, `NumericDate`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// It signs from then on; absent: from the beginning.
    pub signs_from: Option<u64>,
    /// It does not sign from then on; absent: as long as it is published.
    pub signs_until: Option<u64>,
    /// It is not published from then on, and not used; absent: it never leaves.
    pub published_until: Option<u64>,
}

impl Times {
    /// Reads the times of an entry of the key file, or says which is wrong.
    pub(super) fn of(entry: &Value) -> Result<Self, String> {
        let times = Self {
            signs_from: time(entry, SIGNS_FROM)?,
            signs_until: time(entry, SIGNS_UNTIL)?,
            published_until: time(entry, PUBLISHED_UNTIL)?,
        };
        let from = times.signs_from.unwrap_or_default();
        for (name, end) in [
            (SIGNS_UNTIL, times.signs_until),
            (PUBLISHED_UNTIL, times.published_until),
        ] {
            if times.signs_from.is_some() && end.is_some_and(|end| end <= from) {
                return Err(format!("its `{name}` is not after its `{SIGNS_FROM}`"));
            }
        }
        match (times.signs_until, times.published_until) {
            (Some(signs), Some(published)) if published < signs => Err(format!(
                "its `{PUBLISHED_UNTIL}` is before its `{SIGNS_UNTIL}`, and nobody could verify what it signs in between"
            )),
            _ => Ok(times),
        }
    }

    /// Whether it may sign at `now`.
    pub(super) fn may_sign(&self, now: u64) -> bool {
        let begun = self.signs_from.is_none_or(|from| from <= now);
        let ended = self.signs_until.is_some_and(|until| until <= now);
        begun && !ended && self.is_published(now)
    }

    /// Whether verifiers find it at `now`.
    pub(super) fn is_published(&self, now: u64) -> bool {
        self.published_until.is_none_or(|until| now < until)
    }

    /// Every instant that is named.
    pub(super) fn instants(&self) -> impl Iterator<Item = u64> {
        [self.signs_from, self.signs_until, self.published_until]
            .into_iter()
            .flatten()
    }
}

/// Puts a time into an entry of the key file, or takes it out.
pub(super) fn set(entry: &mut Value, name: &str, time: Option<u64>) {
    let Value::Object(members) = entry else {
        return;
    };
    match time {
        Some(time) => drop(members.insert(name.to_owned(), time.into())),
        None => drop(members.shift_remove(name)),
    }
}

/// A time since the Unix epoch as RFC 3339 writes it, in UTC.
pub fn rfc3339(seconds: u64) -> String {
    let seconds_signed = i64::try_from(seconds).ok();
    let time = seconds_signed.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.map_or_else(|| format!("second {seconds}"), |time| time.to_string())
}

fn time(entry: &Value, name: &str) -> Result<Option<u64>, String> {
    let Some(member) = entry.get(name) else {
        return Ok(None);
    };
    match member.as_u64() {
        Some(time) if time <= LATEST => Ok(Some(time)),
        _ => Err(format!(
            "its `{name}` is not a time in whole seconds since 1970, such as 1767225600"
        )),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_that_cannot_be_meant_are_refused() {
        for (entry, words) in [
            (
                json!({ SIGNS_FROM: "2026" }),
                "remint_signs_from` is not a time",
            ),
            (
                json!({ SIGNS_FROM: 1.5 }),
                "remint_signs_from` is not a time",
            ),
            (
                json!({ SIGNS_UNTIL: -1 }),
                "remint_signs_until` is not a time",
            ),
            (
                json!({ PUBLISHED_UNTIL: null }),
                "remint_published_until` is not a time",
            ),
            (
                json!({ PUBLISHED_UNTIL: LATEST + 1 }),
                "remint_published_until` is not a time",
            ),
            (json!({ SIGNS_FROM: 5, SIGNS_UNTIL: 5 }), "not after"),
            (json!({ SIGNS_FROM: 5, PUBLISHED_UNTIL: 5 }), "not after"),
            (json!({ SIGNS_UNTIL: 6, PUBLISHED_UNTIL: 5 }), "before its"),
        ] {
            let error = Times::of(&entry).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
        assert_eq!(Times::of(&json!({})), Ok(Times::default()));
        assert!(Times::of(&json!({ SIGNS_UNTIL: 5, PUBLISHED_UNTIL: 5 })).is_ok());
        assert_eq!(rfc3339(LATEST), "9999-12-30T22:00:00Z");
    }
}
