//! How much work one evaluation may cost, and what each piece of it is charged.
//!
//! One unit is some 10 ns of a core. Charges are made before the work, and are rather too high than too low:
//! `benches/stages` measures what the whole budget takes at worst.

use std::sync::atomic::{AtomicI64, Ordering};

use cel::ExecutionError;
use cel::common::types::{CelBytes, CelList, CelMap, CelMapKey, CelOptional, CelString};
use cel::common::value::Val;

/// What one evaluation may cost: some 20 ms.
const BUDGET: i64 = 2_000_000;

/// A node of the tree that is visited.
pub(super) const NODE: u64 = 6;
/// A field that is selected, besides its name: each scope is asked for each beginning of a chain.
pub(super) const FIELD: u64 = 3;
/// A function that is called, or an element that a comprehension binds to its variable.
pub(super) const CALL: u64 = 15;
/// An element of a list that is copied or compared.
const ELEMENT: u64 = 6;
/// An entry of a map that is copied or compared: its key is hashed.
const ENTRY: u64 = 25;
/// Bytes of a text that are copied or compared for one unit.
const BYTES: u64 = 8;

/// How many times as much as reading a value it costs to copy and keep it. It bounds memory: a byte is a unit.
pub(super) const COPYING: u64 = BYTES;
/// How many times as much as reading a text it costs to parse it: `1s1s1s...` is a duration.
pub(super) const PARSING: u64 = 12;

/// What an evaluation that the meter stopped is refused with.
pub(super) const TOO_MUCH: &str = "it is too much work to evaluate";

/// What is left of the budget in one evaluation.
#[derive(Debug)]
pub(super) struct Meter(AtomicI64);

impl Default for Meter {
    fn default() -> Self {
        Self(AtomicI64::new(BUDGET))
    }
}

impl Meter {
    /// Takes `work` off. Once that failed it fails for ever: CEL goes on past an error where another operand may
    /// decide. Then nothing is weighed any more either.
    pub(super) fn charge(&self, work: impl FnOnce() -> u64) -> Result<(), ExecutionError> {
        if !self.is_overdrawn() {
            let work = i64::try_from(work()).unwrap_or(i64::MAX);
            let left = self.0.load(Ordering::Relaxed).saturating_sub(work);
            self.0.store(left, Ordering::Relaxed);
        }
        if self.is_overdrawn() {
            return Err(ExecutionError::function_error("@meter", TOO_MUCH));
        }
        Ok(())
    }

    /// Whether the work was too much: then no result counts.
    pub(super) fn is_overdrawn(&self) -> bool {
        self.0.load(Ordering::Relaxed) < 0
    }
}

/// What it costs to read, copy or compare `value` as a whole.
pub(super) fn weight(value: &dyn Val) -> u64 {
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        of_text(text.inner().len())
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        of_text(bytes.inner().len())
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        let items = list.inner().iter();
        1 + items
            .map(|item| ELEMENT + weight(item.as_ref()))
            .sum::<u64>()
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let entries = map.inner().iter();
        1 + entries
            .map(|(key, value)| ENTRY + of_key(key) + weight(value.as_ref()))
            .sum::<u64>()
    } else if let Some(optional) = value.downcast_ref::<CelOptional<'_>>() {
        1 + optional.inner().map_or(0, weight)
    } else {
        1
    }
}

/// What it costs to read, copy or compare a text of `length` bytes.
pub(super) fn of_text(length: usize) -> u64 {
    1 + count(length) / BYTES
}

/// What it costs to compare two values: two texts are compared as far as the shorter one goes.
pub(super) fn of_comparing(left: &dyn Val, right: &dyn Val) -> u64 {
    let is_container = |value: &dyn Val| {
        value.downcast_ref::<CelList<'_>>().is_some()
            || value.downcast_ref::<CelMap<'_>>().is_some()
            || value.downcast_ref::<CelOptional<'_>>().is_some()
    };
    match (is_container(left), is_container(right)) {
        (true, true) => weight(left).saturating_add(weight(right)),
        (true, false) => weight(right),
        (false, true) => weight(left),
        (false, false) => weight(left).min(weight(right)),
    }
}

/// `length` as a number of units.
pub(super) fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn of_key(key: &CelMapKey<'_>) -> u64 {
    match key {
        CelMapKey::String(text) => of_text(text.inner().len()),
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_too_much_once_stays_too_much() {
        let meter = Meter::default();
        let budget = BUDGET.unsigned_abs();
        assert!(meter.charge(|| budget - 1).is_ok());
        assert!(meter.charge(|| 1).is_ok());
        assert!(!meter.is_overdrawn());
        assert!(meter.charge(|| 1).is_err());
        assert!(meter.charge(|| unreachable!("it is weighed")).is_err());
        assert!(meter.is_overdrawn());
        assert!(Meter::default().charge(|| u64::MAX).is_err());
    }
}
