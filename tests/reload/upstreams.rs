//! Fetched keys survive a reload where the connector did not change.

use std::fs;

use super::support::authority::Authority;
use super::support::issuer::{Answer, Issuer, JWKS};
use super::support::keys::P256;
use super::support::server::Site;
use super::support::until;
use super::world::{World, token};

fn start(issuer: &Issuer) -> World {
    let lines = format!(
        "issuer = \"{}\"\njwks_uri = \"{}{JWKS}\"",
        issuer.url, issuer.url
    );
    let world = World::start(Site::new().connector("ci", &lines));
    assert_eq!(world.server.exchange(&token(&issuer.url), &[]).status, 200);
    world
}

fn fetches(world: &World, outcome: &str) -> Option<u64> {
    let name = "remint_upstream_fetches_total";
    world.metric(&format!("{name}{{connector=\"ci\",outcome=\"{outcome}\"}}"))
}

#[test]
fn an_unchanged_connector_is_not_fetched_again_even_in_an_outage() {
    let issuer = Issuer::start(&[P256.jwk("e1")]);
    let world = start(&issuer);
    assert_eq!(issuer.hits(JWKS), 1);
    issuer.set(JWKS, Answer::Status(503));
    for round in 0..5 {
        world.edit(|toml| format!("# {round}\n{toml}"));
        assert!(world.reload());
        assert_eq!(world.server.exchange(&token(&issuer.url), &[]).status, 200);
    }
    // A rule of the connector is no part of where its keys come from.
    world.replace("allow = [\"true\"]", "allow = [\"claims.ref == 'main'\"]");
    assert!(world.reload());
    assert_eq!(world.server.exchange(&token(&issuer.url), &[]).status, 200);
    assert_eq!(issuer.hits(JWKS), 1);
    assert_eq!(fetches(&world, "success"), Some(1));
    assert_eq!(world.status(), "ok");
}

#[test]
fn a_changed_source_is_fetched_and_a_removed_one_left_alone() {
    let (issuer, other) = (
        Issuer::start(&[P256.jwk("e1")]),
        Issuer::start(&[P256.jwk("e1")]),
    );
    let world = start(&issuer);
    other.set(JWKS, Answer::Status(503));
    let uri = |issuer: &Issuer| format!("jwks_uri = \"{}{JWKS}\"", issuer.url);
    world.replace(&uri(&issuer), &uri(&other));
    assert!(world.reload());
    until("the failed fetch shows", || world.status() == "degraded");
    assert_eq!(world.server.exchange(&token(&issuer.url), &[]).status, 503);
    // The failing source is gone with its connector's line, and so is its part in the health.
    world.replace(&uri(&other), &uri(&issuer));
    assert!(world.reload());
    let hits = other.hits(JWKS);
    assert_eq!(world.status(), "ok");
    until("the source is fetched", || {
        fetches(&world, "success") == Some(1)
    });
    assert_eq!(world.server.exchange(&token(&issuer.url), &[]).status, 200);
    assert_eq!(issuer.hits(JWKS), 2);
    // Its next retry would be due by now.
    world.edit(|toml| format!("# again\n{toml}"));
    until("the change is noticed", || world.reloads().0 == 3);
    assert_eq!(other.hits(JWKS), hits);
}

#[test]
fn a_source_in_trouble_stays_so_over_a_reload() {
    let issuer = Issuer::start(&[P256.jwk("e1")]);
    issuer.set(JWKS, Answer::Status(503));
    let lines = format!(
        "issuer = \"{}\"\njwks_uri = \"{}{JWKS}\"",
        issuer.url, issuer.url
    );
    let world = World::start(Site::new().connector("ci", &lines));
    until("the failure shows", || world.status() == "degraded");
    assert!(world.reload());
    assert_eq!(world.status(), "degraded");
    issuer.publish(&[P256.jwk("e1")]);
    until("the issuer is back", || world.status() == "ok");
    assert_eq!(world.server.exchange(&token(&issuer.url), &[]).status, 200);
}

#[test]
fn another_freshness_takes_effect_at_once() {
    let issuer = Issuer::start(&[P256.jwk("e1")]);
    let world = start(&issuer);
    world.edit(|toml| toml.replace("jwks_uri", "jwks_max_age = \"1h\"\njwks_uri"));
    assert!(world.reload());
    until("the keys are fetched again", || issuer.hits(JWKS) == 2);
    assert_eq!(world.server.exchange(&token(&issuer.url), &[]).status, 200);
}

#[test]
fn another_ca_in_the_same_file_ends_keys_that_were_fetched_under_the_old_one() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let issuer = Issuer::start_tls(&[P256.jwk("e1")], &old.sign());
    let state = tempfile::tempdir().unwrap();
    let lines = format!(
        "issuer = \"{0}\"\njwks_uri = \"{0}{JWKS}\"\nca_file = \"ca.pem\"",
        issuer.url
    );
    let site = Site::new()
        .file("ca.pem", &old.pem())
        .env("REMINT__SERVER__STATE_DIR", state.path().to_str().unwrap());
    let world = World::start(site.connector("ci", &lines));
    let status = || world.server.exchange(&token(&issuer.url), &[]).status;
    assert_eq!(status(), 200);
    let is_kept = || fs::read_dir(state.path()).unwrap().count() == 1;
    until("the keys are kept", is_kept);
    issuer.set(JWKS, Answer::Close);
    world.write("ca.pem", &new.pem());
    assert!(world.reload());
    // Neither the keys in memory nor those on disk.
    let refusal = world.server.exchange(&token(&issuer.url), &[]).refusal();
    assert_eq!((refusal.0, &*refusal.2), (503, "keys_unavailable"));
    // A file that is none leaves the configuration in force, and says why.
    world.write("ca.pem", "no certificate");
    assert!(!world.reload());
    world.write("ca.pem", &old.pem());
    assert!(world.reload());
    assert_eq!(status(), 200);
}
