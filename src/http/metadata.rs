//! What the metadata says, derived from what is configured and can be done.

use std::collections::BTreeSet;

use crate::config::Settings;
use crate::grant::Grants;
use crate::jose::Moment;
use crate::oauth::metadata::Metadata;
use crate::policy::STANDARD_SCOPES;

/// Claims that new tokens can carry whatever the connectors say.
const OWN_CLAIMS: [&str; 16] = [
    "iss",
    "sub",
    "aud",
    "iat",
    "nbf",
    "exp",
    "jti",
    "act",
    "azp",
    "scope",
    "name",
    "preferred_username",
    "email",
    "email_verified",
    "groups",
    "federated_claims",
];

/// The metadata, but for what carries the URL of an issuer.
pub fn metadata(settings: &Settings, keys: Moment<'_>, grants: &Grants) -> Metadata {
    let mut configured = BTreeSet::new();
    for connector in &settings.connectors {
        let copied = connector.rules.iter().flat_map(|rule| &rule.clone_claims);
        let computed = connector.rules.iter().flat_map(|rule| &rule.claims);
        configured.extend(connector.clone_claims.iter().chain(copied));
        configured.extend(
            connector
                .claims
                .iter()
                .chain(computed)
                .map(|(name, _)| name),
        );
    }
    let further = configured
        .into_iter()
        .filter(|name| !OWN_CLAIMS.contains(&name.as_str()))
        .cloned();
    Metadata {
        response_types_supported: vec!["id_token"],
        subject_types_supported: vec!["public"],
        id_token_signing_alg_values_supported: keys
            .announced()
            .iter()
            .map(|alg| alg.name())
            .collect(),
        claims_supported: OWN_CLAIMS
            .iter()
            .map(ToString::to_string)
            .chain(further)
            .collect(),
        grant_types_supported: grants.grant_types(),
        token_endpoint_auth_methods_supported: if settings.clients.is_empty() {
            vec!["none"]
        } else {
            vec!["client_secret_basic", "client_secret_post", "none"]
        },
        scopes_supported: scopes(settings),
        ..Metadata::default()
    }
}

/// The standard scopes, then each that some connector or rule lists.
fn scopes(settings: &Settings) -> Vec<String> {
    let own = settings.connectors.iter().flat_map(|connector| {
        let of_rules = connector.rules.iter().flat_map(|rule| &rule.scopes);
        connector.scopes.iter().chain(of_rules)
    });
    let own: BTreeSet<_> = own.collect();
    let standard = STANDARD_SCOPES.iter().map(ToString::to_string);
    standard.chain(own.into_iter().cloned()).collect()
}
