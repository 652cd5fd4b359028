//! What userinfo endpoints answered lately: bounded, and without the tokens.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

use crate::upstream::error::FetchError;

/// For how long an answer counts: as long as a token may work on here after its issuer has withdrawn it.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(60);

/// For how long a refusal counts, so that the same useless token does not make Remint ask each time. A token that becomes
/// good is accepted after that.
const REFUSED_FOR: Duration = Duration::from_secs(5);

/// How many refusals are remembered over all connectors.
const MOST_REFUSED: u64 = 8192;

/// The most bytes of answers over all connectors.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// What an answer counts at least, so that there are 8,192 at most.
const LEAST_WEIGHT: usize = 1024;

/// A token and its connector, as a keyed digest: it is worth nothing outside this process.
pub(super) type Name = [u8; 32];

/// What an endpoint says of a token.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Vouched(Arc<[u8]>),
    Refused(FetchError),
}

/// The answers of every connector. Refusals are kept apart, so that a flood of them pushes no good answer out.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Answers {
    vouched: Cache<Name, Kept<Arc<[u8]>>>,
    refused: Cache<Name, Kept<FetchError>>,
    key: Arc<hmac::Key>,
}

/// An answer, and from when on it counts, by the monotonic clock.
#[derive(Clone, Debug)]
struct Kept<T> {
    since: Duration,
    answer: T,
}

impl<T> Kept<T> {
    fn within(self, time: Duration, now: Duration) -> Option<T> {
        (now.saturating_sub(self.since) < time).then_some(self.answer)
    }
}

impl Answers {
    /// None yet.
    pub(in crate::upstream) fn new() -> Self {
        let weight = |_: &Name, kept: &Kept<Arc<[u8]>>| {
            let bytes = kept.answer.len().max(LEAST_WEIGHT);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            vouched: Cache::builder()
                .max_capacity(MOST_BYTES)
                .weigher(weight)
                // By real time: so that nobody's data stays longer than it can be used.
                .time_to_live(KEPT_FOR)
                // The default policy would turn away newcomers.
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            refused: Cache::builder()
                .max_capacity(MOST_REFUSED)
                .eviction_policy(EvictionPolicy::lru())
                .build(),
            key: Arc::new(hmac::Key::new(
                hmac::HMAC_SHA256,
                &rand::random::<[u8; 32]>(),
            )),
        }
    }

    /// The name of `token` at the connector with this id.
    pub(super) fn name(&self, connector: &str, token: &str) -> Name {
        let mut context = hmac::Context::with_key(&self.key);
        // An id has no line breaks, so nothing can be read as something else.
        context.update(connector.as_bytes());
        context.update(b"\n");
        context.update(token.as_bytes());
        let mut name = Name::default();
        for (to, from) in name.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        name
    }

    /// The answer of this name, if it still counts at `now`.
    pub(super) fn get(&self, name: &Name, now: Duration) -> Option<Reply> {
        let vouched = self.vouched.get(name);
        if let Some(body) = vouched.and_then(|kept| kept.within(KEPT_FOR, now)) {
            return Some(Reply::Vouched(body));
        }
        let refused = self.refused.get(name)?;
        refused.within(REFUSED_FOR, now).map(Reply::Refused)
    }

    /// Keeps what was answered at `now` to a question asked at `asked_at`. An issuer may withdraw a token just after it
    /// was asked about it, so a good answer counts from then; a refusal counts from when it came.
    pub(super) fn keep(&self, name: Name, (asked_at, now): (Duration, Duration), reply: &Reply) {
        match reply {
            Reply::Vouched(body) => {
                let (since, answer) = (asked_at, Arc::clone(body));
                self.vouched.insert(name, Kept { since, answer });
            }
            Reply::Refused(error) => {
                let (since, answer) = (now, error.clone());
                self.refused.insert(name, Kept { since, answer });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED_AT: Duration = Duration::from_secs(10);

    fn vouched(bytes: usize) -> Reply {
        Reply::Vouched(vec![0; bytes].into())
    }

    #[test]
    fn neither_many_answers_nor_large_ones_grow_the_memory() {
        let answers = Answers::new();
        let kept = || {
            answers.vouched.run_pending_tasks();
            answers.refused.run_pending_tasks();
            [answers.vouched.entry_count(), answers.refused.entry_count()]
        };
        let keep = |number: usize, reply: &Reply| {
            let name = answers.name("c", &number.to_string());
            answers.keep(name, (Duration::ZERO, Duration::ZERO), reply);
            name
        };
        let is_known = |name| answers.get(name, Duration::ZERO).is_some();
        let many: Vec<_> = (0..20_000)
            .map(|number| keep(number, &vouched(10)))
            .collect();
        assert_eq!(kept(), [8 * 1024, 0]);
        assert!(is_known(many.last().unwrap()) && !is_known(&many[0]));
        let large: Vec<_> = (0..100)
            .map(|number| keep(number, &vouched(256 * 1024)))
            .collect();
        assert_eq!(kept(), [32, 0]);
        let refused = Reply::Refused(FetchError::answered(401, "answered 401"));
        let refusals: Vec<_> = (100..20_000).map(|number| keep(number, &refused)).collect();
        assert_eq!(kept(), [32, 8 * 1024]);
        assert!(is_known(refusals.last().unwrap()) && !is_known(&refusals[0]));
        assert!(is_known(large.last().unwrap()), "pushed out by refusals");
    }

    #[test]
    fn a_good_answer_counts_for_a_minute_from_the_question_and_a_refusal_for_five_seconds() {
        let answers = Answers::new();
        let came_at = ASKED_AT + Duration::from_secs(3);
        let refused = Reply::Refused(FetchError::answered(401, "answered 401"));
        for (token, reply, last) in [("good", vouched(2), 69_999), ("bad", refused, 17_999)] {
            let name = answers.name("c", token);
            answers.keep(name, (ASKED_AT, came_at), &reply);
            let last = Duration::from_millis(last);
            assert!(answers.get(&name, last).is_some(), "{token}");
            let over = last + Duration::from_millis(1);
            assert!(answers.get(&name, over).is_none(), "{token}");
        }
    }

    #[test]
    fn an_answer_counts_for_its_connector() {
        let answers = Answers::new();
        let name = answers.name("c", "token");
        answers.keep(name, (ASKED_AT, ASKED_AT), &vouched(2));
        for (connector, token) in [("d", "token"), ("c", "Token"), ("", "c\ntoken")] {
            let other = answers.name(connector, token);
            assert!(
                answers.get(&other, ASKED_AT).is_none(),
                "{connector} {token}"
            );
        }
        // Another process, or the next configuration, names it differently.
        assert_ne!(Answers::new().name("c", "token"), name);
    }
}
