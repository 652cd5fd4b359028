//! What a request asks for, who asks, and what it gets.

use std::fmt;

use super::cel::{ClientView, RequestView};
use super::{NewClaims, Targets, cross_client, peer};
use crate::jose::SigningAlgorithm;
use crate::oauth::TokenType;

/// What a request asks for, beside the token that it brings.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Every `audience` and `resource`.
    pub targets: &'a Targets,
    /// Every scope.
    pub scopes: &'a [String],
    /// The kind of token asked for.
    pub requested_token_type: TokenType,
    /// The signing algorithm asked for, by name (simple exchange).
    pub alg: Option<&'a str>,
    /// The client that asks, where one does.
    pub client: Option<Asker<'a>>,
}

/// A client that asks, as far as the rules look at it.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// Its `client_id`.
    pub id: &'a str,
    /// Its name for people.
    pub name: &'a str,
    /// Whether it proved a secret; without, it gets nothing but its own id.
    pub proved: bool,
    /// What it may ask for besides the targets in force.
    pub audiences: &'a [String],
    /// Whether the client with this id lets it ask for its tokens.
    pub trusted_by: &'a (dyn Fn(&str) -> bool + Sync),
}

impl fmt::Debug for Asker<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asker({})", self.id)
    }
}

impl<'a> Ask<'a> {
    /// Every audience that the request leads to, those that its scopes bring in included.
    pub(super) fn audiences(&self) -> Vec<&'a str> {
        let peers = || self.scopes.iter().filter_map(|scope| peer(scope));
        match self.client.filter(|_| peers().next().is_some()) {
            Some(client) => cross_client(self.targets.iter(), peers(), client.id),
            None => self.targets.iter().collect(),
        }
    }

    /// Whether the request asks for no audience at all, so that a condition on it would mean nothing.
    pub(super) fn asks_for_none(&self) -> bool {
        self.targets.is_empty() && self.scopes.iter().all(|scope| peer(scope).is_none())
    }

    pub(super) fn request_view(&self) -> RequestView<'a> {
        RequestView {
            audience: self.audiences(),
            scope: self.scopes.iter().map(String::as_str).collect(),
            requested_token_type: self.requested_token_type.urn(),
        }
    }

    pub(super) fn client_view(&self) -> Option<ClientView<'a>> {
        self.client.map(|client| ClientView {
            id: client.id,
            name: client.name,
            authenticated: client.proved,
        })
    }
}

/// What the new token says, times aside.
#[derive(Debug)]
pub struct Decision<'a> {
    /// The audiences, at least one.
    pub aud: Vec<String>,
    /// The key that signs, by its algorithm.
    pub alg: SigningAlgorithm,
    /// Every claim that the policy gives, `sub` among them.
    pub claims: NewClaims<'a>,
    /// The scopes granted, where these are not just what was asked.
    pub scope: Option<String>,
}
