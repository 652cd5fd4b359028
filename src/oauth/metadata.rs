//! The metadata documents (`OpenID` Connect Discovery 1.0 §3, RFC 8414 §2).

use serde::Serialize;

/// What Remint says of itself; relying parties configure themselves from it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Metadata {
    /// The issuer, byte for byte as in its tokens.
    pub issuer: String,
    /// Where tokens are exchanged.
    pub token_endpoint: String,
    /// Where the public keys are.
    pub jwks_uri: String,
    /// `id_token`: relying parties insist on the member though there is no authorization endpoint.
    pub response_types_supported: Vec<&'static str>,
    /// `public`: a subject is the same for every audience.
    pub subject_types_supported: Vec<&'static str>,
    /// Every algorithm that signs.
    pub id_token_signing_alg_values_supported: Vec<&'static str>,
    /// The claims that new tokens can carry.
    pub claims_supported: Vec<String>,
    /// The grants that are enabled.
    pub grant_types_supported: Vec<&'static str>,
    /// How clients may authenticate.
    pub token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// The scopes that may be asked for.
    pub scopes_supported: Vec<String>,
}

impl Metadata {
    /// The same for `issuer`: only what carries its URL differs.
    #[must_use]
    pub fn for_issuer(&self, issuer: &str) -> Self {
        Self {
            issuer: issuer.to_owned(),
            token_endpoint: endpoint(issuer, "/token"),
            jwks_uri: endpoint(issuer, "/.well-known/jwks.json"),
            ..self.clone()
        }
    }
}

/// `path` under `issuer`, which may end in a slash that does not count twice.
pub fn endpoint(issuer: &str, path: &str) -> String {
    format!("{}{path}", issuer.strip_suffix('/').unwrap_or(issuer))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_slash_at_the_end_of_the_issuer_does_not_count_twice() {
        assert_eq!(
            super::endpoint("https://h/dex/", "/token"),
            "https://h/dex/token"
        );
        assert_eq!(super::endpoint("https://h", "/token"), "https://h/token");
    }
}
