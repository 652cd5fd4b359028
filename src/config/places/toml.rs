//! The keys of a TOML file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Lines, Positions};
use crate::config::problems::child_path;

/// Finds every key and item; nothing in a text that is not TOML.
pub(super) fn find(text: &str, positions: &mut Positions) {
    if let Ok(root) = DeTable::parse(text) {
        let mut search = Search {
            lines: Lines::of(text),
            positions,
        };
        search.table("", root.get_ref());
    }
}

struct Search<'a> {
    lines: Lines<'a>,
    positions: &'a mut Positions,
}

impl Search<'_> {
    fn table(&mut self, path: &str, table: &DeTable<'_>) {
        for (key, value) in table {
            let path = child_path(path, key.get_ref());
            self.found(&path, key.span().start);
            self.value(&path, value);
        }
    }

    fn value(&mut self, path: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(path, table),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.found(&path, item.span().start);
                    self.value(&path, item);
                }
            }
            _ => {}
        }
    }

    fn found(&mut self, path: &str, offset: usize) {
        self.positions.add(path, self.lines.position(offset));
    }
}
