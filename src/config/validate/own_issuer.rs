//! Checks of Remint's own issuer.

use super::url::{is_loopback, parse_issuer, shown};
use crate::config::problems::Problems;
use crate::config::settings::{Issuer, Settings};

/// Checks every issuer, and says what choosing among several means.
pub(super) fn check(issuer: &Issuer, problems: &mut Problems) {
    let issuers = match issuer {
        Issuer::Listed(issuers) => issuers,
        Issuer::FromRequest => {
            problems.warning(
                "issuer",
                "\"from-request\" lets every caller choose the issuer of its token with the Host header, and AWS, GCP and Azure refuse its http:// form: write the public URL, unless a proxy in front fixes the host",
            );
            return;
        }
    };
    if let [one] = issuers.as_slice() {
        check_one(one, "issuer", problems);
        return;
    }
    for (index, one) in issuers.iter().enumerate() {
        let path = format!("issuer[{index}]");
        check_one(one, &path, problems);
        let same = |other: &&String| place(one).is_some() && place(other) == place(one);
        if let Some(other) = issuers.iter().take(index).find(same) {
            problems.error(
                path,
                format!("no request can be told to be for {one:?} rather than for {other:?}, with the same host and path: remove one"),
            );
        }
    }
    problems.note(
        "issuer",
        "several issuers are one trust domain: the caller chooses among them with the host and path that it sends, so every verifier of one should be fit to meet tokens meant for another",
    );
}

/// How AWS is named as an audience.
const AWS: [&str; 2] = ["https://sts.amazonaws.com", "sts.amazonaws.com"];

/// Warns where tokens are made for AWS in the name of an issuer that AWS does not take.
pub(super) fn check_for_aws(settings: &Settings, problems: &mut Problems) {
    let Some((audience, place)) = aws_audience(settings) else {
        return;
    };
    let issuers = settings.issuer.listed();
    for (index, issuer) in issuers.iter().enumerate() {
        let Ok(url) = parse_issuer(issuer) else {
            continue;
        };
        // One on loopback is for practice. That AWS refuses http:// is said of any issuer.
        let Some(port) = url.port().filter(|_| !is_loopback(&url)) else {
            continue;
        };
        let path = match issuers {
            [_] => "issuer".to_owned(),
            _ => format!("issuer[{index}]"),
        };
        problems.warning(
            path,
            format!("has the port {port}, which AWS refuses in an issuer, and new tokens can be for {audience:?} ({place}): write https:// and a host that answers on port 443"),
        );
    }
}

/// The first audience of new tokens that is AWS, and the key that allows it.
fn aws_audience(settings: &Settings) -> Option<(&str, String)> {
    let connectors = settings.connectors.iter().flat_map(|connector| {
        // Without targets, a new token keeps those of its audiences that are accepted.
        let own = match &connector.targets {
            Some(targets) => (&connector.path, "targets", targets.as_slice()),
            None => (&connector.path, "audiences", connector.audiences.as_slice()),
        };
        let rules = connector.rules.iter();
        let rules =
            rules.filter_map(|rule| Some((&rule.path, "targets", rule.targets.as_deref()?)));
        std::iter::once(own).chain(rules)
    });
    let clients = settings.clients.iter();
    let clients = clients.map(|client| (&client.path, "audiences", client.audiences.as_slice()));
    connectors
        .chain(clients)
        .find_map(|(path, key, audiences)| {
            let mut audiences = audiences.iter();
            let found = audiences.find(|audience| AWS.contains(&audience.as_str()))?;
            Some((found.as_str(), format!("{path}.{key}")))
        })
}

/// What of an issuer a request shows: its host, its port where it is not the scheme's own, and its path.
fn place(issuer: &str) -> Option<(String, Option<u16>, String)> {
    let url = parse_issuer(issuer).ok()?;
    let path = url.path().trim_end_matches('/').to_owned();
    Some((url.host_str()?.to_owned(), url.port(), path))
}

/// Checks one issuer: an address that verifiers can build `/.well-known/...` from.
fn check_one(issuer: &str, path: &str, problems: &mut Problems) {
    if issuer.is_empty() {
        return;
    }
    let url = match parse_issuer(issuer) {
        Ok(url) => url,
        Err(what) => {
            problems.error(
                path,
                format!("found {}, which {what}; expected the public URL of this service, such as \"https://sts.example.com\"", shown(issuer)),
            );
            return;
        }
    };
    if url.scheme() == "http" && !is_loopback(&url) {
        problems.warning(
            path,
            "an http:// issuer works only with verifiers of your own: AWS, GCP and Azure refuse it; use https://",
        );
    }
    let written = issuer.trim_end_matches('/');
    let normal = url.as_str().trim_end_matches('/');
    if written != normal {
        problems.warning(
            path,
            format!("is put into tokens byte for byte, but a verifier may read it as {normal:?}; write it so"),
        );
    }
    if issuer.ends_with('/') {
        problems.note(
            path,
            "the `/` at its end is kept: tokens and metadata carry it byte for byte, and verifiers must be given it too",
        );
    }
}
