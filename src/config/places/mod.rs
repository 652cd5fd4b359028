//! Where each key of a configuration file stands, so that a finding can name line and column.

mod json;
mod toml;
mod yaml;

use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

use config::{ConfigError, FileFormat};

/// A file, and where in it if that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file as it was named on the command line.
    pub file: String,
    /// Line and column, both counted from 1, the column in characters.
    pub position: Option<(usize, usize)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.position {
            Some((line, column)) => write!(f, "{}:{line}:{column}", self.file),
            None => f.write_str(&self.file),
        }
    }
}

/// The text of a configuration file. It is searched only once something is wrong: most files are good.
pub(super) struct Document {
    file: String,
    text: String,
    format: FileFormat,
    positions: OnceLock<Positions>,
}

impl Document {
    /// The text of `file`, without a byte order mark.
    pub(super) fn new(file: String, text: &str, format: FileFormat) -> Self {
        Self {
            file,
            text: text.to_owned(),
            format,
            positions: OnceLock::new(),
        }
    }

    /// Where the key or item at `path` stands; where it is missing, the table or list that it would be in.
    pub(super) fn place(&self, path: &str) -> Place {
        let positions = self.positions();
        let outer = path.rmatch_indices(['.', '[']);
        let outer = outer.filter_map(|(end, _)| path.get(..end));
        let found = std::iter::once(path)
            .chain(outer)
            .find_map(|path| positions.get(path));
        self.at(found.unwrap_or((1, 1)))
    }

    /// Whether the file itself has something at `path`.
    pub(super) fn has(&self, path: &str) -> bool {
        self.positions().get(path).is_some()
    }

    /// Where the parser gave up, if it says so, and its words without that and without the lines that it quotes:
    /// they may hold a secret.
    pub(super) fn explain(&self, error: &ConfigError) -> (Place, String) {
        let cause = match error {
            ConfigError::FileParse { cause, .. } => cause,
            other => return (self.whole(), other.to_string()),
        };
        if let Some(error) = cause.downcast_ref::<::toml::de::Error>() {
            let position = error
                .span()
                .map(|span| Lines::of(&self.text).position(span.start));
            let words = error.message().lines().collect::<Vec<_>>().join(": ");
            return (self.somewhere(position), words);
        }
        if let Some(error) = cause.downcast_ref::<yaml_rust2::ScanError>() {
            let position = yaml::position(error.marker());
            return (self.at(position), error.info().to_owned());
        }
        (self.whole(), cause.to_string())
    }

    /// The same for the errors of `serde_json`.
    pub(super) fn explain_json(&self, error: &serde_json::Error) -> (Place, String) {
        let place = self.at((error.line().max(1), error.column().max(1)));
        let words = error.to_string();
        let words = words.split(" at line ").next().unwrap_or_default();
        (place, words.to_owned())
    }

    fn positions(&self) -> &Positions {
        self.positions.get_or_init(|| {
            let mut positions = Positions::default();
            match self.format {
                FileFormat::Toml => toml::find(&self.text, &mut positions),
                FileFormat::Yaml => yaml::find(&self.text, &mut positions),
                FileFormat::Json => json::find(&self.text, &mut positions),
                _ => {}
            }
            positions
        })
    }

    fn at(&self, position: (usize, usize)) -> Place {
        self.somewhere(Some(position))
    }

    fn whole(&self) -> Place {
        self.somewhere(None)
    }

    fn somewhere(&self, position: Option<(usize, usize)>) -> Place {
        Place {
            file: self.file.clone(),
            position,
        }
    }
}

/// The text may hold secrets, so it is not shown.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({})", self.file)
    }
}

/// Line and column of every key and every item of a list, by its path.
#[derive(Debug, Default)]
struct Positions(HashMap<String, (usize, usize)>);

impl Positions {
    /// The first one counts: a table may be named by several headings.
    fn add(&mut self, path: &str, position: (usize, usize)) {
        self.0.entry(path.to_owned()).or_insert(position);
    }

    fn get(&self, path: &str) -> Option<(usize, usize)> {
        self.0.get(path).copied()
    }
}

/// Where the lines of a text begin.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0).chain(ends.map(|(end, _)| end + 1));
        Self {
            text,
            starts: starts.collect(),
        }
    }

    /// Line and column of a byte of the text.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied();
        let before = self.text.get(start.unwrap_or_default()..offset);
        (line, before.unwrap_or_default().chars().count() + 1)
    }
}
