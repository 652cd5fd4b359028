//! JSON read strictly: no member twice, no deep nesting, nothing but one object.
//!
//! Parsers disagree on which of two equal members counts, so a token that has them means different
//! things to different readers.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

/// How deep objects and lists may nest.
const DEEPEST: usize = 32;

/// As many members as most tokens have at most.
const CLAIMS: usize = 40;

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

/// Reads one JSON object.
pub fn strict_object(bytes: &[u8]) -> Result<Map<String, Value>, NotStrict> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| NotStrict::Syntax("it is not valid UTF-8".to_owned()))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value))
        .map_err(|error| explain(&error))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(NotStrict::Refused("is not a JSON object".to_owned())),
    }
}

/// The parser's words without its line and column, which mean nothing to a token's reader.
fn explain(error: &serde_json::Error) -> NotStrict {
    let text = error.to_string();
    let cause = text.split(" at line ").next().unwrap_or(&text).to_owned();
    match cause.as_str() {
        DUPLICATE => NotStrict::Duplicate,
        _ if error.is_data() => NotStrict::Refused(cause),
        _ => NotStrict::Syntax(cause),
    }
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
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
        // Growing a map of a CI job's thirty claims would hash each of them three times more.
        let mut object = Map::with_capacity(if self.depth == 0 { CLAIMS } else { 0 });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_json_allows() {
        let object = strict_object(br#"{"a":[1,-2,1.5,18446744073709551615,null,true,"\u00e9"]}"#);
        assert_eq!(
            Value::Object(object.unwrap()).to_string(),
            "{\"a\":[1,-2,1.5,18446744073709551615,null,true,\"é\"]}"
        );
    }

    #[test]
    fn refuses_what_readers_disagree_on() {
        let deep = |n: usize| format!("{}{}", "{\"a\":".repeat(n), "1") + &"}".repeat(n);
        assert!(strict_object(deep(32).as_bytes()).is_ok());
        for (bytes, cause) in [
            (r#"{"a":1,"a":1}"#.to_owned(), "has a member twice"),
            (r#"{"a":{"b":1,"b":2}}"#.to_owned(), "has a member twice"),
            (r#"{"a":1,"\u0061":1}"#.to_owned(), "has a member twice"),
            (deep(33), "nests deeper than 32"),
            (r#"{"a":"\ud800"}"#.to_owned(), "is not valid JSON"),
            (r#"{"a":1e400}"#.to_owned(), "is not valid JSON"),
            (r#"{"a":NaN}"#.to_owned(), "is not valid JSON"),
            ("{} {}".to_owned(), "is not valid JSON"),
            ("[]".to_owned(), "is not a JSON object"),
            (String::new(), "is not valid JSON"),
        ] {
            let error = strict_object(bytes.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(cause), "{bytes}: {error}");
        }
        let error = strict_object(b"{\"a\":\"\xff\"}").unwrap_err().to_string();
        assert!(error.contains("UTF-8"), "{error}");
    }
}
