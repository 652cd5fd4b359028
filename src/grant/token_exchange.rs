//! The token-exchange grant (RFC 8693 §2).

use std::sync::Arc;

use super::registry::{Boxed, Caller, Grant, Redeem, Redeemed};
use super::{Event, Exchange, Request, Secret};
use crate::clients;
use crate::oauth::{Form, Reason, Refusal, TOKEN_EXCHANGE, TokenType};
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
        let subject_token = Secret(form.require("subject_token")?);
        token_type("subject_token_type", form.require("subject_token_type")?)?;
        let kind = match form.get("requested_token_type") {
            Some(urn) => token_type("requested_token_type", urn)?,
            None => TokenType::AccessToken,
        };
        Ok(Box::new(Asked {
            exchange: &self.exchange,
            subject_token,
            connector_id: form.get("connector_id"),
            actor_token: actor(form)?,
            targets: targets(form),
            scopes: form.scopes(),
            kind,
        }))
    }
}

/// The parameters of one exchange.
struct Asked<'a> {
    exchange: &'a Exchange,
    subject_token: Secret<'a>,
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
                client: caller.client.as_ref(),
                subject_token: self.subject_token,
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

/// A wrong type is not quoted back: a token may stand in its place.
fn token_type(name: &str, urn: &str) -> Result<TokenType, Refusal> {
    TokenType::from_urn(urn).ok_or_else(|| {
        Refusal::new(
            Reason::ParameterMalformed,
            format!(
                "`{name}` is not one of {}, {} and {}",
                TokenType::IdToken.urn(),
                TokenType::Jwt.urn(),
                TokenType::AccessToken.urn(),
            ),
        )
    })
}

/// The actor token, which comes with its type or not at all (RFC 8693 §2.1).
fn actor<'a>(form: &'a Form<'a>) -> Result<Option<Secret<'a>>, Refusal> {
    if form.get("actor_token").is_none() && form.get("actor_token_type").is_none() {
        return Ok(None);
    }
    let token = form.require("actor_token")?;
    token_type("actor_token_type", form.require("actor_token_type")?)?;
    Ok(Some(Secret(token)))
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
