//! A configuration with errors is not taken.

use super::support::server::Site;
use super::support::until;
use super::world::{World, job};

const SECRET: &str = "s3cr3t-of-a-client";

#[test]
fn the_old_configuration_stays_until_the_new_one_is_good() {
    let world = World::start(Site::new().connector("ci", ""));
    assert_eq!(world.status(), "ok");
    world.edit(|toml| {
        let toml = toml.replace("allow = [\"true\"]", "allow = [\"claims.ref ==\"]");
        format!("{toml}\nlifetime = \"soon\"\n[[clients]]\nid = \"app\"\nsecret = \"{SECRET}\"\nsecret_hash = \"{SECRET}\"\n")
    });
    assert!(!world.reload());
    assert_eq!(world.reloads(), (0, 1));
    assert_eq!(world.claims("ci")["iss"], "https://sts.example.com");
    let (status, details) = world.health();
    assert_eq!(status, "degraded");
    let configuration = &details["configuration"];
    assert_eq!(configuration["state"], "rejected");
    let errors = configuration["errors"].as_array().unwrap();
    assert_eq!(configuration["error_count"], errors.len());
    for path in [
        "connectors[0].allow[0]",
        "connectors[0].lifetime",
        "clients[0].secret_hash",
    ] {
        let names =
            |error: &&str| error.contains("site.toml:") && error.contains(&format!(": {path}: "));
        let error = errors.iter().filter_map(|error| error.as_str()).find(names);
        assert!(error.is_some(), "{path} in {errors:#?}");
        world.server.logged(path, |line| {
            (line["path"] == path && line["level"] == "ERROR").then_some(())
        });
    }
    world.server.logged("that the old one stays", |line| {
        let message = line["message"].as_str()?;
        message
            .contains("the one before it stays in force")
            .then_some(())
    });
    assert!(!details.to_string().contains(SECRET));
    assert!(!world.server.log().contains(SECRET));
    assert_eq!(
        world
            .server
            .get("/healthz")
            .json()
            .as_object()
            .unwrap()
            .len(),
        1
    );

    // Mending it is noticed without a signal.
    world.edit(|toml| {
        let toml = toml.split("\nlifetime = \"soon\"").next().unwrap();
        toml.replace("claims.ref ==", "claims.ref == 'x'")
    });
    until("the configuration is good", || world.status() == "ok");
    assert_eq!(world.reloads(), (1, 1));
    assert_eq!(world.health().1["configuration"]["state"], "current");
    world.server.refuses(&job("ci"), "condition_false");
}

#[test]
fn what_is_no_configuration_at_all_changes_nothing() {
    let world = World::start(Site::new().connector("ci", ""));
    for (count, text) in (1..).zip(["", "issuer = ", "\0\0\0"]) {
        world.edit(|_| text.to_owned());
        assert!(!world.reload(), "{text:?}");
        assert_eq!(world.reloads(), (0, count));
        assert_eq!(world.claims("ci")["iss"], "https://sts.example.com");
    }
    // The key file alone can be what is wrong.
    std::fs::remove_file(world.path().join("site.toml")).unwrap();
    assert!(!world.reload());
    assert_eq!(world.claims("ci")["iss"], "https://sts.example.com");
}
