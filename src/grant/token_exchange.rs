//! The token-exchange grant (RFC 8693 §2).

use std::sync::Arc;

use super::registry::{Boxed, Grant, Redeem, Redeemed};
use super::{Event, Exchange, Request};
use crate::oauth::{Form, Reason, Refusal, TOKEN_EXCHANGE, TokenType, cut};
use crate::policy::Ask;

/// How many audiences and resources one request may ask for.
const MOST_TARGETS: usize = 10;

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
        "token-exchange"
    }

    fn read<'a>(&'a self, form: &'a Form<'a>) -> Result<Box<dyn Redeem + 'a>, Refusal> {
        let subject_token = form.require("subject_token")?;
        token_type("subject_token_type", form.require("subject_token_type")?)?;
        let kind = match form.get("requested_token_type") {
            Some(urn) => token_type("requested_token_type", urn)?,
            None => TokenType::AccessToken,
        };
        let actor_token = actor(form)?;
        let (audiences, bad_target) = targets(form);
        let scopes = form.get("scope").unwrap_or_default();
        Ok(Box::new(Asked {
            exchange: &self.exchange,
            subject_token,
            connector_id: form.get("connector_id"),
            actor_token,
            audiences,
            bad_target,
            scopes: scopes
                .split(' ')
                .filter(|scope| !scope.is_empty())
                .map(str::to_owned)
                .collect(),
            kind,
        }))
    }
}

/// The parameters of one exchange.
struct Asked<'a> {
    exchange: &'a Exchange,
    subject_token: &'a str,
    connector_id: Option<&'a str>,
    actor_token: Option<&'a str>,
    audiences: Vec<String>,
    bad_target: Option<Refusal>,
    scopes: Vec<String>,
    kind: TokenType,
}

impl Redeem for Asked<'_> {
    fn redeem<'a>(
        &'a self,
        issuer: &'a str,
        event: &'a mut Event,
    ) -> Boxed<'a, Result<Redeemed, Refusal>> {
        Box::pin(async move {
            let request = Request {
                issuer,
                subject_token: self.subject_token,
                connector_id: self.connector_id,
                actor_token: self.actor_token,
                ask: Ask {
                    audiences: &self.audiences,
                    bad_target: self.bad_target.as_ref(),
                    scopes: &self.scopes,
                    requested_token_type: self.kind,
                    alg: None,
                },
            };
            Ok(Redeemed {
                issued: self.exchange.issue(&request, event).await?,
                kind: self.kind,
            })
        })
    }
}

fn token_type(name: &str, urn: &str) -> Result<TokenType, Refusal> {
    TokenType::from_urn(urn).ok_or_else(|| {
        Refusal::new(
            Reason::ParameterMalformed,
            format!(
                "`{name}` is {}; {}, {} or {} is expected",
                cut(urn),
                TokenType::IdToken.urn(),
                TokenType::Jwt.urn(),
                TokenType::AccessToken.urn(),
            ),
        )
    })
}

/// The actor token, which comes with its type or not at all (RFC 8693 §2.1).
fn actor<'a>(form: &'a Form<'a>) -> Result<Option<&'a str>, Refusal> {
    match (form.get("actor_token"), form.get("actor_token_type")) {
        (None, None) => Ok(None),
        (Some(token), Some(kind)) => {
            token_type("actor_token_type", kind)?;
            Ok(Some(token))
        }
        (Some(_), None) => form.require("actor_token_type").map(|_| None),
        (None, Some(_)) => form.require("actor_token").map(|_| None),
    }
}

/// Every `audience` and `resource` in the order of the form, without duplicates.
fn targets(form: &Form<'_>) -> (Vec<String>, Option<Refusal>) {
    let mut targets: Vec<String> = Vec::new();
    let mut bad = None;
    for (name, value) in form.iter() {
        if name != "audience" && name != "resource" {
            continue;
        }
        if name == "resource" && !is_absolute_uri(value) {
            bad.get_or_insert_with(|| {
                Refusal::new(
                    Reason::TargetRefused,
                    format!(
                        "the resource {} is not an absolute URI without fragment",
                        cut(value)
                    ),
                )
            });
        }
        if !targets.iter().any(|known| known == value) {
            targets.push(value.to_owned());
        }
    }
    if targets.len() > MOST_TARGETS {
        targets.truncate(MOST_TARGETS);
        bad = Some(Refusal::new(
            Reason::TargetRefused,
            format!("more than {MOST_TARGETS} audiences and resources are asked for"),
        ));
    }
    (targets, bad)
}

/// RFC 8707 §2: an absolute URI (RFC 3986 §4.3), which has no fragment.
fn is_absolute_uri(value: &str) -> bool {
    url::Url::parse(value).is_ok() && !value.contains('#') && !value.contains(char::is_whitespace)
}
