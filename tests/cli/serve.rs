//! `remint serve`: how it starts, how it refuses to, and how it stops.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use serde_json::{Value, json};

use crate::bench::http::{connect, exchange, get, read_reply};
use crate::bench::process::Finished;
use crate::bench::site::{Site, config, connector, generate, keys};
use crate::bench::upstream::{Upstream, dead_url, part};

#[test]
fn a_bad_config_prints_every_error_and_exits_64() {
    let site = Site::without_keys(
        r#"
issuer = "sts.example.com"
[server]
listen = ["nowhere"]
lissten = []
[keys]
file = "gone.json"
[tokens]
max_lifetime = "soon"
[[connectors]]
id = "a"
issuer = "http://far.example.com"
audiences = []
allow = ["claims.sub = 'x'"]
"#,
    );
    let run = site.run(&["serve"]).exits(64);
    assert_eq!(run.stdout, "");
    assert!(!run.stderr.contains("listening"));
    for path in [
        "issuer:",
        "server.listen[0]:",
        "server.lissten:",
        "tokens.max_lifetime:",
        "connectors[0].issuer:",
        "connectors[0].audiences:",
    ] {
        let errors = run.stderr.matches(&format!(": {path}")).count();
        assert!(errors > 0, "{path} is not in {run:#?}");
    }
}

#[test]
fn what_needs_the_parts_is_reported_together_too() {
    let mut text = config(
        "https://sts.example.com",
        &connector("a", "https://a.example.com"),
    );
    text = text.replace("claims.project_path\"", "claims.(\"");
    text.push_str("alg = \"ES512\"\n");
    text = text.replace(
        "[[connectors]]",
        "[keys]\nfile = \"gone.json\"\n[[connectors]]",
    );
    let run = Site::without_keys(&text).run(&["serve"]).exits(64);
    run.complains(&[
        ": keys.file: cannot read",
        "gone.json",
        "error: site.toml:15:1: connectors[0].claims.project",
    ]);
}

#[test]
fn a_config_that_is_not_there_or_not_toml_exits_64() {
    let folder = tempfile::tempdir().unwrap();
    crate::bench::process::run(folder.path(), &["serve"])
        .exits(64)
        .complains(&["error: ", "site.toml"]);
    Site::without_keys("issuer = \n")
        .run(&["serve"])
        .exits(64)
        .complains(&["error: "]);
}

#[test]
fn a_key_file_that_cannot_be_used_exits_64() {
    let text = config(
        "https://sts.example.com",
        &connector("a", "https://a.example.com"),
    );
    let mut torn = keys().clone();
    let ec = torn["keys"][1]["d"].clone();
    torn["keys"][0]["d"] = ec;
    let missing = Site::without_keys(&text).run(&["serve"]).exits(64);
    missing.complains(&[": keys.file: cannot read", "remint keys generate"]);
    // A folder cannot be read by root either.
    let folder = Site::without_keys(&text);
    std::fs::create_dir(folder.folder().join("jwks.json")).unwrap();
    let folder = folder.run(&["serve"]).exits(64);
    folder.complains(&[": keys.file: cannot read"]);
    for (corrupt, words) in [
        ("{\"keys\": [", "not valid JSON"),
        ("[]", "is a list, and a JWKS is expected"),
        ("{\"keys\": {}}", "no list `keys`"),
        ("{\"keys\": []}", "no key that can sign"),
        (torn.to_string().as_str(), "do not belong together"),
    ] {
        let site = Site::without_keys(&text);
        site.write("jwks.json", corrupt);
        site.close("jwks.json");
        let run = site.run(&["serve"]).exits(64);
        assert!(!run.stderr.contains("listening"), "{run:#?}");
        run.complains(&[": keys.file: ", words]);
    }
}

#[test]
fn a_port_that_is_taken_is_said_clearly() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let text = config(
        "https://sts.example.com",
        &connector("a", "https://a.example.com"),
    );
    // Alone, and as the second of two.
    for listen in [
        format!("\"{address}\""),
        format!("\"127.0.0.1:0\", \"{address}\""),
    ] {
        let site = Site::new(&text.replace("\"127.0.0.1:0\"", &listen));
        let run = site.run(&["serve"]).exits(1);
        let run = run.complains(&[&address, "address already in use", "server.listen"]);
        assert!(!run.stderr.contains("listening"), "{run:#?}");
    }
}

#[test]
fn start_errors_are_json_lines_where_these_are_asked_for() {
    let good = config("http://127.0.0.1:9", &connector("a", &dead_url()));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let wrong = good
        .replace("[server]", "[server]\nlissten = []\nsocket_mode = \"x\"")
        .replace("\"http://127.0.0.1:9\"", "\"sts.example.com\"");
    let paths = ["issuer", "server.lissten", "server.socket_mode"];
    for (text, code, paths, words) in [
        (wrong, 64, &paths[..], "did you mean"),
        (
            good.replace("127.0.0.1:0", &address),
            1,
            &[],
            "address already in use",
        ),
        // Whatever else is silenced.
        ("issuer = ".to_owned(), 64, &[], ""),
    ] {
        let site = Site::new(&text);
        let args = ["serve", "--log-format", "json"];
        let mut command = crate::bench::process::remint(site.folder(), &args);
        let run = Finished::from(command.env("RUST_LOG", "off").output().unwrap()).exits(code);
        assert_eq!(run.stdout, "");
        let mut found = Vec::new();
        for line in run.stderr.lines() {
            let line: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            assert!(
                line["timestamp"].is_string() && line["message"].is_string(),
                "{line}"
            );
            if line["level"] == "ERROR" {
                if code == 64 {
                    let file = line["file"].as_str().unwrap_or_default();
                    let position = [&line["line"], &line["column"]];
                    assert!(file.ends_with("site.toml"), "{line}");
                    assert!(position.iter().all(|at| at.is_u64()), "{line}");
                }
                found.push(line["path"].as_str().unwrap_or_default().to_owned());
            }
        }
        assert!(!found.is_empty() && run.stderr.contains(words), "{run:#?}");
        for path in paths {
            assert!(
                found.iter().any(|found| found == path),
                "{path} in {run:#?}"
            );
        }
    }
}

#[test]
fn the_key_schedule_is_logged_at_start_and_when_it_changes() {
    let own = &keys()["keys"];
    let with_next = |kid: &str, signs_from: u64| {
        let mut next = generate("ES256", kid);
        next["remint_signs_from"] = json!(signs_from);
        json!({ "keys": [own[0], own[1], next] }).to_string()
    };
    let site = Site::new(&config("http://127.0.0.1:9", &connector("a", &dead_url())));
    let file = site.folder().join("jwks.json");
    let replace = |text: String| {
        // Put in place as a whole, so that nothing half-written is read.
        let beside = file.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &file).unwrap();
    };
    replace(with_next("ec-2", 4_000_000_000));
    let remint = site.serve();
    let told = || {
        let log = remint.stderr.so_far();
        let lines = log.lines();
        let lines = lines.filter(|line| line.contains("signs with ES256 in place of"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let reloads = |count: usize| {
        remint.stderr.wait("a reload", |text| {
            let reloads = text.matches("the configuration was reloaded").count();
            (reloads >= count).then_some(())
        });
    };
    assert!(
        remint
            .stderr
            .line("signs with ES256 in place of")
            .contains("2096-10-02")
    );
    remint.signal("-HUP");
    reloads(1);
    assert_eq!(told().len(), 1, "{:?}", told());
    replace(with_next("ec-3", 4_100_000_000));
    remint.signal("-HUP");
    reloads(2);
    assert!(
        told().len() >= 2 && told()[1].contains("ec-3"),
        "{:?}",
        told()
    );
    remint.stop();
}

#[test]
fn a_request_in_flight_finishes_after_either_signal() {
    let upstream = Upstream::start();
    for signal in ["-TERM", "-INT"] {
        let remint = Site::trusting(upstream.url()).serve();
        let body = json!({ "token": upstream.token(&json!({})) }).to_string();
        let (first, rest) = body.split_at(body.len() / 2);
        let mut slow = connect(&remint.origin());
        write!(slow, "POST /token HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
        // Only a request whose body is awaited is told to go on.
        assert!(next_head(&slow).starts_with("HTTP/1.1 100 "));
        slow.write_all(first.as_bytes()).unwrap();
        let mut idle = connect(&remint.origin());
        write!(idle, "GET /healthz/live HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
        assert!(next_head(&idle).starts_with("HTTP/1.1 200 "));
        remint.signal(signal);
        remint.stderr.line("stopping");
        // An idle connection ends at once; all that was left to read was its one reply.
        let mut left = String::new();
        idle.read_to_string(&mut left).unwrap();
        assert!(!left.contains("HTTP/1.1"), "{left}");
        slow.write_all(rest.as_bytes()).unwrap();
        let reply = read_reply(&mut slow);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(part(&reply.body, 1)["ref"], "main");
        let run = remint.finish().exits(0);
        let run = run.complains(&["outcome=\"issued\"", "stopped"]);
        assert!(!run.stderr.contains("cut off"), "{run:#?}");
    }
}

/// The next head that arrives, byte by byte, so that nothing behind it is lost.
fn next_head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::with_capacity(1, stream);
    while !head.ends_with("\r\n\r\n") {
        assert_ne!(reader.read_line(&mut head).unwrap(), 0, "{head:?}");
    }
    head
}

#[test]
fn every_listener_serves_everything() {
    let upstream = Upstream::start();
    let text = config("http://127.0.0.1:9", &connector("gitlab", upstream.url()));
    // Two spellings, so that the system can choose both ports.
    let two = text.replace("\"127.0.0.1:0\"", "\"127.0.0.1:0\", \"localhost:0\"");
    let remint = Site::new(&two).serve();
    let origins = remint.origins(2);
    assert_ne!(origins[0], origins[1]);
    for origin in &origins {
        let keys = get(origin, "/.well-known/jwks.json");
        assert_eq!(keys.json()["keys"].as_array().unwrap().len(), 2);
        let reply = exchange(origin, &upstream.token(&json!({})));
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    remint.stop();
}

#[test]
fn the_state_of_each_connector_is_told() {
    let upstream = Upstream::start();
    let connectors = [
        connector("alive", upstream.url()),
        connector("dead", &dead_url()),
    ];
    let remint = Site::new(&config("http://127.0.0.1:9", &connectors.concat())).serve();
    let alive = remint.stderr.line("connector=alive");
    assert!(
        alive.contains("INFO") && alive.contains("1 keys"),
        "{alive}"
    );
    let dead = remint.stderr.line("connector=dead");
    assert!(dead.contains("WARN") && dead.contains("no keys"), "{dead}");
    // One dead upstream does not take the whole service out.
    assert_eq!(get(&remint.origin(), "/healthz").status, 200);
    assert_eq!(
        get(&remint.origin(), "/healthz").json()["status"],
        "degraded"
    );
    let reply = exchange(&remint.origin(), &upstream.token(&json!({})));
    assert_eq!(reply.status, 200, "{reply:?}");
    remint.stop();
}
