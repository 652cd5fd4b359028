//! What the rule in force grants: how long the new token lives and what signs it.

use std::sync::Arc;
use std::time::Duration;

use super::{Ask, Grants, Policy};
use crate::jose::{SigningAlgorithm, Verified};
use crate::oauth::{Reason, Refusal, cut};

/// What the policy grants a token, before a concrete request is measured against it.
#[derive(Debug)]
pub struct Terms<'p> {
    /// The name of the rule in force, where the connector has rules.
    pub rule: Option<Arc<str>>,
    pub(super) grants: &'p Grants,
}

/// How long a new token lives that was traded for an opaque one, where the operator says nothing: until when the
/// opaque one lives is not known.
const OPAQUE_LIFETIME: Duration = Duration::from_secs(5 * 60);

impl Policy {
    /// `exp` of a new token: seconds since the Unix epoch, whole.
    ///
    /// It is made from `token` and perhaps from that of an actor, neither of which it outlives without leave.
    pub fn expiry(
        &self,
        terms: &Terms<'_>,
        now: u64,
        token: &Verified,
        actor: Option<&Verified>,
    ) -> u64 {
        let most = self.limits.max_lifetime;
        let default = if token.is_opaque() {
            OPAQUE_LIFETIME
        } else {
            most
        };
        let lifetime = terms.grants.lifetime.unwrap_or(default);
        let latest = now + lifetime.min(most).as_secs();
        let own = Some(token).filter(|_| !self.outlive_subject_token);
        let made_from = own.into_iter().chain(actor);
        let bounds = made_from.filter_map(|token| token.claims().exp());
        bounds.map(whole_seconds).fold(latest, u64::min)
    }
}

/// The forced algorithm, else the one asked for, else the token's own if it signs, else the default.
pub(super) fn signing_alg(
    token: &Verified,
    ask: &Ask<'_>,
    forced: Option<SigningAlgorithm>,
    signs: &[SigningAlgorithm],
) -> Result<SigningAlgorithm, Refusal> {
    let known = |name: &str| signs.iter().copied().find(|alg| alg.name() == name);
    let refused = |asked: &str| {
        let offered: Vec<_> = match forced {
            Some(alg) => vec![alg.name()],
            None => signs.iter().map(|alg| alg.name()).collect(),
        };
        Refusal::new(
            Reason::AlgUnavailable,
            format!(
                "the algorithm {} cannot be had here; {} can",
                cut(asked),
                offered.join(" or ")
            ),
        )
    };
    match (forced, ask.alg) {
        (Some(alg), Some(asked)) if asked != alg.name() => Err(refused(asked)),
        (Some(alg), _) => known(alg.name()).ok_or_else(|| refused(alg.name())),
        (None, Some(asked)) => known(asked).ok_or_else(|| refused(asked)),
        (None, None) => token
            .alg()
            .and_then(known)
            .or_else(|| signs.first().copied())
            .ok_or_else(|| Refusal::new(Reason::AlgUnavailable, "no key signs at this time")),
    }
}

/// A time rounded down to whole seconds: a new token never lives longer than what it was made from.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what a bound needs"
)]
fn whole_seconds(time: f64) -> u64 {
    time.floor() as u64
}
