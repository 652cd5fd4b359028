//! Making the new token: the registered claims around what the policy gave, and the signature.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::jose::{Keyring, LONGEST_TOKEN, SigningAlgorithm, SigningFailed};
use crate::oauth::{Reason, Refusal};
use crate::policy::Decision;
use crate::random::{Random, uuid_v7};

/// `nbf` lies this far before `iat`, since some verifiers allow no leeway; in seconds.
const NOT_BEFORE: u64 = 5;

/// Signs new tokens.
#[derive(Debug)]
pub struct Minter {
    keyring: Arc<Keyring>,
    random: Arc<dyn Random>,
}

/// A token that was issued, and what the audit says of it.
pub struct Issued {
    /// The compact JWS.
    pub token: String,
    /// Its lifetime from now, in seconds.
    pub expires_in: u64,
    /// Its audiences.
    pub aud: Vec<String>,
    /// Its `jti`.
    pub jti: String,
    /// The key that signed it.
    pub kid: String,
    /// Its algorithm.
    pub alg: SigningAlgorithm,
    /// Its `exp`.
    pub exp: u64,
}

/// The times of a new token, in whole seconds since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Now, to the millisecond.
    pub now_millis: u64,
    /// When it expires.
    pub exp: u64,
}

impl Minter {
    /// A minter that signs with the keys of `keyring`.
    pub fn new(keyring: Arc<Keyring>, random: Arc<dyn Random>) -> Self {
        Self { keyring, random }
    }

    /// The keys that sign.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// The claims of a new token (RFC 7519 §4.1), `jti` included.
    pub fn claims(
        &self,
        issuer: &str,
        decision: &Decision,
        act: Option<&Value>,
        times: Times,
    ) -> Map<String, Value> {
        let iat = times.now_millis / 1000;
        let jti = uuid_v7(self.random.as_ref(), times.now_millis).to_string();
        let aud = match decision.aud.as_slice() {
            [one] => Value::from(one.as_str()),
            several => Value::from(several),
        };
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), issuer.into());
        claims.insert("aud".to_owned(), aud);
        claims.insert("iat".to_owned(), iat.into());
        claims.insert("nbf".to_owned(), iat.saturating_sub(NOT_BEFORE).into());
        claims.insert("exp".to_owned(), times.exp.into());
        claims.insert("jti".to_owned(), jti.into());
        if let Some(act) = act {
            claims.insert("act".to_owned(), act.clone());
        }
        claims.extend(decision.claims.clone());
        claims
    }

    /// Signs the claims that [`Self::claims`] made.
    pub fn sign(
        &self,
        decision: Decision,
        claims: &Map<String, Value>,
        times: Times,
    ) -> Result<Issued, Refusal> {
        let internal = |_: SigningFailed| Refusal::new(Reason::Internal, "signing failed");
        let key = self
            .keyring
            .signing(decision.alg)
            .ok_or(SigningFailed)
            .map_err(internal)?;
        let body = serde_json::to_vec(claims)
            .map_err(|_| SigningFailed)
            .map_err(internal)?;
        // Base64 makes three bytes four; the rest is header and signature.
        if body.len() > LONGEST_TOKEN {
            return Err(too_large());
        }
        let token = key.sign(&body).map_err(internal)?;
        if token.len() > LONGEST_TOKEN {
            return Err(too_large());
        }
        Ok(Issued {
            token,
            expires_in: times.exp.saturating_sub(times.now_millis / 1000),
            aud: decision.aud,
            jti: claims
                .get("jti")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
            kid: key.kid().to_owned(),
            alg: decision.alg,
            exp: times.exp,
        })
    }
}

fn too_large() -> Refusal {
    Refusal::new(
        Reason::TokenTooLarge,
        "the new token would be larger than 16 KiB: the operator copies or computes fewer claims",
    )
}
