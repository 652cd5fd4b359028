//! The configuration as plain values, and how its top is read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use config::ValueKind;

use super::address::{Address, SocketMode};
use super::client::{Client, read_client};
use super::connector::{Connector, read_connector};
use super::limits::{Limits, read_limits};
use super::proxies::{Proxies, read_proxies};
use super::replay::{Replay, read_replay};
use super::section::Section;
use super::tls::{Tls, read_tls};

/// Everything a configuration file says, with its defaults filled in.
///
/// After errors it is still returned, so that later checks can add theirs: an empty string, or an empty list where
/// one is required, stands for something already reported. Values are not printable: headers may hold secrets.
#[derive(Clone)]
pub struct Settings {
    /// `iss` of every token and of the metadata.
    pub issuer: Issuer,
    /// `[server]`.
    pub server: Server,
    /// `[keys]`.
    pub keys: Keys,
    /// `[tokens]`.
    pub tokens: Tokens,
    /// `[limits]`.
    pub limits: Limits,
    /// `[replay]`.
    pub replay: Replay,
    /// `[[connectors]]`, in the order of the file.
    pub connectors: Vec<Connector>,
    /// `[[clients]]`, in the order of the file.
    pub clients: Vec<Client>,
}

impl Settings {
    /// Every further file that the configuration is made of, so that a change of one can be noticed; `bearer_file` is
    /// read at each use.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let secrets = self.secret_files();
        let keys = self.connectors.iter().flat_map(|connector| {
            let files = [&connector.jwks_file, &connector.ca_file];
            files.into_iter().flatten()
        });
        let tls = self.server.tls.iter().flat_map(|tls| {
            let files = [&tls.cert_file, &tls.key_file];
            files.into_iter().chain(&tls.client_ca_file)
        });
        let others = std::iter::once(&self.keys.file).chain(keys).chain(tls);
        secrets.chain(others.map(PathBuf::as_path))
    }

    /// The files among them that are read together with the configuration.
    pub fn secret_files(&self) -> impl Iterator<Item = &Path> {
        let clients = self.clients.iter();
        clients.filter_map(|client| client.secret_file.as_deref())
    }
}

/// In whose name tokens are issued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// One of these, byte for byte; the request's host and path choose, and the first is the default.
    Listed(Vec<String>),
    /// The scheme and host of each request, as oidc-token-proxy does it.
    FromRequest,
}

impl Issuer {
    /// The configured issuers; none where they come from requests.
    pub fn listed(&self) -> &[String] {
        match self {
            Self::Listed(issuers) => issuers,
            Self::FromRequest => &[],
        }
    }
}

/// `[server]`: where Remint listens.
#[derive(Clone, Debug)]
pub struct Server {
    /// Everything that callers need.
    pub listen: Vec<Address>,
    /// Of every unix socket.
    pub socket_mode: SocketMode,
    /// Only what the world may see: metadata, keys and health.
    pub metadata_listen: Vec<Address>,
    /// Health with details, and metrics; absent: nowhere.
    pub admin_listen: Option<Address>,
    /// Where last-good upstream keys survive a restart; absent: nowhere.
    pub state_dir: Option<PathBuf>,
    /// From whom `X-Forwarded-For` or `Forwarded` is believed, and which of the two.
    pub trusted_proxies: Proxies,
    /// `[server.tls]`; absent: no TLS.
    pub tls: Option<Tls>,
}

/// `[keys]`: what signs.
#[derive(Clone, Debug)]
pub struct Keys {
    /// The private JWKS; relative paths are already joined to the folder of the configuration.
    pub file: PathBuf,
    /// The algorithm used when nothing else chooses one; absent: the first of `signing`.
    pub default_alg: Option<String>,
    /// Algorithm and kid, in the order of the file; absent: the first usable key of each algorithm.
    pub signing: Option<Vec<(String, String)>>,
}

/// `[tokens]`: how long tokens live.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// No token lives longer.
    pub max_lifetime: Duration,
    /// How far the clocks of issuers may be off.
    pub leeway: Duration,
    /// How `sub` is written.
    pub subject_format: SubjectFormat,
}

/// How `sub` of a new token is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubjectFormat {
    /// As it is.
    Plain,
    /// Together with the connector's id, encoded as Dex does it.
    Dex,
}

/// Reads the whole configuration; adding a key is one line here and one field above.
pub(super) fn read_settings(root: &mut Section<'_>) -> Settings {
    Settings {
        issuer: read_issuer(root),
        server: root.table("server", read_server),
        keys: root.table("keys", |keys| Keys {
            file: keys
                .optional("file")
                .unwrap_or_else(|| keys.resolve("jwks.json")),
            default_alg: keys.optional("default_alg"),
            signing: keys.optional("signing"),
        }),
        tokens: root.table("tokens", |tokens| Tokens {
            max_lifetime: tokens
                .optional("max_lifetime")
                .unwrap_or(Duration::from_secs(60 * 60)),
            leeway: tokens.optional("leeway").unwrap_or(Duration::from_secs(60)),
            subject_format: read_subject_format(tokens),
        }),
        limits: root.table("limits", read_limits),
        replay: root.table("replay", read_replay),
        connectors: {
            if root.kind_of("clients").is_none() {
                root.require("connectors", "without a [[connectors]] no token is accepted, so write at least one with id, issuer, audiences and allow");
            }
            root.tables("connectors", read_connector)
        },
        clients: root.tables("clients", read_client),
    }
}

/// Where Remint listens where nothing is said.
pub(super) fn default_listen() -> Vec<Address> {
    vec![Address::Tcp("127.0.0.1:8080".to_owned())]
}

/// Reads `[server]`.
pub(super) fn read_server(server: &mut Section<'_>) -> Server {
    Server {
        listen: server.optional("listen").unwrap_or_else(default_listen),
        socket_mode: server.optional("socket_mode").unwrap_or_default(),
        metadata_listen: server.optional("metadata_listen").unwrap_or_default(),
        admin_listen: server.optional("admin_listen"),
        state_dir: server.optional("state_dir"),
        trusted_proxies: read_proxies(server),
        tls: read_tls(server),
    }
}

fn read_subject_format(tokens: &mut Section<'_>) -> SubjectFormat {
    match tokens.optional::<String>("subject_format").as_deref() {
        None | Some("plain") => SubjectFormat::Plain,
        Some("dex") => SubjectFormat::Dex,
        Some(other) => {
            let found = format!("found {other:?}, expected \"plain\" or \"dex\"");
            tokens.error("subject_format", found);
            SubjectFormat::Plain
        }
    }
}

fn read_issuer(root: &mut Section<'_>) -> Issuer {
    const WHAT: &str =
        "write the public URL of this service, such as issuer = \"https://sts.example.com\"";
    if let Some(ValueKind::Array(_)) = root.kind_of("issuer") {
        return Issuer::Listed(root.required("issuer", WHAT));
    }
    let issuer: String = root.required("issuer", WHAT);
    if issuer == "from-request" {
        Issuer::FromRequest
    } else {
        Issuer::Listed(vec![issuer])
    }
}
