//! Changes of the key file: the next key comes in, what is past goes out. Pure: entries in, entries out.
//!
//! No step changes what is published by surprise: the next key stands in the file, and so in the published
//! set, from the rotation on, and the old one stays there until the tokens that it signed are over.

use std::time::Duration;

use serde_json::Value;

use super::times::{self, PUBLISHED_UNTIL, SIGNS_FROM, SIGNS_UNTIL};
use super::{Choice, KeyState, Keyring, OwnKey, PrivateJwk, SigningAlgorithm, UnusableKey};
use crate::config::problems::Problems;

/// When the parts of a rotation happen.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// Now, since the Unix epoch.
    pub now: Duration,
    /// How long the next key is only published.
    pub lead: Duration,
    /// How long the old key stays published after it stopped signing.
    pub retire_after: Duration,
}

/// What a rotation did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// The next key.
    pub kid: String,
    /// When it begins to sign, in seconds since the Unix epoch.
    pub signs_from: u64,
    /// The key that signs until then, if there is one.
    pub old: Option<String>,
    /// When the old key leaves the published set.
    pub published_until: u64,
}

/// Why a key was not rotated.
#[derive(Debug, thiserror::Error)]
pub enum NotRotated {
    /// Pins decide, not times.
    #[error(
        "the key {kid:?} is named under [keys.signing], so it always signs and never leaves, and a next key would never sign: take {alg} out there first (the first key of the file then signs), then rotate"
    )]
    Pinned {
        /// The key named.
        kid: String,
        /// Its algorithm.
        alg: SigningAlgorithm,
    },
    /// Other algorithms are pinned, and only these sign.
    #[error(
        "[keys.signing] does not list {0}, and only what it lists signs, so a next key never would: take that table out first, then rotate"
    )]
    NotListed(SigningAlgorithm),
    /// One rotation at a time.
    #[error(
        "the key {kid:?} waits already, and signs with {alg} from {from} on: rotate after that, or take it back with `remint keys remove --kid {kid} --yes`"
    )]
    Waiting {
        /// The key that waits.
        kid: String,
        /// Its algorithm.
        alg: SigningAlgorithm,
        /// When it begins to sign.
        from: String,
    },
    /// The file is not fit to be changed by rules.
    #[error("the key file has errors, and is left as it was")]
    Unfit(Problems),
    /// No key came about.
    #[error("{0}")]
    NoKey(#[from] UnusableKey),
}

/// Adds the next key of `alg` right behind the one that signs, and gives both their times.
pub fn rotate(
    listed: &mut Vec<Value>,
    choice: &Choice,
    alg: SigningAlgorithm,
    rotation: Rotation,
) -> Result<Rotated, NotRotated> {
    refuse_pins(choice, alg)?;
    let keyring = load(listed, choice).map_err(NotRotated::Unfit)?;
    let moment = keyring.at(rotation.now);
    if let Some(next) = waiting(moment.keys(), alg) {
        return Err(NotRotated::Waiting {
            kid: next.key.kid().to_owned(),
            alg,
            from: times::rfc3339(next.times.signs_from.unwrap_or_default()),
        });
    }
    let signs_from = (rotation.now + rotation.lead).as_secs();
    let published_until = signs_from.saturating_add(rotation.retire_after.as_secs());
    let next = PrivateJwk::generate(alg, None)?;
    let mut entry = next.to_json();
    times::set(&mut entry, SIGNS_FROM, Some(signs_from));
    let old = moment.signing(alg).map(AsRef::as_ref);
    let place = old.and_then(|key| keyring.index(key));
    if let Some(old) = place.and_then(|place| listed.get_mut(place)) {
        times::set(old, SIGNS_UNTIL, Some(signs_from));
        times::set(old, PUBLISHED_UNTIL, Some(published_until));
    }
    // The first key of the file decides on the default algorithm, also once the old one is gone.
    let behind = place.map_or(listed.len(), |place| place + 1);
    listed.insert(behind, entry);
    Ok(Rotated {
        kid: next.kid(),
        signs_from,
        old: old.map(|key| key.kid().to_owned()),
        published_until,
    })
}

fn refuse_pins(choice: &Choice, alg: SigningAlgorithm) -> Result<(), NotRotated> {
    let Some(pins) = &choice.signing else {
        return Ok(());
    };
    Err(match pins.iter().find(|(name, _)| name == alg.name()) {
        Some((_, kid)) => NotRotated::Pinned {
            kid: kid.clone(),
            alg,
        },
        None => NotRotated::NotListed(alg),
    })
}

fn waiting<'a>(
    mut keys: impl Iterator<Item = OwnKey<'a>>,
    alg: SigningAlgorithm,
) -> Option<OwnKey<'a>> {
    keys.find(|own| own.key.alg() == alg && own.state == KeyState::Next)
}

/// Takes every key out that is past at `now`; gives their ids.
pub fn prune(
    listed: &mut Vec<Value>,
    choice: &Choice,
    now: Duration,
) -> Result<Vec<String>, Problems> {
    let keyring = load(listed, choice)?;
    let default = default_alg(&keyring, now);
    let past = |own: &OwnKey<'_>| own.state == KeyState::Retired;
    let past: Vec<OwnKey<'_>> = keyring.at(now).keys().filter(past).collect();
    let kids: Vec<String> = past.iter().map(|own| own.key.kid().to_owned()).collect();
    if kids.len() == keyring.at(now).keys().count() {
        let mut problems = Problems::new();
        problems.error("keys.file", "every key in it is past, and a file without keys cannot be served: run `remint keys generate` first");
        return Err(problems);
    }
    let gone: Vec<usize> = past
        .iter()
        .filter_map(|own| keyring.index(own.key))
        .collect();
    take_out(listed, &gone);
    keep_default(listed, choice, default, now);
    Ok(kids)
}

/// What a removal did, or would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed {
    /// What the key was; `None` where it was neither used nor published.
    pub was: Option<KeyState>,
    /// Its algorithm, where it was usable.
    pub alg: Option<SigningAlgorithm>,
    /// When it stopped signing, in seconds since the Unix epoch; `None` where it never did, or still signs.
    pub signed_until: Option<u64>,
    /// Whether it has ever signed by its times.
    pub signed: bool,
    /// Who signs with its algorithm from now on.
    pub heir: Option<String>,
    /// Whether the heir was waiting, and begins before its time.
    pub early: bool,
}

/// Why a key was not removed.
#[derive(Debug, thiserror::Error)]
pub enum NotRemoved {
    /// There is no such key.
    #[error("no key has the kid {0:?}: `remint keys list` shows those there are")]
    Unknown(String),
    /// A name in the configuration would point at nothing.
    #[error(
        "the key {0:?} is named under [keys.signing]: name another one there first, or the configuration could not be loaded, and a running server would keep the key"
    )]
    Pinned(String),
    /// A server needs a key.
    #[error(
        "the key {0:?} is the only one that signs, and a file without one cannot be loaded, so that a running server would keep the key: run `remint keys generate` first, then remove this one"
    )]
    Only(String),
}

/// Takes every entry with this id out. A key that waits for a signing one begins at once in its place; the
/// key that a waiting one would have followed signs on.
pub fn remove(
    listed: &mut Vec<Value>,
    choice: &Choice,
    kid: &str,
    now: Duration,
) -> Result<Removed, NotRemoved> {
    let pins = choice.signing.iter().flatten();
    if pins.into_iter().any(|(_, pinned)| pinned == kid) {
        return Err(NotRemoved::Pinned(kid.to_owned()));
    }
    // What else is wrong in the file does not keep a leaked key in.
    let keyring = Keyring::of(listed, choice, &mut Problems::new());
    let own = keyring
        .as_ref()
        .and_then(|keyring| keyring.at(now).keys().find(|own| own.key.kid() == kid));
    let own_place = own.and_then(|own| keyring.as_ref()?.index(own.key));
    let has_kid = |entry: &Value| entry.get("kid").and_then(Value::as_str) == Some(kid);
    let gone: Vec<usize> = (0..listed.len())
        .filter(|place| Some(*place) == own_place || listed.get(*place).is_some_and(has_kid))
        .collect();
    if gone.is_empty() {
        return Err(NotRemoved::Unknown(kid.to_owned()));
    }
    let before = keyring.as_ref().map(|keyring| keyring.at(now));
    let early = match (own, &keyring) {
        (Some(own), Some(keyring)) => hand_over(listed, keyring, own, now),
        _ => false,
    };
    take_out(listed, &gone);
    let default = keyring
        .as_ref()
        .and_then(|keyring| default_alg(keyring, now));
    keep_default(listed, choice, default, now);
    let after = Keyring::of(listed, choice, &mut Problems::new());
    let after = after.as_ref().map(|keyring| keyring.at(now));
    let signs = before.is_some_and(|before| before.default_key().is_some());
    if signs && after.is_none_or(|after| after.default_key().is_none()) {
        return Err(NotRemoved::Only(kid.to_owned()));
    }
    let alg = own.map(|own| own.key.alg());
    Ok(Removed {
        was: own.map(|own| own.state),
        alg,
        signed_until: own
            .filter(|own| own.state != KeyState::Signing)
            .and_then(|own| own.times.signs_until),
        signed: own.is_some_and(|own| has_signed(&own)),
        heir: alg
            .and_then(|alg| after?.signing(alg))
            .map(|key| key.kid().to_owned()),
        early,
    })
}

/// Whether its times, as they now stand, let it sign until now.
fn has_signed(own: &OwnKey<'_>) -> bool {
    match own.state {
        KeyState::Signing => true,
        KeyState::Next => false,
        KeyState::Retiring | KeyState::Retired => own.times.signs_until.is_some(),
    }
}

/// Closes the gap that `own` leaves behind; tells whether the next key begins early.
fn hand_over(listed: &mut [Value], keyring: &Keyring, own: OwnKey<'_>, now: Duration) -> bool {
    let moment = keyring.at(now);
    let alg = own.key.alg();
    match own.state {
        KeyState::Signing => {
            let next = waiting(moment.keys(), alg);
            let place = next.and_then(|next| keyring.index(next.key));
            let Some(next) = place.and_then(|place| listed.get_mut(place)) else {
                return false;
            };
            times::set(next, SIGNS_FROM, Some(now.as_secs()));
            true
        }
        KeyState::Next => {
            let old = moment.signing(alg);
            let place = old.and_then(|old| keyring.index(old));
            if let Some(old) = place.and_then(|place| listed.get_mut(place)) {
                times::set(old, SIGNS_UNTIL, None);
                times::set(old, PUBLISHED_UNTIL, None);
            }
            false
        }
        KeyState::Retiring | KeyState::Retired => false,
    }
}

fn load(listed: &[Value], choice: &Choice) -> Result<Keyring, Problems> {
    let mut problems = Problems::new();
    match Keyring::of(listed, choice, &mut problems) {
        Some(keyring) if !problems.has_errors() => Ok(keyring),
        _ => Err(problems),
    }
}

fn take_out(listed: &mut Vec<Value>, gone: &[usize]) {
    let mut place = 0;
    listed.retain(|_| {
        place += 1;
        !gone.contains(&(place - 1))
    });
}

fn default_alg(keyring: &Keyring, now: Duration) -> Option<SigningAlgorithm> {
    keyring.at(now).default_key().map(|key| key.alg())
}

/// The first key of the file decides on the default algorithm: one of the same moves there if need be.
fn keep_default(
    listed: &mut Vec<Value>,
    choice: &Choice,
    before: Option<SigningAlgorithm>,
    now: Duration,
) {
    let Some(keyring) = Keyring::of(listed, choice, &mut Problems::new()) else {
        return;
    };
    if before == default_alg(&keyring, now) {
        return;
    }
    let heir = before.and_then(|alg| keyring.at(now).signing(alg));
    if let Some(place) = heir.and_then(|heir| keyring.index(heir))
        && place < listed.len()
    {
        let entry = listed.remove(place);
        listed.insert(0, entry);
    }
}
