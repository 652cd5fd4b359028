//! Checks of the values themselves. An empty string was reported when it was read, so every check passes over it.

mod client;
mod connector;
mod names;
mod own_issuer;
mod server;
mod subjects;
mod together;
mod url;
mod userinfo;

use std::time::Duration;

use super::duration::show;
use super::problems::{Problems, child_path};
use super::settings::{Keys, Settings, Tokens};

/// Records everything that is wrong, doubtful or worth knowing about values that have the right type.
pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    own_issuer::check(&settings.issuer, problems);
    own_issuer::check_for_aws(settings, problems);
    server::check(&settings.server, problems);
    check_keys(&settings.keys, problems);
    check_tokens(&settings.tokens, problems);
    for connector in &settings.connectors {
        connector::check(connector, settings, problems);
    }
    together::check(settings, problems);
    subjects::check(settings, problems);
    client::check(settings, problems);
}

fn check_keys(keys: &Keys, problems: &mut Problems) {
    if let Some(alg) = &keys.default_alg {
        names::check_signing_alg(alg, keys, "keys.default_alg", problems);
    }
    let Some(signing) = &keys.signing else {
        return;
    };
    if signing.is_empty() {
        problems.error(
            "keys.signing",
            "found an empty table, so nothing could sign: write a line such as ES256 = \"kid\", or remove the table",
        );
    }
    for (alg, _) in signing {
        if !names::SIGNING.contains(&alg.as_str()) {
            let capitals = alg.to_ascii_uppercase();
            let hint = if names::SIGNING.contains(&capitals.as_str()) {
                "; write it in capitals, in the file (names from the environment come in lower case)"
            } else {
                ""
            };
            problems.error(
                child_path("keys.signing", alg),
                format!("found the algorithm {alg:?}, expected RS256 or ES256{hint}"),
            );
        }
    }
}

const MOST_LEEWAY: Duration = Duration::from_secs(5 * 60);

fn check_tokens(tokens: &Tokens, problems: &mut Problems) {
    check_lifetime(tokens.max_lifetime, "tokens.max_lifetime", problems);
    if tokens.leeway > MOST_LEEWAY {
        problems.error(
            "tokens.leeway",
            format!(
                "found {}, expected at most {}: set the clocks right instead of accepting tokens that are not yet valid",
                show(tokens.leeway),
                show(MOST_LEEWAY)
            ),
        );
    }
}

/// A token lives for whole seconds, so less than one would be expired when it is issued.
fn check_lifetime(lifetime: Duration, path: &str, problems: &mut Problems) {
    if lifetime < Duration::from_secs(1) {
        problems.error(
            path,
            format!(
                "found {}, expected at least 1s, such as \"15m\"",
                show(lifetime)
            ),
        );
    }
}
