//! Everything that is wrong with a configuration, collected so that one run reports all of it.

use std::fmt;
use std::sync::Arc;

use super::places::{Document, Place};

/// How bad one finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Remint does not start.
    Error,
    /// Remint starts, but an operator should look.
    Warning,
    /// Worth knowing; `check` prints it.
    Note,
}

/// One finding: where it is, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// Where the file has it; absent where the environment gave the value, or where it concerns the whole.
    pub place: Option<Place>,
    /// The key it is about, such as `connectors[0].allow[1]`; empty where it concerns the whole.
    pub path: String,
    /// What was found, what is expected, and what to do.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        };
        write!(f, "{word}: {}", self.text())
    }
}

impl Problem {
    /// All of it but the severity: place, path and message.
    pub fn text(&self) -> String {
        let place = self.place.iter().map(ToString::to_string);
        let path = Some(self.path.clone()).filter(|path| !path.is_empty());
        let parts = place.chain(path).chain([self.message.clone()]);
        parts.collect::<Vec<_>>().join(": ")
    }
}

/// The collected findings, in the order in which they were made.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    variables: Vec<(String, String)>,
    document: Option<Arc<Document>>,
}

impl Problems {
    /// An empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Records what keeps Remint from starting.
    pub fn error(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Error, path.into(), message.into());
    }

    /// Records an error unless one stands at `path` already: a later check of the same value.
    pub fn error_once(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        let known = |found: &Problem| found.severity == Severity::Error && found.path == path;
        if !self.iter().any(known) {
            self.error(path, message);
        }
    }

    /// Records what an operator should look at.
    pub fn warning(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Warning, path.into(), message.into());
    }

    /// Records what is worth knowing.
    pub fn note(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.push(Severity::Note, path.into(), message.into());
    }

    /// Records an error about the file itself, such as one of its syntax.
    pub(super) fn error_at(&mut self, place: Place, message: impl Into<String>) {
        self.found.push(Problem {
            severity: Severity::Error,
            place: Some(place),
            path: String::new(),
            message: message.into(),
        });
    }

    /// Remembers the text that every later finding is about.
    pub(super) fn set_document(&mut self, document: Document) {
        self.document = Some(Arc::new(document));
    }

    /// Remembers that the environment variable `name` gave the value at `path`: every later finding about that value names it.
    pub fn set_by_variable(&mut self, path: impl Into<String>, name: impl Into<String>) {
        self.variables.push((path.into(), name.into()));
    }

    /// Whether anything found keeps Remint from starting.
    pub fn has_errors(&self) -> bool {
        self.iter().any(|found| found.severity == Severity::Error)
    }

    /// All findings, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.found.iter()
    }

    /// The environment variables that gave something below `path`, in order.
    pub(super) fn variables_below(&self, path: &str) -> Vec<&str> {
        let below = |at: &str| {
            at.strip_prefix(path)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let given = self.variables.iter().filter(|(at, _)| below(at));
        given.map(|(_, name)| name.as_str()).collect()
    }

    fn push(&mut self, severity: Severity, path: String, mut message: String) {
        let about = |at: &str| {
            path.strip_prefix(at)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('['))
        };
        let mut place = self.place(&path);
        if let Some((_, name)) = self.variables.iter().find(|(at, _)| about(at)) {
            message = format!("{message} (set by the environment variable {name})");
            place = None;
        }
        self.found.push(Problem {
            severity,
            place,
            path,
            message,
        });
    }

    /// Where the file has `path`; nowhere for what only the environment has.
    fn place(&self, path: &str) -> Option<Place> {
        let document = self.document.as_ref().filter(|_| !path.is_empty())?;
        let elsewhere = !document.has(path) && !self.variables_below(path).is_empty();
        (!elsewhere).then(|| document.place(path))
    }
}

/// The path of `key` inside the table at `path`; a key that TOML would not take bare is quoted, as in `connectors[0].claims."a.b"`.
pub fn child_path(path: &str, key: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let dot = if path.is_empty() { "" } else { "." };
    if !key.is_empty() && key.chars().all(is_bare) {
        format!("{path}{dot}{key}")
    } else {
        format!("{path}{dot}{key:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keys_only_where_they_need_it() {
        assert_eq!(child_path("", "issuer"), "issuer");
        assert_eq!(child_path("server", "listen"), "server.listen");
        assert_eq!(child_path("claims", "a.b"), "claims.\"a.b\"");
        assert_eq!(child_path("claims", ""), "claims.\"\"");
    }

    #[test]
    fn names_the_variable_behind_a_value_and_its_items_only() {
        let mut problems = Problems::new();
        problems.set_by_variable("server.listen", "REMINT__SERVER__LISTEN");
        problems.error("server.listen", "bad");
        problems.error("server.listen[1]", "bad");
        problems.error("server.listener", "bad");
        let named = problems
            .iter()
            .map(|found| found.message.contains("REMINT__SERVER__LISTEN"));
        assert_eq!(named.collect::<Vec<_>>(), [true, true, false]);
        assert_eq!(
            problems.variables_below("server"),
            ["REMINT__SERVER__LISTEN"]
        );
        assert!(problems.variables_below("serve").is_empty());
    }
}
