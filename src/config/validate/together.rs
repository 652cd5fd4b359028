//! Checks of connectors against each other.

use std::collections::HashMap;

use crate::config::connector::Connector;
use crate::config::problems::{Problems, child_path};
use crate::config::replay::ReplayMode;
use crate::config::settings::Settings;

pub(super) fn check(settings: &Settings, problems: &mut Problems) {
    check_ids(&settings.connectors, problems);
    warn_of_mixed_replay(&settings.connectors, problems);
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
