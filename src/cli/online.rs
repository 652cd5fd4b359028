//! `check --online`: upstream keys, and our own public documents as a verifier sees them.

use std::sync::Arc;

use serde_json::Value;

use super::discovered;
use crate::app::App;
use crate::config::{Issuer, Settings, problems::Problems};
use crate::jose::{KeyState, Moment, OwnKey, rfc3339};
use crate::oauth::metadata::endpoint;
use crate::upstream::{Probe, PublicClient, Userinfo};

/// The members that make a key, whatever else is said of it.
const MATERIAL: [&str; 6] = ["kty", "n", "e", "crv", "x", "y"];

/// The members that only the private half has (RFC 7518 §6.2.2, §6.3.2, §6.4).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// Fetches everything that a running instance and its verifiers would; what fails goes to `problems`.
pub(super) async fn check(settings: &Settings, app: &App, problems: &mut Problems) {
    for (connector, configured) in app.connectors().iter().zip(&settings.connectors) {
        match connector.keys.fetch_now().await {
            Ok(keys) => problems.note(
                configured.path.clone(),
                format!("{}: {keys} usable keys were fetched", connector.id),
            ),
            Err(error) => problems.error(
                configured.path.clone(),
                format!("{}: the keys cannot be had: {error}", connector.id),
            ),
        }
        if let Some(userinfo) = &connector.userinfo {
            check_userinfo(&connector.id, userinfo, &configured.path, problems).await;
        }
    }
    discovered::check(settings, problems).await;
    if settings.issuer == Issuer::FromRequest {
        problems.note(
            "issuer",
            "\"from-request\" names no public address, so no public document was looked at",
        );
    }
    let client = PublicClient::new();
    let issuers = settings.issuer.listed();
    for (index, issuer) in issuers.iter().enumerate() {
        let mut public = Public {
            issuer,
            path: match issuers {
                [_] => "issuer".to_owned(),
                _ => format!("issuer[{index}]"),
            },
            client: &client,
            problems,
        };
        public.check(app).await;
    }
}

/// Asks the userinfo endpoint without a token, which it refuses if it is one (RFC 6750 §3).
async fn check_userinfo(id: &str, userinfo: &Arc<Userinfo>, path: &str, problems: &mut Problems) {
    match userinfo.probe().await {
        Ok(Probe { url, status }) if matches!(status, 400 | 401 | 403) => problems.note(
            path,
            format!("{id}: the userinfo endpoint {url} refuses a request without a token ({status}), as it should"),
        ),
        Ok(Probe { url, status }) => problems.error(
            path,
            format!("{id}: {url} answers {status} to a request without a token, where a userinfo endpoint answers 401: set `userinfo_uri`"),
        ),
        Err(error) => problems.error(
            path,
            format!("{id}: the userinfo endpoint cannot be asked: {error}"),
        ),
    }
}

/// What verifiers find under the URL of one issuer.
struct Public<'a> {
    issuer: &'a str,
    /// Where the issuer stands in the configuration.
    path: String,
    client: &'a PublicClient,
    problems: &'a mut Problems,
}

impl Public<'_> {
    async fn check(&mut self, app: &App) {
        let url = endpoint(self.issuer, "/.well-known/openid-configuration");
        let Some(metadata) = self.document(&url, &["application/json"]).await else {
            return;
        };
        self.compare_metadata(&url, &metadata, app);
        let Some(jwks_uri) = metadata.get("jwks_uri").and_then(Value::as_str) else {
            self.error(format!(
                "{url} has no jwks_uri: something else answers there"
            ));
            return;
        };
        let types = ["application/jwk-set+json", "application/json"];
        if let Some(jwks) = self.document(jwks_uri, &types).await {
            self.compare_keys(jwks_uri, &jwks, app.keys());
        }
    }

    fn compare_metadata(&mut self, url: &str, found: &Value, app: &App) {
        let issuer = found.get("issuer").and_then(Value::as_str);
        if issuer != Some(self.issuer) {
            self.error(format!(
                "{url} says issuer {:?}, but tokens say {:?}: verifiers compare them byte for byte",
                issuer.unwrap_or("nothing"),
                self.issuer
            ));
            return;
        }
        let stale = self.stale_members(found, app);
        if !stale.is_empty() {
            self.warning(format!(
                "{url} is stale: {} differ from what this configuration says; publish again, or restart the server that gives it",
                stale.join(", ")
            ));
        }
    }

    /// The members of the metadata that are not as this configuration would have them.
    fn stale_members(&self, found: &Value, app: &App) -> Vec<String> {
        let documents = app.issuers().documents(app.now());
        let own = documents
            .iter()
            .find(|document| document.issuer == self.issuer && !document.is_jwks)
            .and_then(|document| serde_json::from_slice(document.body).ok());
        let Some(Value::Object(own)) = own else {
            return Vec::new();
        };
        // A missing jwks_uri is an error of its own.
        own.into_iter()
            .filter(|(name, _)| name != "jwks_uri" || found.get(name).is_some())
            .filter(|(name, value)| found.get(name) != Some(value))
            .map(|(name, _)| name)
            .collect()
    }

    fn compare_keys(&mut self, url: &str, found: &Value, keys: Moment<'_>) {
        let listed = found.get("keys").and_then(Value::as_array);
        let found: Vec<&Value> = listed.into_iter().flatten().collect();
        let kid = |key: &Value| key.get("kid").and_then(Value::as_str).map(str::to_owned);
        for own in keys.published() {
            let key = own.key;
            let mut same = found
                .iter()
                .filter(|other| kid(other).as_deref() == Some(key.kid()))
                .peekable();
            let name = key.kid();
            if same.peek().is_none() {
                let end = without(&own);
                self.error(format!("{url} is stale: it lacks the key {name:?}: {end}"));
                continue;
            }
            let own = serde_json::to_value(key.public()).unwrap_or_default();
            if same.any(|other| MATERIAL.iter().any(|part| own.get(part) != other.get(part))) {
                self.error(format!(
                    "{url} has another key under the kid {name:?}: tokens that ours signs are refused; publish again, and give every new key a new kid"
                ));
            }
        }
        for key in found {
            let kid = kid(key).unwrap_or_default();
            if PRIVATE.iter().any(|member| key.get(member).is_some()) {
                self.error(format!(
                    "{url} shows the private half of the key {kid:?} to the whole world: take it down, and replace the key"
                ));
            }
            let own = keys.keys().find(|own| own.key.kid() == kid);
            match own.map(|own| own.state) {
                None => self.warning(format!(
                    "{url} is stale: it has the key {kid:?}, which the key file does not have: whoever holds that key can still sign; publish again"
                )),
                Some(KeyState::Retired) => self.warning(format!(
                    "{url} is stale: it has the key {kid:?}, whose time is over: whoever holds that key can still sign; publish again"
                )),
                Some(_) => {}
            }
        }
    }

    async fn document(&mut self, url: &str, types: &[&str]) -> Option<Value> {
        let fetched = match self.client.get(url).await {
            Ok(fetched) => fetched,
            Err(error) => {
                self.error(format!("{url} cannot be had as a verifier would: {error}"));
                return None;
            }
        };
        let essence = fetched.content_type.split(';').next();
        let essence = essence.unwrap_or_default().trim().to_ascii_lowercase();
        if !types.contains(&essence.as_str()) {
            self.error(format!(
                "{url} has the content type {essence:?}; {} is expected, and some verifiers insist",
                types.join(" or ")
            ));
        }
        let document = serde_json::from_slice(&fetched.body).ok();
        if document.is_none() {
            self.error(format!("{url} is not JSON: something else answers there"));
        }
        document
    }

    fn error(&mut self, message: String) {
        self.problems.error(self.path.clone(), message);
    }

    fn warning(&mut self, message: String) {
        self.problems.warning(self.path.clone(), message);
    }
}

/// What comes of it that verifiers do not find this key.
fn without(own: &OwnKey<'_>) -> String {
    match (own.state, own.times.signs_from, own.times.signs_until) {
        (KeyState::Signing, ..) => "tokens that it signs are refused; publish again".to_owned(),
        (KeyState::Next, Some(from), _) => format!(
            "publish again before it signs, which is from {} on",
            rfc3339(from)
        ),
        (_, _, Some(until)) => format!(
            "tokens that it signed until {} are refused; publish again",
            rfc3339(until)
        ),
        _ => "publish again before it signs".to_owned(),
    }
}
