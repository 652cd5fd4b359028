//! HTTP clients, one per set of trusted roots.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, redirect};

use crate::config::explain_unreadable;

use super::cause::Trust;
use super::error::{FetchError, SourceError};
use super::record::digest;

/// The longest that a connection may take to stand.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// A client that is built when it is first used: reading the machine's roots takes too long for a start.
#[derive(Debug)]
pub(super) struct LazyClient {
    client: OnceLock<Result<Client, String>>,
    loopback: bool,
    trust: Trust,
}

/// A client, and whom it trusts.
#[derive(Clone, Debug)]
pub(super) struct Asker {
    pub(super) client: Client,
    pub(super) trust: Trust,
}

/// The certificates of a `ca_file`, as they were when it was read.
#[derive(Debug)]
pub(super) struct Authorities {
    /// The path of the file, for messages.
    name: String,
    digest: [u8; 32],
    certificates: Vec<Certificate>,
}

impl Authorities {
    /// Reads a PEM file, which must hold a certificate.
    pub(super) fn read(ca_file: &Path) -> Result<Self, SourceError> {
        let name = ca_file.display().to_string();
        let problem = |cause: String| SourceError::new("ca_file", format!("{name} {cause}"));
        let pem = std::fs::read(ca_file).map_err(|error| {
            let why = explain_unreadable(ca_file, &error);
            problem(format!("cannot be read: {why}"))
        })?;
        let certificates = Certificate::from_pem_bundle(&pem)
            .map_err(|error| problem(format!("is not PEM ({})", chain(&error))))?;
        if certificates.is_empty() {
            return Err(problem("holds no PEM certificate".to_owned()));
        }
        Ok(Self {
            digest: digest(&pem),
            name,
            certificates,
        })
    }

    /// The digest of the file's content.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest
    }
}

impl LazyClient {
    /// A client that trusts what the machine trusts: the certificates of `SSL_CERT_FILE` and `SSL_CERT_DIR`, else
    /// those of the system, and the bundled ones of Mozilla where there are none.
    pub(super) fn with_machine_roots(loopback: bool, trust: Trust) -> Self {
        Self {
            client: OnceLock::new(),
            loopback,
            trust,
        }
    }

    /// A client that trusts only these certificates.
    pub(super) fn with_roots(roots: &Authorities, loopback: bool) -> Result<Self, SourceError> {
        let client = builder(loopback)
            .tls_certs_only(roots.certificates.iter().cloned())
            .build()
            .map_err(|error| {
                let problem = format!("{} cannot be used ({})", roots.name, chain(&error));
                SourceError::new("ca_file", problem)
            })?;
        Ok(Self {
            client: OnceLock::from(Ok(client)),
            loopback,
            trust: Trust::CaFile,
        })
    }

    /// The client; one with the machine's own roots unless it was made with others.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Asker, FetchError> {
        if self.client.get().is_none() {
            let this = Arc::clone(self);
            // Reading the roots blocks; a failed join leaves the cell empty, which is reported below.
            let _ = tokio::task::spawn_blocking(move || {
                this.client
                    .get_or_init(|| with_machine_roots(this.loopback));
            })
            .await;
        }
        match self.client.get() {
            Some(Ok(client)) => Ok(Asker {
                client: client.clone(),
                trust: self.trust,
            }),
            Some(Err(cause)) => Err(FetchError::failed(format!(
                "the HTTP client cannot be built: {cause}"
            ))),
            None => Err(FetchError::failed("the HTTP client could not be built")),
        }
    }
}

/// What makes sources share a client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Roots {
    /// The digest of the `ca_file` with the only roots that are trusted.
    pub(super) authorities: Option<[u8; 32]>,
    /// Whether the keys are on this machine.
    pub(super) loopback: bool,
}

/// An error and its causes in one line; never with a URL, whose query may hold a secret.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let part = error.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = error.source();
    }
    text
}

/// Which CA certificates TLS to upstreams trusts where a connector has no `ca_file`, in words.
pub fn machine_roots() -> String {
    trusting_machine(false).map_or_else(|error| error, |(_, trusted)| trusted.to_string())
}

/// What a client with the machine's roots came to trust.
enum Trusted {
    System,
    /// What `SSL_CERT_FILE` and `SSL_CERT_DIR` name.
    Named(String),
    /// The certificates of Mozilla, since there were no others, for this cause.
    Bundled {
        named: Option<String>,
        cause: String,
    },
}

impl std::fmt::Display for Trusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("trusts the CA certificates of this system"),
            Self::Named(named) => write!(f, "trusts the CA certificates of {named}"),
            // Whoever set a variable did not mean the bundled ones.
            Self::Bundled {
                named: Some(named), ..
            } => write!(
                f,
                "trusts the bundled ones, since no CA certificate was found in {named}"
            ),
            Self::Bundled { named: None, .. } => {
                f.write_str("trusts the bundled ones, since this system has no CA certificates")
            }
        }
    }
}

impl Trusted {
    /// Logs it; what nobody asked for and nothing has changed is not news.
    fn log(&self, loopback: bool) {
        match self {
            Self::System => {
                tracing::debug!(target: "upstream", loopback, "TLS to upstreams {self}");
            }
            Self::Named(_) | Self::Bundled { named: None, .. } => {
                tracing::info!(target: "upstream", loopback, "TLS to upstreams {self}");
            }
            Self::Bundled { cause, .. } => {
                tracing::warn!(target: "upstream", loopback, cause, "TLS to upstreams {self}");
            }
        }
    }
}

fn with_machine_roots(loopback: bool) -> Result<Client, String> {
    let (client, trusted) = trusting_machine(loopback)?;
    trusted.log(loopback);
    Ok(client)
}

fn trusting_machine(loopback: bool) -> Result<(Client, Trusted), String> {
    let named = named_roots();
    match builder(loopback).build() {
        Ok(client) => Ok((client, named.map_or(Trusted::System, Trusted::Named))),
        Err(error) => {
            let cause = chain(&error);
            let client = with_bundled_roots(loopback).map_err(|error| chain(&error))?;
            Ok((client, Trusted::Bundled { named, cause }))
        }
    }
}

fn with_bundled_roots(loopback: bool) -> reqwest::Result<Client> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter();
    let roots: Result<Vec<_>, _> = roots.map(|der| Certificate::from_der(der)).collect();
    builder(loopback).tls_certs_only(roots?).build()
}

/// The variables that say where this machine's roots are, such as `SSL_CERT_FILE=/ca.pem`.
fn named_roots() -> Option<String> {
    let set = ["SSL_CERT_FILE", "SSL_CERT_DIR"].map(|name| {
        let value = std::env::var_os(name)?;
        Some(format!("{name}={}", value.display()))
    });
    let set: Vec<_> = set.into_iter().flatten().collect();
    (!set.is_empty()).then(|| set.join(" "))
}

fn builder(loopback: bool) -> ClientBuilder {
    let builder = Client::builder();
    // Plain http is accepted on loopback because nobody else is on the path; a proxy would be.
    let builder = if loopback {
        builder.no_proxy()
    } else {
        builder
    };
    builder
        .user_agent(concat!("remint/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(redirect::Policy::none())
        .referer(false)
        .pool_max_idle_per_host(1)
        .pool_idle_timeout(Duration::from_secs(15))
}
