//! Reads one table of the configuration key by key, and reports every key that nobody asked for.

use std::mem;
use std::path::PathBuf;

use config::{Map, Value, ValueKind};

use super::counterparts::{counterpart, has_inner};
use super::problems::child_path;
use super::value::{FromValue, Sink, wrong};

/// One table that is being read. A key is known by being asked for; what is left at the end is unknown.
pub(super) struct Section<'a> {
    path: String,
    entries: Map<String, Value>,
    known: Vec<&'static str>,
    sink: &'a mut Sink,
}

/// Reads the table `entries` that stands at `path`, then reports the keys that `read` did not ask for.
pub(super) fn read_table<T>(
    path: String,
    entries: Map<String, Value>,
    sink: &mut Sink,
    read: impl FnOnce(&mut Section<'_>) -> T,
) -> T {
    let mut section = Section {
        path,
        entries,
        known: Vec::new(),
        sink,
    };
    let value = read(&mut section);
    section.report_unknown();
    value
}

impl Section<'_> {
    /// Where this table stands, such as `connectors[0]`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A key that may be left out; `None` where it is, or where its value is wrong (and recorded).
    pub(super) fn optional<T: FromValue>(&mut self, key: &'static str) -> Option<T> {
        self.list(key);
        let value = self.take(key)?;
        T::read(value, &child_path(&self.path, key), self.sink)
    }

    /// A key that must be there and not be an empty list; `what` says what to write. The default stands for what was wrong.
    pub(super) fn required<T: FromValue + Default>(&mut self, key: &'static str, what: &str) -> T {
        self.require(key, what);
        let Some(value) = self.optional::<T>(key) else {
            return T::default();
        };
        if value.is_blank() {
            self.error(key, format!("found an empty list: {what}"));
        }
        value
    }

    /// A table inside this one; where it is left out, an empty one is read.
    pub(super) fn table<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Section<'_>) -> T,
    ) -> T {
        let path = child_path(&self.path, key);
        let entries = match self.take(key).map(|value| value.kind) {
            None => Map::new(),
            Some(ValueKind::Table(entries)) => entries,
            Some(other) => {
                let expected = format!("a table, written [{path}]");
                wrong(&other, &expected, &path, self.sink).unwrap_or_default()
            }
        };
        read_table(path, entries, self.sink, read)
    }

    /// A list of tables; where it is left out, none.
    pub(super) fn tables<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section<'_>) -> T,
    ) -> Vec<T> {
        let path = child_path(&self.path, key);
        if self.sink.listing.is_some() {
            return vec![read_table(format!("{path}[]"), Map::new(), self.sink, read)];
        }
        let Some(value) = self.take(key) else {
            return Vec::new();
        };
        let heading = unindexed(&path);
        let expected = format!("a list of tables, each under its own [[{heading}]]");
        let items = match value.kind {
            ValueKind::Array(items) => items,
            ValueKind::Table(entries) => {
                let found = ValueKind::Table(Map::new());
                wrong::<()>(&found, &expected, &path, self.sink);
                // Read all the same, so that what is wrong inside is reported in this run too.
                vec![Value::new(None, entries)]
            }
            other => {
                return wrong(&other, &expected, &path, self.sink).unwrap_or_default();
            }
        };
        if items.is_empty() {
            self.error(
                key,
                format!(
                    "found an empty list: write at least one [[{heading}]], or leave the key out"
                ),
            );
        }
        let mut tables = Vec::new();
        for (index, item) in items.into_iter().enumerate() {
            let path = format!("{path}[{index}]");
            if let ValueKind::Table(entries) = item.kind {
                tables.push(read_table(path, entries, self.sink, &mut read));
            } else {
                wrong::<()>(&item.kind, "a table", &path, self.sink);
            }
        }
        tables
    }

    /// Records that `key` is missing, if it is; `what` says what to write.
    pub(super) fn require(&mut self, key: &'static str, what: &str) {
        if !self.entries.contains_key(key) {
            self.error(key, format!("missing: {what}"));
        }
    }

    /// What kind of value the key has, if it is there and not yet read.
    pub(super) fn kind_of(&self, key: &str) -> Option<&ValueKind> {
        self.entries.get(key).map(|value| &value.kind)
    }

    /// A path as written in the file, relative to its folder.
    pub(super) fn resolve(&self, path: &str) -> PathBuf {
        self.sink.folder.join(path)
    }

    /// A variable of the environment.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.sink.environment.get(name).map(String::as_str)
    }

    /// Records an error about `key`.
    pub(super) fn error(&mut self, key: &str, message: impl Into<String>) {
        let path = child_path(&self.path, key);
        self.sink.problems.error(path, message);
    }

    /// Records a warning about `key`.
    pub(super) fn warning(&mut self, key: &str, message: impl Into<String>) {
        let path = child_path(&self.path, key);
        self.sink.problems.warning(path, message);
    }

    /// Records a note about `key`.
    pub(super) fn note(&mut self, key: &str, message: impl Into<String>) {
        let path = child_path(&self.path, key);
        self.sink.problems.note(path, message);
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.known.push(key);
        self.entries.shift_remove(key)
    }

    fn list(&mut self, key: &str) {
        let path = child_path(&self.path, key);
        if let Some(listing) = &mut self.sink.listing
            && !listing.contains(&path)
        {
            listing.push(path);
        }
    }

    fn report_unknown(mut self) {
        for (key, value) in mem::take(&mut self.entries) {
            let path = child_path(&self.path, &key);
            match value.kind {
                ValueKind::Table(inner) if has_inner(&unindexed(&path)) && !inner.is_empty() => {
                    for name in inner.keys() {
                        let advice = counterpart(&unindexed(&path), name)
                            .map_or_else(|| self.advice(&key), |found| found.to_string());
                        self.unknown(child_path(&path, name), &advice);
                    }
                }
                _ => {
                    let advice = self.advice(&key);
                    self.unknown(path, &advice);
                }
            }
        }
    }

    fn unknown(&mut self, path: String, advice: &str) {
        let variables = self.sink.problems.variables_below(&path).join(", ");
        let mut message = format!("unknown key: {advice}");
        if !variables.is_empty() {
            message = format!("{message} (set by the environment variable {variables})");
        }
        self.sink.problems.error(path, message);
    }

    /// What to write instead of an unknown key.
    fn advice(&self, key: &str) -> String {
        let here = unindexed(&self.path);
        if let Some(found) = counterpart(&here, key) {
            return found.to_string();
        }
        if let Some(same) = self.known.iter().find(|known| is_same(known, key)) {
            return format!("did you mean `{same}`?");
        }
        let elsewhere = super::known_keys().into_iter().find(|known| {
            let (table, name) = known.rsplit_once('.').unwrap_or(("", known));
            is_same(name, key) && table.replace("[]", "") != here
        });
        if let Some(known) = elsewhere {
            return match known.rsplit_once('.') {
                Some((table, name)) => format!("`{name}` belongs under [{}]", heading(table)),
                None => {
                    format!("`{known}` belongs at the top of the file, before the first [table]")
                }
            };
        }
        match nearest(key, self.known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the keys here are {}", self.known.join(", ")),
        }
    }
}

/// Whether both are one name, in whatever case and with whatever between the words: `jwksURI` is `jwks_uri`.
fn is_same(known: &str, key: &str) -> bool {
    let letters = |name: &str| name.replace(['_', '-'], "").to_lowercase();
    letters(known) == letters(key)
}

/// The closest of the known keys, if it is close enough to be a slip of the pen.
fn nearest<'k>(key: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    near(&key.to_lowercase().replace('-', "_"), known)
}

/// The closest of the names to `wanted`, if it is close enough to be a slip of the pen.
pub fn near<'k>(wanted: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let allowed = (wanted.chars().count() / 3).clamp(1, 3);
    known
        .map(|known| (strsim::osa_distance(wanted, known), known))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// `connectors[0].rules[2]` as the name that stands in its heading, `connectors.rules`.
fn unindexed(path: &str) -> String {
    let parts = path
        .split('[')
        .map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
    parts.collect()
}

/// A table of the key list as its heading: `connectors[]` is `[connectors]` inside the brackets of the message.
fn heading(table: &str) -> String {
    match table.strip_suffix("[]") {
        Some(list) => format!("[{}]", list.replace("[]", "")),
        None => table.replace("[]", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_near_keys() {
        let known = ["listen", "issuer", "jwks_uri", "jwks_file", "audiences"];
        let near = |key| nearest(key, known.iter().copied());
        assert_eq!(near("lisen"), Some("listen"));
        assert_eq!(near("jwks-uri"), Some("jwks_uri"));
        assert_eq!(near("Issuer"), Some("issuer"));
        assert!(is_same("jwks_uri", "jwksURI") && !is_same("jwks_uri", "jwks_url"));
        assert_eq!(near("audience"), Some("audiences"));
        assert_eq!(near("secret"), None);
        assert_eq!(near(""), None);
    }

    #[test]
    fn names_headings_without_indices() {
        assert_eq!(unindexed("connectors[0].rules[12]"), "connectors.rules");
        assert_eq!(unindexed("server"), "server");
        assert_eq!(heading("connectors[].rules[]"), "[connectors.rules]");
    }
}
