//! Places for those who wait, of which no single address gets more than its share.

use std::sync::{Arc, Mutex, PoisonError};

use super::Network;

/// A few places; small enough to be looked through for each newcomer.
#[derive(Debug)]
pub struct Queue {
    places: usize,
    per_network: usize,
    waiting: Waiting,
}

type Waiting = Arc<Mutex<Vec<Option<Network>>>>;

/// A place that is taken; dropping it gives it back.
#[derive(Debug)]
pub struct Place {
    waiting: Waiting,
    from: Option<Network>,
}

impl Queue {
    /// So many places, of which one address (or one IPv6 /64) gets at most `per_network`.
    pub fn new(places: usize, per_network: usize) -> Self {
        Self {
            places,
            per_network,
            waiting: Waiting::default(),
        }
    }

    /// A place for somebody from `from`, if one is left. Who has no address is bounded by the places alone.
    pub fn enter(&self, from: Option<Network>) -> Option<Place> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let own = waiting.iter().filter(|other| **other == from).count();
        let has_share = from.is_none() || own < self.per_network;
        if waiting.len() >= self.places || !has_share {
            return None;
        }
        waiting.push(from);
        Some(Place {
            waiting: Arc::clone(&self.waiting),
            from,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = waiting.iter().position(|other| *other == self.from) {
            waiting.swap_remove(index);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_leaves_places_for_others() {
        let queue = Queue::new(4, 2);
        let [one, other, third] = [1, 2, 3].map(|number| Some(Network::V4(number)));
        let held = [one, one].map(|from| queue.enter(from).unwrap());
        assert!(queue.enter(one).is_none(), "its share is used up");
        let more = [other, other].map(|from| queue.enter(from).unwrap());
        assert!(queue.enter(third).is_none(), "there is none left");
        drop(held);
        let unknown = [None, None].map(|from| queue.enter(from).unwrap());
        assert!(queue.enter(None).is_none());
        drop((more, unknown));
        assert!(queue.waiting.lock().unwrap().is_empty());
    }
}
