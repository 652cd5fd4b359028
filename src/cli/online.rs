//! `check --online`: upstream keys, and our own public documents as a verifier sees them.

use serde_json::Value;

use crate::app::App;
use crate::config::{Settings, problems::Problems};
use crate::oauth::metadata::endpoint;
use crate::upstream;

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
    }
    for issuer in settings.issuer.listed() {
        let published = Published {
            issuer,
            kids: app.published_kids(),
        };
        published.check(problems).await;
    }
}

/// What verifiers should find under the issuer's URL.
struct Published<'a> {
    issuer: &'a str,
    kids: Vec<String>,
}

impl Published<'_> {
    async fn check(&self, problems: &mut Problems) {
        let url = endpoint(self.issuer, "/.well-known/openid-configuration");
        let Some(metadata) = self.document(&url, &["application/json"], problems).await else {
            return;
        };
        let text = |name: &str| metadata.get(name).and_then(Value::as_str);
        if text("issuer") != Some(self.issuer) {
            problems.error(
                "issuer",
                format!(
                    "{url} says issuer {:?}, but tokens say {:?}: verifiers compare them byte for byte",
                    text("issuer").unwrap_or("nothing"),
                    self.issuer
                ),
            );
        }
        let Some(jwks_uri) = text("jwks_uri") else {
            problems.error(
                "issuer",
                format!("{url} has no jwks_uri: something else answers there"),
            );
            return;
        };
        let types = ["application/jwk-set+json", "application/json"];
        let Some(jwks) = self.document(jwks_uri, &types, problems).await else {
            return;
        };
        let published: Vec<&str> = jwks
            .get("keys")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(|key| key.get("kid").and_then(Value::as_str))
            .collect();
        for kid in self
            .kids
            .iter()
            .filter(|kid| !published.contains(&kid.as_str()))
        {
            problems.error(
                "issuer",
                format!("{jwks_uri} lacks the key {kid:?}: tokens that it signs would fail; publish the keys again"),
            );
        }
    }

    async fn document(&self, url: &str, types: &[&str], problems: &mut Problems) -> Option<Value> {
        let fetched = match upstream::fetch_public(url).await {
            Ok(fetched) => fetched,
            Err(error) => {
                problems.error(
                    "issuer",
                    format!("{url} cannot be had as a verifier would: {error}"),
                );
                return None;
            }
        };
        let essence = fetched
            .content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if !types.contains(&essence) {
            problems.error(
                "issuer",
                format!("{url} has the content type {essence:?}; {} is expected, and some verifiers insist", types.join(" or ")),
            );
        }
        serde_json::from_slice(&fetched.body)
            .map_err(|_| {
                problems.error(
                    "issuer",
                    format!("{url} is not JSON: something else answers there"),
                );
            })
            .ok()
    }
}
