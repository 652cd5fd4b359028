//! Our own keys together: which are published, and which one signs for each algorithm.

use std::sync::Arc;

use serde_json::Value;

use super::{PrivateJwk, PublicJwk, SigningAlgorithm, SigningKey, UnusableKey, base64url};
use crate::config::problems::Problems;

/// How the ids of the keys in `jwks.example.json` begin.
const THROW_AWAY: &str = "throw-away-";

/// What the configuration says of the keys, by name as it was written.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// `keys.default_alg`.
    pub default_alg: Option<String>,
    /// `keys.signing`: algorithm and kid, in the order of the file; absent: the first key of each.
    pub signing: Option<Vec<(String, String)>>,
}

/// The usable keys of the key file, one per kid.
#[derive(Clone, Debug)]
pub struct Keyring {
    published: Vec<Arc<SigningKey>>,
    /// In the order of preference: the first one's algorithm is the default.
    signing: Vec<Arc<SigningKey>>,
}

impl Keyring {
    /// Reads a JWKS with private keys and picks those that sign; what is wrong goes to `problems`.
    pub fn load(json: &[u8], choice: &Choice, problems: &mut Problems) -> Option<Self> {
        let published = usable(json, problems)?;
        if published.is_empty() {
            problems.error(
                "keys.file",
                "it holds no key that can sign: run `remint keys generate --alg RS256` (or ES256)",
            );
            return None;
        }
        let mut signing = match &choice.signing {
            None => first_of_each(&published),
            Some(named) => named_keys(named, &published, problems)?,
        };
        if let Some(name) = &choice.default_alg {
            let place = signing.iter().position(|key| key.alg().name() == name);
            let Some(place) = place else {
                let algs: Vec<_> = signing.iter().map(|key| key.alg().name()).collect();
                problems.error_once(
                    "keys.default_alg",
                    format!(
                        "found {name:?}, but the keys that sign are for {}: name one of these, or add a key with `remint keys generate`",
                        algs.join(" and ")
                    ),
                );
                return None;
            };
            signing.swap(0, place);
        }
        Some(Self { published, signing })
    }

    /// The key that signs with `alg`.
    pub fn signing(&self, alg: SigningAlgorithm) -> Option<&Arc<SigningKey>> {
        self.signing.iter().find(|key| key.alg() == alg)
    }

    /// The key that signs where nothing else decides.
    pub fn default_key(&self) -> Option<&Arc<SigningKey>> {
        self.signing.first()
    }

    /// Every algorithm that signs, the default first.
    pub fn algorithms(&self) -> impl Iterator<Item = SigningAlgorithm> {
        self.signing.iter().map(|key| key.alg())
    }

    /// Every published key, in the order of the file, and whether it signs.
    pub fn keys(&self) -> impl Iterator<Item = (&SigningKey, bool)> {
        self.published.iter().map(|key| {
            let signs = self.signing.iter().any(|other| Arc::ptr_eq(key, other));
            (key.as_ref(), signs)
        })
    }

    /// The public JWKS (RFC 7517 §5).
    pub fn jwks(&self) -> Value {
        let keys: Vec<&PublicJwk> = self.published.iter().map(|key| key.public()).collect();
        serde_json::json!({ "keys": keys })
    }
}

/// The keys of the file that can sign, the first of each kid; `None` where the file is no JWKS.
fn usable(json: &[u8], problems: &mut Problems) -> Option<Vec<Arc<SigningKey>>> {
    let entries = entries(json)
        .map_err(|cause| problems.error("keys.file", cause))
        .ok()?;
    let mut keys: Vec<Arc<SigningKey>> = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        let name = named(index, entry);
        match PrivateJwk::from_json(entry).and_then(PrivateJwk::into_signing_key) {
            Ok(key) if keys.iter().any(|other| other.kid() == key.kid()) => problems.warning(
                "keys.file",
                format!(
                    "{name} shares its kid with an earlier key: it is neither used nor published, since verifiers keep one key per kid; give it a kid of its own"
                ),
            ),
            Ok(key) => {
                if key.kid().starts_with(THROW_AWAY) {
                    problems.warning(
                        "keys.file",
                        format!("{name} is an example that the whole world has: make your own with `remint keys generate`"),
                    );
                }
                keys.push(Arc::new(key));
            }
            Err(UnusableKey::Foreign(cause)) => problems.warning(
                "keys.file",
                format!("{name} is neither used nor published: {cause}"),
            ),
            Err(UnusableKey::Broken(cause)) => {
                problems.error("keys.file", format!("{name} cannot be used: {cause}"));
            }
        }
    }
    Some(keys)
}

/// The list `keys` of a JWKS, or what to say of what is not one.
fn entries(json: &[u8]) -> Result<Vec<Value>, String> {
    let set: Value = serde_json::from_slice(json).map_err(|error| {
        format!(
            "it is not valid JSON (line {}, column {})",
            error.line(),
            error.column()
        )
    })?;
    match set.get("keys") {
        Some(Value::Array(entries)) => Ok(entries.clone()),
        _ => Err("it has no list `keys`: a JWKS is expected, such as {\"keys\": [...]}".to_owned()),
    }
}

fn named(index: usize, entry: &Value) -> String {
    match entry.get("kid").and_then(Value::as_str) {
        Some(kid) => format!("keys[{index}] (kid {kid:?})"),
        None => format!("keys[{index}]"),
    }
}

fn first_of_each(published: &[Arc<SigningKey>]) -> Vec<Arc<SigningKey>> {
    let mut signing: Vec<Arc<SigningKey>> = Vec::new();
    for key in published {
        if signing.iter().all(|other| other.alg() != key.alg()) {
            signing.push(Arc::clone(key));
        }
    }
    signing
}

fn named_keys(
    named: &[(String, String)],
    published: &[Arc<SigningKey>],
    problems: &mut Problems,
) -> Option<Vec<Arc<SigningKey>>> {
    let mut signing = Vec::new();
    for (alg, kid) in named {
        match published.iter().find(|key| key.kid() == kid) {
            Some(key) if key.alg().name() == alg => signing.push(Arc::clone(key)),
            Some(key) => problems.error(
                format!("keys.signing.{alg}"),
                format!("the key {kid:?} signs with {}, not {alg}", key.alg()),
            ),
            None => {
                let kids: Vec<_> = published
                    .iter()
                    .map(|key| format!("{:?}", key.kid()))
                    .collect();
                problems.error(
                    format!("keys.signing.{alg}"),
                    format!(
                        "no usable key has the kid {kid:?}; the file has {}",
                        kids.join(", ")
                    ),
                );
            }
        }
    }
    (signing.len() == named.len() && !signing.is_empty()).then_some(signing)
}

/// The strong `ETag` of a published document: a digest of its bytes, quoted.
pub fn etag(body: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    let start = digest.as_ref().get(..16).unwrap_or_default();
    format!("\"{}\"", base64url::encode(start))
}
