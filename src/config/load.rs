//! From a file and the environment to [`Settings`].

use std::collections::HashMap;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Map, Source, Value, ValueKind};

use super::environment;
use super::problems::Problems;
use super::section::read_table;
use super::settings::{Settings, read_settings};
use super::validate;
use super::value::Sink;

/// Reads the file at `path` (TOML, YAML or JSON by its extension) and lays the `REMINT__` variables of `environment` over it;
/// the others are there for `secret_env`.
///
/// Everything wrong is recorded in `problems`, all of it in one run. `None`: the file cannot be read or is not in its
/// format, so that there is nothing to look at. `Some` with errors recorded: good for further checks, not for serving.
pub fn load(
    path: &Path,
    environment: impl IntoIterator<Item = (String, String)>,
    problems: &mut Problems,
) -> Option<Settings> {
    let entries = match read_file(path) {
        Ok(entries) => entries,
        Err(message) => {
            problems.error("", format!("{}: {message}", path.display()));
            return None;
        }
    };
    let mut tree = Value::new(None, entries);
    let environment: HashMap<_, _> = environment.into_iter().collect();
    environment::overlay(&mut tree, &environment, problems);
    let ValueKind::Table(entries) = tree.kind else {
        return None;
    };
    let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
    Some(read_entries(entries, folder, environment, problems))
}

/// Reads a configuration from TOML text; relative paths in it start at the working directory, and no
/// environment is read.
pub fn load_toml(text: &str, problems: &mut Problems) -> Option<Settings> {
    match File::from_str(text, FileFormat::Toml).collect() {
        Ok(entries) => Some(read_entries(
            entries,
            PathBuf::new(),
            HashMap::new(),
            problems,
        )),
        Err(error) => {
            problems.error("", without_source_lines(&error.to_string()));
            None
        }
    }
}

fn read_entries(
    entries: Map<String, Value>,
    folder: PathBuf,
    environment: HashMap<String, String>,
    problems: &mut Problems,
) -> Settings {
    let mut sink = Sink {
        problems: mem::take(problems),
        folder,
        environment,
        listing: None,
    };
    let settings = read_table(String::new(), entries, &mut sink, read_settings);
    *problems = sink.problems;
    validate::check(&settings, problems);
    settings
}

/// Every key that the reader knows, such as `connectors[].allow`, in the order in which it asks for them.
pub fn known_keys() -> Vec<String> {
    let mut sink = Sink {
        problems: Problems::new(),
        folder: PathBuf::new(),
        environment: HashMap::new(),
        listing: Some(Vec::new()),
    };
    read_table(String::new(), Map::new(), &mut sink, read_settings);
    sink.listing.unwrap_or_default()
}

fn read_file(path: &Path) -> Result<Map<String, Value>, String> {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let format = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("toml") => FileFormat::Toml,
        Some("yaml" | "yml") => FileFormat::Yaml,
        Some("json") => FileFormat::Json,
        _ => {
            return Err(
                "the format is not known: name the file .toml, .yaml, .yml or .json".to_owned(),
            );
        }
    };
    let text = fs::read_to_string(path).map_err(|error| {
        format!("cannot be read: {error}; name another file with --config, or start from site.example.toml")
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let name = format!("{format:?}").to_uppercase();
    let not_parsed =
        |error: String| format!("is not valid {name}: {}", without_source_lines(&error));
    if format == FileFormat::Json {
        // The `config` crate lets the last of two members win without a word.
        super::duplicates::refuse(text).map_err(|error| not_parsed(error.to_string()))?;
    }
    File::from_str(text, format)
        .collect()
        .map_err(|error| not_parsed(error.to_string()))
}

/// A parser's message on one line, without the source lines that it quotes: they may hold a secret.
fn without_source_lines(message: &str) -> String {
    let is_quote = |line: &str| {
        line.split_once('|')
            .is_some_and(|(number, _)| number.trim().chars().all(|c| c.is_ascii_digit()))
    };
    let lines = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !is_quote(line));
    lines.collect::<Vec<_>>().join(": ")
}
