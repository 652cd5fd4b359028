//! The public half of our own keys, as it is published: a type that has no place for a private member.

use serde::Serialize;

use super::jwk::thumbprint;
use super::{SigningAlgorithm, base64url};

/// A published key (RFC 7517 §4), with exactly the members that verifiers need.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicJwk {
    #[serde(flatten)]
    key: PublicKey,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
}

/// The key itself (RFC 7518 §6): big-endian numbers in base64url.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kty")]
pub enum PublicKey {
    /// A point on P-256.
    #[serde(rename = "EC")]
    Ec {
        /// Always `P-256`.
        crv: &'static str,
        /// The x coordinate.
        x: String,
        /// The y coordinate.
        y: String,
    },
    /// An RSA public key.
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus.
        n: String,
        /// The exponent.
        e: String,
    },
}

impl PublicJwk {
    /// The published form of `key`.
    pub fn new(key: PublicKey, kid: impl Into<String>) -> Self {
        Self {
            alg: key.alg().name(),
            key,
            usage: "sig",
            kid: kid.into(),
        }
    }

    /// The key's id.
    pub fn kid(&self) -> &str {
        &self.kid
    }
}

impl PublicKey {
    /// A P-256 key from its affine coordinates, 32 bytes each.
    pub fn p256(x: &[u8], y: &[u8]) -> Self {
        Self::Ec {
            crv: "P-256",
            x: base64url::encode(x),
            y: base64url::encode(y),
        }
    }

    /// An RSA key from its big-endian modulus and exponent.
    pub fn rsa(n: &[u8], e: &[u8]) -> Self {
        Self::Rsa {
            n: base64url::encode(n),
            e: base64url::encode(e),
        }
    }

    /// The algorithm that Remint signs with under this key.
    pub fn alg(&self) -> SigningAlgorithm {
        match self {
            Self::Ec { .. } => SigningAlgorithm::Es256,
            Self::Rsa { .. } => SigningAlgorithm::Rs256,
        }
    }

    /// The SHA-256 thumbprint (RFC 7638 §3), in base64url.
    pub fn thumbprint(&self) -> String {
        base64url::encode(match self {
            Self::Ec { crv, x, y } => {
                thumbprint([("crv", *crv), ("kty", "EC"), ("x", x), ("y", y)])
            }
            Self::Rsa { n, e } => thumbprint([("e", e), ("kty", "RSA"), ("n", n)]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbprint_of_the_rfc() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        let key = PublicKey::Rsa {
            n: n.to_owned(),
            e: "AQAB".to_owned(),
        };
        assert_eq!(
            key.thumbprint(),
            "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
        );
    }

    #[test]
    fn exactly_the_members_that_verifiers_need() {
        let jwk = PublicJwk::new(PublicKey::p256(&[1; 32], &[2; 32]), "k");
        let json = serde_json::to_value(jwk).unwrap();
        let names: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
        assert_eq!(names, ["kty", "crv", "x", "y", "use", "alg", "kid"]);
    }
}
