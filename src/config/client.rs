//! `[[clients]]`: who may ask for tokens under a name of its own.

use std::path::PathBuf;

use super::secret::{Secret, read_secret};
use super::section::Section;
use crate::oauth;

/// The grants that a client may use: the short name, and the `grant_type` that may be written for it.
pub(super) const GRANTS: [(&str, &str); 2] = [
    ("token-exchange", oauth::TOKEN_EXCHANGE),
    ("client_credentials", "client_credentials"),
];

/// One client. Not printable as a whole, though its secret would not show.
#[derive(Clone)]
pub struct Client {
    /// Where it stands, such as `clients[0]`: the beginning of the path of every finding about it.
    pub path: String,
    /// Its `client_id`; unique.
    pub id: String,
    /// Its name for people; the id where the file has none.
    pub name: String,
    /// What its secret is compared with; `None` for a public client without one.
    pub secret: Option<Secret>,
    /// The file that it was read from, or could not be.
    pub secret_file: Option<PathBuf>,
    /// Whether it cannot keep a secret.
    pub public: bool,
    /// Short names of the grants that it may use.
    pub grants: Vec<String>,
    /// Ids of the connectors whose tokens it may exchange; absent: all.
    pub connectors: Option<Vec<String>>,
    /// Audiences that it may ask for besides its own id and the targets in force.
    pub audiences: Vec<String>,
    /// Ids of the clients that may ask for tokens for this one.
    pub trusted_peers: Vec<String>,
    /// `claims.groups`: its groups in tokens of its own.
    pub groups: Vec<String>,
}

pub(super) fn read_client(table: &mut Section<'_>) -> Client {
    let id: String = table.required("id", "write the client_id, such as id = \"my-app\"");
    let public = table.optional("public").unwrap_or(false);
    let (secret, secret_file) = read_secret(table, public);
    Client {
        path: table.path().to_owned(),
        name: table.optional("name").unwrap_or_else(|| id.clone()),
        id,
        secret,
        secret_file,
        public,
        grants: read_grants(table),
        connectors: table.optional("connectors"),
        audiences: table.optional("audiences").unwrap_or_default(),
        trusted_peers: table.optional("trusted_peers").unwrap_or_default(),
        groups: table.table("claims", |claims| {
            claims.optional("groups").unwrap_or_default()
        }),
    }
}

/// The grants by their short names; what is not one stays as it is, for the message about it.
fn read_grants(table: &mut Section<'_>) -> Vec<String> {
    let Some(written) = table.optional::<Vec<String>>("grants") else {
        return vec!["token-exchange".to_owned()];
    };
    let short = |name: String| {
        let known = GRANTS.into_iter().find(|(_, full)| *full == name);
        known.map_or(name, |(short, _)| short.to_owned())
    };
    written.into_iter().map(short).collect()
}
