//! Changes of files that are noticed without a signal.

use std::fs;
use std::os::unix::fs::symlink;

use super::support::http::Reply;
use super::support::keys::{OTHER_P256, P256, jwks};
use super::support::server::Site;
use super::support::{shapes, tokens, until};
use super::world::{World, job, make_keys};

#[test]
fn kubernetes_swaps_one_link_for_everything() {
    // `site.toml -> ..data/site.toml`, `..data -> ..1`, as a mounted ConfigMap or Secret looks.
    let world = World::start(Site::new().connector("ci", "allow = [\"claims.ref == 'main'\"]"));
    let at = |name: &str| world.path().join(name);
    let old = fs::read_to_string(at("site.toml")).unwrap();
    let new = old.replace("'main'", "'release'");
    for (folder, toml) in [("..1", &old), ("..2", &new)] {
        fs::create_dir(at(folder)).unwrap();
        fs::write(at(folder).join("site.toml"), toml).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/site.toml", at("link")).unwrap();
    fs::rename(at("link"), at("site.toml")).unwrap();
    assert_eq!(world.claims("ci")["iss"], "https://sts.example.com");
    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    until("the new rule is in force", || {
        world.server.exchange(&job("ci"), &[]).status == 400
    });
    // The same text at the end of another link was no change.
    assert_eq!(world.reloads(), (1, 0));
}

#[test]
fn keys_secrets_and_upstream_keys_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    make_keys(&file, "old");
    let site = Site::new()
        .file("secret", "first")
        .connector("ci", "require_client = false")
        .client("app", "secret_file = \"secret\"\n");
    let world = World::start(site.env("REMINT__KEYS__FILE", file.to_str().unwrap()));
    assert_eq!(world.claims("ci")["iss"], "https://sts.example.com");

    make_keys(&file, "new");
    until("the new key is published", || {
        let jwks = world.server.get("/.well-known/jwks.json").json();
        jwks["keys"].as_array().unwrap().len() == 2
    });

    world.write("secret", "second");
    let with_client = || -> Reply {
        let own = [("client_id", "app"), ("client_secret", "second")];
        world.server.exchange(&job("ci"), &own)
    };
    until("the new secret is right", || with_client().status == 200);

    // The key of the issuer is replaced under its old id: the old one must stop working.
    world.write("ci.json", &jwks(&[OTHER_P256.jwk("e1")]));
    let token = |key| tokens::token(&shapes::gitlab("https://ci.example"), key, "ES256", "e1");
    until("the issuer's new key is right", || {
        world.server.exchange(&token(&OTHER_P256), &[]).status == 200
    });
    world.server.refuses(&token(&P256), "signature_invalid");
}

#[test]
fn a_file_that_was_missing_is_waited_for() {
    let world = World::start(Site::new().connector("ci", ""));
    world.edit(|toml| format!("{toml}\n[[clients]]\nid = \"app\"\nsecret_file = \"secret\"\n"));
    assert!(!world.reload());
    assert_eq!(world.status(), "degraded");
    world.write("secret", "s");
    until("the configuration is whole", || world.status() == "ok");
    let own = [("client_id", "app"), ("client_secret", "s")];
    assert_eq!(world.server.exchange(&job("ci"), &own).status, 200);
}
