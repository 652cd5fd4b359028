//! `remint keys list`.

use serde_json::Value;

use super::super::{ReportFormat, out};
use super::now;
use crate::jose::{KeyState, Keyring, OwnKey, rfc3339};

/// Prints each key, and in text what happens next.
pub(super) fn list(keyring: &Keyring, format: ReportFormat) {
    let now = now();
    let keys = keyring.at(now).keys();
    match format {
        ReportFormat::Json => out::line(Value::Array(keys.map(|own| own.to_json()).collect())),
        ReportFormat::Text => {
            for own in keys {
                let (alg, kid) = (own.key.alg(), own.key.kid());
                let state = own.state.name();
                out::line(format_args!("{alg}  {kid}  {state}: {}", words(&own)));
            }
            let outlook = keyring.outlook(now);
            if outlook.is_empty() {
                out::line("Nothing changes by itself: `remint keys rotate` brings in a next key.");
            } else {
                out::line("What happens next:");
            }
            for (from, words) in outlook {
                out::line(format_args!("  {}  {words}", rfc3339(from)));
            }
        }
    }
}

/// What the state means for this key.
fn words(own: &OwnKey<'_>) -> String {
    let time = |time: Option<u64>, word: &str| {
        time.map_or_else(String::new, |time| format!(" {word} {}", rfc3339(time)))
    };
    match own.state {
        KeyState::Next => format!("published, signs{}", time(own.times.signs_from, "from")),
        KeyState::Signing => format!("signs{}", time(own.times.signs_until, "until")),
        KeyState::Retiring => {
            let until = time(own.times.published_until, "until");
            format!("published{until}, does not sign")
        }
        KeyState::Retired => "past, neither published nor used".to_owned(),
    }
}
