//! What userinfo endpoints answered in the last minute: bounded, and without the tokens.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// For how long an answer counts: as long as a token may work on here after its issuer has withdrawn it.
pub(super) const KEPT_FOR: Duration = Duration::from_secs(60);

/// The most bytes of answers over all connectors.
const MOST_BYTES: u64 = 8 * 1024 * 1024;

/// What an answer counts at least, so that there are 8,192 at most.
const LEAST_WEIGHT: usize = 1024;

/// A token and its connector, as a keyed digest: it is worth nothing outside this process.
pub(super) type Name = [u8; 32];

/// The good answers of every connector; refusals are not kept, so that a token which becomes good is good at once.
#[derive(Clone, Debug)]
pub(in crate::upstream) struct Answers {
    cache: Cache<Name, Answer>,
    key: Arc<hmac::Key>,
}

#[derive(Clone, Debug)]
struct Answer {
    /// When the endpoint was asked, by the monotonic clock.
    asked_at: Duration,
    body: Arc<[u8]>,
}

impl Answers {
    /// None yet.
    pub(in crate::upstream) fn new() -> Self {
        let weight = |_: &Name, answer: &Answer| {
            let bytes = answer.body.len().max(LEAST_WEIGHT);
            u32::try_from(bytes).unwrap_or(u32::MAX)
        };
        Self {
            cache: Cache::builder()
                .max_capacity(MOST_BYTES)
                .weigher(weight)
                // By real time: so that nobody's data stays longer than it can be used.
                .time_to_live(KEPT_FOR)
                // The default policy would turn away newcomers.
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
    pub(super) fn get(&self, name: &Name, now: Duration) -> Option<Arc<[u8]>> {
        let answer = self.cache.get(name)?;
        let age = now.saturating_sub(answer.asked_at);
        (age < KEPT_FOR).then_some(answer.body)
    }

    /// Keeps what was answered to a question asked at `asked_at`.
    pub(super) fn keep(&self, name: Name, asked_at: Duration, body: Arc<[u8]>) {
        self.cache.insert(name, Answer { asked_at, body });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(answers: &Answers) -> u64 {
        answers.cache.run_pending_tasks();
        answers.cache.entry_count()
    }

    #[test]
    fn neither_many_answers_nor_large_ones_grow_the_memory() {
        let answers = Answers::new();
        let keep = |number: usize, size: usize| {
            let name = answers.name("c", &number.to_string());
            answers.keep(name, Duration::ZERO, vec![0; size].into());
            name
        };
        let names: Vec<_> = (0..20_000).map(|number| keep(number, 10)).collect();
        assert_eq!(kept(&answers), 8 * 1024);
        assert!(answers.get(names.last().unwrap(), Duration::ZERO).is_some());
        assert!(
            answers
                .get(names.first().unwrap(), Duration::ZERO)
                .is_none()
        );
        let large: Vec<_> = (0..100).map(|number| keep(number, 256 * 1024)).collect();
        assert_eq!(kept(&answers), 32);
        assert!(answers.get(large.last().unwrap(), Duration::ZERO).is_some());
    }

    #[test]
    fn an_answer_counts_for_a_minute_and_for_its_connector() {
        let answers = Answers::new();
        let (name, asked_at) = (answers.name("c", "token"), Duration::from_secs(10));
        answers.keep(name, asked_at, b"{}".as_slice().into());
        assert!(answers.get(&name, Duration::from_millis(69_999)).is_some());
        assert!(answers.get(&name, Duration::from_secs(70)).is_none());
        for (connector, token) in [("d", "token"), ("c", "Token"), ("", "c\ntoken")] {
            let other = answers.name(connector, token);
            assert!(
                answers.get(&other, asked_at).is_none(),
                "{connector} {token}"
            );
        }
        // Another process, or the next configuration, names it differently.
        assert_ne!(Answers::new().name("c", "token"), name);
    }
}
