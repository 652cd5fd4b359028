//! The successful reply of the token endpoint (RFC 6749 §5.1, RFC 8693 §2.2.1).

use serde::Serialize;

use super::TokenType;

/// A successful token reply; it serialises to the JSON object of the RFC.
#[derive(Serialize)]
pub struct TokenResponse<'a> {
    /// The issued token, of whatever type.
    pub access_token: &'a str,
    /// Which type it is (RFC 8693 §3).
    pub issued_token_type: &'static str,
    /// How it is used: `Bearer` or `N_A`.
    pub token_type: &'static str,
    /// Its lifetime in seconds.
    pub expires_in: u64,
}

impl<'a> TokenResponse<'a> {
    /// The reply that carries `token`, of type `kind`, alive for `expires_in` seconds.
    pub fn new(token: &'a str, kind: TokenType, expires_in: u64) -> Self {
        Self {
            access_token: token,
            issued_token_type: kind.urn(),
            token_type: kind.usage(),
            expires_in,
        }
    }
}
