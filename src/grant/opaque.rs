//! From the text of an opaque access token to a verified one: shape, connector, client, and the issuer's userinfo.

use std::sync::Arc;

use super::Connector;
use super::subject::{Token, Verifier, Vouched, check_client};
use crate::jose::{OpaqueToken, is_jwt_shaped};
use crate::oauth::{Reason, Refusal, cut};
use crate::policy::Verdicts;
use crate::upstream::{Userinfo, UserinfoError};

/// A connector, and the endpoint that vouches for its opaque tokens.
type Place = (Arc<Connector>, Arc<Userinfo>);

impl Token<'_> {
    /// Whether only the issuer can say what the token is worth. A JWT is verified as one, however it is sent.
    pub(super) fn is_opaque(&self) -> bool {
        self.may_be_opaque && !is_jwt_shaped(self.text)
    }
}

impl Verifier {
    /// Has the issuer of the named connector vouch for an opaque token; `found` is told the connector.
    ///
    /// `None` only where `verdicts` goes on past a refusal: without an answer there is nothing to go on with.
    pub(super) async fn ask_issuer(
        &self,
        token: Token<'_>,
        verdicts: &mut Verdicts,
        found: impl FnOnce(&Arc<str>) + Send,
    ) -> Result<Option<Vouched>, Refusal> {
        let opaque = OpaqueToken::parse(token.text)
            .map_err(|error| Refusal::new(Reason::TokenMalformed, error.to_string()));
        let opaque = verdicts.settle("token", opaque, |_| {
            "is not a JWT: it is taken for an opaque access token".to_owned()
        })?;
        let place = self.place(token.connector_id);
        let place = verdicts.settle("connector", place, |(connector, _)| {
            let (id, issuer) = (&connector.id, &connector.issuer);
            format!("{id} ({issuer}), which accepts opaque access tokens")
        })?;
        let (Some(opaque), Some((connector, userinfo))) = (opaque, place) else {
            return Ok(None);
        };
        found(&connector.id);
        check_client(token.client, &connector, verdicts)?;
        let answer = userinfo
            .vouch(opaque, token.from)
            .await
            .map_err(|error| not_vouched(&error));
        let answer = verdicts.settle("userinfo", answer, |_| {
            format!("{} vouches for the token", userinfo.location())
        })?;
        let Some(verified) = answer else {
            return Ok(None);
        };
        // Not before: whoever waits for an issuer takes no permit.
        let permit = Some(self.gate.enter().await?);
        let now = self.clock.unix().as_secs_f64();
        connector.policy.check_opaque(&verified, now, verdicts)?;
        let token = verified;
        Ok(Some(Vouched {
            connector,
            token,
            permit,
        }))
    }

    /// The connector that the caller named, and its userinfo endpoint. What is no JWT is malformed anywhere else.
    fn place(&self, id: Option<&str>) -> Result<Place, Refusal> {
        let malformed = |advice: &str| {
            let words = format!(
                "the token is not a JWT: three base64url parts with dots between are expected; {advice}"
            );
            Err(Refusal::new(Reason::TokenMalformed, words))
        };
        let Some(id) = id else {
            return malformed(
                "an opaque access token needs `connector_id`, which says whose it is",
            );
        };
        let Some(connector) = self.connectors.by_id(id) else {
            return malformed(&format!(
                "there is no connector {} that could accept an opaque one: check `connector_id`",
                cut(id)
            ));
        };
        match &connector.userinfo {
            Some(userinfo) => Ok((Arc::clone(connector), Arc::clone(userinfo))),
            None => malformed(
                "opaque access tokens are accepted only where the connector sets `get_user_info`",
            ),
        }
    }
}

/// The caller learns in general terms why its issuer did not vouch; the log has the cause.
fn not_vouched(error: &UserinfoError) -> Refusal {
    let (reason, words) = match error {
        UserinfoError::Refused(_) => (
            Reason::UserinfoRefused,
            "the token was not accepted: its issuer does not know it, or it may not read userinfo: fetch a fresh one, with the scope `openid`",
        ),
        UserinfoError::Failed(_) => (
            Reason::UserinfoUnavailable,
            "the issuer of the token gave no usable userinfo: try again later",
        ),
        UserinfoError::TimedOut(_) => (
            Reason::UserinfoTimedOut,
            "the issuer of the token gave no userinfo in time: try again later",
        ),
        UserinfoError::Busy => (
            Reason::UserinfoBusy,
            "too many requests wait for userinfo from the issuer of the token: try again later",
        ),
    };
    let refusal = Refusal::new(reason, words);
    let refusal = match error.cause() {
        Some(cause) => refusal.with_detail(format!("{words} ({cause})")),
        None => refusal,
    };
    match error.retry_after() {
        Some(after) => refusal.retry_after(after),
        None => refusal,
    }
}
