//! The enabled grants, and the phases that none of them can skip.

use std::future::Future;
use std::pin::Pin;

use super::{Event, Issued};
use crate::oauth::{Form, Reason, Refusal, TokenType, cut};

/// A boxed future that borrows for as long as its request lives.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One way to get a token (RFC 6749 §1.3).
pub trait Grant: std::fmt::Debug + Send + Sync {
    /// The `grant_type` that selects it.
    fn grant_type(&self) -> &'static str;

    /// Its name in events and metrics.
    fn name(&self) -> &'static str;

    /// Reads its parameters; nothing is authenticated or decided yet.
    fn read<'a>(&'a self, form: &'a Form<'a>) -> Result<Box<dyn Redeem + 'a>, Refusal>;
}

/// A request for a grant whose parameters are sound.
pub trait Redeem: Send {
    /// Decides on the request and issues the token in the name of `issuer`.
    fn redeem<'a>(
        &'a self,
        issuer: &'a str,
        event: &'a mut Event,
    ) -> Boxed<'a, Result<Redeemed, Refusal>>;
}

/// An issued token and the type that was asked for.
pub struct Redeemed {
    /// The token.
    pub issued: Issued,
    /// Its type in the reply.
    pub kind: TokenType,
}

/// The grants by their `grant_type`.
#[derive(Debug, Default)]
pub struct Grants {
    grants: Vec<Box<dyn Grant>>,
}

impl Grants {
    /// The enabled grants.
    pub fn new(grants: Vec<Box<dyn Grant>>) -> Self {
        Self { grants }
    }

    /// Every `grant_type`, for the metadata.
    pub fn grant_types(&self) -> Vec<&'static str> {
        self.grants.iter().map(|grant| grant.grant_type()).collect()
    }

    /// Carries out a form request: parameters, grant, client, and then the grant itself.
    pub async fn redeem(
        &self,
        form: &Form<'_>,
        issuer: &str,
        credentials: bool,
        event: &mut Event,
    ) -> Result<Redeemed, Refusal> {
        let wanted = form.require("grant_type")?;
        let grant = self
            .grants
            .iter()
            .find(|grant| grant.grant_type() == wanted);
        let grant = grant.ok_or_else(|| {
            Refusal::new(
                Reason::GrantUnsupported,
                format!(
                    "the grant {} is not enabled; enabled: {}",
                    cut(wanted),
                    self.grant_types().join(", ")
                ),
            )
        })?;
        event.grant = grant.name();
        let request = grant.read(form)?;
        authenticate(
            credentials || form.get("client_id").is_some() || form.get("client_secret").is_some(),
        )?;
        request.redeem(issuer, event).await
    }
}

/// A credential that is sent is always checked: none is configured, so none is right.
pub fn authenticate(credentials: bool) -> Result<(), Refusal> {
    if credentials {
        return Err(Refusal::new(
            Reason::ClientInvalid,
            "the client is unknown or its secret is wrong: no client is configured here, so send no credentials",
        ));
    }
    Ok(())
}
