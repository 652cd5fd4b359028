//! The closed set of issuers that Remint trusts, found by `iss` or by connector id.

use std::collections::HashMap;
use std::sync::Arc;

use crate::oauth::{Reason, Refusal, cut};
use crate::policy::Policy;
use crate::replay;
use crate::upstream::KeySource;

/// One trusted issuer: where its keys come from, and the rules for its tokens.
#[derive(Debug)]
pub struct Connector {
    /// The id in the configuration.
    pub id: Arc<str>,
    /// The `iss` of its tokens, byte for byte.
    pub issuer: String,
    /// Its cached keys, shared between connectors with the same key source.
    pub keys: Arc<KeySource>,
    /// Whether only clients may exchange its tokens.
    pub require_client: bool,
    /// Whether its issuer may be Remint itself, so that its tokens are traded again.
    pub allow_self: bool,
    /// How often each of its tokens can be used.
    pub replay: replay::Rule,
    /// Its rules.
    pub policy: Policy,
}

/// Every connector; a look-up costs the same for one and for ten thousand.
#[derive(Debug, Default)]
pub struct Connectors {
    all: Vec<Arc<Connector>>,
    by_id: HashMap<Arc<str>, Arc<Connector>>,
    by_issuer: HashMap<String, Vec<Arc<Connector>>>,
}

/// A connector that was found, and the refusal if it is not the right one for the token.
pub type Lookup = (Arc<Connector>, Result<(), Refusal>);

impl Connectors {
    /// Builds the maps; ids are unique by validation.
    pub fn new(connectors: impl IntoIterator<Item = Connector>) -> Self {
        let mut set = Self::default();
        for connector in connectors.into_iter().map(Arc::new) {
            set.by_id
                .insert(Arc::clone(&connector.id), Arc::clone(&connector));
            set.by_issuer
                .entry(connector.issuer.clone())
                .or_default()
                .push(Arc::clone(&connector));
            set.all.push(connector);
        }
        set
    }

    /// Every connector, in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Connector>> {
        self.all.iter()
    }

    /// Refuses to issue in the name of an issuer that a connector trusts, unless it says so: such tokens could be
    /// traded again and again. Only an issuer that comes from a request can be one.
    pub fn check_own_issuer(&self, issuer: &str) -> Result<(), Refusal> {
        let trusting = self.by_issuer.get(issuer).into_iter().flatten();
        let mut renewing =
            trusting.filter(|connector| !connector.allow_self || connector.policy.outlives());
        match renewing.next() {
            None => Ok(()),
            Some(connector) => Err(Refusal::new(
                Reason::IssuerMismatch,
                "the Host of this request is the issuer of a connector, and cannot be that of new tokens",
            )
            .with_detail(format!(
                "the Host is the issuer of the connector {}: set allow_self there if that is meant",
                connector.id
            ))),
        }
    }

    /// The connector with this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Connector>> {
        self.by_id.get(id)
    }

    /// The connector for a token that says `iss`, and that the caller may have named.
    ///
    /// `Err` where there is none; a named connector of another issuer comes with `issuer_mismatch`.
    pub fn find(&self, iss: Option<&str>, id: Option<&str>) -> Result<Lookup, Refusal> {
        if let Some(id) = id {
            let connector = self.by_id.get(id).ok_or_else(|| {
                Refusal::new(
                    Reason::ConnectorUnknown,
                    format!("there is no connector {}: check `connector_id`", cut(id)),
                )
            })?;
            let fits = if iss == Some(connector.issuer.as_str()) {
                Ok(())
            } else {
                Err(Refusal::new(
                    Reason::IssuerMismatch,
                    format!(
                        "the token is not from the issuer of the connector {}",
                        cut(id)
                    ),
                ))
            };
            return Ok((Arc::clone(connector), fits));
        }
        let known = iss.and_then(|iss| self.by_issuer.get(iss));
        match known.map(Vec::as_slice) {
            Some([connector]) => Ok((Arc::clone(connector), Ok(()))),
            Some(_) => Err(Refusal::new(
                Reason::ConnectorRequired,
                "several connectors trust the issuer of this token: name one with `connector_id`",
            )),
            None => Err(Refusal::new(
                Reason::IssuerUnknown,
                "the token was not accepted: its issuer is not known here",
            )
            .with_detail(match iss {
                Some(iss) => format!("no connector has the issuer {:?} (unverified)", cut(iss)),
                None => "the token has no iss that is a string".to_owned(),
            })),
        }
    }
}
