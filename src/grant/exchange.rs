//! The exchange itself: the one decision behind the form, the JSON body and `explain`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::audit::Event;
use super::mint::{Draft, Unsigned};
use super::subject::{self, Verifier, Vouched};
use super::{Connector, Connectors, Issued, Minter};
use crate::clients::{Clients, Identity};
use crate::clock::Clock;
use crate::jose::{GoodSignatures, Keyring, Member, Verified};
use crate::limits::{Network, Permit};
use crate::oauth::{Reason, Refusal, TokenType};
use crate::policy::{Ask, Asker, Targets, Verdicts};
use crate::replay::{Replay, Uses};

/// A token to exchange, and what is asked for it.
#[derive(Debug)]
pub struct Request<'a> {
    /// In whose name the new token is issued.
    pub issuer: &'a str,
    /// Where the request comes from, where that is known.
    pub from: Option<Network>,
    /// The client that asks, where one does.
    pub client: Option<&'a Identity>,
    /// The token that the caller holds.
    pub subject_token: Secret<'a>,
    /// Whether that may be an opaque access token, which only its issuer can read.
    pub may_be_opaque: bool,
    /// The connector that the caller named.
    pub connector_id: Option<&'a str>,
    /// The token of the party that acts for the subject (RFC 8693 §1.1).
    pub actor_token: Option<Secret<'a>>,
    /// Every `audience` and `resource`.
    pub targets: &'a Targets,
    /// Every scope.
    pub scopes: &'a [String],
    /// The kind of token asked for.
    pub requested_token_type: TokenType,
    /// The signing algorithm asked for, by name.
    pub alg: Option<&'a str>,
}

/// A token that `Debug` does not show.
#[derive(Clone, Copy)]
pub struct Secret<'a>(pub &'a str);

impl std::fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Decides on exchanges and carries them out.
#[derive(Debug)]
pub struct Exchange {
    verifier: Verifier,
    clients: Arc<Clients>,
    minter: Arc<Minter>,
    replay: Arc<Replay>,
    clock: Arc<dyn Clock>,
}

/// The actor's token, and the connector that vouches for it.
type By = (Arc<Connector>, Verified);

/// A decision in favour of the caller: nothing is left to do but to sign.
#[derive(Debug)]
pub struct Issuable {
    /// The token.
    pub token: Unsigned,
    /// The scopes granted, where these are not just what was asked.
    pub scope: Option<String>,
    /// What is recorded of the tokens that it is traded for, where that is asked.
    pub uses: Uses,
    /// The leave to sign it; given back when it is dropped.
    pub permit: Option<Permit>,
}

impl Exchange {
    /// An exchange between these connectors and this minter.
    pub fn new(
        connectors: Arc<Connectors>,
        clients: Arc<Clients>,
        minter: Arc<Minter>,
        replay: Arc<Replay>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let verifier = Verifier {
            connectors,
            gate: minter.gate().clone(),
            clock: Arc::clone(&clock),
            good_signatures: GoodSignatures::default(),
        };
        Self {
            verifier,
            clients,
            minter,
            replay,
            clock,
        }
    }

    /// The keys that sign.
    pub fn keyring(&self) -> &Keyring {
        self.minter.keyring()
    }

    /// The trusted issuers.
    pub fn connectors(&self) -> &Connectors {
        &self.verifier.connectors
    }

    /// The configured client with this id, taken as authenticated; a public one without a secret has proved nothing.
    pub fn client(&self, id: &str) -> Option<Identity> {
        self.clients.presume(id)
    }

    /// Decides, then signs; gives the token and the scopes granted where these differ from what was asked.
    pub async fn issue(
        &self,
        request: &Request<'_>,
        event: &mut Event,
    ) -> Result<(Issued, Option<String>), Refusal> {
        let mut verdicts = Verdicts::stop_at_first();
        let issuable = self.decide(request, event, &mut verdicts).await?;
        // Without a refusal, which was returned, there is something to issue.
        let issuable = issuable
            .ok_or_else(|| Refusal::new(Reason::Internal, "the decision was not completed"))?;
        // After every other decision, so that a refused request does not use up its token.
        // A store that hangs must not use up the permits of those who do not need it. None is taken again: a request
        // that was refused one now would have used up its token.
        let waits = self.replay.is_remote() && !issuable.uses.is_empty();
        let _permit = issuable.permit.filter(|_| !waits);
        event.replay = self.replay.record(&issuable.uses).await?;
        let issued = self.minter.sign(issuable.token).await?;
        event.issued(&issued);
        Ok((issued, issuable.scope))
    }

    /// Decides without signing; `None` only where `verdicts` goes on past a refusal.
    pub async fn decide(
        &self,
        request: &Request<'_>,
        event: &mut Event,
        verdicts: &mut Verdicts,
    ) -> Result<Option<Issuable>, Refusal> {
        let trusted_by = |id: &str| self.trusts(id, request.client);
        let ask = ask(request, &trusted_by);
        let subject = subject::Token {
            text: request.subject_token.0,
            may_be_opaque: request.may_be_opaque,
            connector_id: request.connector_id,
            from: request.from,
            client: request.client,
        };
        let note = |id: &Arc<str>| event.connector = Some(Arc::clone(id));
        let subject = self.verifier.verify(subject, verdicts, note).await?;
        let Some(Vouched {
            connector,
            token,
            permit,
        }) = subject
        else {
            return Ok(None);
        };
        if verdicts.refusal().is_none() {
            event.subject(&token);
        }
        let case = connector.policy.case(&token, &ask);
        // The clock is read again after each wait for keys, so that nothing outlives what it is made from.
        let terms = case.admit(self.clock.unix().as_secs_f64(), verdicts)?;
        event.rule.clone_from(&terms.rule);
        let granting = case.grant(&terms, verdicts)?;
        let (by, permit) = self.actor(request, &ask, permit, verdicts).await?;
        let actor = by.as_ref().map(|(_, token)| token);
        if let Some(actor) = actor {
            verdicts.settle("actor", case.check_actor(actor), |()| {
                "the actor may act for the subject".to_owned()
            })?;
        }
        let now = self.clock.unix();
        let signs: Vec<_> = self.minter.keyring().at(now).algorithms().collect();
        let Some(mut decision) = case.decide(&terms, granting, &signs, verdicts)? else {
            return Ok(None);
        };
        if let Some(act) = act(&token, actor) {
            decision.claims.set("act", act);
        }
        let exp = connector
            .policy
            .expiry(&terms, now.as_secs(), &token, actor);
        verdicts.settle("lifetime", is_alive(exp, now.as_secs()), |left| {
            format!("the new token lives {left} s")
        })?;
        let subject = (connector.as_ref(), &token);
        let uses = uses(request, subject, by.as_ref(), &decision.aud, now);
        let draft = Draft {
            issuer: request.issuer,
            aud: decision.aud,
            alg: decision.alg,
            now,
            exp,
            claims: decision.claims,
        };
        let token = verdicts.settle("size", self.minter.complete(draft), |_| {
            "the new token is within 16 KiB".to_owned()
        })?;
        if !uses.is_empty() {
            verdicts.note("replay", || {
                "the server would record the token, and refuse it if it was used before".to_owned()
            });
        }
        let scope = decision.scope;
        Ok(token.map(|token| Issuable {
            token,
            scope,
            uses,
            permit,
        }))
    }

    /// Verifies the actor token, if there is one, by its own issuer's connector and rules; gives it and the permit to go on with.
    async fn actor(
        &self,
        request: &Request<'_>,
        ask: &Ask<'_>,
        permit: Option<Permit>,
        verdicts: &mut Verdicts,
    ) -> Result<(Option<By>, Option<Permit>), Refusal> {
        let Some(token) = request.actor_token else {
            return Ok((None, permit));
        };
        // Its keys may have to be waited for, and its verification takes a permit of its own.
        drop(permit);
        verdicts.note("actor", || {
            "the steps that follow are about the actor token".to_owned()
        });
        let token = subject::Token {
            text: token.0,
            may_be_opaque: false,
            connector_id: None,
            from: request.from,
            client: request.client,
        };
        let verified = self.verifier.verify(token, verdicts, |_| ());
        let verified = verified.await.map_err(of_actor)?;
        if let Some(Vouched {
            connector, token, ..
        }) = &verified
        {
            let now = self.clock.unix().as_secs_f64();
            let case = connector.policy.case(token, ask);
            case.admit(now, verdicts).map_err(of_actor)?;
        }
        Ok(verified.map_or((None, None), |actor| {
            (Some((actor.connector, actor.token)), actor.permit)
        }))
    }

    fn trusts(&self, id: &str, asking: Option<&Identity>) -> bool {
        match (self.clients.get(id), asking) {
            (Some(client), Some(asking)) => client.trusts(&asking.client.id),
            _ => false,
        }
    }
}

/// What the rules look at of a request.
fn ask<'a>(request: &Request<'a>, trusted_by: &'a (dyn Fn(&str) -> bool + Sync)) -> Ask<'a> {
    Ask {
        targets: request.targets,
        scopes: request.scopes,
        requested_token_type: request.requested_token_type,
        alg: request.alg,
        client: request.client.map(|identity| Asker {
            id: &identity.client.id,
            name: &identity.client.name,
            proved: identity.proved,
            audiences: &identity.client.audiences,
            trusted_by,
        }),
    }
}

/// A refusal that says it is the actor token that is refused.
fn of_actor(mut refusal: Refusal) -> Refusal {
    if refusal.reason == Reason::ConnectorRequired {
        "several connectors trust the issuer of this token, and an actor token cannot choose one"
            .clone_into(&mut refusal.description);
    }
    refusal.description.insert_str(0, "actor token: ");
    if let Some(detail) = &mut refusal.detail {
        detail.insert_str(0, "actor token: ");
    }
    refusal
}

/// What is recorded of the subject token and of the actor's, each as its own connector says.
fn uses(
    request: &Request<'_>,
    (connector, token): (&Connector, &Verified),
    by: Option<&By>,
    aud: &[String],
    now: Duration,
) -> Uses {
    let mut uses = Uses::default();
    let text = request.subject_token.0;
    uses.add(connector.replay, token, text, aud, now);
    if let (Some((connector, token)), Some(text)) = (by, request.actor_token) {
        uses.add(connector.replay, token, text.0, aud, now);
    }
    uses
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
    // Among profile data, `act` may be the user's own words.
    let claims = Some(subject.claims()).filter(|_| !subject.is_opaque());
    let before = claims.and_then(|claims| claims.members().get("act").map(Member::to_value));
    let Some(actor) = actor else {
        return before;
    };
    let mut act = json!({
        "iss": actor.issuer(),
        "sub": actor.claims().text("sub"),
    });
    if let (Some(before), Value::Object(act)) = (before, &mut act) {
        act.insert("act".to_owned(), before);
    }
    Some(act)
}
