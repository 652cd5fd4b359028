//! Scopes as Dex has them, and the operator's own (RFC 6749 §3.3).

use serde_json::{Value, json};

use super::{Ask, NewClaim, NewClaims, Policy, Terms};
use crate::jose::{Member, Members};
use crate::oauth::{Reason, Refusal, cut};

/// What comes before a client id in a scope that asks for that client's audience.
const PEER: &str = "audience:server:client_id:";

/// The standard scopes, for the metadata.
pub const STANDARD: [&str; 5] = ["openid", "profile", "email", "groups", "federated:id"];

/// The audiences of a cross-client token: those asked, the peers, then the client that asks (as Dex).
///
/// With more than one, `azp` names that client.
pub fn cross_client<'a>(
    asked: impl Iterator<Item = &'a str>,
    peers: impl Iterator<Item = &'a str>,
    client: &'a str,
) -> Vec<&'a str> {
    let mut all = Vec::new();
    for audience in asked.chain(peers).chain([client]) {
        if !all.contains(&audience) {
            all.push(audience);
        }
    }
    all
}

/// The client whose audience a scope asks for.
pub fn peer(scope: &str) -> Option<&str> {
    scope.strip_prefix(PEER)
}

/// The scopes that are granted.
#[derive(Debug, Default)]
pub(super) struct Granted<'a> {
    /// The clients whose audience is asked for.
    pub(super) peers: Vec<&'a str>,
    /// The operator's own scopes.
    own: Vec<&'a str>,
    /// Every granted scope, in the order asked.
    all: Vec<&'a str>,
}

impl Policy {
    /// Grants what is asked, or refuses all of it; `groups` alone is left out where it is not released.
    pub(super) fn grant_scopes<'a>(
        &self,
        ask: &Ask<'a>,
        terms: &Terms<'_>,
    ) -> Result<Granted<'a>, Refusal> {
        let mut granted = Granted::default();
        for scope in ask.scopes {
            let scope = scope.as_str();
            if granted.all.contains(&scope) {
                continue;
            }
            match scope {
                "groups" if !self.groups => continue,
                standard if STANDARD.contains(&standard) => {}
                _ => match peer(scope) {
                    Some(peer) => {
                        self.check_peer(peer, ask, terms)?;
                        granted.peers.push(peer);
                    }
                    None if terms.grants.scopes.iter().any(|own| own == scope) => {
                        granted.own.push(scope);
                    }
                    None => return Err(self.unknown_scope(scope, terms)),
                },
            }
            granted.all.push(scope);
        }
        Ok(granted)
    }

    /// A token for another client needs that client's trust, and for itself nothing (as Dex).
    fn check_peer(&self, peer: &str, ask: &Ask<'_>, terms: &Terms<'_>) -> Result<(), Refusal> {
        let refused = |words: String| Err(Refusal::new(Reason::ScopeRefused, words));
        let Some(client) = ask.client else {
            return refused(format!(
                "the scope {PEER}... needs a client that authenticates"
            ));
        };
        let trusted = client.id == peer || client.proved && (client.trusted_by)(peer);
        if !trusted {
            return refused(format!(
                "the client {} does not let this client ask for its tokens: it lists it in trusted_peers",
                cut(peer)
            ));
        }
        // The asking client's own id follows the peer's.
        for audience in [peer, client.id] {
            if self.is_bound_elsewhere(audience, terms) {
                return refused(format!(
                    "the audience {} is granted by another rule only",
                    cut(audience)
                ));
            }
        }
        Ok(())
    }

    fn unknown_scope(&self, scope: &str, terms: &Terms<'_>) -> Refusal {
        let general = format!("the scope {} is not allowed for this token", cut(scope));
        let own = terms.grants.scopes.iter().map(String::as_str);
        let known: Vec<_> = STANDARD.into_iter().chain(own).collect();
        let full = format!("{general}; allowed: {}", known.join(", "));
        self.refuse(Reason::ScopeRefused, general, full)
    }

    /// The claims that the granted scopes give, out of the subject token's.
    pub(super) fn scope_claims<'a>(
        &'a self,
        granted: &Granted<'_>,
        upstream: &'a Members,
    ) -> NewClaims<'a> {
        let mut claims = NewClaims::default();
        let text = |name: &str| upstream.get(name)?.as_str();
        let mut give = |name: &'static str, value: Option<NewClaim<'a>>| {
            if let Some(value) = value {
                claims.set(name, value);
            }
        };
        if granted.has("profile") {
            give("name", text(&self.user_name_key).map(Into::into));
            give(
                "preferred_username",
                text("preferred_username").map(Into::into),
            );
        }
        if granted.has("email") {
            let verified = upstream
                .get("email_verified")
                .is_some_and(|verified| verified == Value::Bool(true));
            give("email", text("email").map(Into::into));
            give("email_verified", Some(Value::Bool(verified).into()));
        }
        if granted.has("groups") {
            let groups = upstream
                .get("groups")
                .filter(|groups| is_list_of_text(*groups));
            give("groups", groups.map(Into::into));
        }
        if granted.has("federated:id") {
            let mut ids = json!({ "connector_id": &*self.connector });
            if let (Some(sub), Some(ids)) = (text("sub"), ids.as_object_mut()) {
                ids.insert("user_id".to_owned(), sub.into());
            }
            give("federated_claims", Some(ids.into()));
        }
        if !granted.own.is_empty() {
            give("scope", Some(granted.own.join(" ").into()));
        }
        claims
    }
}

impl Granted<'_> {
    fn has(&self, scope: &str) -> bool {
        self.all.contains(&scope)
    }

    /// The `scope` of the reply, where it differs from what was asked (RFC 6749 §5.1).
    pub(super) fn reply(&self, ask: &Ask<'_>) -> Option<String> {
        let same = self.all.len() == ask.scopes.len();
        (!same).then(|| self.all.join(" "))
    }

    /// The scopes in words.
    pub(super) fn words(&self) -> String {
        if self.all.is_empty() {
            "none is granted".to_owned()
        } else {
            format!("granted: {}", self.all.join(" "))
        }
    }
}

fn is_list_of_text(member: Member<'_>) -> bool {
    match member {
        Member::Other(Value::Array(items)) => items.iter().all(Value::is_string),
        Member::Other(_) | Member::Text(_) => false,
    }
}
