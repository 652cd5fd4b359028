//! Making the new token: the registered claims around what was granted, and the signature.

use std::sync::Arc;
use std::time::Duration;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use super::turns::Turns;
use crate::jose::{Keyring, LONGEST_TOKEN, SigningAlgorithm, SigningKey};
use crate::limits::Gate;
use crate::oauth::{Reason, Refusal};
use crate::policy::NewClaims;
use crate::random::{Random, uuid_v7};

/// `nbf` lies this far before `iat`, since some verifiers allow no leeway; in seconds.
const NOT_BEFORE: u64 = 5;

/// As long as the JSON of the claims of most tokens is at most, in bytes.
const USUAL_BODY: usize = 1024;

/// The claims that every token has and nothing else sets.
const REGISTERED: [&str; 6] = ["iss", "aud", "iat", "nbf", "exp", "jti"];

/// Completes and signs new tokens.
#[derive(Debug)]
pub struct Minter {
    keyring: Arc<Keyring>,
    random: Arc<dyn Random>,
    turns: Turns,
    gate: Gate,
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
    pub claims: NewClaims<'a>,
}

/// A token that only lacks its signature.
#[derive(Debug)]
pub struct Unsigned {
    key: Arc<SigningKey>,
    /// The JSON of its claims.
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
    /// Every claim that the token has, read from its JSON.
    pub fn claims(&self) -> serde_json::Result<Map<String, Value>> {
        serde_json::from_slice(&self.body)
    }
}

impl Minter {
    /// A minter that signs with the keys of `keyring`.
    pub fn new(keyring: Arc<Keyring>, random: Arc<dyn Random>) -> Self {
        Self {
            keyring,
            random,
            turns: Turns::new(),
            gate: Gate::new(usize::MAX),
        }
    }

    /// The minter for no more exchanges at once than `gate` lets in.
    #[must_use]
    pub fn behind(mut self, gate: Gate) -> Self {
        self.gate = gate;
        self
    }

    /// Where a request gets the permit to verify and to have something signed.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// The keys that sign.
    pub fn keyring(&self) -> &Arc<Keyring> {
        &self.keyring
    }

    /// Adds the registered claims (RFC 7519 §4.1) and refuses a token that would be too large.
    pub fn complete(&self, draft: Draft<'_>) -> Result<Unsigned, Refusal> {
        let key = self
            .keyring
            .at(draft.now)
            .signing(draft.alg)
            .ok_or_else(defect)?;
        let millis = u64::try_from(draft.now.as_millis()).unwrap_or(u64::MAX);
        let jti = uuid_v7(self.random.as_ref(), millis).to_string();
        let claims = Body {
            draft: &draft,
            jti: &jti,
        };
        let mut body = Vec::with_capacity(USUAL_BODY);
        serde_json::to_writer(&mut body, &claims).map_err(|_| defect())?;
        if key.token_length(body.len()) > LONGEST_TOKEN {
            return Err(Refusal::new(
                Reason::TokenTooLarge,
                "the new token would be larger than 16 KiB: the operator copies or computes fewer claims",
            ));
        }
        Ok(Unsigned {
            key: Arc::clone(key),
            body,
            aud: draft.aud,
            jti,
            exp: draft.exp,
            expires_in: draft.exp.saturating_sub(draft.now.as_secs()),
        })
    }

    /// Signs a token when it is its turn.
    pub async fn sign(&self, token: Unsigned) -> Result<Issued, Refusal> {
        match token.key.alg() {
            SigningAlgorithm::Rs256 => {
                let signed = self.turns.run(|| token.sign()).await;
                signed.ok_or_else(defect)?
            }
            // It takes no longer than what is done for it, so nobody waits behind one.
            SigningAlgorithm::Es256 => token.sign(),
        }
    }
}

impl Unsigned {
    fn sign(self) -> Result<Issued, Refusal> {
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

/// The claims of a new token as JSON: the registered ones, then those that were granted.
struct Body<'a> {
    draft: &'a Draft<'a>,
    jti: &'a str,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let draft = self.draft;
        let iat = draft.now.as_secs();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("iss", draft.issuer)?;
        match draft.aud.as_slice() {
            [one] => map.serialize_entry("aud", one)?,
            several => map.serialize_entry("aud", several)?,
        }
        map.serialize_entry("iat", &iat)?;
        map.serialize_entry("nbf", &iat.saturating_sub(NOT_BEFORE))?;
        map.serialize_entry("exp", &draft.exp)?;
        map.serialize_entry("jti", self.jti)?;
        let granted = draft.claims.iter();
        // Configuration cannot name these; a token in which one stood twice would mean two things.
        for (name, value) in granted.filter(|(name, _)| !REGISTERED.contains(name)) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn defect() -> Refusal {
    Refusal::new(Reason::Internal, "signing failed")
}
