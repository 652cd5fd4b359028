//! The TLS of the rows that have it: one ECDSA P-256 certificate, TLS 1.3, and nothing resumed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, ServerConfig, SignatureScheme,
};

/// The certificate's file in a folder.
pub(crate) const CERT_FILE: &str = "tls.pem";
/// That of its key.
pub(crate) const KEY_FILE: &str = "tls.key";

/// Writes a new certificate and its key into a folder.
pub(crate) fn write(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(["sts.example.com".to_owned()]);
    let made = made.expect("a certificate");
    fs::write(folder.join(CERT_FILE), made.cert.pem()).expect("written");
    fs::write(folder.join(KEY_FILE), made.signing_key.serialize_pem()).expect("written");
}

/// What a server shows that has these files, as a program would that uses rustls as it comes.
pub(crate) fn server(folder: &Path) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(folder.join(CERT_FILE)).expect("a certificate");
    let chain = chain.map(|certificate| certificate.expect("a certificate"));
    let key = PrivateKeyDer::from_pem_file(folder.join(KEY_FILE)).expect("a key");
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("a version of the provider")
        .with_no_client_auth()
        .with_single_cert(chain.collect(), key)
        .expect("they belong together");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
}

/// A client that does the whole handshake each time, and has no time to look at certificates.
pub(crate) fn client() -> TlsConnector {
    let mut config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&TLS13])
        .expect("a version of the provider")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config).into()
}

/// The load must cost its core less than the server's, and nobody is deceived here.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
