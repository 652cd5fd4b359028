//! `[server.tls]`: where Remint listens with TLS, and with which certificates.

use std::path::PathBuf;

use config::ValueKind;

use super::address::Address;
use super::section::Section;

/// `[server.tls]`, where it stands in the file.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Everything that callers need, over TLS.
    pub listen: Vec<Address>,
    /// Only what the world may see, over TLS; it never asks for client certificates.
    pub metadata_listen: Vec<Address>,
    /// The chain, PEM, the server's own certificate first; empty where it is missing and was reported.
    pub cert_file: PathBuf,
    /// Its private key, PEM; empty where it is missing and was reported.
    pub key_file: PathBuf,
    /// Who may sign client certificates, PEM; absent: none are asked for.
    pub client_ca_file: Option<PathBuf>,
    /// Whether a client must have one.
    pub client_auth: ClientAuth,
}

/// Whether clients must have a certificate, where they are asked for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// One that is sent must be good.
    Optional,
    /// There must be a good one.
    Required,
}

/// Reads the table, if it is there; where it is not, its keys are asked for all the same, so that they are known.
pub(super) fn read_tls(server: &mut Section<'_>) -> Option<Tls> {
    let is_there = matches!(server.kind_of("tls"), Some(ValueKind::Table(_)));
    let tls = server.table("tls", |tls| {
        if is_there {
            tls.require(
                "cert_file",
                "write the file of the certificate chain (PEM), such as cert_file = \"tls.pem\"",
            );
            tls.require(
                "key_file",
                "write the file of its private key (PEM), such as key_file = \"tls-key.pem\"",
            );
        }
        let client_ca_file = tls.optional("client_ca_file");
        Tls {
            listen: tls.optional("listen").unwrap_or_default(),
            metadata_listen: tls.optional("metadata_listen").unwrap_or_default(),
            cert_file: tls.optional("cert_file").unwrap_or_default(),
            key_file: tls.optional("key_file").unwrap_or_default(),
            client_auth: read_client_auth(tls, client_ca_file.is_some()),
            client_ca_file,
        }
    });
    is_there.then_some(tls)
}

fn read_client_auth(tls: &mut Section<'_>, is_asked: bool) -> ClientAuth {
    let found = tls.optional::<String>("client_auth");
    if found.is_some() && !is_asked {
        let message = "without client_ca_file no client certificate is asked for: write who may sign them, such as client_ca_file = \"clients.pem\", or remove this key";
        tls.error("client_auth", message);
    }
    match found.as_deref() {
        None | Some("optional") => ClientAuth::Optional,
        Some("required") => ClientAuth::Required,
        Some(other) => {
            let found = format!("found {other:?}, expected \"optional\" or \"required\"");
            tls.error("client_auth", found);
            ClientAuth::Required
        }
    }
}
