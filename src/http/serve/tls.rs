//! What TLS listeners show their clients, and how that is replaced while they run.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use super::certificates::{check_chain, read_certificates, read_key};
use crate::config::problems::Problems;
use crate::config::{self, ClientAuth};

const CERT_FILE: &str = "server.tls.cert_file";
const KEY_FILE: &str = "server.tls.key_file";
const CLIENT_CA_FILE: &str = "server.tls.client_ca_file";

/// Whether a listener asks for client certificates, where it is configured whose are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientCertificates {
    /// As `client_auth` says.
    Asked,
    /// Never: what it serves is public.
    NotAsked,
}

/// The certificates and the key of TLS listeners. What is in use can be replaced: connections that stand
/// go on with what they have.
#[derive(Debug)]
pub struct Tls(ArcSwap<Configs>);

#[derive(Debug)]
struct Configs {
    asking: Arc<ServerConfig>,
    not_asking: Arc<ServerConfig>,
}

impl Tls {
    /// Reads the files that `tls` names; `now` is the time since the Unix epoch.
    ///
    /// What is wrong or doubtful goes to `problems`; with an error nothing comes back.
    pub fn load(tls: &config::Tls, now: Duration, problems: &mut Problems) -> Option<Self> {
        let configs = Configs::load(tls, now, problems)?;
        Some(Self(ArcSwap::from_pointee(configs)))
    }

    /// New connections get what `new` has loaded.
    pub fn replace(&self, new: Self) {
        self.0.store(new.0.into_inner());
    }

    /// What a new connection gets.
    pub(super) fn config(&self, clients: ClientCertificates) -> Arc<ServerConfig> {
        let configs = self.0.load();
        Arc::clone(match clients {
            ClientCertificates::Asked => &configs.asking,
            ClientCertificates::NotAsked => &configs.not_asking,
        })
    }
}

impl Configs {
    fn load(tls: &config::Tls, now: Duration, problems: &mut Problems) -> Option<Self> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let chain = read_certificates(&tls.cert_file, CERT_FILE, problems)
            .filter(|chain| check_chain(chain, CERT_FILE, now, problems));
        let key = read_key(&tls.key_file, KEY_FILE, problems);
        let verifier = match &tls.client_ca_file {
            None => Some(WebPkiClientVerifier::no_client_auth()),
            Some(_) => client_verifier(tls, now, &provider, problems),
        };
        let (chain, key, verifier) = (chain?, key?, verifier?);
        let no_clients = WebPkiClientVerifier::no_client_auth();
        let asking = server_config(&provider, verifier, chain.clone(), key.clone_key());
        let not_asking = server_config(&provider, no_clients, chain, key);
        match (asking, not_asking) {
            (Ok(asking), Ok(not_asking)) => Some(Self {
                asking: Arc::new(asking),
                not_asking: Arc::new(not_asking),
            }),
            (Err(error), _) | (_, Err(error)) => {
                problems.error(KEY_FILE, unfit(&error));
                None
            }
        }
    }
}

/// TLS 1.2 and 1.3, with HTTP/2 and HTTP/1.1.
fn server_config(
    provider: &Arc<CryptoProvider>,
    verifier: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

/// Why key and certificate cannot be used together.
fn unfit(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(_) => {
            "is not the key of the first certificate in cert_file: write the two that belong together, the server's own certificate first".to_owned()
        }
        _ => format!("cannot be used with cert_file ({error}): write an RSA or ECDSA key of a usual size"),
    }
}

fn client_verifier(
    tls: &config::Tls,
    now: Duration,
    provider: &Arc<CryptoProvider>,
    problems: &mut Problems,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let file = tls.client_ca_file.as_deref()?;
    let authorities = read_certificates(file, CLIENT_CA_FILE, problems)?;
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        // Several authorities need not have to do with each other.
        if !check_chain(
            std::slice::from_ref(&authority),
            CLIENT_CA_FILE,
            now,
            problems,
        ) {
            return None;
        }
        if let Err(error) = roots.add(authority) {
            let message = format!("holds a certificate that cannot be trusted ({error})");
            problems.error(CLIENT_CA_FILE, message);
            return None;
        }
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match tls.client_auth {
        ClientAuth::Optional => builder.allow_unauthenticated(),
        ClientAuth::Required => builder,
    };
    let built = builder.build();
    built
        .map_err(|error| problems.error(CLIENT_CA_FILE, format!("cannot be used ({error})")))
        .ok()
}
