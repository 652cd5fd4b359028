//! The program itself: restarted while an issuer is down, with and without kept keys.

use std::fs;
use std::path::Path;

use super::support::issuer::{Answer, DISCOVERY, Issuer, JWKS};
use super::support::keys::P256;
use super::support::server::{Server, Site};
use super::support::{shapes, tokens, until};

/// The program with one connector for `issuer`, which keeps its keys in `state`.
fn start(issuer: &Issuer, state: &Path) -> Server {
    let lines = format!("issuer = \"{}\"\ntimeout = \"1s\"", issuer.url);
    let jwks_uri = format!("jwks_uri = \"{}{JWKS}\"", issuer.url);
    Site::new()
        .connector("ci", &format!("{lines}\n{jwks_uri}"))
        .env("REMINT__SERVER__STATE_DIR", state.to_str().unwrap())
        .start()
}

fn job(issuer: &Issuer) -> String {
    tokens::token(&shapes::gitlab(&issuer.url), &P256, "ES256", "e1")
}

/// How many files are there that were written to their end.
pub(crate) fn kept(state: &Path) -> usize {
    let entries = fs::read_dir(state).unwrap().map(|entry| entry.unwrap());
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == "keys"))
        .count()
}

#[test]
fn a_restart_during_an_outage_goes_on_with_kept_keys() {
    let issuer = Issuer::start(&[P256.jwk("e1")]);
    let state = tempfile::tempdir().unwrap();
    let server = start(&issuer, state.path());
    assert_eq!(server.exchange(&job(&issuer), &[]).status, 200);
    until("the keys are kept", || kept(state.path()) == 1);
    drop(server);
    for answer in [Answer::Close, Answer::Hang] {
        issuer.set(JWKS, answer.clone());
        issuer.set(DISCOVERY, answer);
        let server = start(&issuer, state.path());
        server.claims(&job(&issuer), &[]);
        server.logged("that kept keys are used", |line| {
            let message = line["message"].as_str()?;
            message.contains("keys of an earlier run").then_some(())
        });
        server.logged("that the fetch failed", |line| {
            let message = line["message"].as_str()?;
            message.contains("keys could not be fetched").then_some(())
        });
        server.claims(&job(&issuer), &[]);
        assert_eq!(server.get("/healthz").json()["status"], "degraded");
    }
}

#[test]
fn a_damaged_file_is_named_and_does_no_harm() {
    let issuer = Issuer::start(&[P256.jwk("e1")]);
    let state = tempfile::tempdir().unwrap();
    let server = start(&issuer, state.path());
    until("the keys are kept", || kept(state.path()) == 1);
    drop(server);
    let file = fs::read_dir(state.path()).unwrap().next().unwrap();
    let file = file.unwrap().path();
    fs::write(&file, "{").unwrap();
    issuer.set(JWKS, Answer::Status(503));
    let server = start(&issuer, state.path());
    let warning = server.logged("the warning", |line| {
        (line["file"].as_str()? == file.to_str().unwrap()).then(|| line.clone())
    });
    assert_eq!(warning["level"], "WARN");
    assert_eq!(warning["cause"], "it is not a file of kept keys");
    let refused = server.exchange(&job(&issuer), &[]).refusal();
    assert_eq!((refused.0, refused.2.as_str()), (503, "keys_unavailable"));
    // The issuer is back, and so is the file.
    issuer.publish(&[P256.jwk("e1")]);
    until("an exchange succeeds", || {
        server.exchange(&job(&issuer), &[]).status == 200
    });
    until("the keys are kept", || fs::read(&file).unwrap() != b"{");
}

#[test]
fn a_state_dir_that_cannot_be_used_stops_nothing() {
    let issuer = Issuer::start(&[P256.jwk("e1")]);
    let folder = tempfile::tempdir().unwrap();
    let server = start(&issuer, &folder.path().join("missing"));
    assert_eq!(server.exchange(&job(&issuer), &[]).status, 200);
    for (what, level) in [("does not exist", "WARN"), ("cannot be kept", "WARN")] {
        let line = server.logged(what, |line| {
            let text = line["message"].as_str()?;
            text.contains(what).then(|| line.clone())
        });
        assert_eq!(line["level"], level, "{line}");
    }
}
