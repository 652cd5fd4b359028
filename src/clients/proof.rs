//! What shows that a client is the one it says it is.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use aws_lc_rs::constant_time;

use super::hash::Hash;
use super::keyed::{Digest, Keyed};
use super::room::{self, Room};
use crate::config::Secret;
use crate::limits::{Network, Queue};
use crate::oauth::Refusal;

/// What a client must present.
pub(super) enum Proof {
    /// Nothing: its id is enough.
    Nothing,
    /// The secret with this digest.
    Secret(Digest),
    /// The secret with this hash.
    Hashed(Arc<Hashed>),
}

impl Proof {
    /// Checks a hash; what is wrong with it is said without showing it. Where `old` has the same hash, what is known of
    /// it counts on.
    pub(super) fn new(
        secret: Option<&Secret>,
        keyed: &Keyed,
        old: Option<&Self>,
    ) -> Result<Self, String> {
        Ok(match (secret, old) {
            (Some(Secret::Hash(text)), Some(Self::Hashed(old))) if old.hash.is(text) => {
                Self::Hashed(Arc::clone(old))
            }
            (None, _) => Self::Nothing,
            (Some(Secret::Plain(secret)), _) => Self::Secret(keyed.digest(secret)),
            (Some(Secret::Hash(text)), _) => Self::Hashed(Arc::new(Hashed {
                hash: Hash::parse(text)?,
                good: ArcSwapOption::empty(),
                waiting: room::of_client(),
            })),
        })
    }

    /// The digest of the right secret, as far as it is known without hashing.
    pub(super) fn known(&self) -> Option<Digest> {
        match self {
            Self::Nothing => None,
            Self::Secret(digest) => Some(*digest),
            Self::Hashed(hashed) => hashed.good.load().as_deref().copied(),
        }
    }
}

/// A hash, and the last secret that was found to be right.
pub(super) struct Hashed {
    hash: Hash,
    good: ArcSwapOption<Digest>,
    waiting: Queue,
}

impl Hashed {
    /// Why `secret` cannot be the right one, where that is known without hashing.
    pub(super) fn excludes(&self, secret: &str) -> Option<String> {
        self.hash.excludes(secret)
    }

    /// Hashes `secret`, whose digest is `digest`, and remembers the digest if it is right, even when the caller has left.
    pub(super) async fn verify(
        self: &Arc<Self>,
        room: &Room,
        from: Option<Network>,
        digest: Digest,
        secret: &str,
    ) -> Result<bool, Refusal> {
        let hashed = Arc::clone(self);
        let secret = secret.to_owned();
        let job = move || {
            let is_right = hashed.hash.matches(&secret);
            if is_right {
                hashed.good.store(Some(Arc::new(digest)));
            }
            is_right
        };
        room.run(&self.waiting, from, || self.knows(&digest), job)
            .await
    }

    /// Whether another request found out meanwhile that the secret is right.
    fn knows(&self, digest: &Digest) -> Option<bool> {
        let good = self.good.load();
        let good = good.as_deref()?;
        let is_equal = constant_time::verify_slices_are_equal(good, digest).is_ok();
        is_equal.then_some(true)
    }
}
