//! What our own keys will do next, and what in that should worry an operator.

use std::time::Duration;

use super::times::rfc3339;
use super::{Choice, KeyState, Keyring, Moment, SigningAlgorithm};
use crate::config::problems::Problems;

impl Keyring {
    /// What changes after `now` by the clock alone: when, in seconds since the Unix epoch, and in words.
    pub fn outlook(&self, now: Duration) -> Vec<(u64, String)> {
        let mut before = self.at(now);
        let mut changes = Vec::new();
        for (from, moment) in self.after(now) {
            let words = hand_overs(before, moment).chain(departures(before, moment));
            changes.extend(words.map(|words| (from, words)));
            before = moment;
        }
        changes
    }

    /// Whether the keys are fit to serve at `now`; no token, with all leeway, lives longer than `longest`.
    pub fn check(
        &self,
        choice: &Choice,
        now: Duration,
        longest: Duration,
        problems: &mut Problems,
    ) {
        let signing = self.at(now);
        if signing.default_key().is_none() {
            self.report_silence(now, problems);
        } else {
            check_default(signing, choice, problems);
        }
        for (alg, from) in self.ends(now) {
            problems.warning(
                "keys.file",
                format!(
                    "no key signs with {alg} from {} on: run `remint keys rotate --alg {alg}` well before",
                    rfc3339(from)
                ),
            );
        }
        self.check_retirements(now, longest, problems);
        let past = signing.keys().filter(|own| own.state == KeyState::Retired);
        let past: Vec<_> = past.map(|own| format!("{:?}", own.key.kid())).collect();
        if !past.is_empty() {
            problems.note(
                "keys.file",
                format!(
                    "{} is past, and neither used nor published: `remint keys prune` takes it out",
                    past.join(", ")
                ),
            );
        }
    }

    /// Says that nothing signs at `now`: an error if nothing ever will.
    fn report_silence(&self, now: Duration, problems: &mut Problems) {
        let mut later = self.after(now);
        match later.find(|(_, moment)| moment.default_key().is_some()) {
            Some((from, _)) => problems.warning(
                "keys.file",
                format!(
                    "no key signs before {}, and every request is refused until then: a key of `remint keys generate` signs at once",
                    rfc3339(from)
                ),
            ),
            None => problems.error(
                "keys.file",
                "the time of every key in it is over, so nothing signs: run `remint keys generate --alg RS256` (or ES256)",
            ),
        }
    }

    /// Each algorithm that signs at `now` and later does not, and when.
    fn ends(&self, now: Duration) -> impl Iterator<Item = (SigningAlgorithm, u64)> {
        self.at(now).algorithms().filter_map(move |alg| {
            let mut later = self.after(now);
            let (from, _) = later.find(|(_, moment)| moment.signing(alg).is_none())?;
            Some((alg, from))
        })
    }

    fn check_retirements(&self, now: Duration, longest: Duration, problems: &mut Problems) {
        for own in self.at(now).published() {
            let (Some(signs), Some(published)) = (own.times.signs_until, own.times.published_until)
            else {
                continue;
            };
            if published - signs.min(published) < longest.as_secs() {
                problems.warning(
                    "keys.file",
                    format!(
                        "the key {:?} leaves the published keys {} s after it stops signing, but a token may live for {} s (tokens.max_lifetime and tokens.leeway): verifiers will refuse the last tokens that it signs",
                        own.key.kid(),
                        published - signs.min(published),
                        longest.as_secs()
                    ),
                );
            }
        }
    }
}

fn check_default(signing: Moment<'_>, choice: &Choice, problems: &mut Problems) {
    let Some(name) = &choice.default_alg else {
        return;
    };
    let algs: Vec<_> = signing.algorithms().map(SigningAlgorithm::name).collect();
    if !algs.contains(&name.as_str()) {
        problems.error_once(
            "keys.default_alg",
            format!(
                "found {name:?}, but the keys that sign are for {}: name one of these, or add a key with `remint keys generate`",
                algs.join(" and ")
            ),
        );
    }
}

/// Who takes over from whom.
fn hand_overs<'a>(before: Moment<'a>, after: Moment<'a>) -> impl Iterator<Item = String> + 'a {
    SigningAlgorithm::ALL.into_iter().filter_map(move |alg| {
        let kid = |moment: Moment<'a>| moment.signing(alg).map(|key| key.kid());
        match (kid(before), kid(after)) {
            (Some(old), Some(new)) if old != new => {
                Some(format!("{new:?} signs with {alg} in place of {old:?}"))
            }
            (None, Some(new)) => Some(format!("{new:?} begins to sign with {alg}")),
            (Some(old), None) => Some(format!(
                "{old:?} stops signing, and no key signs with {alg} any more"
            )),
            _ => None,
        }
    })
}

/// Who leaves the published set.
fn departures<'a>(before: Moment<'a>, after: Moment<'a>) -> impl Iterator<Item = String> + 'a {
    let pairs = before.keys().zip(after.keys());
    pairs
        .filter(|(old, new)| old.state != KeyState::Retired && new.state == KeyState::Retired)
        .map(|(own, _)| {
            format!(
                "{:?} leaves the published keys, and `remint keys prune` can take it out",
                own.key.kid()
            )
        })
}
