//! The members of one JSON object, read strictly, with the texts left where they were read.
//!
//! A CI job's token has some thirty claims, most of which nobody asks for: a copy of each would cost more than all
//! else that is done to read the token.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use super::json::{NotStrict, Strict, explain};

/// Among so many names each is compared with each: to sort them would cost more.
const FEW: usize = 64;

/// The members of a JSON object, in their order.
#[derive(Clone)]
pub struct Members {
    text: String,
    entries: Vec<(Piece, Held)>,
}

/// The value of a member.
#[derive(Clone, Copy, Debug)]
pub enum Member<'a> {
    /// A string.
    Text(&'a str),
    /// Anything else.
    Other(&'a Value),
}

/// A string: where it stands in the text, or what it says where it is escaped there.
#[derive(Clone)]
enum Piece {
    Within { start: u32, end: u32 },
    Own(Box<str>),
}

impl Piece {
    fn len(&self) -> usize {
        match self {
            Self::Within { start, end } => (end - start) as usize,
            Self::Own(text) => text.len(),
        }
    }
}

#[derive(Clone)]
enum Held {
    Text(Piece),
    Other(Value),
}

impl Members {
    /// Reads one JSON object: no member twice, no deep nesting, nothing before or behind it.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, NotStrict> {
        let text = String::from_utf8(bytes)
            .map_err(|_| NotStrict::Syntax("it is not valid UTF-8".to_owned()))?;
        let mut reader = serde_json::Deserializer::from_str(&text);
        if !text.trim_ascii_start().starts_with('{') {
            let other = Strict::default().deserialize(&mut reader);
            return Err(other.and_then(|_| reader.end()).map_or_else(
                |error| explain(&error),
                |()| NotStrict::Refused("is not a JSON object".to_owned()),
            ));
        }
        let entries = Object {
            base: text.as_ptr().addr(),
        }
        .deserialize(&mut reader)
        .and_then(|entries| reader.end().map(|()| entries))
        .map_err(|error| explain(&error))?;
        let members = Self { text, entries };
        if members.has_one_twice() {
            return Err(NotStrict::Duplicate);
        }
        Ok(members)
    }

    fn has_one_twice(&self) -> bool {
        if self.entries.len() > FEW {
            let mut names: Vec<&str> = self.iter().map(|(name, _)| name).collect();
            names.sort_unstable();
            return names.windows(2).any(|pair| pair.first() == pair.last());
        }
        let mut names = self.entries.iter().map(|(name, _)| name);
        while let Some(name) = names.next() {
            let is_name =
                |other| name.len() == Piece::len(other) && self.text(name) == self.text(other);
            if names.clone().any(is_name) {
                return true;
            }
        }
        false
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<Member<'_>> {
        self.entries
            .iter()
            .find(|(known, _)| self.is_same(known, name))
            .map(|(_, held)| self.member(held))
    }

    /// All members, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Member<'_>)> {
        self.entries
            .iter()
            .map(|(name, held)| (self.text(name), self.member(held)))
    }

    fn member<'a>(&'a self, held: &'a Held) -> Member<'a> {
        match held {
            Held::Text(piece) => Member::Text(self.text(piece)),
            Held::Other(value) => Member::Other(value),
        }
    }

    /// Names mostly differ in length, which is seen without a look at the text.
    fn is_same(&self, piece: &Piece, name: &str) -> bool {
        piece.len() == name.len() && self.text(piece) == name
    }

    fn text<'a>(&'a self, piece: &'a Piece) -> &'a str {
        match piece {
            Piece::Within { start, end } => self
                .text
                .get(*start as usize..*end as usize)
                .unwrap_or_default(),
            Piece::Own(text) => text,
        }
    }
}

impl fmt::Debug for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> Member<'a> {
    /// What it says, where it is a string.
    pub fn as_str(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Other(_) => None,
        }
    }

    /// A copy.
    pub fn to_value(self) -> Value {
        match self {
            Self::Text(text) => Value::from(text),
            Self::Other(value) => value.clone(),
        }
    }
}

impl PartialEq<Value> for Member<'_> {
    fn eq(&self, other: &Value) -> bool {
        match self {
            Self::Text(text) => other.as_str() == Some(text),
            Self::Other(value) => *value == other,
        }
    }
}

impl Serialize for Member<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Other(value) => value.serialize(serializer),
        }
    }
}

/// Reads the object itself; `base` is where its text begins.
struct Object {
    base: usize,
}

/// Reads a name.
struct Name {
    base: usize,
}

/// Reads the value of a member.
struct Content {
    base: usize,
}

/// The piece of the text at `base` that `read` was read from.
fn within(base: usize, read: &str) -> Piece {
    let start = read.as_ptr().addr().checked_sub(base);
    let range = start.and_then(|start| {
        let end = start.checked_add(read.len())?;
        Some((u32::try_from(start).ok()?, u32::try_from(end).ok()?))
    });
    match range {
        Some((start, end)) => Piece::Within { start, end },
        None => Piece::Own(read.into()),
    }
}

impl<'de> DeserializeSeed<'de> for Object {
    type Value = Vec<(Piece, Held)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Vec<(Piece, Held)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let base = self.base;
        let mut entries = Vec::new();
        while let Some(name) = map.next_key_seed(Name { base })? {
            entries.push((name, map.next_value_seed(Content { base })?));
        }
        Ok(entries)
    }
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Piece;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Piece, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Piece;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<Piece, E> {
        Ok(within(self.base, name))
    }

    fn visit_str<E>(self, name: &str) -> Result<Piece, E> {
        Ok(Piece::Own(name.into()))
    }
}

impl<'de> DeserializeSeed<'de> for Content {
    type Value = Held;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Held, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Content {
    type Value = Held;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Held, E> {
        Ok(Held::Text(within(self.base, text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Held, E> {
        Ok(Held::Text(Piece::Own(text.into())))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Held, E> {
        Ok(Held::Other(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Held, E> {
        Ok(Held::Other(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Held, E> {
        Ok(Held::Other(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Held, E> {
        Strict::inside().visit_f64(value).map(Held::Other)
    }

    fn visit_unit<E>(self) -> Result<Held, E> {
        Ok(Held::Other(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Held, A::Error> {
        Strict::inside().visit_seq(seq).map(Held::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Held, A::Error> {
        Strict::inside().visit_map(map).map(Held::Other)
    }
}

#[cfg(test)]
impl Members {
    /// The members of a JSON object.
    pub(crate) fn of(object: &Value) -> Self {
        Self::parse(object.to_string().into_bytes()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn refused(text: &str) -> String {
        let error = Members::parse(text.as_bytes().to_vec()).unwrap_err();
        error.to_string()
    }

    #[test]
    fn reads_what_json_allows() {
        let text = r#" {"a":[1,-2,1.5,18446744073709551615,null,true,"\u00e9"],"\u0062":"x\ny","é":"ü", "e":"" ,"n":-1,"o":{"k":"v"}} "#;
        let members = Members::parse(text.into()).unwrap();
        let all = members
            .iter()
            .map(|(name, member)| (name.to_owned(), member.to_value()));
        assert_eq!(
            Value::Object(all.collect::<Map<_, _>>()).to_string(),
            r#"{"a":[1,-2,1.5,18446744073709551615,null,true,"é"],"b":"x\ny","é":"ü","e":"","n":-1,"o":{"k":"v"}}"#
        );
        assert_eq!(members.get("b").unwrap().as_str(), Some("x\ny"));
        assert_eq!(members.get("é").unwrap().as_str(), Some("ü"));
        assert!(members.get("n").unwrap().as_str().is_none());
        assert!(members.get("k").is_none());
        assert_eq!(
            serde_json::to_value(members.get("o")).unwrap(),
            json!({"k": "v"})
        );
    }

    #[test]
    fn a_member_equals_a_value_of_its_own_kind_only() {
        let members = Members::of(&json!({"text": "1", "number": 1}));
        let (text, number) = (members.get("text").unwrap(), members.get("number").unwrap());
        assert!(text == json!("1") && number == json!(1));
        assert!(text != json!(1) && number != json!("1") && text != json!("2"));
    }

    #[test]
    fn refuses_what_readers_disagree_on() {
        let deep = |n: usize| format!("{}{}", "{\"a\":".repeat(n), "1") + &"}".repeat(n);
        let many = |count: usize, last: &str| {
            let names: Vec<_> = (0..count).map(|n| format!("\"{n}\":1,")).collect();
            format!("{{{}\"{last}\":2}}", names.concat())
        };
        for good in [deep(32), many(20, "x"), many(100, "x")] {
            assert!(Members::parse(good.into_bytes()).is_ok());
        }
        for (text, cause) in [
            (r#"{"a":1,"a":1}"#.to_owned(), "has a member twice"),
            (r#"{"a":1,"b":2,"a":"x"}"#.to_owned(), "has a member twice"),
            (many(100, "0"), "has a member twice"),
            (many(20, "19"), "has a member twice"),
            (r#"{"a":{"b":1,"b":2}}"#.to_owned(), "has a member twice"),
            (r#"{"a":[{"b":1,"b":2}]}"#.to_owned(), "has a member twice"),
            (r#"{"a":1,"\u0061":1}"#.to_owned(), "has a member twice"),
            (deep(33), "nests deeper than 32"),
            (r#"{"a":"\ud800"}"#.to_owned(), "is not valid JSON"),
            (r#"{"a":1e400}"#.to_owned(), "is not valid JSON"),
            (r#"{"a":NaN}"#.to_owned(), "is not valid JSON"),
            (r#"{"a":"b}"#.to_owned(), "is not valid JSON"),
            (r"{1:2}".to_owned(), "is not valid JSON"),
            ("{} {}".to_owned(), "is not valid JSON"),
            ("x{}".to_owned(), "is not valid JSON"),
            ("[]".to_owned(), "is not a JSON object"),
            ("[] {}".to_owned(), "is not valid JSON"),
            ("\"{}\"".to_owned(), "is not a JSON object"),
            (String::new(), "is not valid JSON"),
        ] {
            let error = refused(&text);
            assert!(error.starts_with(cause), "{text}: {error}");
        }
        let error = Members::parse(b"{\"a\":\"\xff\"}".to_vec()).unwrap_err();
        assert!(error.to_string().contains("UTF-8"), "{error}");
    }
}
