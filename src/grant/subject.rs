//! From the text of a foreign token to a verified one: parse, connector, client, header, key, signature.

use std::sync::Arc;

use super::{Connector, Connectors};
use crate::clients::Identity;
use crate::clock::Clock;
use crate::jose::{Algorithm, GoodSignatures, Unverified, Verified};
use crate::limits::{Gate, Network, Permit};
use crate::oauth::{Reason, Refusal, cut};
use crate::policy::Verdicts;
use crate::upstream::{KeysError, UnavailableKind};

/// A verified token, the connector that vouches for it, and the permit that its verification took.
pub(super) struct Vouched {
    pub(super) connector: Arc<Connector>,
    pub(super) token: Verified,
    pub(super) permit: Option<Permit>,
}

/// A token that somebody sent, and who sent it.
pub(super) struct Token<'a> {
    /// The token.
    pub(super) text: &'a str,
    /// Whether it may be an access token that only its issuer can read.
    pub(super) may_be_opaque: bool,
    /// The connector that the caller named.
    pub(super) connector_id: Option<&'a str>,
    /// Where it comes from, where that is known.
    pub(super) from: Option<Network>,
    /// The client that sent it, where one did.
    pub(super) client: Option<&'a Identity>,
}

/// Verifies foreign tokens.
#[derive(Debug)]
pub(super) struct Verifier {
    /// The trusted issuers.
    pub(super) connectors: Arc<Connectors>,
    /// How many may be verified at once.
    pub(super) gate: Gate,
    pub(super) clock: Arc<dyn Clock>,
    /// Those that need no second look.
    pub(super) good_signatures: GoodSignatures,
}

impl Verifier {
    /// Verifies a token; `found` is told the connector. `None` only where `verdicts` goes on past a refusal.
    pub(super) async fn verify(
        &self,
        token: Token<'_>,
        verdicts: &mut Verdicts,
        found: impl FnOnce(&Arc<str>) + Send,
    ) -> Result<Option<Vouched>, Refusal> {
        if token.is_opaque() {
            return self.ask_issuer(token, verdicts, found).await;
        }
        let Token {
            text,
            connector_id,
            client,
            ..
        } = token;
        let parsed = Unverified::parse(text)
            .map_err(|error| Refusal::new(Reason::TokenMalformed, error.to_string()));
        let Some(token) =
            verdicts.settle("token", parsed, |_| "is a well-formed JWT".to_owned())?
        else {
            return Ok(None);
        };
        let lookup = self.connectors.find(token.issuer(), connector_id);
        let lookup = verdicts.settle("connector", lookup, |(connector, _)| {
            format!("{} ({})", connector.id, connector.issuer)
        })?;
        let Some((connector, fits)) = lookup else {
            return Ok(None);
        };
        found(&connector.id);
        verdicts.settle("issuer", fits, |()| {
            "the token is from its issuer".to_owned()
        })?;
        check_client(client, &connector, verdicts)?;
        let now = self.clock.unix().as_secs_f64();
        let alg = connector.policy.check_header(&token, now, verdicts)?;
        let (token, permit) = match alg {
            Some(alg) => {
                self.check_signature(&connector, token, alg, verdicts)
                    .await?
            }
            None => (presumed(token, verdicts)?, None),
        };
        Ok(Some(Vouched {
            connector,
            token,
            permit,
        }))
    }

    async fn check_signature(
        &self,
        connector: &Connector,
        token: Unverified<'_>,
        alg: Algorithm,
        verdicts: &mut Verdicts,
    ) -> Result<(Verified, Option<Permit>), Refusal> {
        let found = connector.keys.find(token.kid(), alg).await;
        let found = found.map_err(|error| no_key(&error, token.kid()));
        let found = verdicts.settle("key", found, |_| match token.kid() {
            Some(_) => "the issuer publishes the token's key".to_owned(),
            None => "exactly one key of the issuer fits".to_owned(),
        })?;
        let Some(keys) = found else {
            return Ok((presumed(token, verdicts)?, None));
        };
        // Not before: whoever waits for keys takes no permit.
        let permit = Some(self.gate.enter().await?);
        match token.verify(alg, &keys, &self.good_signatures) {
            Ok(verified) => {
                verdicts.note("signature", || "is good".to_owned());
                Ok((verified, permit))
            }
            Err(token) => {
                let refusal = Refusal::new(
                    Reason::SignatureInvalid,
                    "the token was not accepted: its signature is not that of its issuer",
                );
                verdicts.settle::<()>("signature", Err(refusal), |()| String::new())?;
                Ok((presumed(*token, verdicts)?, permit))
            }
        }
    }
}

/// Whether a client is needed for the connector's tokens, and may use it.
pub(super) fn check_client(
    client: Option<&Identity>,
    connector: &Connector,
    verdicts: &mut Verdicts,
) -> Result<(), Refusal> {
    let checked = match client {
        None if connector.require_client => Err(Refusal::new(
            Reason::ClientRequired,
            "a client must authenticate for this token: send its id and secret with Basic",
        )),
        Some(identity) if !identity.client.may_use_connector(&connector.id) => Err(Refusal::new(
            Reason::ConnectorRefused,
            "the client may not exchange tokens of this issuer",
        )),
        _ => Ok(()),
    };
    verdicts.settle("client", checked, |()| match client {
        Some(identity) => format!("{} may use the connector", identity.client.id),
        None => "none is needed".to_owned(),
    })?;
    Ok(())
}

/// What `explain` goes on with after a refusal; a request cannot come here.
fn presumed(token: Unverified<'_>, verdicts: &Verdicts) -> Result<Verified, Refusal> {
    let presumption = verdicts
        .presumption()
        .ok_or_else(|| Refusal::new(Reason::Internal, "an unverified token was let through"))?;
    Ok(token.presume(presumption))
}

fn no_key(error: &KeysError, kid: Option<&str>) -> Refusal {
    let (reason, words, retry_after) = match error {
        KeysError::Unknown => (
            Reason::KeyUnknown,
            "the token was not accepted: its issuer does not publish the key that it names",
            None,
        ),
        KeysError::NoFit => (
            Reason::KeyUnknown,
            "the token was not accepted: no key of its issuer fits it, or it names none and several do",
            None,
        ),
        KeysError::Unavailable { kind, retry_after } => {
            let (reason, words) = match kind {
                UnavailableKind::Failed => (
                    Reason::KeysUnavailable,
                    "the keys of the token's issuer cannot be had: try again later",
                ),
                UnavailableKind::TimedOut => (
                    Reason::KeysTimedOut,
                    "the keys of the token's issuer did not arrive in time: try again later",
                ),
                UnavailableKind::Busy => (
                    Reason::KeysBusy,
                    "too many requests wait for the keys of the token's issuer: try again later",
                ),
                UnavailableKind::Cooldown => (
                    Reason::KeysBusy,
                    "the keys of the token's issuer were fetched too recently to look for a new one: try again later",
                ),
            };
            (reason, words, Some(*retry_after))
        }
    };
    let kid = kid.map_or_else(|| "none".to_owned(), |kid| format!("{:?}", cut(kid)));
    let refusal =
        Refusal::new(reason, words).with_detail(format!("{words} (kid, unverified: {kid})"));
    match retry_after {
        Some(after) => refusal.retry_after(after),
        None => refusal,
    }
}
