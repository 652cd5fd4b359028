//! The keys of a JSON file.

use serde::de::{DeserializeOwned, IgnoredAny};

use super::{Lines, Positions};
use crate::config::problems::child_path;

/// Finds every key and item up to the first error. Nesting was limited when the text was parsed.
pub(super) fn find(text: &str, positions: &mut Positions) {
    let mut search = Search {
        text,
        at: 0,
        lines: Lines::of(text),
        positions,
    };
    search.value("");
}

struct Search<'a> {
    text: &'a str,
    at: usize,
    lines: Lines<'a>,
    positions: &'a mut Positions,
}

impl Search<'_> {
    /// Goes past one value; `None` where there is none.
    fn value(&mut self, path: &str) -> Option<()> {
        match self.peek()? {
            b'{' => self.object(path),
            b'[' => self.array(path),
            _ => self.take::<IgnoredAny>().map(|IgnoredAny| ()),
        }
    }

    fn object(&mut self, path: &str) -> Option<()> {
        self.at += 1;
        while self.peek()? != b'}' {
            let start = self.at;
            let path = child_path(path, &self.take::<String>()?);
            self.found(&path, start);
            self.skip(b':')?;
            self.value(&path)?;
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.skip(b'}')
    }

    fn array(&mut self, path: &str) -> Option<()> {
        self.at += 1;
        let mut index = 0;
        while self.peek()? != b']' {
            let path = format!("{path}[{index}]");
            self.found(&path, self.at);
            self.value(&path)?;
            index += 1;
            if self.peek()? == b',' {
                self.at += 1;
            }
        }
        self.skip(b']')
    }

    /// The next byte that is not white space; the place moves there.
    fn peek(&mut self) -> Option<u8> {
        let rest = self.text.get(self.at..)?;
        self.at += rest.len() - rest.trim_ascii_start().len();
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    fn take<T: DeserializeOwned>(&mut self) -> Option<T> {
        let rest = self.text.get(self.at..)?;
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<T>();
        let value = values.next()?.ok()?;
        self.at += values.byte_offset();
        Some(value)
    }

    fn found(&mut self, path: &str, offset: usize) {
        self.positions.add(path, self.lines.position(offset));
    }
}
