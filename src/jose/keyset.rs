//! The public keys of one upstream issuer (RFC 7517 §5), found by kid in constant time.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use super::Algorithm;
use super::VerifyingKey;
use super::jwk::printable;

/// The most keys that a set may hold.
const MOST_KEYS: usize = 100;

/// The most keys of one kid that are tried on one token.
const MOST_CANDIDATES: usize = 4;

/// The keys of a JWKS that can be used; never empty.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    by_kid: HashMap<Box<str>, Vec<Arc<VerifyingKey>>>,
}

/// What a set holds for one token.
#[derive(Debug)]
pub enum Candidates {
    /// The keys to try, one to four.
    Fit(CandidateKeys),
    /// No key has the token's kid.
    KidUnknown,
    /// The token names no kid, and several keys fit its algorithm.
    Ambiguous,
    /// Keys with the token's kid exist (or it names none), but none of them fits its algorithm.
    NoFit,
}

impl KeySet {
    /// Reads a JWKS; gives the set and the keys left out of it, each with the reason.
    pub fn parse(jwks: &[u8]) -> Result<(Self, Vec<Skipped>), KeySetError> {
        let jwks: Value = serde_json::from_slice(jwks)
            .map_err(|error| KeySetError::NotJson(explain(&error, jwks)))?;
        let listed = jwks
            .as_object()
            .ok_or(KeySetError::NotAnObject)?
            .get("keys")
            .and_then(Value::as_array)
            .ok_or(KeySetError::NoKeys)?;
        if listed.len() > MOST_KEYS {
            return Err(KeySetError::TooMany(listed.len()));
        }
        let mut set = Self {
            keys: Vec::with_capacity(listed.len()),
            by_kid: HashMap::with_capacity(listed.len()),
        };
        let mut skipped = Vec::new();
        for jwk in listed {
            match VerifyingKey::from_jwk(jwk) {
                Ok(key) => set.insert(Arc::new(key)),
                Err(rejected) => skipped.push(Skipped {
                    kid: jwk.get("kid").and_then(Value::as_str).map(printable),
                    reason: rejected.to_string(),
                }),
            }
        }
        if set.keys.is_empty() {
            return Err(KeySetError::Empty(skipped.into_iter().next()));
        }
        Ok((set, skipped))
    }

    /// The keys to try on a token with this `kid` and `algorithm`: those of its kid that fit, at most four;
    /// for a token without kid the only key that fits, if there is only one.
    pub fn candidates(&self, kid: Option<&str>, algorithm: Algorithm) -> Candidates {
        let Some(kid) = kid else {
            let mut fitting = self.keys.iter().filter(|key| key.fits(algorithm));
            return match (fitting.next(), fitting.next()) {
                (None, _) => Candidates::NoFit,
                (Some(key), None) => Candidates::Fit(CandidateKeys::one(key)),
                (Some(_), Some(_)) => Candidates::Ambiguous,
            };
        };
        let Some(same_kid) = self.by_kid.get(kid) else {
            return Candidates::KidUnknown;
        };
        let fitting = same_kid.iter().filter(|key| key.fits(algorithm));
        CandidateKeys::first_of(fitting).map_or(Candidates::NoFit, Candidates::Fit)
    }

    /// How many keys the set holds.
    #[expect(clippy::len_without_is_empty, reason = "a set is never empty")]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Every kid of the set.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.by_kid.keys().map(AsRef::as_ref)
    }

    fn insert(&mut self, key: Arc<VerifyingKey>) {
        if let Some(kid) = key.kid() {
            let same_kid = self.by_kid.entry(kid.into()).or_default();
            same_kid.push(Arc::clone(&key));
        }
        self.keys.push(key);
    }
}

/// One to four keys to try on a token, in the order of the JWKS; a slice of keys.
#[derive(Clone, Debug)]
pub struct CandidateKeys(Held);

#[derive(Clone, Debug)]
enum Held {
    // Nearly every token has one candidate, which costs no allocation.
    One([Arc<VerifyingKey>; 1]),
    Several(Vec<Arc<VerifyingKey>>),
}

impl CandidateKeys {
    fn one(key: &Arc<VerifyingKey>) -> Self {
        Self(Held::One([Arc::clone(key)]))
    }

    fn first_of<'a>(mut keys: impl Iterator<Item = &'a Arc<VerifyingKey>>) -> Option<Self> {
        let first = keys.next()?;
        let Some(second) = keys.next() else {
            return Some(Self::one(first));
        };
        let several = [first, second].into_iter().chain(keys);
        Some(Self(Held::Several(
            several.take(MOST_CANDIDATES).cloned().collect(),
        )))
    }
}

impl Deref for CandidateKeys {
    type Target = [Arc<VerifyingKey>];

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Held::One(key) => key,
            Held::Several(keys) => keys,
        }
    }
}

/// A key that was left out of a set, in words fit for a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its kid, cut at 100 printable characters.
    pub kid: Option<String>,
    /// Why it cannot be used.
    pub reason: String,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kid {
            Some(kid) => write!(f, "key `{kid}`: {}", self.reason),
            None => write!(f, "key without kid: {}", self.reason),
        }
    }
}

/// Why a document is no JWKS that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It is not JSON.
    #[error("the key set is not JSON ({0})")]
    NotJson(String),
    /// It is JSON but no object.
    #[error("the key set is not a JSON object with a member `keys`")]
    NotAnObject,
    /// It has no list `keys`.
    #[error("the key set has no list `keys`")]
    NoKeys,
    /// It lists more than 100 keys.
    #[error("the key set lists {0} keys, more than {MOST_KEYS}")]
    TooMany(usize),
    /// It lists no key, or none that can be used (the first is given).
    #[error("the key set has no usable key{}", first_reason(.0.as_ref()))]
    Empty(Option<Skipped>),
}

fn first_reason(skipped: Option<&Skipped>) -> String {
    skipped.map_or_else(String::new, |skipped| format!(" (first: {skipped})"))
}

/// The parser's words, or what the document looks like instead.
fn explain(error: &serde_json::Error, document: &[u8]) -> String {
    match document.iter().find(|byte| !byte.is_ascii_whitespace()) {
        None => "it is empty".to_owned(),
        Some(b'<') => "it looks like an HTML or XML page".to_owned(),
        Some(_) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn set(keys: &[String]) -> KeySet {
        KeySet::parse(format!(r#"{{"keys":[{}]}}"#, keys.join(",")).as_bytes())
            .unwrap()
            .0
    }

    #[test]
    fn unusable_keys_are_left_out_and_named() {
        let jwks = format!(
            r#"{{"keys":[{{"kty":"AKP","kid":"pq\n"}},{{{P256},"kid":"a"}},{{{P256},"use":"enc"}},7]}}"#
        );
        let (set, skipped) = KeySet::parse(jwks.as_bytes()).unwrap();
        assert_eq!(set.len(), 1);
        assert_eq!(set.kids().collect::<Vec<_>>(), ["a"]);
        let skipped: Vec<_> = skipped.iter().map(ToString::to_string).collect();
        assert_eq!(
            skipped,
            [
                "key `pq?`: its `kty` AKP is not supported",
                "key without kid: its `use` is enc, not sig",
                "key without kid: it is not a JSON object",
            ]
        );
    }

    #[test]
    fn sets_without_a_usable_key_are_errors() {
        for (jwks, error) in [
            ("", "the key set is not JSON (it is empty)"),
            (
                " <html>",
                "the key set is not JSON (it looks like an HTML or XML page)",
            ),
            (
                "[]",
                "the key set is not a JSON object with a member `keys`",
            ),
            (r#"{"keys":{}}"#, "the key set has no list `keys`"),
            (r#"{"keys":[]}"#, "the key set has no usable key"),
            (
                r#"{"keys":[{"kty":"oct","k":"AA","kid":"h"}]}"#,
                "the key set has no usable key (first: key `h`: it is a symmetric key, which anybody who verifies could sign with)",
            ),
        ] {
            assert_eq!(
                KeySet::parse(jwks.as_bytes()).unwrap_err().to_string(),
                error
            );
        }
        let many = vec!["1"; 101].join(",");
        assert_eq!(
            KeySet::parse(format!(r#"{{"keys":[{many}]}}"#).as_bytes()).unwrap_err(),
            KeySetError::TooMany(101)
        );
    }

    #[test]
    fn a_kid_selects_and_the_algorithm_narrows() {
        let set = set(&[
            format!(r#"{{{P256},"kid":"a"}}"#),
            format!(r#"{{{P256},"kid":"b"}}"#),
        ]);
        let es256 = Algorithm::Es256;
        assert!(
            matches!(set.candidates(Some("a"), es256), Candidates::Fit(keys) if keys.len() == 1)
        );
        assert!(matches!(
            set.candidates(Some("a"), Algorithm::Rs256),
            Candidates::NoFit
        ));
        assert!(matches!(
            set.candidates(Some("c"), es256),
            Candidates::KidUnknown
        ));
        assert!(matches!(set.candidates(None, es256), Candidates::Ambiguous));
        assert!(matches!(
            set.candidates(None, Algorithm::EdDsa),
            Candidates::NoFit
        ));
    }

    #[test]
    fn at_most_four_keys_of_one_kid_are_tried_and_a_lone_key_needs_no_kid() {
        let same = set(&vec![format!(r#"{{{P256},"kid":"a"}}"#); 6]);
        assert!(
            matches!(same.candidates(Some("a"), Algorithm::Es256), Candidates::Fit(keys) if keys.len() == 4)
        );
        let lone = set(&[format!("{{{P256}}}")]);
        assert!(matches!(
            lone.candidates(None, Algorithm::Es256),
            Candidates::Fit(_)
        ));
    }
}
