//! From the text of a foreign token to a verified one: parse, connector, header, key, signature.

use std::sync::Arc;

use super::{Connector, Connectors};
use crate::jose::{Algorithm, Unverified, Verified};
use crate::oauth::{Reason, Refusal};
use crate::policy::Verdicts;
use crate::upstream::{KeysError, UnavailableKind};

/// A verified token and the connector that vouches for it.
pub(super) type Vouched = (Arc<Connector>, Verified);

/// Verifies `token`; `what` names it in the report (`subject` or `actor`).
pub(super) async fn verify(
    connectors: &Connectors,
    token: &str,
    connector_id: Option<&str>,
    now: f64,
    verdicts: &mut Verdicts,
    seen: impl FnOnce(&Connector),
) -> Result<Option<Vouched>, Refusal> {
    let parsed = Unverified::parse(token)
        .map_err(|error| Refusal::new(Reason::TokenMalformed, error.to_string()));
    let Some(token) = verdicts.settle("token", parsed, |_| "is a well-formed JWT".to_owned())?
    else {
        return Ok(None);
    };
    let found = connectors.find(token.issuer(), connector_id);
    let found = verdicts.settle("connector", found, |(connector, _)| {
        format!("{} ({})", connector.id, connector.issuer)
    })?;
    let Some((connector, fits)) = found else {
        return Ok(None);
    };
    seen(&connector);
    verdicts.settle("issuer", fits, |()| {
        "the token is from its issuer".to_owned()
    })?;
    let alg = connector.policy.check_header(&token, now, verdicts)?;
    let verified = match alg {
        Some(alg) => check_signature(&connector, token, alg, verdicts).await?,
        // Only `explain` comes here: it says what would follow.
        None => token.presume(),
    };
    Ok(Some((connector, verified)))
}

async fn check_signature(
    connector: &Connector,
    token: Unverified,
    alg: Algorithm,
    verdicts: &mut Verdicts,
) -> Result<Verified, Refusal> {
    let found = connector.keys.find(token.kid(), alg).await;
    let found = found.map_err(|error| no_key(&error));
    let found = verdicts.settle("key", found, |_| match token.kid() {
        Some(_) => "the issuer publishes the token's key".to_owned(),
        None => "exactly one key of the issuer fits".to_owned(),
    })?;
    let Some(keys) = found else {
        return Ok(token.presume());
    };
    match token.verify(alg, &keys) {
        Ok(verified) => {
            verdicts.note("signature", || "is good".to_owned());
            Ok(verified)
        }
        Err(token) => {
            let refusal = Refusal::new(
                Reason::SignatureInvalid,
                "the token was not accepted: its signature is not that of its issuer",
            );
            verdicts.settle::<()>("signature", Err(refusal), |()| String::new())?;
            Ok(token.presume())
        }
    }
}

fn no_key(error: &KeysError) -> Refusal {
    match error {
        KeysError::Unknown => Refusal::new(
            Reason::KeyUnknown,
            "the token was not accepted: its issuer does not publish the key that it names",
        ),
        KeysError::NoFit => Refusal::new(
            Reason::KeyUnknown,
            "the token was not accepted: no key of its issuer fits it, or it names none and several do",
        ),
        KeysError::Unavailable { kind, retry_after } => {
            let (reason, words) = match kind {
                UnavailableKind::Failed => (Reason::KeysUnavailable, "cannot be had"),
                UnavailableKind::TimedOut => (Reason::KeysTimedOut, "did not arrive in time"),
                UnavailableKind::Busy => {
                    (Reason::KeysBusy, "are being fetched for too many requests")
                }
                UnavailableKind::Cooldown => (
                    Reason::KeysBusy,
                    "were fetched too recently to look for a new one",
                ),
            };
            Refusal::new(
                reason,
                format!("the keys of the token's issuer {words}: try again later"),
            )
            .retry_after(*retry_after)
        }
    }
}
