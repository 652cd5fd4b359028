//! The keys of a YAML file.

use yaml_rust2::parser::{Event, MarkedEventReceiver, Parser};
use yaml_rust2::scanner::Marker;

use super::Positions;
use crate::config::problems::child_path;

/// Finds every key and item up to the first error; not those behind an alias (`*name`).
pub(super) fn find(text: &str, positions: &mut Positions) {
    let mut search = Search {
        positions,
        open: Vec::new(),
    };
    let _ = Parser::new_from_str(text).load(&mut search, false);
}

/// Line and column, both counted from 1.
pub(super) fn position(marker: &Marker) -> (usize, usize) {
    (marker.line().max(1), marker.col() + 1)
}

struct Search<'a> {
    positions: &'a mut Positions,
    /// The mappings and sequences around the next event, the innermost last.
    open: Vec<Collection>,
}

enum Collection {
    /// With the path of the key whose value comes next; `start` until the first key has come.
    Mapping {
        path: String,
        key: Option<String>,
        start: Option<(usize, usize)>,
    },
    Sequence {
        path: String,
        next: usize,
    },
}

impl MarkedEventReceiver for Search<'_> {
    fn on_event(&mut self, event: Event, marker: Marker) {
        match event {
            Event::Scalar(text, ..) => self.scalar(&text, &marker),
            Event::Alias(_) => self.item(&marker),
            Event::MappingStart(..) => {
                let path = self.value();
                let start = Some(position(&marker));
                self.open.push(Collection::Mapping {
                    path,
                    key: None,
                    start,
                });
            }
            Event::SequenceStart(..) => {
                let path = self.value();
                self.positions.add(&path, position(&marker));
                self.open.push(Collection::Sequence { path, next: 0 });
            }
            Event::MappingEnd | Event::SequenceEnd => {
                self.open.pop();
            }
            _ => {}
        }
    }
}

impl Search<'_> {
    fn scalar(&mut self, text: &str, marker: &Marker) {
        match self.open.last_mut() {
            Some(Collection::Mapping { path, key, start }) if key.is_none() => {
                let at = position(marker);
                // A mapping without braces is said to begin at the colon behind its first key.
                if let Some(start) = start.take() {
                    self.positions.add(path, at.min(start));
                }
                let path = child_path(path, text);
                self.positions.add(&path, at);
                *key = Some(path);
            }
            _ => self.item(marker),
        }
    }

    fn item(&mut self, marker: &Marker) {
        let path = self.value();
        self.positions.add(&path, position(marker));
    }

    /// The path of a value that begins.
    fn value(&mut self) -> String {
        match self.open.last_mut() {
            None => String::new(),
            Some(Collection::Mapping { key, .. }) => key.take().unwrap_or_default(),
            Some(Collection::Sequence { path, next }) => {
                let path = format!("{path}[{next}]");
                *next += 1;
                path
            }
        }
    }
}
