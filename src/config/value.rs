//! How one configuration value becomes a Rust value, and what is said when it cannot.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use config::{Value, ValueKind};

use super::duration;
use super::problems::{Problems, child_path};
use super::size::{self, Size};

/// The origin that the `config` crate gives to every value that came from the environment.
pub(super) const ENVIRONMENT: &str = "the environment";

/// What the readers share: where findings go, and what relative paths are relative to.
pub(super) struct Sink {
    /// All findings so far.
    pub(super) problems: Problems,
    /// The folder of the configuration file.
    pub(super) folder: PathBuf,
    /// The environment, for keys that name a variable.
    pub(super) environment: HashMap<String, String>,
    /// The keys seen so far, where they are being listed rather than read.
    pub(super) listing: Option<Vec<String>>,
}

/// A type that can be read from one configuration value.
///
/// A wrong value is recorded under `path`. It is then `None`; a wrong item of a list or map stays as an empty
/// string, so that the others keep their place.
pub(super) trait FromValue: Sized {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self>;

    /// Whether a required key with this value is as good as missing.
    fn is_blank(&self) -> bool {
        false
    }
}

impl FromValue for String {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        match value.kind {
            ValueKind::String(text) if text.is_empty() => {
                sink.problems.error(
                    path,
                    "found an empty string: write a value, or leave the key out",
                );
                None
            }
            ValueKind::String(text) => Some(text),
            other => {
                let expected = as_text(&other).map_or_else(
                    || "a string, such as \"text\"".to_owned(),
                    |text| format!("a string: write {text:?}, with quotes"),
                );
                wrong(&other, &expected, path, sink)
            }
        }
    }
}

impl FromValue for bool {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let from_environment = value.origin() == Some(ENVIRONMENT);
        match value.kind {
            ValueKind::Boolean(flag) => Some(flag),
            ValueKind::String(text) if from_environment && text.parse::<Self>().is_ok() => {
                text.parse().ok()
            }
            other => wrong(&other, "true or false, without quotes", path, sink),
        }
    }
}

impl FromValue for u64 {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let from_environment = value.origin() == Some(ENVIRONMENT);
        let number = match &value.kind {
            ValueKind::I64(number) => Self::try_from(*number).ok(),
            ValueKind::U64(number) => Some(*number),
            ValueKind::String(text) if from_environment => text.parse().ok(),
            _ => None,
        };
        number.or_else(|| wrong(&value.kind, "a whole number, without quotes", path, sink))
    }
}

impl FromValue for Duration {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let read = match &value.kind {
            ValueKind::String(text) => duration::parse(text),
            _ => None,
        };
        read.or_else(|| wrong(&value.kind, duration::FORMS, path, sink))
    }
}

impl FromValue for Size {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let read = match &value.kind {
            ValueKind::I64(number) => u64::try_from(*number).ok().map(Self),
            ValueKind::U64(number) => Some(Self(*number)),
            ValueKind::String(text) => size::parse(text),
            _ => None,
        };
        read.or_else(|| wrong(&value.kind, size::FORMS, path, sink))
    }
}

impl FromValue for PathBuf {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let text = String::read(value, path, sink)?;
        Some(sink.folder.join(text))
    }
}

impl FromValue for Vec<String> {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let from_environment = value.origin() == Some(ENVIRONMENT);
        let items = match value.kind {
            ValueKind::Array(items) => items,
            ValueKind::String(text) if from_environment => split_at_commas(&text),
            ValueKind::String(text) => {
                let expected = format!("a list of strings, such as [{text:?}]");
                return wrong(&ValueKind::String(text), &expected, path, sink);
            }
            other => {
                let expected = as_text(&other).map_or_else(
                    || "a list of strings, such as [\"a\"]".to_owned(),
                    |text| format!("a list of strings: write [{text:?}], with brackets and quotes"),
                );
                return wrong(&other, &expected, path, sink);
            }
        };
        let item = |(index, item)| {
            String::read(item, &format!("{path}[{index}]"), sink).unwrap_or_default()
        };
        Some(items.into_iter().enumerate().map(item).collect())
    }

    fn is_blank(&self) -> bool {
        self.is_empty()
    }
}

/// A map of strings, in the order of the file; its values may be secrets, so messages do not show them.
impl FromValue for Vec<(String, String)> {
    fn read(value: Value, path: &str, sink: &mut Sink) -> Option<Self> {
        let entries = match value.kind {
            ValueKind::Table(entries) => entries,
            other => return wrong(&other, "a table, such as { name = \"value\" }", path, sink),
        };
        let mut read = Self::new();
        for (name, value) in entries {
            let at = child_path(path, &name);
            if name.is_empty() {
                sink.problems
                    .error(at, "the name before `=` is empty: write one");
                continue;
            }
            let value = match value.kind {
                ValueKind::String(text) if !text.is_empty() => text,
                other => {
                    sink.problems.error(at, not_a_string(&other));
                    String::new()
                }
            };
            read.push((name, value));
        }
        Some(read)
    }
}

/// Records that `found` is not what was expected.
pub(super) fn wrong<T>(
    found: &ValueKind,
    expected: &str,
    path: &str,
    sink: &mut Sink,
) -> Option<T> {
    let shown = match found {
        ValueKind::String(text) if !text.is_empty() => {
            format!("the string {:?}", shorten(text))
        }
        ValueKind::Boolean(flag) => format!("the boolean {flag}"),
        ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_) => format!("the number {found}"),
        _ => kind(found).to_owned(),
    };
    let message = format!("found {shown}, expected {expected}");
    sink.problems.error(path, message);
    None
}

/// What to say of a value that is no string and may be a secret. Nobody's secret is a boolean, so that one is shown.
pub(super) fn not_a_string(found: &ValueKind) -> String {
    let expected = match found {
        ValueKind::Boolean(flag) => {
            return format!(
                "found the boolean {flag}, expected a string: write \"{flag}\", with quotes"
            );
        }
        _ if as_text(found).is_some() => "a string: write it with quotes, such as \"1\"",
        _ => "a string, such as \"text\"",
    };
    format!("found {}, expected {expected}", kind(found))
}

/// A boolean or a number as the text that was probably meant.
fn as_text(found: &ValueKind) -> Option<String> {
    match found {
        ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_) => Some(found.to_string()),
        _ => None,
    }
}

/// The first characters of a value, so that a message stays one line.
pub(super) fn shorten(text: &str) -> String {
    const SHOWN: usize = 80;
    if text.chars().count() <= SHOWN {
        return text.to_owned();
    }
    text.chars().take(SHOWN).chain("...".chars()).collect()
}

/// What kind of value it is, in words that do not show it.
pub(super) fn kind(found: &ValueKind) -> &'static str {
    match found {
        ValueKind::Nil => "nothing (null)",
        ValueKind::Boolean(_) => "a boolean",
        ValueKind::String(text) if text.is_empty() => "an empty string",
        ValueKind::String(_) => "a string",
        ValueKind::Table(_) => "a table",
        ValueKind::Array(_) => "a list",
        ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_) => "a number",
    }
}

/// The items of a list that came as one string; no text at all is the empty list.
fn split_at_commas(text: &str) -> Vec<Value> {
    let origin = ENVIRONMENT.to_owned();
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',')
        .map(|item| Value::new(Some(&origin), item.trim()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sink() -> Sink {
        Sink {
            problems: Problems::new(),
            folder: PathBuf::from("/etc/remint"),
            environment: HashMap::new(),
            listing: None,
        }
    }

    fn from_environment(text: &str) -> Value {
        Value::new(Some(&ENVIRONMENT.to_owned()), text)
    }

    #[test]
    fn strings_of_the_environment_become_what_is_wanted() {
        let mut sink = sink();
        assert_eq!(
            bool::read(from_environment("true"), "p", &mut sink),
            Some(true)
        );
        assert_eq!(u64::read(from_environment("12"), "p", &mut sink), Some(12));
        let list = Vec::<String>::read(from_environment("a, b"), "p", &mut sink);
        assert_eq!(list, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(
            Vec::<String>::read(from_environment(" "), "p", &mut sink),
            Some(vec![])
        );
        assert!(!sink.problems.has_errors());
    }

    #[test]
    fn strings_of_a_file_stay_strings() {
        let mut sink = sink();
        assert_eq!(bool::read(Value::new(None, "true"), "p", &mut sink), None);
        assert_eq!(u64::read(Value::new(None, "12"), "p", &mut sink), None);
        assert_eq!(u64::read(Value::new(None, -1), "p", &mut sink), None);
        assert_eq!(
            Vec::<String>::read(Value::new(None, "a,b"), "p", &mut sink),
            None
        );
        assert_eq!(sink.problems.iter().count(), 4);
    }

    #[test]
    fn paths_are_relative_to_the_folder() {
        let mut sink = sink();
        let relative = PathBuf::read(Value::new(None, "a/b"), "p", &mut sink);
        assert_eq!(relative, Some(PathBuf::from("/etc/remint/a/b")));
        let absolute = PathBuf::read(Value::new(None, "/b"), "p", &mut sink);
        assert_eq!(absolute, Some(PathBuf::from("/b")));
    }
}
