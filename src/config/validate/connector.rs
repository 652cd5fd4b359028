//! Checks of one connector by itself.

use std::time::Duration;

use crate::config::connector::{Connector, Rule};
use crate::config::duration::show;
use crate::config::problems::{Problems, child_path};
use crate::config::settings::Settings;

use super::{check_lifetime, names, url, userinfo};

pub(super) fn check(connector: &Connector, settings: &Settings, problems: &mut Problems) {
    let at = |key: &str| child_path(&connector.path, key);
    check_id(&connector.id, &at("id"), problems);
    url::check_upstream(connector, problems);
    check_key_source(connector, problems);
    userinfo::check(connector, problems);
    names::check_headers(&connector.headers, &at("headers"), problems);
    names::check_algorithms(&connector.algorithms, &at("algorithms"), problems);
    check_ages(connector, problems);
    check_audiences(&connector.audiences, &at("audiences"), problems);
    names::check_cloned(&connector.clone_claims, &at("clone_claims"), problems);
    names::check_computed(&connector.claims, &at("claims"), problems);
    check_issued(
        connector.lifetime,
        connector.alg.as_deref(),
        &connector.path,
        settings,
        problems,
    );
    check_rules(connector, settings, problems);
    check_has_subject(connector, problems);
    check_own_tokens(connector, settings, problems);
    warn_of_switches(connector, problems);
}

fn check_id(id: &str, path: &str, problems: &mut Problems) {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
    if !id.chars().all(is_allowed) {
        problems.error(
            path,
            format!(
                "found {id:?}, expected only letters, digits, `.`, `-` and `_`, such as \"gitlab\""
            ),
        );
    }
}

/// The longest that one fetch of keys may take.
const LONGEST_FETCH: Duration = Duration::from_secs(60);

/// The longest that keys may be fresh: as long as they may serve an outage.
const OLDEST_KEYS: Duration = Duration::from_secs(24 * 60 * 60);

fn check_key_source(connector: &Connector, problems: &mut Problems) {
    let at = |key: &str| child_path(&connector.path, key);
    if connector.timeout.is_zero() {
        problems.error(at("timeout"), "found 0s, expected more, such as \"5s\"");
    }
    if connector.timeout > LONGEST_FETCH {
        let found = format!(
            "found {}, expected at most {}: a fetch that takes longer only keeps others waiting",
            show(connector.timeout),
            show(LONGEST_FETCH)
        );
        problems.error(at("timeout"), found);
    }
    if connector.jwks_max_age.is_some_and(|age| age.is_zero()) {
        problems.error(
            at("jwks_max_age"),
            "found 0s, expected more, such as \"10m\"",
        );
    }
    if let Some(age) = connector.jwks_max_age.filter(|age| *age > OLDEST_KEYS) {
        let found = format!(
            "found {}, expected at most {}: until then a key that its issuer withdrew goes on working",
            show(age),
            show(OLDEST_KEYS)
        );
        problems.error(at("jwks_max_age"), found);
    }
    if connector.jwks_file.is_some() {
        if connector.jwks_uri.is_some() {
            problems.error(
                at("jwks_file"),
                "stands beside jwks_uri: the keys come from one place, so remove one of the two",
            );
            return;
        }
        let (asks, discovers) = (connector.get_user_info, userinfo::is_discovered(connector));
        let unused = [
            ("headers", !connector.headers.is_empty() && !asks),
            ("bearer_file", connector.bearer_file.is_some() && !discovers),
            ("ca_file", connector.ca_file.is_some() && !asks),
            ("jwks_hosts", !connector.jwks_hosts.is_empty() && !discovers),
        ];
        for (key, _) in unused.into_iter().filter(|(_, is_set)| *is_set) {
            problems.warning(at(key), "has no effect: with jwks_file nothing is fetched");
        }
    } else if connector.jwks_uri.is_some()
        && !connector.jwks_hosts.is_empty()
        && !userinfo::is_discovered(connector)
    {
        problems.warning(
            at("jwks_hosts"),
            "has no effect: with jwks_uri nothing is discovered",
        );
    }
    if connector.bearer_file.is_some() && url::fetches_over_plain_http(connector) {
        problems.warning(at("bearer_file"), "the bearer token is sent over plain http, where anyone on the path can read it: use https://");
    }
}

/// Times are compared in whole seconds or more, so a limit below one would refuse every token.
fn check_ages(connector: &Connector, problems: &mut Problems) {
    for (key, limit) in [
        ("max_token_age", connector.max_token_age),
        ("max_subject_lifetime", connector.max_subject_lifetime),
    ] {
        if let Some(limit) = limit.filter(|limit| *limit < Duration::from_secs(1)) {
            let found = format!(
                "found {}, expected at least 1s, such as \"5m\"",
                show(limit)
            );
            problems.error(child_path(&connector.path, key), found);
        }
    }
}

fn check_audiences(audiences: &[String], path: &str, problems: &mut Problems) {
    if !audiences.iter().any(|audience| audience == "*") {
        return;
    }
    if audiences.len() > 1 {
        problems.error(path, "\"*\" accepts any audience and so stands only alone: write [\"*\"], or remove it from the list");
    } else {
        problems.warning(path, "[\"*\"] accepts tokens that were made for any other service: list the `aud` values that are meant for this one");
    }
}

/// What a connector and a rule may both say about the tokens that they issue.
fn check_issued(
    lifetime: Option<Duration>,
    alg: Option<&str>,
    path: &str,
    settings: &Settings,
    problems: &mut Problems,
) {
    if let Some(alg) = alg {
        names::check_signing_alg(alg, &settings.keys, &child_path(path, "alg"), problems);
    }
    let Some(lifetime) = lifetime else {
        return;
    };
    let path = child_path(path, "lifetime");
    check_lifetime(lifetime, &path, problems);
    let most = settings.tokens.max_lifetime;
    if lifetime > most {
        problems.note(
            path,
            format!(
                "{} is cut to tokens.max_lifetime, {}",
                show(lifetime),
                show(most)
            ),
        );
    }
}

fn check_rules(connector: &Connector, settings: &Settings, problems: &mut Problems) {
    for (index, rule) in connector.rules.iter().enumerate() {
        let Rule { path, name, .. } = rule;
        let earlier = connector.rules.iter().take(index);
        if let Some(first) = earlier
            .rev()
            .find(|other| !name.is_empty() && other.name == *name)
        {
            problems.error(
                child_path(path, "name"),
                format!("{name:?} is already the name of {}: give each rule its own, so that the log can tell them apart", first.path),
            );
        }
        names::check_cloned(
            &rule.clone_claims,
            &child_path(path, "clone_claims"),
            problems,
        );
        names::check_computed(&rule.claims, &child_path(path, "claims"), problems);
        check_issued(rule.lifetime, rule.alg.as_deref(), path, settings, problems);
    }
    let last = connector.rules.last().map_or("", |rule| rule.when.trim());
    if !last.is_empty() && last != "true" {
        problems.note(
            child_path(&connector.path, "rules"),
            "a token that meets no rule is refused; for a rule that takes the rest, end the list with when = \"true\"",
        );
    }
}

const WITHOUT_SUBJECT: &str =
    "so every such token is refused: put \"sub\" into clone_claims, or compute it under claims";

fn check_has_subject(connector: &Connector, problems: &mut Problems) {
    let gives = |copied: &[String], computed: &[(String, String)]| {
        copied.iter().any(|name| name == "sub") || computed.iter().any(|(name, _)| name == "sub")
    };
    if gives(&connector.clone_claims, &connector.claims) {
        return;
    }
    if connector.rules.is_empty() {
        problems.warning(
            child_path(&connector.path, "clone_claims"),
            format!("`sub` is neither copied nor computed, {WITHOUT_SUBJECT}"),
        );
    }
    for rule in &connector.rules {
        if !gives(&rule.clone_claims, &rule.claims) {
            problems.warning(
                &rule.path,
                format!("neither this rule nor its connector copies or computes `sub`, {WITHOUT_SUBJECT}"),
            );
        }
    }
}

fn check_own_tokens(connector: &Connector, settings: &Settings, problems: &mut Problems) {
    if connector.issuer.is_empty() || !settings.issuer.listed().contains(&connector.issuer) {
        return;
    }
    if !connector.allow_self {
        problems.error(
            child_path(&connector.path, "issuer"),
            "is Remint's own issuer, so that its tokens could be traded for new ones again and again; set allow_self = true if that is meant",
        );
    }
    if connector.outlive_subject_token {
        problems.error(
            child_path(&connector.path, "outlive_subject_token"),
            "cannot be set where the issuer is Remint's own: a token could be renewed for ever; remove it",
        );
    }
}

fn warn_of_switches(connector: &Connector, problems: &mut Problems) {
    let at = |key: &str| child_path(&connector.path, key);
    if connector.outlive_subject_token {
        problems.warning(at("outlive_subject_token"), "new tokens may live on after the token that they were traded for has expired, and expired ones are accepted within tokens.leeway");
    }
    if connector.allow_anyone {
        problems.warning(at("allow_anyone"), format!("ANYONE who can get a token from {} is let in as far as `allow` goes: pin your own tenant there, and remove allow_anyone", connector.issuer));
    }
    if connector.insecure_http {
        problems.warning(at("insecure_http"), "keys may be fetched over plain http: whoever sits on the path can mint tokens that this connector accepts");
    }
}
