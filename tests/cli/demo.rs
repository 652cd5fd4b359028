//! `remint demo`: the lines that it prints work when they are pasted, and nothing is left behind.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::bench::http::get;
use crate::bench::process::{Finished, Running, remint, run};
use crate::bench::upstream::{encode, part};

const EXCHANGE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A running demo, in a folder that was empty and is home and temporary folder alike.
struct Demo {
    process: Running,
    origin: String,
    practice: String,
    /// What it printed between its first line and its last.
    printed: String,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = remint(folder.path(), &["demo", "--listen", "127.0.0.1:0"]);
        command
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path());
        let process = Running::start(command, folder);
        process.stdout.line("Ctrl-C");
        let printed = process.stdout.so_far();
        let mut urls = printed
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| word.starts_with("http://127.0.0.1:"))
            .map(|word| word.trim_end_matches('.').to_owned());
        Self {
            origin: urls.next().unwrap(),
            practice: urls.next().unwrap(),
            printed: printed.clone(),
            process,
        }
    }
}

/// What each line of `script` printed, all of them run in one shell.
fn paste(script: &[&str], folder: &Path) -> Vec<String> {
    let mut text = String::from("set -u\n");
    for line in script {
        text.push_str(line);
        text.push_str("\nprintf '\\036'\n");
    }
    // Two variables are shown at the end, where only assignments were pasted.
    text.push_str("printf '%s' \"$NEW\"\n");
    let mut bash = Command::new("bash");
    bash.args(["-c", &text]).current_dir(folder);
    let run = Finished::from(bash.env("no_proxy", "*").output().unwrap()).exits(0);
    assert_eq!(run.stderr, "");
    let mut outputs: Vec<String> = run.stdout.split('\u{1e}').map(str::to_owned).collect();
    assert_eq!(outputs.len(), script.len() + 1, "{outputs:#?}");
    let new = outputs.pop().unwrap();
    for (line, output) in script.iter().zip(&mut outputs) {
        if line.starts_with("NEW=") {
            output.clone_from(&new);
        }
    }
    outputs
}

/// The lines that are commands.
fn commands(text: &str) -> Vec<&str> {
    const STARTS: [&str; 4] = ["TOKEN=", "NEW=", "curl ", "echo "];
    text.lines()
        .filter(|line| STARTS.iter().any(|start| line.starts_with(start)))
        .collect()
}

/// Every command of the demo does what the words around it say.
fn check_outputs(origin: &str, script: &[&str], outputs: &[String]) {
    let mut seen = BTreeMap::new();
    let purpose = |line: &str, output: &str| match () {
        () if line.starts_with("TOKEN=") => "held",
        () if line.starts_with("NEW=") => "simple",
        () if line.starts_with("echo ") => "read",
        () if line.contains("jwks.json") => "keys",
        () if line.contains("openid-configuration") => "metadata",
        () if line.contains("application/jwt") => "bare",
        () if line.contains("audience=") => "rfc8693",
        () if output.contains("error") => "refused",
        () => panic!("{line} printed {output}"),
    };
    for (line, output) in script.iter().zip(outputs) {
        seen.entry(purpose(line, output))
            .or_insert_with(Vec::new)
            .push(output.trim());
    }
    let json = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    assert_eq!(seen["held"].len(), 3);
    let simple = part(seen["simple"][0], 1);
    assert_eq!(simple["iss"], origin);
    assert_eq!(simple["aud"], "https://sts.amazonaws.com");
    let sub = "gitlab:project_path:acme/shop:ref_type:branch:ref:main";
    assert_eq!(simple["sub"], sub);
    assert_eq!(simple["project"], "acme/shop");
    assert!(simple.get("user_email").is_none(), "{simple}");
    assert_eq!(json(seen["read"][0]), simple);

    let exchanged = json(seen["rfc8693"][0]);
    assert_eq!(exchanged["issued_token_type"], EXCHANGE);
    assert_eq!(exchanged["token_type"], "Bearer");
    let vault = part(exchanged["access_token"].as_str().unwrap(), 1);
    assert_eq!(vault["aud"], "https://vault.example.com");
    let github = part(seen["bare"][0], 1);
    assert_eq!(github["aud"], "https://internal.example.com");
    assert!(
        github["sub"]
            .as_str()
            .unwrap()
            .starts_with("github:repo:acme")
    );

    let refused = json(seen["refused"][0]);
    assert_eq!(refused["error"], "access_denied");
    assert_eq!(refused["reason"], "condition_false");
    let words = refused["error_description"].as_str().unwrap();
    assert!(words.contains("ref_protected"), "{words}");

    assert_eq!(json(seen["metadata"][0])["issuer"], origin);
    let jwks = json(seen["keys"][0]);
    let kid = &part(seen["simple"][0], 0)["kid"];
    let mut published = jwks["keys"].as_array().unwrap().iter();
    assert!(published.any(|key| key["kid"] == *kid), "{jwks}");
}

#[test]
fn the_printed_lines_work_and_nothing_is_left() {
    let demo = Demo::start();
    assert!(!demo.printed.contains("127.0.0.1:0"), "{}", demo.printed);
    assert_ne!(demo.origin, demo.practice);
    let script = commands(&demo.printed);
    let outputs = paste(&script, demo.process.folder());
    check_outputs(&demo.origin, &script, &outputs);
    assert_eq!(
        std::fs::read_dir(demo.process.folder()).unwrap().count(),
        0,
        "the demo needs no file and leaves none"
    );
    demo.process.signal("-INT");
    let run = demo.process.finish().exits(0);
    // The tokens of this run went through it, and stand nowhere in what it said.
    let token = &outputs[1];
    assert!(!run.stderr.contains(token.split('.').nth(1).unwrap()));
    assert!(run.stderr.contains("outcome=\"refused\""), "{run:#?}");
    // Nobody has to wonder what it does while it makes them.
    let first = run.stderr.lines().next().unwrap();
    assert!(first.contains("making throw-away keys"), "{first}");
}

#[test]
fn the_practice_issuer_mints_what_is_asked() {
    let demo = Demo::start();
    let claims = |query: &str| {
        let reply = get(&demo.practice, &format!("/token?{query}"));
        (reply.status == 200).then(|| part(&reply.body, 1))
    };
    let gitlab = claims("kind=gitlab&aud=x&ref=v1&iss=https://evil.example").unwrap();
    assert_eq!(
        (&gitlab["aud"], &gitlab["ref"]),
        (&"x".into(), &"v1".into())
    );
    // Its own name and times are not up for change.
    assert_eq!(gitlab["iss"], format!("{}/gitlab", demo.practice));
    let github = claims("kind=github&aud=x").unwrap();
    assert_eq!(github["iss"], format!("{}/github", demo.practice));
    assert_eq!(github["repository_owner_id"], "123456");
    for wrong in [
        "",
        "kind=gitlab",
        "aud=x",
        "kind=bitbucket&aud=x",
        "kind=gitlab&aud=",
    ] {
        assert_eq!(claims(wrong), None, "{wrong}");
    }
    assert_eq!(get(&demo.practice, "/").status, 404);
    // It signs nothing for an issuer that is not its own, nor with a key that it does not publish.
    let forged = format!("{}.{}.c2ln", encode("{}"), encode("{}"));
    let reply = crate::bench::http::exchange(&demo.origin, &forged);
    assert_eq!(reply.status, 403, "{reply:?}");
    demo.process.stop();
}

#[test]
fn a_taken_or_impossible_port_is_said_clearly() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let below = format!("127.0.0.1:{}", address.port() - 1);
    // Its own port, and the port of its practice issuer.
    for listen in [address.to_string(), below] {
        let run = run(folder.path(), &["demo", "--listen", &listen]).exits(1);
        run.complains(&["127.0.0.1:", "already in use", "--listen"]);
    }
    let last = ["demo", "--listen", "127.0.0.1:65535"];
    run(folder.path(), &last).exits(1).complains(&["65535"]);
}
