//! The closed set of issuers that Remint trusts, found by `iss` or by connector id.

use std::collections::HashMap;
use std::sync::Arc;

use crate::oauth::{Reason, Refusal, cut};
use crate::policy::Policy;
use crate::replay;
use crate::upstream::{KeySource, Userinfo};

/// One trusted issuer: where its keys come from, and the rules for its tokens.
#[derive(Debug)]
pub struct Connector {
    /// The id in the configuration.
    pub id: Arc<str>,
    /// The `iss` of its tokens, byte for byte.
    pub issuer: String,
    /// Its cached keys, shared between connectors with the same key source.
    pub keys: Arc<KeySource>,
    /// Its userinfo endpoint, where that may vouch for opaque access tokens.
    pub userinfo: Option<Arc<Userinfo>>,
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
    /// One connector for each [`loose`] issuer.
    by_loose_issuer: HashMap<String, Arc<Connector>>,
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
            set.by_loose_issuer
                .insert(loose(&connector.issuer), Arc::clone(&connector));
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
                Err(mismatch(iss, connector))
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
            None => Err(self.unknown(iss)),
        }
    }

    /// The caller is not told which issuers there are: nothing is verified yet.
    fn unknown(&self, iss: Option<&str>) -> Refusal {
        let near = iss.and_then(|iss| self.by_loose_issuer.get(&loose(iss)));
        let near = near.map_or_else(String::new, |connector| {
            format!(
                "; the connector {} has {:?}, which differs only in case, scheme or a slash at the end",
                connector.id, connector.issuer
            )
        });
        Refusal::new(
            Reason::IssuerUnknown,
            "the token was not accepted: its issuer is not known here; compare its `iss` byte for byte with the `issuer` of each connector: a slash at the end counts",
        )
        .with_detail(match iss {
            Some(iss) => format!("no connector has the issuer {:?} (unverified){near}", cut(iss)),
            None => "the token has no iss that is a string".to_owned(),
        })
    }
}

fn mismatch(iss: Option<&str>, connector: &Connector) -> Refusal {
    let words = format!(
        "the token is not from the issuer of the connector {}; compare its `iss` byte for byte with the connector's `issuer`: a slash at the end counts",
        connector.id
    );
    let detail = match iss {
        Some(iss) => format!(
            "the connector {} has the issuer {:?}, the token {:?} (unverified)",
            connector.id,
            connector.issuer,
            cut(iss)
        ),
        None => "the token has no iss that is a string".to_owned(),
    };
    Refusal::new(Reason::IssuerMismatch, words).with_detail(detail)
}

/// An issuer without what people get wrong in it.
fn loose(issuer: &str) -> String {
    let issuer = issuer.to_ascii_lowercase();
    let rest = issuer
        .split_once("://")
        .map_or(issuer.as_str(), |(_, rest)| rest);
    rest.trim_end_matches('/').to_owned()
}
