//! The token-exchange grant (RFC 8693 §2).

use std::sync::Arc;

use super::registry::{Boxed, Caller, Grant, Redeem, Redeemed};
use super::{Event, Exchange, Request, Secret, advice};
use crate::clients;
use crate::oauth::{Form, Refusal, TOKEN_EXCHANGE, TokenType};
use crate::policy::Targets;

/// The grant, on top of the exchange that every way in shares.
#[derive(Debug)]
pub struct TokenExchange {
    exchange: Arc<Exchange>,
}

impl TokenExchange {
    /// The grant that carries requests to `exchange`.
    pub fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }
}

impl Grant for TokenExchange {
    fn grant_type(&self) -> &'static str {
        TOKEN_EXCHANGE
    }

    fn name(&self) -> &'static str {
        clients::TOKEN_EXCHANGE
    }

    fn read<'a>(&'a self, form: &'a Form<'a>) -> Result<Box<dyn Redeem + 'a>, Refusal> {
        let subject_token = token(form, "subject_token")?;
        let subject_type = token_type(form, "subject_token_type")?;
        let subject_type =
            subject_type.ok_or_else(|| advice::no_token_type("subject_token_type"))?;
        let kind = token_type(form, "requested_token_type")?;
        Ok(Box::new(Asked {
            exchange: &self.exchange,
            subject_token,
            may_be_opaque: subject_type == TokenType::AccessToken,
            connector_id: form.get("connector_id"),
            actor_token: actor(form)?,
            targets: targets(form),
            scopes: form.scopes(),
            kind: kind.unwrap_or(TokenType::AccessToken),
        }))
    }
}

/// The parameters of one exchange.
struct Asked<'a> {
    exchange: &'a Exchange,
    subject_token: Secret<'a>,
    may_be_opaque: bool,
    connector_id: Option<&'a str>,
    actor_token: Option<Secret<'a>>,
    targets: Targets,
    scopes: Vec<String>,
    kind: TokenType,
}

impl Redeem for Asked<'_> {
    fn redeem<'a>(
        &'a self,
        caller: &'a Caller<'a>,
        event: &'a mut Event,
    ) -> Boxed<'a, Result<Redeemed, Refusal>> {
        Box::pin(async move {
            let request = Request {
                issuer: caller.issuer,
                from: caller.from,
                client: caller.client.as_ref(),
                subject_token: self.subject_token,
                may_be_opaque: self.may_be_opaque,
                connector_id: self.connector_id,
                actor_token: self.actor_token,
                targets: &self.targets,
                scopes: &self.scopes,
                requested_token_type: self.kind,
                alg: None,
            };
            let (issued, scope) = self.exchange.issue(&request, event).await?;
            Ok(Redeemed {
                issued,
                kind: Some(self.kind),
                scope,
                id_token: None,
            })
        })
    }
}

/// A token, without the white space around it: a file ends in a line break.
fn token<'a>(form: &'a Form<'a>, name: &str) -> Result<Secret<'a>, Refusal> {
    match form.get(name).map(str::trim_ascii) {
        None | Some("") => Err(advice::no_token(form, name)),
        Some(token) => Ok(Secret(token)),
    }
}

fn token_type(form: &Form<'_>, name: &str) -> Result<Option<TokenType>, Refusal> {
    let read = |urn| TokenType::from_urn(urn).ok_or_else(|| advice::token_type(name, urn));
    form.get(name).map(read).transpose()
}

/// The actor token, which comes with its type or not at all (RFC 8693 §2.1).
fn actor<'a>(form: &'a Form<'a>) -> Result<Option<Secret<'a>>, Refusal> {
    let kind = token_type(form, "actor_token_type")?;
    if form.get("actor_token").is_none() && kind.is_none() {
        return Ok(None);
    }
    let token = token(form, "actor_token")?;
    kind.ok_or_else(|| advice::no_token_type("actor_token_type"))?;
    Ok(Some(token))
}

/// Every `audience` and `resource`, in the order of the form.
pub(super) fn targets(form: &Form<'_>) -> Targets {
    let mut targets = Targets::default();
    for (name, value) in form.iter() {
        match name {
            "audience" => targets.audience(value),
            "resource" => targets.resource(value),
            _ => {}
        }
    }
    targets
}
