//! Secrets as keyed digests: of one length, worthless outside this process, compared in constant time.

use aws_lc_rs::{constant_time, hmac};

use crate::random::Random;

/// HMAC-SHA256 of a secret.
pub(super) type Digest = [u8; 32];

/// A key that lives as long as the process.
pub(super) struct Keyed {
    key: hmac::Key,
    dummy: Digest,
}

impl Keyed {
    pub(super) fn new(random: &dyn Random) -> Self {
        let mut key = [0; 32];
        random.fill(&mut key);
        let mut dummy = [0; 32];
        random.fill(&mut dummy);
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            dummy,
        }
    }

    pub(super) fn digest(&self, secret: &str) -> Digest {
        let tag = hmac::sign(&self.key, secret.as_bytes());
        let mut digest = [0; 32];
        for (to, from) in digest.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        digest
    }

    /// Whether `digest` is the `known` one; where none is known, a dummy is compared and the answer is no.
    pub(super) fn is_equal(&self, known: Option<&Digest>, digest: &Digest) -> bool {
        let is_same = constant_time::verify_slices_are_equal(known.unwrap_or(&self.dummy), digest);
        is_same.is_ok() && known.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SystemRandom;

    #[test]
    fn only_the_known_digest_is_equal() {
        let keyed = Keyed::new(&SystemRandom);
        let known = keyed.digest("a");
        assert!(keyed.is_equal(Some(&known), &keyed.digest("a")));
        assert!(!keyed.is_equal(Some(&known), &keyed.digest("b")));
        assert!(!keyed.is_equal(Some(&known), &keyed.digest("")));
        assert!(!keyed.is_equal(None, &keyed.dummy));
        assert_ne!(known, Keyed::new(&SystemRandom).digest("a"));
    }
}
