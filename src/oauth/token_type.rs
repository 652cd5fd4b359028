//! Token type identifiers (RFC 8693 §3).

const PREFIX: &str = "urn:ietf:params:oauth:token-type:";

/// The kinds of token that Remint takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenType {
    /// An OAuth access token.
    AccessToken,
    /// An `OpenID` Connect ID token.
    IdToken,
    /// Any JWT.
    Jwt,
}

impl TokenType {
    /// The type that a URN names, `None` for one that Remint does not handle.
    pub fn from_urn(urn: &str) -> Option<Self> {
        match urn.strip_prefix(PREFIX)? {
            "access_token" => Some(Self::AccessToken),
            "id_token" => Some(Self::IdToken),
            "jwt" => Some(Self::Jwt),
            _ => None,
        }
    }

    /// The full URN.
    pub fn urn(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }

    /// The `token_type` of a reply that carries such a token (RFC 8693 §2.2.1).
    pub fn usage(self) -> &'static str {
        match self {
            Self::AccessToken => "Bearer",
            Self::IdToken | Self::Jwt => "N_A",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urns_round_trip() {
        for kind in [TokenType::AccessToken, TokenType::IdToken, TokenType::Jwt] {
            assert_eq!(TokenType::from_urn(kind.urn()), Some(kind));
        }
        assert_eq!(TokenType::from_urn("jwt"), None);
        assert_eq!(
            TokenType::from_urn("urn:ietf:params:oauth:token-type:saml2"),
            None
        );
    }
}
