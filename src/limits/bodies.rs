//! Memory for the bodies of requests: one budget over all connections.
//!
//! A body that comes in one piece is only counted. Of one that has to be waited for, what is there is kept here, so
//! that its memory can be taken back at once: where the budget is used up, the body that has been under way for the
//! longest time gives way. Whoever sends half a body and waits loses it to whoever sends a whole one.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;

use crate::oauth::{Reason, Refusal};

/// In which steps the memory of one body grows.
const STEP: usize = 4096;

/// The bodies that are held, over all connections and configurations of one instance.
#[derive(Default)]
pub struct Bodies(Mutex<State>);

#[derive(Default)]
struct State {
    /// The bytes of all of them.
    used: usize,
    refused: u64,
    next: u64,
    /// Those that are not whole, the one that began first in front.
    parts: BTreeMap<u64, Part>,
}

/// What is there of one body.
#[derive(Default)]
struct Part {
    bytes: Vec<u8>,
    reader: Option<Waker>,
}

impl Bodies {
    /// Memory for one more body, within `most` bytes for all of them.
    pub fn receive(&self, most: usize) -> Receiving<'_> {
        Receiving {
            bodies: self,
            most,
            number: None,
        }
    }

    /// How many bytes are held.
    pub fn used(&self) -> usize {
        self.state().used
    }

    /// How many bodies were refused because there was no memory for them.
    pub fn refused(&self) -> u64 {
        self.state().refused
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes `bytes` within `most` for the part `own`, if it is one; other bodies give way for them. It fails where
    /// none is left to, or where it is the turn of `own` itself.
    fn take(&mut self, bytes: usize, most: usize, own: Option<u64>) -> Result<(), Refusal> {
        while self.used.saturating_add(bytes) > most {
            self.refused += 1;
            let (number, part) = self.parts.pop_first().ok_or_else(no_memory)?;
            self.used -= part.bytes.capacity();
            if own == Some(number) {
                return Err(no_memory());
            }
            if let Some(reader) = part.reader {
                reader.wake();
            }
        }
        self.used += bytes;
        Ok(())
    }
}

/// A body that is being received. Dropping it gives its memory back.
pub struct Receiving<'a> {
    bodies: &'a Bodies,
    most: usize,
    /// Its number among the parts, once anything of it is kept.
    number: Option<u64>,
}

impl<'a> Receiving<'a> {
    /// Keeps a copy of `piece` behind what is there.
    pub fn keep(&mut self, piece: &[u8]) -> Result<(), Refusal> {
        let mut state = self.bodies.state();
        let state = &mut *state;
        let number = *self.number.get_or_insert_with(|| {
            state.next += 1;
            state.parts.insert(state.next, Part::default());
            state.next
        });
        let part = state.parts.get(&number).ok_or_else(no_memory)?;
        let held = part.bytes.capacity();
        let length = part.bytes.len() + piece.len();
        let wanted = length.next_multiple_of(STEP).max(held);
        state.take(wanted - held, self.most, self.number)?;
        let part = state.parts.get_mut(&number).ok_or_else(no_memory)?;
        part.bytes.reserve_exact(wanted - part.bytes.len());
        part.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Resolves when this body has had to give way to another; wakes the reader then.
    pub fn poll_refused(&self, cx: &mut Context<'_>) -> Poll<Refusal> {
        let Some(number) = self.number else {
            return Poll::Pending;
        };
        let mut state = self.bodies.state();
        let Some(part) = state.parts.get_mut(&number) else {
            return Poll::Ready(no_memory());
        };
        part.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The whole body: `last` alone, where nothing was kept before, else what was kept. It does not give way any more.
    pub fn whole(mut self, last: Bytes) -> Result<Body<'a>, Refusal> {
        let bodies = self.bodies;
        if self.number.is_some() && !last.is_empty() {
            self.keep(&last)?;
        }
        let mut state = bodies.state();
        let Some(number) = self.number.take() else {
            state.take(last.len(), self.most, None)?;
            return Ok(Body {
                held: last.len(),
                bytes: last,
                bodies,
            });
        };
        let part = state.parts.remove(&number).ok_or_else(no_memory)?;
        Ok(Body {
            held: part.bytes.capacity(),
            bytes: part.bytes.into(),
            bodies,
        })
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut state = self.bodies.state();
            if let Some(part) = state.parts.remove(&number) {
                state.used -= part.bytes.capacity();
            }
        }
    }
}

/// A whole body. Its memory counts until it is dropped.
pub struct Body<'a> {
    bytes: Bytes,
    held: usize,
    bodies: &'a Bodies,
}

impl std::ops::Deref for Body<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Body<'_> {
    fn drop(&mut self) {
        self.bodies.state().used -= self.held;
    }
}

fn no_memory() -> Refusal {
    Refusal::new(
        Reason::Overloaded,
        "too many request bodies are under way: try again, and send the body in one piece",
    )
    .retry_after(Duration::from_secs(1))
}

impl fmt::Debug for Bodies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bodies").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const KIB: usize = 1024;

    async fn is_refused(receiving: &Receiving<'_>) -> bool {
        poll_fn(|cx| Poll::Ready(receiving.poll_refused(cx).is_ready())).await
    }

    #[tokio::test]
    async fn the_oldest_part_gives_way_at_once_and_whole_bodies_do_not() {
        let bodies = Bodies::default();
        let most = 64 * KIB;
        let receive = || bodies.receive(most);
        let mut parts = [receive(), receive(), receive()];
        for part in &mut parts {
            part.keep(&vec![1; 20 * KIB]).unwrap();
            assert!(!is_refused(part).await);
        }
        assert_eq!(bodies.used(), 60 * KIB);
        let whole = receive().whole(vec![2; 10 * KIB].into()).unwrap();
        assert_eq!((whole.len(), bodies.used()), (10 * KIB, 50 * KIB));
        assert_eq!(bodies.refused(), 1);
        let [mut first, mut second, third] = parts;
        assert!(is_refused(&first).await);
        assert!(!is_refused(&second).await);
        assert_eq!(first.keep(b"more").unwrap_err().reason, Reason::Overloaded);
        // One that grows beyond what there is gives way itself, as it is the oldest by now.
        second.keep(&vec![1; 30 * KIB]).unwrap_err();
        assert_eq!(bodies.used(), 30 * KIB);
        let other = third.whole(Bytes::from_static(b"end")).unwrap();
        assert_eq!((other.len(), bodies.used()), (20 * KIB + 3, 34 * KIB));
        // There is nobody left to give way.
        let error = receive().whole(vec![3; 31 * KIB].into()).err().unwrap();
        assert_eq!(error.reason, Reason::Overloaded);
        assert_eq!(error.retry_after, Some(Duration::from_secs(1)));
        assert_eq!(bodies.refused(), 3);
        drop((whole, other, first, second));
        assert_eq!(bodies.used(), 0);
    }

    #[tokio::test]
    async fn what_was_kept_comes_whole_and_a_reader_that_leaves_gives_its_memory_back() {
        let bodies = Bodies::default();
        let mut receiving = bodies.receive(64 * KIB);
        for piece in ["one ", "two "] {
            receiving.keep(piece.as_bytes()).unwrap();
        }
        assert_eq!(bodies.used(), STEP, "not one by one");
        let body = receiving.whole(Bytes::from_static(b"three")).unwrap();
        assert_eq!(&*body, b"one two three");
        drop(body);
        let mut receiving = bodies.receive(64 * KIB);
        receiving.keep(&vec![0; 64 * KIB]).unwrap();
        assert_eq!(bodies.used(), 64 * KIB);
        drop(receiving);
        assert_eq!((bodies.used(), bodies.refused()), (0, 0));
    }
}
