//! Why a request to an issuer failed, in words that say what to do about it.

use std::error::Error;
use std::io::{self, ErrorKind};

use tokio_rustls::rustls::{self, CertificateError};

/// Which certificates a client trusts; it decides what to do where a certificate is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those of the connector's `ca_file`.
    CaFile,
    /// Those of this machine, for the issuer of a connector.
    Machine,
    /// Those of this machine, for our own public address.
    Own,
}

impl Trust {
    fn advice(self) -> &'static str {
        match self {
            Self::CaFile => "`ca_file` of this connector does not have that CA: add it there",
            Self::Machine => {
                "write the CA's certificate into a PEM file and set `ca_file` on this connector to it"
            }
            Self::Own => {
                "write the CA's certificate into a PEM file and set the environment variable SSL_CERT_FILE to it"
            }
        }
    }
}

/// What `error`, from a request to `host`, comes from; `None` where its own words are the best there are.
pub(super) fn explain(error: &(dyn Error + 'static), host: &str, trust: Trust) -> Option<String> {
    links(error).find_map(|link| {
        if let Some(error) = link.downcast_ref::<rustls::Error>() {
            return of_tls(error, host, trust);
        }
        if let Some(error) = link.downcast_ref::<io::Error>() {
            return of_io(error);
        }
        // The type of this one is private to hyper-util.
        link.to_string()
            .starts_with("dns error")
            .then(|| format!("the name {host} cannot be resolved by DNS"))
    })
}

/// The error and its causes, those inside of I/O errors too, which `source` leaves out.
fn links<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |link| {
        let link = *link;
        match link.downcast_ref::<io::Error>().map(io::Error::get_ref) {
            Some(Some(inner)) => Some(inner),
            _ => link.source(),
        }
    })
}

fn of_tls(error: &rustls::Error, host: &str, trust: Trust) -> Option<String> {
    let certificate = match error {
        rustls::Error::InvalidCertificate(certificate) => certificate,
        rustls::Error::InvalidMessage(_) => {
            return Some(format!(
                "what answers there does not speak TLS ({error}): is it the right port, and https?"
            ));
        }
        _ => return None,
    };
    Some(match certificate {
        CertificateError::UnknownIssuer => format!(
            "the certificate is signed by a CA that is not trusted here ({error}): {}",
            trust.advice()
        ),
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => format!(
            "the certificate has expired ({error}): whoever runs {host} renews it; if it has not, the clock of this machine is wrong"
        ),
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => format!(
            "the certificate is not valid yet ({error}): is the clock of this machine right?"
        ),
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            format!(
                "the certificate is for another name than {host} ({error}): write the name that it is for"
            )
        }
        _ => format!("the certificate is not accepted ({error})"),
    })
}

fn of_io(error: &io::Error) -> Option<String> {
    let words = match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there, or a firewall refuses it",
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "this machine has no route to it"
        }
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::UnexpectedEof => {
            "it closed the connection before it had answered"
        }
        _ => return None,
    };
    Some(format!("{words} ({error})"))
}
