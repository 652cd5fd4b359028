//! `remint keys remove`: a leaked key goes out at once, whatever that breaks.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::{load, out};
use super::{KeyFile, RemoveArgs, now};
use crate::app::App;
use crate::config::problems::{Problems, Severity};
use crate::jose::{self, KeyState, Removed, rfc3339};
use crate::keyfile::{self, Edit};

/// Says which tokens die with the key, and takes it out if that is wanted.
pub(super) fn remove(file: &KeyFile, args: &RemoveArgs) -> Result<(), String> {
    let now = now();
    let removed = keyfile::edit(&file.path, |listed| {
        let removed = jose::remove(listed, &file.choice, &args.kid, now)
            .map_err(|refused| refused.to_string())?;
        would_load(file, listed)?;
        Ok(if args.yes {
            Edit::Write(removed)
        } else {
            Edit::Keep(removed)
        })
    });
    let removed = removed.map_err(|error| error.to_string())?;
    for line in consequences(file, &args.kid, &removed, now) {
        out::error(format_args!("note: {line}"));
    }
    if args.yes {
        out::line(&args.kid);
        return Ok(());
    }
    Err(format!(
        "nothing was removed: give --yes to take the key {:?} out, which cannot be undone",
        args.kid
    ))
}

/// A configuration that no longer loads would leave a running server with the old file, and so with the key.
fn would_load(file: &KeyFile, listed: &[Value]) -> Result<(), String> {
    let Some(settings) = &file.settings else {
        return Ok(());
    };
    let bytes = json!({ "keys": listed }).to_string();
    let mut problems = Problems::new();
    App::build(
        settings,
        Some(bytes.as_bytes()),
        &load::machine(),
        &mut problems,
    );
    let errors = problems.iter();
    let errors: Vec<_> = errors
        .filter(|found| found.severity == Severity::Error)
        .map(ToString::to_string)
        .collect();
    if errors.is_empty() {
        return Ok(());
    }
    Err(format!(
        "without the key the configuration cannot be loaded, and a running server would keep the key; the file is left as it was:\n{}",
        errors.join("\n")
    ))
}

/// What the removal means, a sentence each.
fn consequences(file: &KeyFile, kid: &str, removed: &Removed, now: Duration) -> Vec<String> {
    let mut lines = vec![tokens(file, kid, removed, now)];
    if let Some(alg) = removed.alg
        && removed.was == Some(KeyState::Signing)
    {
        lines.push(match (&removed.heir, removed.early) {
            (Some(heir), true) => {
                format!("{heir:?}, which was to sign later, signs with {alg} at once")
            }
            (Some(heir), false) => format!("{heir:?} signs with {alg} from now on"),
            (None, _) => format!(
                "no key signs with {alg} any more: `remint keys generate --alg {alg}` makes one"
            ),
        });
    }
    if let Some(heir) = &removed.heir
        && removed.was == Some(KeyState::Next)
    {
        lines.push(format!(
            "{heir:?} signs on, and its end is taken back: rotate again"
        ));
    }
    lines.push(
        "verifiers keep the keys that they have: some for minutes, some until they restart. Restart or flush those that matter; running servers read the file again within 10 s, or with SIGHUP at once; after `remint publish`, publish again"
            .to_owned(),
    );
    lines
}

/// Which tokens die.
fn tokens(file: &KeyFile, kid: &str, removed: &Removed, now: Duration) -> String {
    let Some(state) = removed.was else {
        return format!("no token dies: {kid:?} was neither used nor published");
    };
    if !removed.signed {
        let word = if state == KeyState::Next {
            "waits, and has not signed"
        } else {
            "does not sign"
        };
        return format!("no token dies by the times in the file: {kid:?} {word}");
    }
    let (longest, source) = file.longest();
    let end = removed.signed_until.unwrap_or(now.as_secs());
    let last = end.saturating_add(longest.as_secs());
    let when = removed.signed_until.map_or_else(
        || "until now".to_owned(),
        |end| format!("until {}", rfc3339(end)),
    );
    if last <= now.as_secs() || state == KeyState::Retired {
        return format!("no live token dies: {kid:?} signed {when}, and all of that is over");
    }
    format!(
        "every token that {kid:?} signed {when} dies: verifiers refuse it once they fetch the keys again; the last of them would have lived until {} ({source})",
        rfc3339(last)
    )
}
