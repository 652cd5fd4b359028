//! Checks of what lets a userinfo endpoint vouch for opaque access tokens.

use crate::config::connector::Connector;
use crate::config::problems::{Problems, child_path};
use crate::config::replay::ReplayMode;

use super::url;

/// Whether the discovery document of the issuer is read for its userinfo endpoint.
pub(super) fn is_discovered(connector: &Connector) -> bool {
    connector.get_user_info && connector.userinfo_uri.is_none()
}

pub(super) fn check(connector: &Connector, problems: &mut Problems) {
    let at = |key: &str| child_path(&connector.path, key);
    url::check_userinfo(connector, problems);
    if !connector.get_user_info {
        if connector.userinfo_uri.is_some() {
            problems.warning(
                at("userinfo_uri"),
                "has no effect without get_user_info = true: opaque access tokens are refused",
            );
        }
        return;
    }
    for (key, is_set, absent) in [
        (
            "max_token_age",
            connector.max_token_age.is_some(),
            "when a token was issued (`iat`)",
        ),
        (
            "max_subject_lifetime",
            connector.max_subject_lifetime.is_some(),
            "how long a token lives (`iat` and `exp`)",
        ),
    ] {
        if is_set {
            problems.warning(
                at(key),
                format!("userinfo seldom says {absent}, and opaque tokens are refused where it does not: remove {key}, or make a connector of its own for get_user_info"),
            );
        }
    }
    if connector.replay != ReplayMode::Off {
        problems.note(
            at("replay"),
            "an opaque token counts as used for 24h where userinfo does not say when it ends",
        );
    }
}
