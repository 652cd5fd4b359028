//! Our own keys together: which are published, and which one signs for each algorithm, at each time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::phases::{Entry, Phase, phases};
use super::times::rfc3339;
use super::{
    KeyState, PrivateJwk, PublicJwk, SigningAlgorithm, SigningKey, Timeline, Times, UnusableKey,
    base64url,
};
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

/// The usable keys of the key file, one per kid, and what each does at which time.
#[derive(Clone, Debug)]
pub struct Keyring {
    entries: Vec<Entry>,
    phases: Timeline<Phase>,
}

/// Our own keys at one time.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    entries: &'a [Entry],
    phase: &'a Phase,
}

/// A key of ours, and what it does.
#[derive(Clone, Copy, Debug)]
pub struct OwnKey<'a> {
    /// The key.
    pub key: &'a SigningKey,
    /// What it does.
    pub state: KeyState,
    /// From when to when.
    pub times: Times,
}

impl Keyring {
    /// Reads a JWKS with private keys and picks those that sign; what is wrong goes to `problems`.
    pub fn load(json: &[u8], choice: &Choice, problems: &mut Problems) -> Option<Self> {
        let listed = listed(json).map_err(|cause| problems.error("keys.file", cause));
        Self::of(&listed.ok()?, choice, problems)
    }

    /// As [`Keyring::load`], of the list `keys` of a JWKS.
    pub(super) fn of(listed: &[Value], choice: &Choice, problems: &mut Problems) -> Option<Self> {
        let mut entries = usable(listed, problems);
        if entries.is_empty() {
            problems.error(
                "keys.file",
                "it holds no key that can sign: run `remint keys generate --alg RS256` (or ES256)",
            );
            return None;
        }
        let pinned = match &choice.signing {
            None => None,
            Some(named) => Some(pinned(named, &entries, problems)?),
        };
        if let Some(pinned) = &pinned {
            warn_of_pins(pinned, &entries, problems);
        }
        let phases = phases(
            &mut entries,
            pinned.as_deref(),
            choice.default_alg.as_deref(),
        );
        Some(Self { entries, phases })
    }

    /// The keys at `now`, a time since the Unix epoch.
    pub fn at(&self, now: Duration) -> Moment<'_> {
        self.moment(self.phases.at(now))
    }

    /// What comes after `now`, and when, in seconds since the Unix epoch.
    pub fn after(&self, now: Duration) -> impl Iterator<Item = (u64, Moment<'_>)> {
        let after = self.phases.after(now);
        after.map(|(from, phase)| (from, self.moment(phase)))
    }

    /// What `render` makes of the keys, for all times.
    pub fn timeline<T>(&self, render: impl Fn(Moment<'_>) -> T) -> Timeline<T> {
        self.phases.map(|phase| render(self.moment(phase)))
    }

    fn moment<'a>(&'a self, phase: &'a Phase) -> Moment<'a> {
        Moment {
            entries: &self.entries,
            phase,
        }
    }

    /// Where a key stands in the file.
    pub(super) fn index(&self, key: &SigningKey) -> Option<usize> {
        let mut entries = self.entries.iter();
        let entry = entries.find(|entry| std::ptr::eq(entry.key.as_ref(), key));
        entry.map(|entry| entry.index)
    }
}

impl<'a> Moment<'a> {
    /// The key that signs with `alg`.
    pub fn signing(self, alg: SigningAlgorithm) -> Option<&'a Arc<SigningKey>> {
        self.phase.signing.iter().find(|key| key.alg() == alg)
    }

    /// The key that signs where nothing else decides.
    pub fn default_key(self) -> Option<&'a Arc<SigningKey>> {
        self.phase.signing.first()
    }

    /// Every algorithm that signs, the default first.
    pub fn algorithms(self) -> impl Iterator<Item = SigningAlgorithm> + use<'a> {
        self.phase.signing.iter().map(|key| key.alg())
    }

    /// What verifiers should expect: what signs, then what soon will or lately did.
    pub fn announced(self) -> &'a [SigningAlgorithm] {
        &self.phase.announced
    }

    /// Every usable key of the file, in its order, those that are past included.
    pub fn keys(self) -> impl Iterator<Item = OwnKey<'a>> {
        let entries = self.entries.iter().zip(&self.phase.states);
        entries.map(|(entry, state)| OwnKey {
            key: &entry.key,
            state: *state,
            times: entry.times,
        })
    }

    /// The keys that verifiers find.
    pub fn published(self) -> impl Iterator<Item = OwnKey<'a>> {
        self.keys().filter(|own| own.state != KeyState::Retired)
    }

    /// The public JWKS (RFC 7517 §5).
    pub fn jwks(self) -> Value {
        let keys: Vec<&PublicJwk> = self.published().map(|own| own.key.public()).collect();
        json!({ "keys": keys })
    }
}

impl OwnKey<'_> {
    /// What can be told of it: no part of the key itself. Times are RFC 3339 in UTC, or null.
    pub fn to_json(&self) -> Value {
        json!({
            "kid": self.key.kid(),
            "alg": self.key.alg().name(),
            "state": self.state.name(),
            "signs_from": self.times.signs_from.map(rfc3339),
            "signs_until": self.times.signs_until.map(rfc3339),
            "published_until": self.times.published_until.map(rfc3339),
        })
    }
}

/// The keys of the file that can sign, the first of each kid.
fn usable(listed: &[Value], problems: &mut Problems) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for (index, entry) in listed.iter().enumerate() {
        let name = named(index, entry);
        match parse(entry) {
            Ok((key, _)) if entries.iter().any(|other| other.key.kid() == key.kid()) => problems.warning(
                "keys.file",
                format!(
                    "{name} shares its kid with an earlier key: it is neither used nor published, since verifiers keep one key per kid; give it a kid of its own"
                ),
            ),
            Ok((key, times)) => {
                if key.kid().starts_with(THROW_AWAY) {
                    problems.warning(
                        "keys.file",
                        format!("{name} is an example that the whole world has: make your own with `remint keys generate`"),
                    );
                }
                entries.push(Entry {
                    key: Arc::new(key),
                    times,
                    index,
                });
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
    entries
}

fn parse(entry: &Value) -> Result<(SigningKey, Times), UnusableKey> {
    let key = PrivateJwk::from_json(entry)?.into_signing_key()?;
    Ok((key, Times::of(entry).map_err(UnusableKey::Broken)?))
}

/// The list `keys` of a JWKS, or what to say of what is not one.
fn listed(json: &[u8]) -> Result<Vec<Value>, String> {
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

/// The places of the keys that `keys.signing` names.
fn pinned(
    named: &[(String, String)],
    entries: &[Entry],
    problems: &mut Problems,
) -> Option<Vec<usize>> {
    let mut places = Vec::new();
    for (alg, kid) in named {
        let found = entries.iter().position(|entry| entry.key.kid() == kid);
        match found.and_then(|place| Some((place, entries.get(place)?.key.alg()))) {
            Some((place, found)) if found.name() == alg => places.push(place),
            Some((_, found)) => problems.error(
                format!("keys.signing.{alg}"),
                format!("the key {kid:?} signs with {found}, not {alg}"),
            ),
            None => {
                let kids: Vec<_> = entries
                    .iter()
                    .map(|entry| format!("{:?}", entry.key.kid()))
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
    (places.len() == named.len() && !places.is_empty()).then_some(places)
}

/// Says which times of the file do not count, since `keys.signing` decides.
fn warn_of_pins(pinned: &[usize], entries: &[Entry], problems: &mut Problems) {
    for (place, entry) in entries.iter().enumerate() {
        let (kid, times) = (entry.key.kid(), entry.times);
        let message = if pinned.contains(&place) {
            (times.instants().next().is_some()).then(|| {
                format!("the key {kid:?} is named under [keys.signing], so it signs whatever its times in the key file say: take the name out to let it rotate")
            })
        } else {
            times.signs_from.is_some().then(|| {
                format!("the key {kid:?} has a time from which it should sign, but only the keys under [keys.signing] do: take the name of its algorithm out there to let it rotate")
            })
        };
        if let Some(message) = message {
            problems.warning("keys.signing", message);
        }
    }
}

/// The strong `ETag` of a published document: a digest of its bytes, quoted.
pub fn etag(body: &[u8]) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body);
    let start = digest.as_ref().get(..16).unwrap_or_default();
    format!("\"{}\"", base64url::encode(start))
}
