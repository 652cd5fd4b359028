//! Reading certificates and keys, and what an operator should know of them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio_rustls::rustls::pki_types::pem::{Error, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_cert::Certificate;
use x509_cert::der::Decode as _;

use crate::config::explain_unreadable;
use crate::config::problems::Problems;

/// The certificates of a PEM file, at least one; what is wrong is reported under `key`.
pub(super) fn read_certificates(
    file: &Path,
    key: &str,
    problems: &mut Problems,
) -> Option<Vec<CertificateDer<'static>>> {
    let pem = read(file, key, problems)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match found {
        Ok(certificates) if !certificates.is_empty() => return Some(certificates),
        Ok(_) => problems.error(
            key,
            format!(
                "{} holds no certificate: write PEM, with lines such as -----BEGIN CERTIFICATE-----",
                file.display()
            ),
        ),
        Err(error) => problems.error(key, format!("{} is not PEM ({error})", file.display())),
    }
    None
}

/// The private key of a PEM file; what is wrong is reported under `key`, and nothing of the file shown.
pub(super) fn read_key(
    file: &Path,
    key: &str,
    problems: &mut Problems,
) -> Option<PrivateKeyDer<'static>> {
    let pem = read(file, key, problems)?;
    let name = file.display();
    let message = match PrivateKeyDer::from_pem_slice(&pem) {
        Ok(found) => return Some(found),
        Err(Error::NoItemsFound) => format!(
            "{name} holds no private key that can be read: write PEM without a password, with lines such as -----BEGIN PRIVATE KEY-----"
        ),
        Err(_) => format!("{name} is not PEM"),
    };
    problems.error(key, message);
    None
}

/// Reports certificates that cannot be parsed, that are out of time, or that do not follow from each other.
///
/// `now` is the time since the Unix epoch. Whether all of them can be parsed comes back.
pub(super) fn check_chain(
    chain: &[CertificateDer<'_>],
    key: &str,
    now: Duration,
    problems: &mut Problems,
) -> bool {
    let parsed: Result<Vec<_>, _> = chain.iter().map(|der| Certificate::from_der(der)).collect();
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            problems.error(key, format!("holds what is no X.509 certificate ({error})"));
            return false;
        }
    };
    for (place, certificate) in parsed.iter().enumerate() {
        check_times(certificate, place, key, now, problems);
    }
    for (place, pair) in parsed.windows(2).enumerate() {
        if let [below, above] = pair
            && below.tbs_certificate.issuer != above.tbs_certificate.subject
        {
            problems.warning(
                key,
                format!(
                    "certificate {} is not the issuer of the one before it, so clients may not find the way to their root: write the server's own first, then each one's issuer",
                    place + 2
                ),
            );
        }
    }
    true
}

fn check_times(
    certificate: &Certificate,
    place: usize,
    key: &str,
    now: Duration,
    problems: &mut Problems,
) {
    let validity = &certificate.tbs_certificate.validity;
    let (from, until) = (validity.not_before, validity.not_after);
    let number = place + 1;
    if now > until.to_unix_duration() {
        let message =
            format!("certificate {number} has expired, at {until}: clients refuse it, so renew it");
        problems.warning(key, message);
    } else if now < from.to_unix_duration() {
        let message = format!(
            "certificate {number} is valid only from {from}: clients refuse it until then, so check the clock"
        );
        problems.warning(key, message);
    }
}

fn read(file: &Path, key: &str, problems: &mut Problems) -> Option<Vec<u8>> {
    // A missing key was reported when it was read.
    if file.as_os_str().is_empty() {
        return None;
    }
    match fs::read(file) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            let why = explain_unreadable(file, &error);
            let message = format!("{} cannot be read: {why}", file.display());
            problems.error(key, message);
            None
        }
    }
}
