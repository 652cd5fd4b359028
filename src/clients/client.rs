//! One client, and what the configuration lets it do.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config;
use crate::oauth::{Reason, Refusal};

/// The short name of the token exchange grant (RFC 8693), in whichever body it is asked for.
pub const TOKEN_EXCHANGE: &str = "token-exchange";

/// The short name of the client credentials grant (RFC 6749 §4.4).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";

/// A configured client. It holds no secret.
#[derive(Debug)]
pub struct Client {
    /// Its `client_id`.
    pub id: Arc<str>,
    /// Its name for people.
    pub name: String,
    /// Whether it cannot keep a secret (RFC 6749 §2.1). It may have one all the same, and must then present it.
    pub public: bool,
    /// Audiences that it may ask for besides its own id and the targets in force, once it has proved its secret.
    pub audiences: Vec<String>,
    /// Ids of the clients that may ask for tokens for this one.
    pub trusted_peers: Vec<String>,
    /// Its groups in tokens of its own.
    pub groups: Vec<String>,
    grants: Vec<String>,
    connectors: Option<HashSet<String>>,
}

impl Client {
    pub(super) fn new(spec: &config::Client) -> Self {
        Self {
            id: spec.id.as_str().into(),
            name: spec.name.clone(),
            public: spec.public,
            audiences: spec.audiences.clone(),
            trusted_peers: spec.trusted_peers.clone(),
            groups: spec.groups.clone(),
            grants: spec.grants.clone(),
            connectors: spec
                .connectors
                .as_ref()
                .map(|ids| ids.iter().cloned().collect()),
        }
    }

    /// Whether it may use the grant with this short name, [`TOKEN_EXCHANGE`] or [`CLIENT_CREDENTIALS`].
    pub fn may_use_grant(&self, name: &str) -> bool {
        self.grants.iter().any(|grant| grant == name)
    }

    /// Refuses a grant that it does not list.
    pub fn check_grant(&self, name: &str) -> Result<(), Refusal> {
        if self.may_use_grant(name) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::GrantRefused,
            "the client may not use this grant: its operator lists it in `grants`",
        ))
    }

    /// Whether it may exchange tokens of the connector with this id.
    pub fn may_use_connector(&self, id: &str) -> bool {
        self.connectors
            .as_ref()
            .is_none_or(|allowed| allowed.contains(id))
    }

    /// Whether the client with the id `asking` may ask for a token for this one. Each trusts itself, as in Dex.
    pub fn trusts(&self, asking: &str) -> bool {
        *self.id == *asking || self.trusted_peers.iter().any(|peer| peer == asking)
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The client.
    pub client: Arc<Client>,
    /// Whether it presented the right secret; a public client may have given only its id.
    pub proved: bool,
}
