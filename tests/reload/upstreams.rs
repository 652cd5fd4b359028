//! Fetched keys survive a reload where the connector did not change.

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
