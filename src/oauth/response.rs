//! The successful reply of the token endpoint (RFC 6749 §5.1, RFC 8693 §2.2.1).

use serde::Serialize;

/// A successful token reply; it serialises to the JSON object of the RFC.
#[derive(Serialize)]
pub struct TokenResponse<'a> {
    /// The issued token, of whatever type.
    pub access_token: &'a str,
    /// Which type it is (RFC 8693 §3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issued_token_type: Option<&'static str>,
    /// How it is used: `Bearer` or `N_A`.
    pub token_type: &'static str,
    /// Its lifetime in seconds.
    pub expires_in: u64,
    /// The scopes granted, where these differ from what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'a str>,
    /// The ID token beside it (`OpenID` Connect Core §3.1.3.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_token: Option<&'a str>,
}
