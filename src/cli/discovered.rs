//! `check --online`: whether issuers whose keys `jwks_uri` names call themselves as they are configured.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::path::Path;

use serde_json::Value;

use crate::config::problems::{Problems, child_path};
use crate::config::{Connector, Settings};
use crate::oauth::metadata::endpoint;
use crate::upstream::PublicClient;

/// Warns of discovery documents that name another issuer. Without `jwks_uri` that is an error of fetching the keys; with
/// it nothing needs the document, so that one which cannot be read is only noted.
pub(super) async fn check(settings: &Settings, problems: &mut Problems) {
    let mut clients: HashMap<Option<&Path>, PublicClient> = HashMap::new();
    let mut asked = HashSet::new();
    for connector in &settings.connectors {
        let ca_file = connector.ca_file.as_deref();
        let is_web = connector.issuer.contains("://");
        if connector.jwks_uri.is_none() || !is_web || !asked.insert((&connector.issuer, ca_file)) {
            continue;
        }
        let client = match clients.entry(ca_file) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let client = ca_file.map_or_else(
                    || Ok(PublicClient::of_connectors()),
                    PublicClient::with_ca_file,
                );
                match client {
                    Ok(client) => new.insert(client),
                    // It was read a moment ago, when the keys were looked for.
                    Err(_) => continue,
                }
            }
        };
        compare(connector, client, problems).await;
    }
}

async fn compare(connector: &Connector, client: &PublicClient, problems: &mut Problems) {
    let url = endpoint(&connector.issuer, "/.well-known/openid-configuration");
    let path = child_path(&connector.path, "issuer");
    let document = client.get(&url).await.map_err(|error| error.to_string());
    let found = document.and_then(|document| {
        let document: Option<Value> = serde_json::from_slice(&document.body).ok();
        let issuer = document
            .as_ref()
            .and_then(|found| found.get("issuer")?.as_str());
        issuer
            .map(crate::oauth::cut)
            .ok_or_else(|| format!("{url} is not a discovery document"))
    });
    match found {
        Ok(found) if found == connector.issuer => {}
        Ok(found) => problems.warning(
            path,
            format!(
                "{url} says that the issuer is {found:?}, and this connector accepts tokens of {:?}: `iss` is compared byte for byte, a `/` at its end counts, so write what the tokens say",
                connector.issuer
            ),
        ),
        Err(error) => problems.note(
            path,
            format!("whether the issuer calls itself so is not known, since its discovery document cannot be read, which jwks_uri does without: {error}"),
        ),
    }
}
