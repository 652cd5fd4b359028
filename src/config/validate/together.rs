//! Checks of connectors against each other.

use std::collections::HashMap;

use crate::config::connector::Connector;
use crate::config::problems::{Problems, child_path};

pub(super) fn check(connectors: &[Connector], problems: &mut Problems) {
    check_ids(connectors, problems);
    warn_of_same_subjects(connectors, problems);
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

/// One warning for each group of connectors whose subjects a relying party could not tell apart.
fn warn_of_same_subjects(connectors: &[Connector], problems: &mut Problems) {
    const SHOWN: usize = 5;
    let mut groups: Vec<Vec<&Connector>> = Vec::new();
    let mut by_prefix: HashMap<&str, usize> = HashMap::new();
    for connector in connectors
        .iter()
        .filter(|connector| issues_subjects(connector))
    {
        let prefix = connector.subject_prefix.as_deref().unwrap_or_default();
        let index = *by_prefix.entry(prefix).or_insert(groups.len());
        match groups.get_mut(index) {
            Some(group) => group.push(connector),
            None => groups.push(vec![connector]),
        }
    }
    for group in groups {
        let Some(second) = group.get(1) else {
            continue;
        };
        let mut names: Vec<String> = group
            .iter()
            .take(SHOWN)
            .map(|one| format!("{:?}", one.id))
            .collect();
        if group.len() > SHOWN {
            names.push(format!("{} more", group.len() - SHOWN));
        }
        problems.warning(
            child_path(&second.path, "subject_prefix"),
            format!(
                "the connectors {} can issue the same `sub`, and AWS sees only iss, sub and aud: give each a subject_prefix of its own",
                names.join(" and ")
            ),
        );
    }
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
