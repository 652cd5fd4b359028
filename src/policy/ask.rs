//! What a request asks for, and what it gets.

use serde_json::{Map, Value};

use super::cel::RequestView;
use crate::jose::SigningAlgorithm;
use crate::oauth::{Refusal, TokenType};

/// What a request asks for, beside the token that it brings.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Every `audience` and `resource`, in order, without duplicates.
    pub audiences: &'a [String],
    /// Why the targets asked for cannot even be read; reported when it is their turn.
    pub bad_target: Option<&'a Refusal>,
    /// Every scope.
    pub scopes: &'a [String],
    /// The kind of token asked for.
    pub requested_token_type: TokenType,
    /// The signing algorithm asked for, by name (simple exchange).
    pub alg: Option<&'a str>,
}

impl<'a> Ask<'a> {
    pub(super) fn view(&self) -> RequestView<'a> {
        RequestView {
            audience: self.audiences.iter().map(String::as_str).collect(),
            scope: self.scopes.iter().map(String::as_str).collect(),
            requested_token_type: self.requested_token_type.urn(),
        }
    }
}

/// What the new token says, times aside.
#[derive(Debug)]
pub struct Decision {
    /// The audiences, at least one.
    pub aud: Vec<String>,
    /// The key that signs, by its algorithm.
    pub alg: SigningAlgorithm,
    /// Every claim that the policy gives, `sub` among them.
    pub claims: Map<String, Value>,
}
