//! The phases of our own keys: at each instant that the key file names, who signs, and who is published.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{SigningAlgorithm, SigningKey, Timeline, Times};

/// A usable key of the key file.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Arc<SigningKey>,
    /// What counts of its times, once it is known who signs when.
    pub(super) times: Times,
    /// Where it stands in the file.
    pub(super) index: usize,
}

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// It is published, and will sign.
    Next,
    /// It signs.
    Signing,
    /// It is published, and will not sign.
    Retiring,
    /// It is past: neither published nor used.
    Retired,
}

impl KeyState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Next => "next",
            Self::Signing => "signing",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
        }
    }
}

/// What holds between two instants.
#[derive(Clone, Debug)]
pub(super) struct Phase {
    /// One key for each algorithm that signs, the default first.
    pub(super) signing: Vec<Arc<SigningKey>>,
    /// What verifiers should expect: what signs, then what will or did with a key that is published.
    pub(super) announced: Vec<SigningAlgorithm>,
    /// The state of each entry, in the order of the entries.
    pub(super) states: Vec<KeyState>,
}

/// The places of the entries that sign during one phase, in the order of preference.
type Signing = Vec<usize>;

/// Works out every phase; `pinned` holds the places of the keys that the configuration names, if it does.
///
/// The times of `entries` become what counts: a pinned key has none, and one that signs does so until
/// the next one begins.
pub(super) fn phases(
    entries: &mut [Entry],
    pinned: Option<&[usize]>,
    default_alg: Option<&str>,
) -> Timeline<Phase> {
    if let Some(pinned) = pinned {
        for (place, entry) in entries.iter_mut().enumerate() {
            entry.times = Times {
                published_until: entry.times.published_until,
                ..Times::default()
            };
            if pinned.contains(&place) {
                entry.times = Times::default();
            }
        }
    }
    let times = entries.iter().flat_map(|entry| entry.times.instants());
    let instants: BTreeSet<u64> = times.filter(|time| *time > 0).collect();
    let mut signing = Timeline::build(&instants, |from| match pinned {
        Some(pinned) => pinned.to_vec(),
        None => choose(entries, from),
    });
    if let Some(name) = default_alg {
        signing.change(|signing| prefer(entries, signing, name));
    }
    let spans = spans(&instants, &signing);
    let timeline = Timeline::build(&instants, |from| {
        phase(entries, signing.from(from), &spans, from)
    });
    for (place, entry) in entries.iter_mut().enumerate() {
        let span = spans.get(&place).copied();
        entry.times.signs_from = span.and_then(|span| (span.from > 0).then_some(span.from));
        entry.times.signs_until = span.and_then(|span| span.until);
    }
    timeline
}

/// For each algorithm the key that began last; of keys that began together the first of the file.
fn choose(entries: &[Entry], now: u64) -> Signing {
    let mut chosen = Signing::new();
    for entry in entries {
        let alg = entry.key.alg();
        let of_alg = |(_, other): &(usize, &Entry)| other.key.alg() == alg;
        let best = entries
            .iter()
            .enumerate()
            .rev()
            .filter(of_alg)
            .filter(|(_, other)| other.times.may_sign(now))
            .max_by_key(|(_, other)| other.times.signs_from);
        if let Some((place, _)) = best
            && !chosen.contains(&place)
        {
            chosen.push(place);
        }
    }
    chosen
}

/// Puts the key of the algorithm `name` first, where one signs.
fn prefer(entries: &[Entry], signing: &mut Signing, name: &str) {
    let is_default = |place: &usize| {
        let entry = entries.get(*place);
        entry.is_some_and(|entry| entry.key.alg().name() == name)
    };
    if let Some(place) = signing.iter().position(is_default) {
        signing.swap(0, place);
    }
}

/// From when to when a key signs, gaps included.
#[derive(Clone, Copy, Debug)]
struct Span {
    from: u64,
    until: Option<u64>,
}

fn spans(instants: &BTreeSet<u64>, signing: &Timeline<Signing>) -> BTreeMap<usize, Span> {
    let mut spans: BTreeMap<usize, Span> = BTreeMap::new();
    let mut starts = instants.iter().copied();
    let mut from = 0;
    for signing in signing.iter() {
        let until = starts.next();
        for place in signing {
            spans.entry(*place).or_insert(Span { from, until }).until = until;
        }
        from = until.unwrap_or(from);
    }
    spans
}

fn phase(entries: &[Entry], signing: &Signing, spans: &BTreeMap<usize, Span>, now: u64) -> Phase {
    let state = |(place, entry): (usize, &Entry)| {
        let begins_later = spans
            .get(&place)
            .is_some_and(|span| span.until.is_none_or(|until| now < until));
        match () {
            () if signing.contains(&place) => KeyState::Signing,
            () if !entry.times.is_published(now) => KeyState::Retired,
            () if begins_later => KeyState::Next,
            () => KeyState::Retiring,
        }
    };
    let states: Vec<KeyState> = entries.iter().enumerate().map(state).collect();
    let signing: Vec<_> = signing
        .iter()
        .filter_map(|place| entries.get(*place))
        .map(|entry| Arc::clone(&entry.key))
        .collect();
    let mut announced: Vec<SigningAlgorithm> = signing.iter().map(|key| key.alg()).collect();
    for (place, (entry, state)) in entries.iter().zip(&states).enumerate() {
        let alg = entry.key.alg();
        let counts = *state != KeyState::Retired && spans.contains_key(&place);
        if counts && !announced.contains(&alg) {
            announced.push(alg);
        }
    }
    Phase {
        signing,
        announced,
        states,
    }
}
