//! Randomness as a value that is passed in, so that a test can fix it.

use std::fmt;

/// Where random bytes come from.
pub trait Random: fmt::Debug + Send + Sync {
    /// Fills `bytes` with unpredictable bytes.
    fn fill(&self, bytes: &mut [u8]);
}

/// The thread's cryptographically secure generator, seeded by the operating system.
#[derive(Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) {
        rand::RngCore::fill_bytes(&mut rand::thread_rng(), bytes);
    }
}

/// A new UUID v7 (RFC 9562 §5.7) for a moment given in milliseconds since the Unix epoch.
pub fn uuid_v7(random: &dyn Random, unix_millis: u64) -> uuid::Uuid {
    let mut bytes = [0; 10];
    random.fill(&mut bytes);
    uuid::Builder::from_unix_timestamp_millis(unix_millis, &bytes).into_uuid()
}
