//! Where a connector's keys come from, as configured.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};

use super::record::hex;

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
    /// The digest of what `ca_file` holds: keys that were fetched under another CA may be anybody's.
    authorities: Option<[u8; 32]>,
}

impl SourceKey {
    /// The key of a spec whose `ca_file` has this digest.
    pub(super) fn of(spec: &SourceSpec, authorities: Option<[u8; 32]>) -> Self {
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
            authorities: authorities.filter(|_| !file),
        }
    }

    /// A name for the source that says nothing of it: 64 hexadecimal digits, the same in each run.
    pub(super) fn digest(&self) -> String {
        let mut context = Context::new(&SHA256);
        // Each part behind its length, so that no two sources have the same parts.
        let mut part = |bytes: &[u8]| {
            context.update(&(bytes.len() as u64).to_be_bytes());
            context.update(bytes);
        };
        let (kind, location): (&[u8], &[u8]) = match &self.location {
            Location::Discovery => (b"discovery", b""),
            Location::JwksUri(uri) => (b"jwks_uri", uri.as_bytes()),
            Location::JwksFile(path) => (b"jwks_file", path.as_os_str().as_bytes()),
        };
        part(kind);
        part(location);
        let (issuer, hosts) = self
            .discovery
            .as_ref()
            .map_or(("", &[][..]), |(issuer, hosts)| {
                (issuer.as_str(), hosts.as_slice())
            });
        part(issuer.as_bytes());
        part(&(hosts.len() as u64).to_be_bytes());
        for host in hosts {
            part(host.as_bytes());
        }
        part(&[u8::from(self.insecure_http)]);
        part(&(self.headers.len() as u64).to_be_bytes());
        for (name, value) in &self.headers {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        let bearer_file = self.bearer_file.as_ref();
        for choice in [
            bearer_file.map(|path| path.as_os_str().as_bytes()),
            self.authorities.as_ref().map(<[u8; 32]>::as_slice),
        ] {
            part(&[u8::from(choice.is_some())]);
            part(choice.unwrap_or_default());
        }
        hex(context.finish().as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_that_share_no_cache_share_no_name() {
        let base = SourceSpec::new("https://a", Location::Discovery);
        let with = |change: fn(&mut SourceSpec)| {
            let mut spec = base.clone();
            change(&mut spec);
            SourceKey::of(&spec, None)
        };
        let keys = [
            with(|_| {}),
            with(|spec| spec.issuer = "https://b".into()),
            with(|spec| spec.location = Location::JwksUri("https://a".into())),
            with(|spec| spec.location = Location::JwksFile("https://a".into())),
            with(|spec| spec.jwks_hosts = vec!["ab".into()]),
            with(|spec| spec.jwks_hosts = vec!["a".into(), "b".into()]),
            with(|spec| spec.insecure_http = true),
            with(|spec| spec.headers = vec![("a".into(), "1".into())]),
            with(|spec| spec.headers = vec![("a".into(), "2".into())]),
            with(|spec| spec.headers = vec![("a1".into(), String::new())]),
            with(|spec| spec.bearer_file = Some("f".into())),
            SourceKey::of(&base, Some([1; 32])),
            SourceKey::of(&base, Some([2; 32])),
        ];
        for (index, key) in keys.iter().enumerate() {
            let digest = key.digest();
            assert!(digest.len() == 64 && digest.bytes().all(|c| c.is_ascii_hexdigit()));
            for other in &keys[..index] {
                assert_ne!(other.digest(), digest);
            }
        }
        // How long keys are fresh and how long a fetch may take does not change whose keys they are.
        let same = with(|spec| {
            spec.max_age = Some(Duration::from_secs(1));
            spec.timeout = Duration::from_secs(1);
        });
        assert_eq!(same.digest(), keys[0].digest());
    }
}
