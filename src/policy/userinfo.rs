//! What an operator is told of a connector whose userinfo endpoint vouches for opaque tokens: they are meant for
//! nobody in particular, so the conditions alone keep others out.

use super::tenant;
use crate::config;
use crate::config::problems::{Problems, child_path};

/// Checks the conditions of such a connector; `false` where it must not start.
pub(super) fn check(settings: &config::Connector, problems: &mut Problems) -> bool {
    if !settings.get_user_info {
        return true;
    }
    let admits_all = admits_all(settings);
    if let Some(shared) = tenant::shared_issuer(&settings.issuer) {
        let path = child_path(&settings.path, "get_user_info");
        if admits_all {
            problems.error(
                path,
                format!(
                    "opaque tokens of {} do not say whom they are for, and `allow` takes all of them: every application that {} signed in to could use that person's token here; remove get_user_info, or pin your tenant in `allow`",
                    shared.name, shared.anybody
                ),
            );
            return false;
        }
        problems.warning(
            path,
            format!(
                "opaque tokens of {} do not say whom they are for: every application that somebody of your tenant signed in to could use that token here",
                shared.name
            ),
        );
    } else if admits_all {
        problems.warning(
            child_path(&settings.path, "allow"),
            "[\"true\"] with get_user_info takes every opaque token of this issuer, whoever holds it and whichever application it was made for, since userinfo does not say so: write who may come in, such as allow = [\"claims.sub == 'deploy-bot'\"] or [\"'ci' in claims.groups\"]",
        );
    }
    true
}

/// Whether no condition looks at a token at all, as far as its text says.
fn admits_all(settings: &config::Connector) -> bool {
    let is_open = |condition: &String| condition.trim() == "true";
    let rules = &settings.rules;
    let open_rule = |rule: &config::Rule| is_open(&rule.when) && rule.allow.iter().all(is_open);
    // An absent `allow` is an error of its own.
    !settings.allow.is_empty()
        && settings.allow.iter().all(is_open)
        && (rules.is_empty() || rules.iter().any(open_rule))
}
