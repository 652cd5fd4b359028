//! Refusals that cost their sender nothing: some of each reason are logged in full, the rest is counted and summed
//! up once a second, so that a flood of them does not fill the log.
//!
//! Those that are about a configured connector or client are counted apart from the others, so that a flood about names
//! that somebody made up does not hide them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;

use crate::clock::Clock;
use crate::grant::{Event, Outcome};
use crate::oauth::Reason;

/// How many refusals for one reason are logged in full each second, however long a flood lasts.
const EACH_SECOND: u32 = 10;

/// How many are logged in full at once where few came before: a build with many jobs may be refused as a whole.
const BURST: u32 = 200;

/// How long refusals are counted before they are summed up.
const ROUND: Duration = Duration::from_secs(1);

/// Decides which cheap refusals are logged in full, and counts the others.
#[derive(Debug)]
pub struct Sampled {
    tallies: Vec<(Reason, Mutex<Tallies>)>,
    /// Whether a summary is on its way.
    awaited: AtomicBool,
}

/// The refusals for one reason.
#[derive(Debug, Default)]
struct Tallies {
    /// Those that name nothing that is configured.
    unnamed: Tally,
    /// Each connector and client that was named lately; what is not configured is never in it.
    named: HashMap<Named, Tally>,
    /// The last second in which it was looked through for those that can be forgotten.
    swept: u64,
}

/// The part of the configuration that a refusal is about. The names of the fields are those of the audit event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Named {
    Connector(Arc<str>),
    Client(Arc<str>),
    UnprovedClient(Arc<str>),
}

#[derive(Debug, Default)]
struct Tally {
    /// The last second in which one came.
    second: u64,
    /// How much of the burst is used up.
    spent: u32,
    /// How many were only counted since the last summary.
    counted: u64,
}

impl Default for Sampled {
    fn default() -> Self {
        let reasons = Reason::ALL.iter();
        Self {
            tallies: reasons.map(|reason| (*reason, Mutex::default())).collect(),
            awaited: AtomicBool::new(false),
        }
    }
}

impl Sampled {
    /// Whether this refusal for `reason` is to be logged in full; else it was counted, and a summary will follow.
    pub fn admits(self: &Arc<Self>, reason: Reason, event: &Event, clock: &dyn Clock) -> bool {
        let Some((_, tallies)) = self.tallies.iter().find(|(known, _)| *known == reason) else {
            return true;
        };
        let second = clock.monotonic().as_secs();
        let admitted = tallies
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .of(Named::by(event), second)
            .admits(second, burst(reason));
        if !admitted {
            self.await_summary();
        }
        admitted
    }

    /// Sees to it that what was counted is written, also if nothing more comes.
    fn await_summary(self: &Arc<Self>) {
        if self.awaited.load(Ordering::Relaxed) || self.awaited.swap(true, Ordering::AcqRel) {
            return;
        }
        // Without a runtime, what was counted is written when this is dropped.
        if let Ok(runtime) = Handle::try_current() {
            let this = Arc::clone(self);
            runtime.spawn(async move {
                sleep(ROUND).await;
                this.sum_up();
            });
        }
    }

    /// Writes one event for each reason, and each connector or client, with what was only counted since the last.
    pub fn sum_up(&self) {
        // First, so that whatever is counted from now on has a summary of its own.
        self.awaited.store(false, Ordering::Release);
        for (reason, tallies) in &self.tallies {
            let counted = tallies
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take_counted();
            let (outcome, reason) = (Outcome::of_refusal(*reason).as_str(), reason.code());
            for (named, count) in counted {
                let [connector, client, client_named] =
                    named.as_ref().map_or([None; 3], Named::fields);
                tracing::info!(
                    name: Event::SAMPLED,
                    target: "audit",
                    outcome,
                    connector,
                    client,
                    client_named,
                    reason,
                    count,
                );
            }
        }
    }
}

impl Drop for Sampled {
    fn drop(&mut self) {
        self.sum_up();
    }
}

impl Tallies {
    /// The tally of what is about `named`.
    fn of(&mut self, named: Option<Named>, second: u64) -> &mut Tally {
        let Some(named) = named else {
            return &mut self.unnamed;
        };
        if self.swept != second {
            self.swept = second;
            self.named.retain(|_, tally| !tally.is_fresh(second));
        }
        self.named.entry(named).or_default()
    }

    /// What was only counted since the last time.
    fn take_counted(&mut self) -> Vec<(Option<Named>, u64)> {
        let named = self.named.iter_mut();
        let named = named.map(|(named, tally)| (Some(named.clone()), tally));
        std::iter::once((None, &mut self.unnamed))
            .chain(named)
            .map(|(named, tally)| (named, std::mem::take(&mut tally.counted)))
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

impl Named {
    /// What this event names; a connector rather than the client that uses it.
    fn by(event: &Event) -> Option<Self> {
        let connector = event.connector.clone().map(Self::Connector);
        connector
            .or_else(|| event.client.clone().map(Self::Client))
            .or_else(|| event.client_named.clone().map(Self::UnprovedClient))
    }

    /// The fields `connector`, `client` and `client_named`.
    fn fields(&self) -> [Option<&str>; 3] {
        match self {
            Self::Connector(id) => [Some(id), None, None],
            Self::Client(id) => [None, Some(id), None],
            Self::UnprovedClient(id) => [None, None, Some(id)],
        }
    }
}

impl Tally {
    /// Whether it differs in nothing from a new one at this second, so that it can be forgotten.
    fn is_fresh(&self, second: u64) -> bool {
        self.counted == 0 && self.spent_at(second) == 0
    }

    /// How much of the burst is used up at this second.
    fn spent_at(&self, second: u64) -> u32 {
        let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(u32::MAX);
        self.spent
            .saturating_sub(passed.saturating_mul(EACH_SECOND))
    }

    /// Whether one more in this second is logged in full.
    fn admits(&mut self, second: u64, burst: u32) -> bool {
        self.spent = self.spent_at(second);
        self.second = second;
        let admitted = self.spent < burst;
        if admitted {
            self.spent += 1;
        } else {
            self.counted += 1;
        }
        admitted
    }
}

/// Of what passes a limit many always come.
fn burst(reason: Reason) -> u32 {
    if reason.is_limit() {
        EACH_SECOND
    } else {
        BURST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_second_has_its_few_and_the_rest_is_counted() {
        let mut tally = Tally::default();
        for (second, sent, in_full, counted) in [
            (0, 25, 20, 5),
            (1, 5, 5, 5),
            (2, 16, 15, 6),
            (3, 12, 10, 8),
            (90, 21, 20, 9),
        ] {
            let admitted = (0..sent).filter(|_| tally.admits(second, 20)).count();
            assert_eq!((admitted, tally.counted), (in_full, counted), "{second}");
        }
    }

    #[test]
    fn what_is_named_has_a_tally_of_its_own_until_it_has_rested() {
        let client = |id: &str| Named::UnprovedClient(id.into());
        let mut tallies = Tallies::default();
        let mut admitted = |named: Option<Named>, second, sent| {
            let tally = tallies.of(named, second);
            let admitted = (0..sent).filter(|_| tally.admits(second, 20)).count();
            (admitted, tallies.named.len())
        };
        assert_eq!(admitted(None, 1, 30), (20, 0));
        assert_eq!(admitted(Some(client("a")), 1, 30), (20, 1));
        assert_eq!(admitted(Some(client("b")), 1, 5), (5, 2));
        assert_eq!(admitted(Some(Named::Client("b".into())), 1, 5), (5, 3));
        // The first has more to say, which is not forgotten before it is said.
        assert_eq!(admitted(Some(client("c")), 90, 1), (1, 2));
        let mut counted = tallies.take_counted();
        counted.sort_by_key(|(named, _)| named.is_some());
        assert_eq!(counted, [(None, 10), (Some(client("a")), 10)]);
        tallies.of(Some(client("c")), 91);
        assert_eq!(tallies.named.keys().collect::<Vec<_>>(), [&client("c")]);
    }
}
