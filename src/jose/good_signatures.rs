//! Signatures that were found good, so that a token that comes again is not verified again.
//!
//! A pod trades its token for one audience after the other, a CI job in each of its steps. Whether a key made a
//! signature never changes, so that much can be remembered. Everything else is decided each time, first of all whether
//! the issuer still publishes the key.

use std::collections::HashSet;
use std::fmt;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use super::{Algorithm, VerifyingKey};

/// How many signatures a generation holds; there are two of them, 64 bytes for each signature.
const GENERATION: usize = 4096;

/// The latest good signatures.
#[derive(Default)]
pub struct GoodSignatures(Mutex<Generations>);

/// What is neither looked up nor found good while a generation fills is forgotten with the next.
#[derive(Default)]
struct Generations {
    young: HashSet<Proof>,
    old: HashSet<Proof>,
}

/// A digest of a whole token, the key that signed it and how.
type Proof = [u8; 32];

impl GoodSignatures {
    /// Whether `token`, byte for byte, is known to be signed by `key` and `alg`, or `verify` finds that it is.
    pub(super) fn check(
        &self,
        key: &VerifyingKey,
        alg: Algorithm,
        token: &str,
        verify: impl FnOnce() -> bool,
    ) -> bool {
        let proof = proof(key, alg, token);
        if self.lock().is_known(&proof) {
            return true;
        }
        let is_good = verify();
        if is_good {
            self.lock().add(proof);
        }
        is_good
    }

    fn lock(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for GoodSignatures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoodSignatures").finish_non_exhaustive()
    }
}

impl Generations {
    fn is_known(&mut self, proof: &Proof) -> bool {
        if self.young.contains(proof) {
            return true;
        }
        let is_old = self.old.contains(proof);
        if is_old {
            self.add(*proof);
        }
        is_old
    }

    fn add(&mut self, proof: Proof) {
        if self.young.len() == GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(proof);
    }
}

fn proof(key: &VerifyingKey, alg: Algorithm, token: &str) -> Proof {
    let mut context = Context::new(&SHA256);
    // One is of fixed length and the other ends with a dot, so nothing can be read as something else.
    context.update(key.thumbprint());
    context.update(alg.name().as_bytes());
    context.update(b".");
    context.update(token.as_bytes());
    let mut proof = Proof::default();
    for (to, from) in proof.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    proof
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use serde_json::json;

    use super::*;

    fn key(x: char) -> VerifyingKey {
        let x: String = [x].into_iter().cycle().take(43).collect();
        VerifyingKey::from_jwk(&json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": "k"}))
            .unwrap()
    }

    #[test]
    fn only_what_was_good_is_known_and_only_of_its_key_and_algorithm() {
        use Algorithm::{EdDsa, Es256};
        let good = GoodSignatures::default();
        let [key, other] = ['A', 'E'].map(key);
        let verified = Cell::new(0);
        let check = |key, alg, token, outcome| {
            good.check(key, alg, token, || {
                verified.set(verified.get() + 1);
                outcome
            })
        };
        assert!(!check(&key, EdDsa, "a.b.c", false) && !check(&key, EdDsa, "a.b.c", false));
        assert!(check(&key, EdDsa, "a.b.c", true) && verified.get() == 3);
        assert!(check(&key, EdDsa, "a.b.c", false) && verified.get() == 3);
        for (key, alg, token) in [
            (&other, EdDsa, "a.b.c"),
            (&key, Es256, "a.b.c"),
            (&key, EdDsa, "a.b.d"),
            (&key, EdDsa, "a.b."),
            (&key, EdDsa, "b.c"),
        ] {
            assert!(!check(key, alg, token, false), "{alg} {token}");
        }
        assert_eq!(verified.get(), 8);
    }

    #[test]
    fn few_are_known_at_once_and_the_latest_among_them() {
        let (good, key) = (GoodSignatures::default(), key('A'));
        let check = |token: &str, outcome| good.check(&key, Algorithm::EdDsa, token, || outcome);
        for number in 0..3 * GENERATION {
            assert!(check("used", number == 0));
            assert!(check(&number.to_string(), true));
        }
        let generations = good.lock();
        assert!(generations.young.len() <= GENERATION && generations.old.len() <= GENERATION);
        drop(generations);
        assert!(check(&(3 * GENERATION - 1).to_string(), false));
        assert!(!check("0", false));
    }
}
