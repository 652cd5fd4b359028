//! Between JSON and CEL values; nothing is coerced.

use std::collections::HashMap;

use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, Kind,
};
use cel::common::value::Val;
use serde_json::{Number, Value};

use crate::jose::Member;

/// Bytes that a computed claim may take.
const LARGEST: usize = 16 * 1024;

/// A boxed CEL value that borrows the texts of the JSON it came from.
pub(super) type Boxed<'a> = Box<dyn Val + 'a>;

/// `value` in CEL: an integer is an int, else a uint, any other number a double.
pub(super) fn from_json(value: &Value) -> Boxed<'_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(b) => Box::new(CelBool::from(*b)),
        Value::Number(number) => from_number(number),
        Value::String(text) => from_text(text),
        Value::Array(items) => Box::new(CelList::from(
            items.iter().map(from_json).collect::<Vec<_>>(),
        )),
        Value::Object(map) => from_entries(
            map.iter()
                .map(|(key, value)| (key.as_str(), from_json(value))),
        ),
    }
}

/// A claim in CEL.
pub(super) fn from_member(member: Member<'_>) -> Boxed<'_> {
    match member {
        Member::Text(text) => from_text(text),
        Member::Other(value) => from_json(value),
    }
}

/// A map with these members.
pub(super) fn from_entries<'a>(
    entries: impl IntoIterator<Item = (&'a str, Boxed<'a>)>,
) -> Boxed<'a> {
    let entries = entries
        .into_iter()
        .map(|(key, value)| (CelMapKey::from(key), value));
    Box::new(CelMap::from(entries.collect::<HashMap<_, _>>()))
}

fn from_number(number: &Number) -> Boxed<'static> {
    if let Some(int) = number.as_i64() {
        Box::new(CelInt::from(int))
    } else if let Some(uint) = number.as_u64() {
        Box::new(CelUInt::from(uint))
    } else {
        Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN)))
    }
}

/// A list of texts.
pub(super) fn from_texts<'a>(texts: &[&'a str]) -> Boxed<'a> {
    let texts = texts.iter().map(|text| from_text(text));
    Box::new(CelList::from(texts.collect::<Vec<_>>()))
}

/// A text, borrowed.
pub(super) fn from_text(text: &str) -> Boxed<'_> {
    Box::new(CelString::from(text))
}

/// `value` in JSON; the error says why it has no place in a token and what to write.
pub(super) fn to_json(value: &dyn Val) -> Result<Value, String> {
    Writer { left: LARGEST }.write(value)
}

/// The name of a value's type, as a reader of JSON would put it.
pub(super) fn type_name(value: &dyn Val) -> &str {
    readable(value.get_type().name())
}

/// The name of a CEL type, as a reader of JSON would put it.
pub(super) fn readable(name: &str) -> &str {
    match name {
        "null_type" => "null",
        "optional_type" => "optional",
        "google.protobuf.Duration" => "duration",
        "google.protobuf.Timestamp" => "timestamp",
        name => name,
    }
}

/// Converts while it counts bytes, so that nothing large is ever built.
struct Writer {
    left: usize,
}

impl Writer {
    fn write(&mut self, value: &dyn Val) -> Result<Value, String> {
        self.take(1)?;
        if let Some(text) = value.downcast_ref::<CelString<'_>>() {
            self.take(text.inner().len())?;
            return Ok(Value::from(text.inner()));
        }
        if let Some(list) = value.downcast_ref::<CelList<'_>>() {
            let items = list.inner().iter().map(|item| self.write(item.as_ref()));
            return items.collect::<Result<Vec<_>, _>>().map(Value::Array);
        }
        if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
            return self.write_map(map);
        }
        match value.get_type().kind() {
            Kind::NullType => Ok(Value::Null),
            _ => scalar(value),
        }
    }

    fn write_map(&mut self, map: &CelMap<'_>) -> Result<Value, String> {
        let mut members = Vec::with_capacity(map.inner().len());
        for (key, value) in map.inner() {
            let CelMapKey::String(key) = key else {
                return Err("a map in it has a key that is no string: write string(key)".to_owned());
            };
            self.take(key.inner().len())?;
            members.push((key.inner().to_owned(), self.write(value.as_ref())?));
        }
        // CEL maps have no order; a token should not change from one request to the next.
        members.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Value::Object(members.into_iter().collect()))
    }

    fn take(&mut self, bytes: usize) -> Result<(), String> {
        self.left = self
            .left
            .checked_sub(bytes)
            .ok_or_else(|| format!("it is larger than {LARGEST} bytes: compute less"))?;
        Ok(())
    }
}

fn scalar(value: &dyn Val) -> Result<Value, String> {
    if let Some(b) = value.downcast_ref::<CelBool>() {
        return Ok(Value::Bool(*b.inner()));
    }
    if let Some(int) = value.downcast_ref::<CelInt>() {
        return Ok(Value::from(*int.inner()));
    }
    if let Some(uint) = value.downcast_ref::<CelUInt>() {
        return Ok(Value::from(*uint.inner()));
    }
    if let Some(double) = value.downcast_ref::<CelDouble>() {
        let number = Number::from_f64(*double.inner()).map(Value::Number);
        return number.ok_or_else(|| {
            "it is not a finite number: check for a division by zero or an overflow".to_owned()
        });
    }
    let instead = match value.get_type().kind() {
        Kind::Bytes | Kind::Duration => "write string(...)",
        Kind::Timestamp => "write string(...) or int(...)",
        Kind::Opaque => "write .orValue(...), with null to leave the claim out",
        _ => "write a string, number, boolean, list or map",
    };
    Err(format!(
        "it gives a {}, which a token cannot hold: {instead}",
        type_name(value)
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_keep_their_kind_and_come_back() {
        let type_of = |value: &Value| from_json(value).get_type().name().to_owned();
        assert_eq!(type_of(&json!(1)), "int");
        assert_eq!(type_of(&json!(u64::MAX)), "uint");
        assert_eq!(type_of(&json!(1.0)), "double");
        let claims = json!({"a": [1, -1, u64::MAX, 1.5, true, null, "x"], "b": {"c": {}}});
        let back = to_json(from_json(&claims).as_ref());
        assert_eq!(back.as_ref(), Ok(&claims));
    }

    #[test]
    fn a_large_value_is_refused_before_it_is_built() {
        let text = json!("a".repeat(LARGEST - 1));
        assert!(to_json(from_json(&text).as_ref()).is_ok());
        let text = json!("a".repeat(LARGEST));
        assert!(
            to_json(from_json(&text).as_ref())
                .unwrap_err()
                .contains("larger than")
        );
    }
}
