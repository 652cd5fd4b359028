//! Where a connector's keys come from, as configured.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The source of a connector's keys and how to reach it.
#[derive(Clone)]
pub struct SourceSpec {
    /// The connector's `iss`, byte for byte.
    pub issuer: String,
    /// Which document holds the keys.
    pub location: Location,
    /// How long fetched keys are fresh (at least 1 s); `None` follows the response.
    pub max_age: Option<Duration>,
    /// The time that one fetch may take in all, discovery included.
    pub timeout: Duration,
    /// Headers sent with every request of this source.
    pub headers: Vec<(String, String)>,
    /// A file with a bearer token, read again at each fetch.
    pub bearer_file: Option<PathBuf>,
    /// A PEM file with the only roots trusted for this source.
    pub ca_file: Option<PathBuf>,
    /// Hosts (`name` or `name:port`) that discovery may name besides the issuer's own.
    pub jwks_hosts: Vec<String>,
    /// Whether plain http outside loopback is accepted.
    pub insecure_http: bool,
}

/// Which document holds an issuer's keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Location {
    /// The `jwks_uri` of the issuer's discovery document (`OpenID` Connect Discovery 1.0 §4).
    Discovery,
    /// The JWKS at this URL.
    JwksUri(String),
    /// The JWKS in this file.
    JwksFile(PathBuf),
}

impl SourceSpec {
    /// A source with every option at its default: a timeout of 5 s, no headers, the machine's roots.
    pub fn new(issuer: impl Into<String>, location: Location) -> Self {
        Self {
            issuer: issuer.into(),
            location,
            max_age: None,
            timeout: Duration::from_secs(5),
            headers: Vec::new(),
            bearer_file: None,
            ca_file: None,
            jwks_hosts: Vec::new(),
            insecure_http: false,
        }
    }
}

// Header values may be secrets.
impl fmt::Debug for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("SourceSpec")
            .field("issuer", &self.issuer)
            .field("location", &self.location)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// What makes two connectors share one cache: everything that decides which document is read and with what rights.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct SourceKey {
    location: Location,
    discovery: Option<(String, Vec<String>)>,
    insecure_http: bool,
    headers: Vec<(String, String)>,
    bearer_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
}

impl SourceKey {
    pub(super) fn of(spec: &SourceSpec) -> Self {
        let file = matches!(spec.location, Location::JwksFile(_));
        let mut headers: Vec<_> = spec
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
            .collect();
        headers.sort();
        let mut hosts = spec.jwks_hosts.clone();
        hosts.sort();
        Self {
            location: spec.location.clone(),
            discovery: (spec.location == Location::Discovery).then(|| (spec.issuer.clone(), hosts)),
            insecure_http: spec.insecure_http && !file,
            headers: if file { Vec::new() } else { headers },
            bearer_file: spec.bearer_file.clone().filter(|_| !file),
            ca_file: spec.ca_file.clone().filter(|_| !file),
        }
    }
}
