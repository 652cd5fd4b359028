//! `REMINT__SERVER__LISTEN=...`: values from the environment, laid over those of the file.

use std::collections::HashMap;

use config::{Environment, Map, Source, Value, ValueKind};

use super::problems::Problems;

const PREFIX: &str = "REMINT__";

/// The environment of this process, as [`load`](super::load()) takes it; what is not Unicode is replaced by U+FFFD.
pub fn process_environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().map(|(name, value)| {
        (
            name.to_string_lossy().into_owned(),
            value.to_string_lossy().into_owned(),
        )
    })
}

/// Lays every `REMINT__` variable over `tree`, in the order of their names, and remembers which value came from which.
///
/// `REMINT_SERVICE_HOST` and the like, which Kubernetes sets for a service named `remint`, are not ours.
pub(super) fn overlay(
    tree: &mut Value,
    environment: &HashMap<String, String>,
    problems: &mut Problems,
) {
    let ours = |name: &str| {
        name.get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    };
    let mut variables: Vec<_> = environment.iter().filter(|(name, _)| ours(name)).collect();
    variables.sort();
    for (name, value) in variables {
        let key = name
            .get(PREFIX.len()..)
            .unwrap_or_default()
            .to_lowercase()
            .replace("__", ".");
        if let Err(message) = check_key(&key, tree) {
            problems.error("", format!("environment variable {name}: {message}"));
            continue;
        }
        let source = Environment::with_prefix("REMINT")
            .prefix_separator("__")
            .separator("__")
            .source(Some(Map::from_iter([(name.clone(), value.clone())])));
        match source.collect_to(tree) {
            Ok(()) => problems.set_by_variable(key, name),
            Err(error) => problems.error("", format!("environment variable {name}: {error}")),
        }
    }
}

/// Whether a variable can be set at `key`: it must be a name, and must not reach into what is not a table in the file.
fn check_key(key: &str, tree: &Value) -> Result<(), String> {
    let is_name = |part: &str| {
        let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        !part.is_empty() && part.chars().all(is_bare)
    };
    if !key.split('.').all(is_name) {
        return Err("not the name of a key: they look like REMINT__SERVER__LISTEN".to_owned());
    }
    let mut at = tree;
    let mut outer = "";
    for part in key.split('.') {
        let ValueKind::Table(table) = &at.kind else {
            return Err(format!(
                "`{outer}` is not a table in the file, and the environment cannot reach into it: write the value in the file"
            ));
        };
        let Some(value) = table.get(part) else {
            return Ok(());
        };
        (at, outer) = (value, part);
    }
    Ok(())
}
