//! The exchange itself: the one decision behind the form, the JSON body and `explain`.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::audit::Event;
use super::mint::Times;
use super::subject::{self, Vouched};
use super::{Connectors, Issued, Minter};
use crate::clock::Clock;
use crate::jose::{Keyring, Verified};
use crate::oauth::{Reason, Refusal};
use crate::policy::{Ask, Decision, Verdicts};

/// A token to exchange, and what is asked for it.
#[derive(Debug)]
pub struct Request<'a> {
    /// In whose name the new token is issued.
    pub issuer: &'a str,
    /// The token that the caller holds.
    pub subject_token: &'a str,
    /// The connector that the caller named.
    pub connector_id: Option<&'a str>,
    /// The token of the party that acts for the subject (RFC 8693 §1.1).
    pub actor_token: Option<&'a str>,
    /// What is asked for.
    pub ask: Ask<'a>,
}

/// Decides on exchanges and carries them out.
#[derive(Debug)]
pub struct Exchange {
    connectors: Arc<Connectors>,
    minter: Arc<Minter>,
    clock: Arc<dyn Clock>,
}

/// A decision in favour of the caller: nothing is left to do but to sign.
#[derive(Debug)]
pub struct Issuable {
    decision: Decision,
    claims: Map<String, Value>,
    times: Times,
}

impl Issuable {
    /// The claims that the new token would have.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
}

impl Exchange {
    /// An exchange between these connectors and this minter.
    pub fn new(connectors: Arc<Connectors>, minter: Arc<Minter>, clock: Arc<dyn Clock>) -> Self {
        Self {
            connectors,
            minter,
            clock,
        }
    }

    /// The keys that sign.
    pub fn keyring(&self) -> &Keyring {
        self.minter.keyring()
    }

    /// Decides, then signs.
    pub async fn issue(&self, request: &Request<'_>, event: &mut Event) -> Result<Issued, Refusal> {
        let mut verdicts = Verdicts::stop_at_first();
        let issuable = self.decide(request, event, &mut verdicts).await?;
        // Nothing but a refusal leaves nothing to issue, and that was returned.
        let Some(Issuable {
            decision,
            claims,
            times,
        }) = issuable
        else {
            return Err(Refusal::new(
                Reason::Internal,
                "the decision was not completed",
            ));
        };
        let issued = self.minter.sign(decision, &claims, times)?;
        event.issued(&issued);
        Ok(issued)
    }

    /// Decides without signing; `None` only where `verdicts` goes on past a refusal.
    pub async fn decide(
        &self,
        request: &Request<'_>,
        event: &mut Event,
        verdicts: &mut Verdicts,
    ) -> Result<Option<Issuable>, Refusal> {
        let unix = self.clock.unix();
        let now = unix.as_secs_f64();
        let subject = subject::verify(
            &self.connectors,
            request.subject_token,
            request.connector_id,
            now,
            verdicts,
            |connector| event.connector = Some(Arc::clone(&connector.id)),
        );
        let Some((connector, token)) = subject.await? else {
            return Ok(None);
        };
        if verdicts.refusal().is_none() {
            event.subject(&token);
        }
        let case = connector.policy.case(&token, &request.ask);
        let terms = case.admit(now, verdicts)?;
        event.rule.clone_from(&terms.rule);
        let aud = case.target(&terms, verdicts)?;
        let actor = self.actor(request, now, verdicts).await?;
        let actor = actor.as_ref().map(|(_, token)| token);
        if let Some(actor) = actor {
            verdicts.settle("actor", case.check_actor(actor), |()| {
                "the actor may act for the subject".to_owned()
            })?;
        }
        let signs: Vec<_> = self.minter.keyring().algorithms().collect();
        let Some(decision) = case.decide(&terms, aud, &signs, verdicts)? else {
            return Ok(None);
        };
        let own = (!connector.policy.outlives()).then(|| token.claims().exp());
        let bounds = own
            .into_iter()
            .chain(actor.map(|actor| actor.claims().exp()));
        let exp = connector.policy.expiry(&terms, unix.as_secs(), bounds);
        let alive = is_alive(exp, unix.as_secs());
        verdicts.settle("lifetime", alive, |left| {
            format!("the new token lives {left} s")
        })?;
        let times = Times {
            now_millis: u64::try_from(unix.as_millis()).unwrap_or(u64::MAX),
            exp,
        };
        let act = act(&token, actor);
        let claims = self
            .minter
            .claims(request.issuer, &decision, act.as_ref(), times);
        Ok(Some(Issuable {
            decision,
            claims,
            times,
        }))
    }

    /// Verifies the actor token, if there is one, by its own issuer's connector and rules.
    async fn actor(
        &self,
        request: &Request<'_>,
        now: f64,
        verdicts: &mut Verdicts,
    ) -> Result<Option<Vouched>, Refusal> {
        let Some(token) = request.actor_token else {
            return Ok(None);
        };
        verdicts.note("actor", || {
            "the steps that follow are about the actor token".to_owned()
        });
        let vouched = subject::verify(&self.connectors, token, None, now, verdicts, |_| ()).await?;
        if let Some((connector, token)) = &vouched {
            connector
                .policy
                .case(token, &request.ask)
                .admit(now, verdicts)?;
        }
        Ok(vouched)
    }
}

/// How many seconds the new token has, if any: an actor's token may be over where the subject's may be outlived.
fn is_alive(exp: u64, now: u64) -> Result<u64, Refusal> {
    match exp.saturating_sub(now) {
        0 => Err(Refusal::new(
            Reason::TokenExpired,
            "nothing is left of the token's life: fetch a fresh one from its issuer and try again",
        )),
        left => Ok(left),
    }
}

/// `act` of the new token (RFC 8693 §4.1): the actor, and inside it who acted before.
fn act(subject: &Verified, actor: Option<&Verified>) -> Option<Value> {
    let before = subject.claims().members().get("act");
    let Some(actor) = actor else {
        return before.cloned();
    };
    let mut act = json!({
        "iss": actor.claims().text("iss"),
        "sub": actor.claims().members().get("sub"),
    });
    if let (Some(before), Value::Object(act)) = (before, &mut act) {
        act.insert("act".to_owned(), before.clone());
    }
    Some(act)
}
