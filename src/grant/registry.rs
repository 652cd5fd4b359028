//! The enabled grants, and the phases that none of them can skip.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::{Connectors, Event, Issued, advice};
use crate::clients::{Clients, Credentials, Identity};
use crate::limits::{Limiter, Network};
use crate::oauth::{Form, Reason, Refusal, TokenType};

/// A boxed future that borrows for as long as its request lives.
pub(super) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One way to get a token (RFC 6749 §1.3).
pub trait Grant: std::fmt::Debug + Send + Sync {
    /// The `grant_type` that selects it.
    fn grant_type(&self) -> &'static str;

    /// Its short name in the configuration, in events and in metrics.
    fn name(&self) -> &'static str;

    /// Reads its parameters; nothing is authenticated or decided yet.
    fn read<'a>(&'a self, form: &'a Form<'a>) -> Result<Box<dyn Redeem + 'a>, Refusal>;
}

/// A request for a grant whose parameters are sound.
pub trait Redeem: Send + Sync {
    /// Decides on the request and issues the token.
    fn redeem<'a>(
        &'a self,
        caller: &'a Caller<'a>,
        event: &'a mut Event,
    ) -> Boxed<'a, Result<Redeemed, Refusal>>;
}

/// What a request says outside of its body.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// In whose name the new token is issued.
    pub issuer: &'a str,
    /// The value of the `Authorization` header.
    pub authorization: Option<&'a [u8]>,
    /// Where it comes from, where that is known.
    pub from: Option<Network>,
}

/// A call whose client is known, where it has one.
#[derive(Debug)]
pub struct Caller<'a> {
    /// In whose name the new token is issued.
    pub issuer: &'a str,
    /// Where it comes from, where that is known.
    pub from: Option<Network>,
    /// The client.
    pub client: Option<Identity>,
}

/// An issued token and what its reply says of it.
pub struct Redeemed {
    /// The token.
    pub issued: Issued,
    /// Its type, where the grant gives several (RFC 8693 §2.2.1).
    pub kind: Option<TokenType>,
    /// The scopes granted, where these are not just what was asked.
    pub scope: Option<String>,
    /// The ID token beside it.
    pub id_token: Option<String>,
}

/// The grants by their `grant_type`.
#[derive(Debug)]
pub struct Grants {
    enabled: Vec<Box<dyn Grant>>,
    clients: Arc<Clients>,
    connectors: Arc<Connectors>,
    limiter: Arc<Limiter>,
}

impl Grants {
    /// The enabled grants, for these clients and beside these connectors.
    pub fn new(
        enabled: Vec<Box<dyn Grant>>,
        clients: Arc<Clients>,
        connectors: Arc<Connectors>,
        limiter: Arc<Limiter>,
    ) -> Self {
        Self {
            enabled,
            clients,
            connectors,
            limiter,
        }
    }

    /// Every `grant_type`, for the metadata.
    pub fn grant_types(&self) -> Vec<&'static str> {
        self.enabled
            .iter()
            .map(|grant| grant.grant_type())
            .collect()
    }

    /// Carries out a form request: parameters, grant, client, and then the grant itself.
    pub async fn redeem(
        &self,
        form: &Form<'_>,
        call: Call<'_>,
        event: &mut Event,
    ) -> Result<Redeemed, Refusal> {
        let wanted = form.get("grant_type");
        let wanted = wanted.ok_or_else(|| advice::no_grant_type(form))?;
        // What is malformed about the credentials comes before the grant, what is wrong about them after.
        let credentials = match Credentials::read(call.authorization, Some(form)) {
            Err(refusal) if refusal.reason != Reason::ClientInvalid => return Err(refusal),
            credentials => credentials,
        };
        let grant = self
            .enabled
            .iter()
            .find(|grant| grant.grant_type() == wanted);
        let grant = grant.ok_or_else(|| advice::grant(wanted, &self.grant_types()))?;
        event.grant = grant.name();
        let request = grant.read(form)?;
        let caller = self
            .identify(call, &credentials?, grant.name(), event)
            .await?;
        request.redeem(&caller, event).await
    }

    /// Authenticates the client, where there is one, and checks that it may use the grant.
    pub async fn identify<'a>(
        &self,
        call: Call<'a>,
        credentials: &Credentials,
        grant: &str,
        event: &mut Event,
    ) -> Result<Caller<'a>, Refusal> {
        self.connectors.check_own_issuer(call.issuer)?;
        let client = self.clients.authenticate(credentials, call.from).await;
        let client =
            client.inspect_err(|_| event.client_named = self.clients.named(credentials))?;
        if let Some(identity) = &client {
            event.client = Some(Arc::clone(&identity.client.id));
            event.client_proved = identity.proved;
            identity.client.check_grant(grant)?;
            // Whoever proved nothing could use up the rate of somebody else.
            if identity.proved {
                self.limiter.admit_client(&identity.client.id)?;
            }
        }
        Ok(Caller {
            issuer: call.issuer,
            from: call.from,
            client,
        })
    }
}
