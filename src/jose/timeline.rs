//! A value that changes at known instants: worked out beforehand, looked up by the clock.

use std::collections::BTreeSet;
use std::time::Duration;

/// What holds from which second since the Unix epoch on.
#[derive(Clone, Debug)]
pub struct Timeline<T> {
    first: T,
    /// In the order of time.
    later: Vec<(u64, T)>,
}

impl<T> Timeline<T> {
    /// Works the value out for the beginning of time and for each of `instants`.
    pub(super) fn build(instants: &BTreeSet<u64>, mut value: impl FnMut(u64) -> T) -> Self {
        Self {
            first: value(0),
            later: instants.iter().map(|from| (*from, value(*from))).collect(),
        }
    }

    /// What holds at `now`, a time since the Unix epoch: no lock, nothing allocated.
    pub fn at(&self, now: Duration) -> &T {
        let begun = self
            .later
            .partition_point(|(from, _)| *from <= now.as_secs());
        let last = begun.checked_sub(1).and_then(|index| self.later.get(index));
        last.map_or(&self.first, |(_, value)| value)
    }

    /// What comes after `now`, and when, in seconds since the Unix epoch.
    pub fn after(&self, now: Duration) -> impl Iterator<Item = (u64, &T)> {
        let later = self.later.iter();
        later
            .filter(move |(from, _)| *from > now.as_secs())
            .map(|(from, value)| (*from, value))
    }

    /// What holds from this instant on.
    pub(super) fn from(&self, instant: u64) -> &T {
        self.at(Duration::from_secs(instant))
    }

    /// Changes every value.
    pub(super) fn change(&mut self, change: impl Fn(&mut T)) {
        change(&mut self.first);
        for (_, value) in &mut self.later {
            change(value);
        }
    }

    /// Every value, in the order of time.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(self.later.iter().map(|(_, value)| value))
    }

    /// The same instants with what `change` makes of each value.
    pub(super) fn map<U>(&self, change: impl Fn(&T) -> U) -> Timeline<U> {
        let later = self.later.iter();
        Timeline {
            first: change(&self.first),
            later: later.map(|(from, value)| (*from, change(value))).collect(),
        }
    }

    /// The same instants with what `change` makes of each value, where it makes something of all.
    pub fn try_map<U, E>(
        &self,
        mut change: impl FnMut(&T) -> Result<U, E>,
    ) -> Result<Timeline<U>, E> {
        let later = self.later.iter();
        Ok(Timeline {
            first: change(&self.first)?,
            later: later
                .map(|(from, value)| Ok((*from, change(value)?)))
                .collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_holds_from_its_second_on() {
        let timeline = Timeline::build(&[10, 20].into(), |from| from);
        for (millis, expected) in [(0, 0), (9_999, 0), (10_000, 10), (19_999, 10), (20_000, 20)] {
            let now = Duration::from_millis(millis);
            assert_eq!(*timeline.at(now), expected, "{millis}");
        }
        assert_eq!(*timeline.at(Duration::MAX), 20);
        let after: Vec<_> = timeline.after(Duration::from_secs(10)).collect();
        assert_eq!(after, [(20, &20)]);
    }
}
