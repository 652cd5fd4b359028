//! What is recorded of a token: a digest that names it, and until when it counts.

use std::cmp::Reverse;
use std::time::Duration;

use aws_lc_rs::digest;

use crate::config::ReplayMode;
use crate::jose::Verified;

/// Longer than a request waits between the check of a token's `exp` and its record.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long an opaque token is remembered whose issuer does not say until when it lives.
const OPAQUE_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How often the tokens of a connector can be used, and for how long that is remembered.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    mode: ReplayMode,
    /// How long after its `exp` a token is remembered.
    after: Duration,
}

/// One use of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Use {
    /// Names the token, and with `once_per_audience` the audience. It tells nothing of either.
    pub(super) key: [u8; 16],
    /// Seconds since the Unix epoch until which it is remembered.
    pub(super) until: u64,
}

/// The uses that one request makes of its tokens.
#[derive(Clone, Debug, Default)]
pub struct Uses(pub(super) Vec<Use>);

impl Rule {
    /// The rule of a connector. A token that may be outlived is accepted within the leeway after its `exp`, and the
    /// clocks of replicas may differ as much again.
    pub fn new(mode: ReplayMode, leeway: Duration, outlives: bool) -> Self {
        // A request may wait for keys between the check of `exp` and its record.
        let leeway = leeway.max(LONGEST_WAIT);
        let after = if outlives { leeway * 2 } else { leeway };
        Self { mode, after }
    }
}

impl Uses {
    /// Adds the use of `token`, whose text is `text`, for a new token with these audiences at `now`.
    pub fn add(&mut self, rule: Rule, token: &Verified, text: &str, aud: &[String], now: Duration) {
        if rule.mode == ReplayMode::Off {
            return;
        }
        let exp = token.claims().exp();
        let end = exp.map_or_else(|| (now + OPAQUE_LIFE).as_secs(), ceiling);
        let until = end.saturating_add(rule.after.as_secs() + 1);
        let name = name(token, text);
        let mut add = |audience: Option<&str>| {
            let key = digest(&[name.as_ref(), audience.unwrap_or_default().as_bytes()]);
            let mut short = [0; 16];
            for (to, from) in short.iter_mut().zip(key.as_ref()) {
                *to = *from;
            }
            self.0.push(Use { key: short, until });
        };
        if rule.mode == ReplayMode::OncePerAudience {
            for audience in aud {
                add(Some(audience));
            }
        } else {
            add(None);
        }
        // A use must not meet itself.
        self.0
            .sort_unstable_by_key(|one| (one.key, Reverse(one.until)));
        self.0.dedup_by_key(|one| one.key);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &Use> {
        self.0.iter()
    }
}

/// A token by its issuer and `jti`; by its signing input where it has no `jti` that could name it. The signature
/// does not count: of one content, there can be many with ECDSA. An opaque token has nothing but itself.
fn name(token: &Verified, text: &str) -> digest::Digest {
    let issuer = token.issuer();
    if token.is_opaque() {
        return digest(&[b"opaque", issuer.as_bytes(), text.as_bytes()]);
    }
    match token.claims().text("jti") {
        Some(jti) if !jti.is_empty() => digest(&[b"jti", issuer.as_bytes(), jti.as_bytes()]),
        _ => {
            let (signing_input, _) = text.rsplit_once('.').unwrap_or((text, ""));
            digest(&[b"input", issuer.as_bytes(), signing_input.as_bytes()])
        }
    }
}

/// A digest of several parts, each with its length, so that no two lists of parts look alike.
fn digest(parts: &[&[u8]]) -> digest::Digest {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(part);
    }
    context.finish()
}

/// The time in whole seconds, rounded up; one beyond all numbers is the largest.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float that does not fit becomes the nearest number that does, which is what is meant"
)]
fn ceiling(time: f64) -> u64 {
    time.ceil() as u64
}
