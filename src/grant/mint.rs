//! Making the new token: the registered claims around what was granted, and the signature.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::jose::{Keyring, LONGEST_TOKEN, SigningAlgorithm, SigningKey};
use crate::oauth::{Reason, Refusal};
use crate::random::{Random, uuid_v7};

/// `nbf` lies this far before `iat`, since some verifiers allow no leeway; in seconds.
const NOT_BEFORE: u64 = 5;

/// Completes and signs new tokens.
#[derive(Debug)]
pub struct Minter {
    keyring: Arc<Keyring>,
    random: Arc<dyn Random>,
}

/// What a new token says, without the claims that every token has.
#[derive(Debug)]
pub struct Draft<'a> {
    /// In whose name it is issued.
    pub issuer: &'a str,
    /// Its audiences.
    pub aud: Vec<String>,
    /// The key that signs it, by its algorithm.
    pub alg: SigningAlgorithm,
    /// Now, since the Unix epoch.
    pub now: Duration,
    /// When it expires, in whole seconds since the Unix epoch.
    pub exp: u64,
    /// Every further claim.
    pub claims: Map<String, Value>,
}

/// A token that only lacks its signature.
#[derive(Debug)]
pub struct Unsigned {
    key: Arc<SigningKey>,
    claims: Map<String, Value>,
    body: Vec<u8>,
    aud: Vec<String>,
    jti: String,
    exp: u64,
    expires_in: u64,
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

impl Unsigned {
    /// Every claim that the token has.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }
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

    /// Adds the registered claims (RFC 7519 §4.1) and refuses a token that would be too large.
    pub fn complete(&self, draft: Draft<'_>) -> Result<Unsigned, Refusal> {
        let key = self.keyring.signing(draft.alg).ok_or_else(defect)?;
        let iat = draft.now.as_secs();
        let millis = u64::try_from(draft.now.as_millis()).unwrap_or(u64::MAX);
        let jti = uuid_v7(self.random.as_ref(), millis).to_string();
        let aud = match draft.aud.as_slice() {
            [one] => Value::from(one.as_str()),
            several => Value::from(several),
        };
        let mut claims = Map::new();
        for (name, value) in [
            ("iss", draft.issuer.into()),
            ("aud", aud),
            ("iat", iat.into()),
            ("nbf", iat.saturating_sub(NOT_BEFORE).into()),
            ("exp", draft.exp.into()),
            ("jti", jti.as_str().into()),
        ] {
            claims.insert(name.to_owned(), value);
        }
        claims.extend(draft.claims);
        let body = serde_json::to_vec(&claims).map_err(|_| defect())?;
        if key.token_length(body.len()) > LONGEST_TOKEN {
            return Err(Refusal::new(
                Reason::TokenTooLarge,
                "the new token would be larger than 16 KiB: the operator copies or computes fewer claims",
            ));
        }
        Ok(Unsigned {
            key: Arc::clone(key),
            claims,
            body,
            aud: draft.aud,
            jti,
            exp: draft.exp,
            expires_in: draft.exp.saturating_sub(iat),
        })
    }
}

impl Unsigned {
    /// Signs the token.
    pub fn sign(self) -> Result<Issued, Refusal> {
        Ok(Issued {
            token: self.key.sign(&self.body).map_err(|_| defect())?,
            expires_in: self.expires_in,
            aud: self.aud,
            jti: self.jti,
            kid: self.key.kid().to_owned(),
            alg: self.key.alg(),
            exp: self.exp,
        })
    }
}

fn defect() -> Refusal {
    Refusal::new(Reason::Internal, "signing failed")
}
