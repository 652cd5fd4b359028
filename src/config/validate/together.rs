//! Checks of connectors against each other.

use std::collections::HashMap;

use crate::config::client::Client;
use crate::config::connector::Connector;
use crate::config::problems::{Problems, child_path};
use crate::config::replay::ReplayMode;
use crate::config::settings::{Settings, SubjectFormat};

pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    check_ids(&settings.connectors, problems);
    warn_of_mixed_replay(&settings.connectors, problems);
    // Dex's format puts the connector into each subject.
    if settings.tokens.subject_format == SubjectFormat::Dex {
        return;
    }
    let groups = by_prefix(&settings.connectors);
    warn_of_same_subjects(&groups, problems);
    warn_of_clients_subjects(&groups, &settings.clients, problems);
}

fn check_ids(connectors: &[Connector], problems: &mut Problems) {
    let mut seen: HashMap<&str, &Connector> = HashMap::new();
    for connector in connectors
        .iter()
        .filter(|connector| !connector.id.is_empty())
    {
        if let Some(first) = seen.get(connector.id.as_str()) {
            problems.error(
                child_path(&connector.path, "id"),
                format!(
                    "{:?} is already the id of {}: give each connector its own",
                    connector.id, first.path
                ),
            );
        } else {
            seen.insert(&connector.id, connector);
        }
    }
}

/// One issuer's tokens are recorded in two ways that never meet, so that each could be used once in both.
fn warn_of_mixed_replay(connectors: &[Connector], problems: &mut Problems) {
    let mut seen: HashMap<&str, &Connector> = HashMap::new();
    for connector in connectors {
        if connector.replay == ReplayMode::Off {
            continue;
        }
        let first = *seen.entry(&connector.issuer).or_insert(connector);
        if first.replay != connector.replay {
            problems.warning(
                child_path(&connector.path, "replay"),
                format!(
                    "{} trusts the same issuer with another `replay`, so that one token can be used once by each: write the same for both",
                    first.path
                ),
            );
        }
    }
}

/// The connectors that issue subjects, those with one prefix together.
fn by_prefix(connectors: &[Connector]) -> Vec<Vec<&Connector>> {
    let mut groups: Vec<Vec<&Connector>> = Vec::new();
    let mut by_prefix: HashMap<&str, usize> = HashMap::new();
    for connector in connectors
        .iter()
        .filter(|connector| issues_subjects(connector))
    {
        let index = *by_prefix.entry(prefix(connector)).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.push(connector),
            None => groups.push(vec![connector]),
        }
    }
    groups
}

fn prefix(connector: &Connector) -> &str {
    connector.subject_prefix.as_deref().unwrap_or_default()
}

/// One warning for each group of connectors whose subjects a relying party could not tell apart.
fn warn_of_same_subjects(groups: &[Vec<&Connector>], problems: &mut Problems) {
    for group in groups {
        let Some(second) = group.get(1) else {
            continue;
        };
        problems.warning(
            child_path(&second.path, "subject_prefix"),
            format!(
                "the connectors {} can issue the same `sub`, and AWS sees only iss, sub and aud: give each a subject_prefix of its own",
                listed(group.iter().map(|one| one.id.as_str()))
            ),
        );
    }
}

/// One warning for each group of connectors that can issue the id of a client, which is the `sub` of the client's own tokens.
fn warn_of_clients_subjects(
    groups: &[Vec<&Connector>],
    clients: &[Client],
    problems: &mut Problems,
) {
    let has_own_tokens = |client: &&Client| {
        let mut grants = client.grants.iter();
        !client.id.is_empty() && !client.public && grants.any(|grant| grant == "client_credentials")
    };
    let clients: Vec<_> = clients.iter().filter(has_own_tokens).collect();
    for group in groups {
        let Some(first) = group.first() else {
            continue;
        };
        let same = clients.iter().map(|client| client.id.as_str());
        let same: Vec<_> = same.filter(|id| id.starts_with(prefix(first))).collect();
        if same.is_empty() {
            continue;
        }
        problems.warning(
            child_path(&first.path, "subject_prefix"),
            format!(
                "the {} {} can issue as `sub` the id of the {} {}, and AWS sees only iss, sub and aud: give the connector a subject_prefix that no client's id begins with",
                plural("connector", group.len()),
                listed(group.iter().map(|one| one.id.as_str())),
                plural("client", same.len()),
                listed(same.into_iter()),
            ),
        );
    }
}

fn plural(word: &str, count: usize) -> String {
    format!("{word}{}", if count == 1 { "" } else { "s" })
}

/// The first of the names, and how many more there are.
fn listed<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let more = names.len().saturating_sub(SHOWN);
    let mut shown: Vec<_> = names.take(SHOWN).map(|name| format!("{name:?}")).collect();
    if more > 0 {
        shown.push(format!("{more} more"));
    }
    shown.join(" and ")
}

fn issues_subjects(connector: &Connector) -> bool {
    let copied = connector
        .rules
        .iter()
        .flat_map(|rule| &rule.clone_claims)
        .chain(&connector.clone_claims);
    let computed = connector
        .rules
        .iter()
        .flat_map(|rule| &rule.claims)
        .chain(&connector.claims);
    copied.into_iter().any(|name| name == "sub")
        || computed.into_iter().any(|(name, _)| name == "sub")
}
