//! JSON values read strictly: no member twice, no deep nesting.
//!
//! Parsers disagree on which of two equal members counts, so a token that has them means different
//! things to different readers.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// How deep objects and lists may nest.
const DEEPEST: usize = 32;

/// How the visitor tells a repeated member from other refusals.
const DUPLICATE: &str = "has a member twice";

/// What keeps bytes from being read as one JSON object; the words never quote them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStrict {
    /// They are not JSON.
    #[error("is not valid JSON ({0})")]
    Syntax(String),
    /// They are JSON that readers disagree on.
    #[error("{0}")]
    Refused(String),
    /// The same member stands twice in an object.
    #[error("has a member twice")]
    Duplicate,
}

/// The parser's words without its line and column, which mean nothing to a token's reader.
pub(super) fn explain(error: &serde_json::Error) -> NotStrict {
    let text = error.to_string();
    let cause = text.split(" at line ").next().unwrap_or(&text).to_owned();
    match cause.as_str() {
        DUPLICATE => NotStrict::Duplicate,
        _ if error.is_data() => NotStrict::Refused(cause),
        _ => NotStrict::Syntax(cause),
    }
}

/// Reads a value.
#[derive(Clone, Copy, Default)]
pub(super) struct Strict {
    depth: usize,
}

impl Strict {
    /// For a member of the outermost object.
    pub(super) fn inside() -> Self {
        Self { depth: 1 }
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth == DEEPEST {
            return Err(E::custom(format_args!("nests deeper than {DEEPEST}")));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("holds a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            match object.entry(name) {
                Entry::Occupied(_) => return Err(A::Error::custom(DUPLICATE)),
                Entry::Vacant(place) => {
                    place.insert(map.next_value_seed(seed)?);
                }
            }
        }
        Ok(Value::Object(object))
    }
}
