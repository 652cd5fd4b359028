//! The claims of a new token while they are put together.

use serde::ser::{Serialize, Serializer};
use serde_json::Value;

use crate::jose::Member;

/// The claims of a new token by name, in the order in which they were set; those copied are borrowed from the
/// subject token.
#[derive(Clone, Debug, Default)]
pub struct NewClaims<'a>(Vec<(&'a str, NewClaim<'a>)>);

/// One claim of a new token.
#[derive(Clone, Debug)]
pub enum NewClaim<'a> {
    /// Copied as it is.
    Copied(Member<'a>),
    /// Made here.
    Made(Value),
}

impl<'a> NewClaims<'a> {
    /// Sets a claim, in place of one of the same name.
    pub fn set(&mut self, name: &'a str, claim: impl Into<NewClaim<'a>>) {
        let claim = claim.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = claim,
            None => self.0.push((name, claim)),
        }
    }

    /// Sets a claim unless there is one of that name.
    pub(super) fn add(&mut self, name: &'a str, claim: impl Into<NewClaim<'a>>) {
        if self.get(name).is_none() {
            self.0.push((name, claim.into()));
        }
    }

    /// The claim of this name.
    pub fn get(&self, name: &str) -> Option<&NewClaim<'a>> {
        self.iter()
            .find(|(known, _)| *known == name)
            .map(|(_, claim)| claim)
    }

    /// All claims.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &NewClaim<'a>)> {
        self.0.iter().map(|(name, claim)| (*name, claim))
    }
}

impl<'a> IntoIterator for NewClaims<'a> {
    type Item = (&'a str, NewClaim<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl NewClaim<'_> {
    /// What it says, where it is a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Copied(member) => member.as_str(),
            Self::Made(value) => value.as_str(),
        }
    }

    /// A copy.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Copied(member) => member.to_value(),
            Self::Made(value) => value.clone(),
        }
    }
}

impl<'a> From<Member<'a>> for NewClaim<'a> {
    fn from(member: Member<'a>) -> Self {
        Self::Copied(member)
    }
}

impl<'a> From<&'a str> for NewClaim<'a> {
    fn from(text: &'a str) -> Self {
        Self::Copied(Member::Text(text))
    }
}

impl From<Value> for NewClaim<'_> {
    fn from(value: Value) -> Self {
        Self::Made(value)
    }
}

impl From<String> for NewClaim<'_> {
    fn from(text: String) -> Self {
        Self::Made(text.into())
    }
}

impl Serialize for NewClaim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Copied(member) => member.serialize(serializer),
            Self::Made(value) => value.serialize(serializer),
        }
    }
}
