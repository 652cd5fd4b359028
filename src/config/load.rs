//! From a file and the environment to [`Settings`].

use std::collections::HashMap;
use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, Map, Source, Value, ValueKind};

use super::environment;
use super::places::{Document, Place};
use super::problems::Problems;
use super::section::read_table;
use super::settings::{Settings, read_settings};
use super::unreadable;
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
    let entries = match read_file(path, problems) {
        Ok(entries) => entries,
        Err((place, message)) => {
            problems.error_at(place, message);
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
    match parse("<text>".to_owned(), text, FileFormat::Toml, problems) {
        Ok(entries) => Some(read_entries(
            entries,
            PathBuf::new(),
            HashMap::new(),
            problems,
        )),
        Err((place, message)) => {
            problems.error_at(place, message);
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

fn read_file(path: &Path, problems: &mut Problems) -> Result<Map<String, Value>, (Place, String)> {
    let file = path.display().to_string();
    let unread = |message: String| {
        let file = file.clone();
        let position = None;
        (Place { file, position }, message)
    };
    let extension = path.extension().and_then(|extension| extension.to_str());
    let format = match extension.map(str::to_ascii_lowercase).as_deref() {
        Some("toml") => FileFormat::Toml,
        Some("yaml" | "yml") => FileFormat::Yaml,
        Some("json") => FileFormat::Json,
        other => {
            let ini = match other {
                Some("ini") => {
                    "; an INI file such as oidc-token-proxy's is written anew as TOML, with texts in quotes and lists in brackets: docs/from-oidc-token-proxy.md has each setting"
                }
                _ => "",
            };
            return Err(unread(format!(
                "the format is not known: name the file .toml, .yaml, .yml or .json{ini}"
            )));
        }
    };
    let text = fs::read_to_string(path).map_err(|error| {
        let why = unreadable::explain(path, &error);
        unread(if error.kind() == io::ErrorKind::NotFound {
            format!("cannot be read: {why}. To begin, run `remint demo`, which needs no file, or write one after site.example.toml; --config names another")
        } else {
            format!("cannot be read: {why}; name another file with --config")
        })
    })?;
    parse(file, &text, format, problems)
}

/// The tables of a text; `problems` gets to know the text, so that findings can say where they are in it.
fn parse(
    file: String,
    text: &str,
    format: FileFormat,
    problems: &mut Problems,
) -> Result<Map<String, Value>, (Place, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = Document::new(file, text, format);
    let invalid = |(place, words): (Place, String)| {
        let name = format!("{format:?}").to_uppercase();
        (place, format!("is not valid {name}: {words}"))
    };
    if format == FileFormat::Json {
        // The `config` crate lets the last of two members win without a word.
        let distinct = super::duplicates::refuse(text);
        distinct.map_err(|error| invalid(document.explain_json(&error)))?;
    }
    let entries = File::from_str(text, format).collect();
    let entries = entries.map_err(|error| invalid(document.explain(&error)))?;
    problems.set_document(document);
    Ok(entries)
}
