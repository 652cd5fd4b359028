//! A token that its issuer vouches for, and the two ways to become one.

use super::{Claims, Malformed, Members};

/// A token that its issuer vouches for, by a signature or by its userinfo endpoint. Only this type can be decided on.
#[derive(Debug)]
pub struct Verified {
    claims: Claims,
    proof: Proof,
}

/// How an issuer vouched for a token.
#[derive(Debug)]
enum Proof {
    /// A key of the issuer made the token's signature with this algorithm.
    Signature { alg: String },
    /// The userinfo endpoint of this issuer answered for the token.
    Userinfo { issuer: String },
}

/// Why an answer of a userinfo endpoint says nothing about a token; the words never quote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotUserinfo(String);

impl Verified {
    /// A token whose signature a key of its issuer made with `alg`.
    pub(super) fn by_signature(claims: Claims, alg: String) -> Self {
        Self {
            claims,
            proof: Proof::Signature { alg },
        }
    }

    /// An opaque token for which the userinfo endpoint of `issuer` gave `answer` (`OpenID` Connect Core 1.0 §5.3.2).
    ///
    /// The answer must have come over a connection to that endpoint: only `upstream` calls this.
    pub(crate) fn by_userinfo(issuer: &str, answer: Vec<u8>) -> Result<Self, NotUserinfo> {
        let members =
            Members::parse(answer).map_err(|cause| NotUserinfo(format!("the answer {cause}")))?;
        let claims = Claims::parse(members)
            .map_err(|Malformed(cause)| NotUserinfo(format!("the answer {cause}")))?;
        if claims.text("sub").is_none_or(str::is_empty) {
            return Err(NotUserinfo(
                "the answer has no `sub` that is a non-empty string".to_owned(),
            ));
        }
        let issuer = issuer.to_owned();
        Ok(Self {
            claims,
            proof: Proof::Userinfo { issuer },
        })
    }

    /// The claims, each as its issuer gave it.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The `alg` that the token was signed with; an opaque one has none.
    pub fn alg(&self) -> Option<&str> {
        match &self.proof {
            Proof::Signature { alg } => Some(alg),
            Proof::Userinfo { .. } => None,
        }
    }

    /// The issuer that vouches for the token: its `iss`, or whose userinfo endpoint answered for it.
    pub fn issuer(&self) -> &str {
        match &self.proof {
            Proof::Signature { .. } => self.claims.text("iss").unwrap_or_default(),
            Proof::Userinfo { issuer } => issuer,
        }
    }

    /// Whether the token has no signature, and the issuer's userinfo endpoint answered for it.
    pub fn is_opaque(&self) -> bool {
        matches!(self.proof, Proof::Userinfo { .. })
    }
}
