//! What SIGHUP puts in force.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::support::http;
use super::support::server::Site;
use super::support::until;
use super::world::{World, job, make_keys};

#[test]
fn a_rule_is_changed_and_a_connector_added() {
    let world = World::start(Site::new().connector("ci", "allow = [\"claims.ref == 'main'\"]"));
    assert_eq!(world.claims("ci")["iss"], "https://sts.example.com");
    world.server.refuses(&job("other"), "issuer_unknown");

    world.edit(|toml| {
        let toml = toml.replace("'main'", "'release'");
        format!(
            "{toml}\n[[connectors]]\nid = \"other\"\nissuer = \"https://other.example\"\njwks_file = \"ci.json\"\naudiences = [\"https://sts.example.com\"]\nallow = [\"true\"]\n"
        )
    });
    assert!(world.reload());
    world.server.refuses(&job("ci"), "condition_false");
    assert_eq!(world.claims("other")["iss"], "https://sts.example.com");
    let (status, details) = world.health();
    assert_eq!(status, "ok");
    assert_eq!(details["connectors"].as_object().unwrap().len(), 2);
    assert_eq!(details["configuration"]["state"], "current");

    // What was counted before counts on, for connectors old and new.
    let requests = |connector: &str, outcome: &str, reason: &str| {
        world.metric(&format!("remint_token_requests_total{{grant=\"token-exchange\",connector=\"{connector}\",outcome=\"{outcome}\",reason=\"{reason}\"}}"))
    };
    assert_eq!(requests("ci", "issued", ""), Some(1));
    assert_eq!(requests("other", "issued", ""), Some(1));
    assert_eq!(requests("ci", "refused", "condition_false"), Some(1));

    // One that is taken away is unknown again.
    world.edit(|toml| {
        toml.split("[[connectors]]")
            .take(2)
            .collect::<Vec<_>>()
            .join("[[connectors]]")
    });
    assert!(world.reload());
    world.server.refuses(&job("other"), "issuer_unknown");
    assert_eq!(world.reloads(), (2, 0));
}

#[test]
fn keys_are_swapped_and_the_old_one_stays_published_while_it_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("jwks.json");
    make_keys(&file, "old");
    let site = Site::new().connector("ci", "");
    let world = World::start(site.env("REMINT__KEYS__FILE", file.to_str().unwrap()));
    let kids = || -> Vec<String> {
        let jwks = world.server.get("/.well-known/jwks.json").json();
        let keys = jwks["keys"].as_array().unwrap().iter();
        let mut kids: Vec<_> = keys
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect();
        kids.sort();
        kids
    };
    let signs = || {
        let reply = world.server.exchange(&job("ci"), &[]);
        let (header, _) = world.server.read(&reply);
        header["kid"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (kids(), signs()),
        (vec!["old".to_owned()], "old".to_owned())
    );
    make_keys(&file, "new");
    world.edit(|toml| format!("{toml}\n[keys.signing]\nES256 = \"new\"\n"));
    assert!(world.reload());
    assert_eq!(
        (kids(), signs()),
        (vec!["new".to_owned(), "old".to_owned()], "new".to_owned())
    );
    fs::remove_file(&file).unwrap();
    make_keys(&file, "new");
    assert!(world.reload());
    assert_eq!(
        (kids(), signs()),
        (vec!["new".to_owned()], "new".to_owned())
    );
}

#[test]
fn a_secret_file_is_read_again() {
    let world = World::start(
        Site::new()
            .file("secret", "first")
            .connector("ci", "")
            .client("app", "secret_file = \"secret\"\n"),
    );
    let with = |secret: &str| {
        let reply = world.server.exchange(
            &job("ci"),
            &[("client_id", "app"), ("client_secret", secret)],
        );
        reply.status
    };
    assert_eq!((with("first"), with("second")), (200, 401));
    world.write("secret", "second\n");
    assert!(world.reload());
    assert_eq!((with("first"), with("second")), (401, 200));
}

#[test]
fn what_takes_a_restart_is_said_and_the_rest_is_in_force() {
    let world = World::start(Site::new().connector("ci", ""));
    world.edit(|toml| {
        toml.replace(
            "listen = [\"127.0.0.1:0\"]",
            "listen = [\"127.0.0.1:0\", \"127.0.0.1:0\"]\nsocket_mode = \"0600\"",
        )
        .replace("allow = [\"true\"]", "allow = [\"false\"]")
            + "\n[limits]\nmax_connections = 7\n"
    });
    assert!(world.reload());
    for key in [
        "server.listen",
        "server.socket_mode",
        "limits.max_connections",
    ] {
        world.server.logged(key, |line| {
            let message = line["message"].as_str()?;
            (line["key"] == key && message.contains("takes a restart")).then_some(())
        });
    }
    assert!(!world.server.log().contains("server.admin_listen"));
    world.server.refuses(&job("ci"), "condition_false");
}

#[test]
fn a_burst_of_signals_is_few_reloads() {
    let world = World::start(Site::new().connector("ci", ""));
    for _ in 0..200 {
        world.hang_up();
    }
    until("the first reload is over", || world.reloads().0 > 0);
    assert!(world.reload());
    let (succeeded, failed) = world.reloads();
    assert!(succeeded < 200 && failed == 0, "{succeeded}, {failed}");
}

#[test]
fn a_new_limit_of_bodies_counts_those_that_are_under_way() {
    let site = Site::new().tables("[limits]\nmax_body_bytes = \"1MiB\"");
    let world = World::start(site.connector("ci", ""));
    let bytes = || world.metric("remint_body_bytes").unwrap();
    let half = || {
        let head = "POST /token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 50000\r\n\r\n";
        let mut stream = TcpStream::connect(world.server.address).unwrap();
        let sent = [head.as_bytes(), &vec![b'x'; 40_000]].concat();
        stream.write_all(&sent).unwrap();
        stream
    };
    let mut first = half();
    until("it is held", || bytes() == 40_960);
    let _second = half();
    until("both are held", || bytes() == 2 * 40_960);
    world.replace("1MiB", "64KiB");
    assert!(world.reload());
    assert_eq!(world.claims("ci")["iss"], "https://sts.example.com");
    let mut reply = Vec::new();
    first.read_to_end(&mut reply).unwrap();
    let reply = http::parse(&reply);
    let refused = (
        "temporarily_unavailable".to_owned(),
        "overloaded".to_owned(),
    );
    assert_eq!(reply.refusal(), (503, refused.0, refused.1));
}
