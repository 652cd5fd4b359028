//! The client-credentials grant (RFC 6749 §4.4): a token for the client itself.

use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::Value;

use super::mint::Draft;
use super::registry::{Boxed, Caller, Grant, Redeem, Redeemed};
use super::token_exchange::targets;
use super::{Event, Minter};
use crate::clients::{self, Client, Clients};
use crate::clock::Clock;
use crate::config::SubjectFormat;
use crate::jose::base64url;
use crate::oauth::{CLIENT_CREDENTIALS, Form, Reason, Refusal, cut};
use crate::policy::{Limits, NewClaim, NewClaims, Targets, cross_client, peer, subject};

/// The grant.
#[derive(Debug)]
pub struct ClientCredentials {
    clients: Arc<Clients>,
    minter: Arc<Minter>,
    clock: Arc<dyn Clock>,
    limits: Limits,
}

impl ClientCredentials {
    /// The grant for these clients, whose tokens live as long as `limits` lets them.
    pub fn new(
        clients: Arc<Clients>,
        minter: Arc<Minter>,
        clock: Arc<dyn Clock>,
        limits: Limits,
    ) -> Self {
        Self {
            clients,
            minter,
            clock,
            limits,
        }
    }
}

impl Grant for ClientCredentials {
    fn grant_type(&self) -> &'static str {
        CLIENT_CREDENTIALS
    }

    fn name(&self) -> &'static str {
        clients::CLIENT_CREDENTIALS
    }

    fn read<'a>(&'a self, form: &'a Form<'a>) -> Result<Box<dyn Redeem + 'a>, Refusal> {
        Ok(Box::new(Asked {
            grant: self,
            targets: targets(form),
            scopes: form.scopes(),
            nonce: form.get("nonce"),
        }))
    }
}

/// The parameters of one request.
struct Asked<'a> {
    grant: &'a ClientCredentials,
    targets: Targets,
    scopes: Vec<String>,
    nonce: Option<&'a str>,
}

/// What the scopes of a request give.
#[derive(Default)]
struct Granted<'a> {
    /// Every granted scope, in the order asked.
    scopes: Vec<String>,
    claims: NewClaims<'a>,
    peers: Vec<String>,
    id_token: bool,
}

impl Redeem for Asked<'_> {
    fn redeem<'a>(
        &'a self,
        caller: &'a Caller<'a>,
        event: &'a mut Event,
    ) -> Boxed<'a, Result<Redeemed, Refusal>> {
        Box::pin(self.issue(caller, event))
    }
}

impl Asked<'_> {
    async fn issue(&self, caller: &Caller<'_>, event: &mut Event) -> Result<Redeemed, Refusal> {
        let client = confidential(caller)?;
        let _permit = self.grant.minter.gate().enter().await?;
        let mut aud = self.audience(client)?;
        let mut granted = self.grant_scopes(client)?;
        let subject = match self.grant.limits.subject_format {
            SubjectFormat::Plain => client.id.to_string(),
            SubjectFormat::Dex => subject::dex(&client.id, ""),
        };
        granted.claims.set("sub", subject);
        if let Some(nonce) = self.nonce {
            granted.claims.set("nonce", nonce);
        }
        let identity = granted.id_token.then(|| granted.claims.clone());
        if !granted.peers.is_empty() {
            let peers = granted.peers.iter().map(String::as_str);
            let all = cross_client(self.targets.iter(), peers, &client.id);
            aud = all.into_iter().map(str::to_owned).collect();
            if aud.len() > 1 {
                granted.claims.set("azp", &*client.id);
            }
        }
        let issued = self.mint(caller.issuer, aud, granted.claims).await?;
        let id_token = if let Some(mut claims) = identity {
            claims.set("at_hash", at_hash(&issued.token));
            let aud = vec![client.id.to_string()];
            let id_token = self.mint(caller.issuer, aud, claims).await?;
            event.id_token_jti = Some(id_token.jti);
            Some(id_token.token)
        } else {
            None
        };
        event.issued(&issued);
        Ok(Redeemed {
            issued,
            kind: None,
            scope: (granted.scopes != self.scopes).then(|| granted.scopes.join(" ")),
            id_token,
        })
    }

    /// The client's own id, or what is asked of its id and its `audiences`.
    fn audience(&self, client: &Client) -> Result<Vec<String>, Refusal> {
        let asked = self.targets.checked()?;
        let refused = asked
            .iter()
            .find(|target| ***target != *client.id && !client.audiences.contains(target));
        if let Some(target) = refused {
            return Err(Refusal::new(
                Reason::TargetRefused,
                format!(
                    "the audience {} is neither the client's id nor one of its audiences",
                    cut(target)
                ),
            ));
        }
        Ok(match asked {
            [] => vec![client.id.to_string()],
            asked => asked.to_vec(),
        })
    }

    fn grant_scopes<'a>(&self, client: &'a Client) -> Result<Granted<'a>, Refusal> {
        let mut granted = Granted::default();
        for scope in &self.scopes {
            let mut give =
                |name: &'static str, value: NewClaim<'a>| granted.claims.set(name, value);
            match scope.as_str() {
                "openid" => granted.id_token = true,
                "profile" => {
                    give("name", client.name.as_str().into());
                    give("preferred_username", client.name.as_str().into());
                }
                // A client has no mail address; Dex says so the same way.
                "email" => give("email_verified", Value::Bool(false).into()),
                // Nothing is released, so nothing is granted.
                "groups" if client.groups.is_empty() => continue,
                "groups" => give("groups", Value::from(client.groups.as_slice()).into()),
                other => match peer(other) {
                    Some(peer) if self.may_ask_for(peer, client) => {
                        granted.peers.push(peer.to_owned());
                    }
                    _ => return Err(scope_refused(other)),
                },
            }
            if !granted.scopes.contains(scope) {
                granted.scopes.push(scope.clone());
            }
        }
        Ok(granted)
    }

    fn may_ask_for(&self, peer: &str, client: &Client) -> bool {
        let peer = self.grant.clients.get(peer);
        peer.is_some_and(|peer| peer.trusts(&client.id))
    }

    async fn mint(
        &self,
        issuer: &str,
        aud: Vec<String>,
        claims: NewClaims<'_>,
    ) -> Result<super::Issued, Refusal> {
        let minter = &self.grant.minter;
        let now = self.grant.clock.unix();
        let key = minter.keyring().at(now).default_key();
        let alg = key
            .map(|key| key.alg())
            .ok_or_else(|| Refusal::new(Reason::AlgUnavailable, "no key signs at this time"))?;
        let draft = Draft {
            issuer,
            aud,
            alg,
            now,
            exp: (now + self.grant.limits.max_lifetime).as_secs(),
            claims,
        };
        minter.sign(minter.complete(draft)?).await
    }
}

/// The client of the request: one must be there, and be able to keep its secret.
fn confidential<'a>(caller: &'a Caller<'_>) -> Result<&'a Client, Refusal> {
    let Some(identity) = &caller.client else {
        return Err(Refusal::new(
            Reason::ClientRequired,
            "client_credentials needs a client that authenticates: send its id and secret with Basic",
        ));
    };
    if identity.client.public || !identity.proved {
        return Err(Refusal::new(
            Reason::GrantRefused,
            "a public client cannot use client_credentials: anybody can use its id",
        ));
    }
    Ok(&identity.client)
}

fn scope_refused(scope: &str) -> Refusal {
    Refusal::new(
        Reason::ScopeRefused,
        format!(
            "the scope {} is not allowed for client_credentials; allowed: openid, profile, email, groups, audience:server:client_id:ID of a client that lists this one in trusted_peers",
            cut(scope)
        ),
    )
}

/// The hash of the access token beside an ID token (`OpenID` Connect Core §3.1.3.6); both algorithms use SHA-256.
fn at_hash(token: &str) -> String {
    let digest = digest::digest(&digest::SHA256, token.as_bytes());
    let (left, _) = digest.as_ref().split_at(digest.as_ref().len() / 2);
    base64url::encode(left)
}

#[cfg(test)]
mod tests {
    #[test]
    fn at_hash_is_the_left_half() {
        assert_eq!(super::at_hash("x"), "LXEWQrcmsEQBYnyp-6wy9Q");
    }
}
