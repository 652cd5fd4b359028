//! Used tokens in a real Redis (or Valkey) that several processes share.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::thread;

use serde_json::json;

use crate::support::http::Reply;
use crate::support::keys::RSA;
use crate::support::server::{Server, Site};
use crate::support::{shapes, tokens, until};
use crate::{at_once, exchange, job, metric};

const PASSWORD: &str = "hush-hush-hush";

/// A store with its data on disk, so that it remembers over a restart.
struct Store {
    port: u16,
    program: &'static str,
    folder: tempfile::TempDir,
    process: Option<Child>,
}

impl Store {
    /// `None` where this machine has none; with `REMINT_TEST_REDIS=required`, as in CI, that is a failure.
    fn start() -> Option<Self> {
        let runs = |program: &&str| {
            let mut command = Command::new(program);
            command
                .arg("--version")
                .stdout(Stdio::null())
                .status()
                .is_ok()
        };
        let Some(program) = ["redis-server", "valkey-server"].into_iter().find(runs) else {
            let required =
                std::env::var("REMINT_TEST_REDIS").is_ok_and(|value| value == "required");
            assert!(
                !required,
                "neither redis-server nor valkey-server is installed"
            );
            eprintln!(
                "SKIPPED: install redis-server or valkey-server to test the store of used tokens"
            );
            return None;
        };
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut store = Self {
            port: free.local_addr().unwrap().port(),
            program,
            folder: tempfile::tempdir().unwrap(),
            process: None,
        };
        drop(free);
        store.run();
        Some(store)
    }

    fn run(&mut self) {
        let child = Command::new(self.program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .args(["--requirepass", PASSWORD, "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        self.process = Some(child);
        let port = self.port;
        until("the store listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    fn server(&self, lines: &str) -> Server {
        let url = format!("redis://:{PASSWORD}@127.0.0.1:{}", self.port);
        Site::new()
            .env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
            .keys(&format!("\n[replay]\nstore = \"{url}\"\n{lines}"))
            .connector("ci", "replay = \"once\"")
            .connector(
                "each",
                "replay = \"once_per_audience\"\ntargets = [\"a\", \"b\"]",
            )
            .start()
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}

fn named(jti: &str) -> String {
    job(json!({ "jti": jti }))
}

/// What both servers say to each token that they are asked at the same moment; `between` runs before each round.
fn race(servers: [&Server; 2], rounds: usize, mut between: impl FnMut(usize)) -> Vec<[Reply; 2]> {
    let start = Barrier::new(3);
    let ask = |server: &Server| {
        let round = |number| {
            start.wait();
            exchange(server, &[], &named(&format!("race-{number}")))
        };
        (0..rounds).map(round).collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let [one, other] = servers.map(|server| {
            let ask = &ask;
            scope.spawn(move || ask(server))
        });
        for number in 0..rounds {
            between(number);
            start.wait();
        }
        let (one, other) = (one.join().unwrap(), other.join().unwrap());
        one.into_iter()
            .zip(other)
            .map(|(one, other)| [one, other])
            .collect()
    })
}

fn reasons(replies: &[Reply; 2]) -> [String; 2] {
    let mut reasons = [0, 1].map(|index| match replies[index].status {
        200 => String::new(),
        _ => replies[index].refusal().2,
    });
    reasons.sort();
    reasons
}

fn keeps_the_password(server: &Server) {
    assert!(!server.log().contains(PASSWORD));
}

#[test]
fn of_two_processes_exactly_one_wins_each_of_1000_races() {
    let Some(store) = Store::start() else { return };
    let servers = [store.server(""), store.server("")];
    let [one, other] = &servers;
    for (round, replies) in race([one, other], 1000, |_| ()).iter().enumerate() {
        assert_eq!(reasons(replies), ["", "replayed"], "{round}");
    }
    for server in &servers {
        assert_eq!(metric(server, "remint_replay_store_failures_total"), 0);
        keeps_the_password(server);
    }
}

#[test]
fn with_several_audiences_all_are_recorded_or_none() {
    let Some(store) = Store::start() else { return };
    let [one, other] = [store.server(""), store.server("")];
    let token = job(json!({"jti": "1", "iss": "https://each.example"}));
    let both = [("audience", "a"), ("audience", "b")];
    assert_eq!(one.exchange(&token, &both[..1]).status, 200);
    assert_eq!(other.exchange(&token, &both).refusal().2, "replayed");
    assert_eq!(other.exchange(&token, &both[1..]).status, 200);
    assert_eq!(one.exchange(&token, &both[1..]).refusal().2, "replayed");
    let fresh = job(json!({"jti": "2", "iss": "https://each.example"}));
    assert_eq!(one.exchange(&fresh, &both).status, 200);
    assert_eq!(other.exchange(&fresh, &both[1..]).refusal().2, "replayed");
}

#[test]
fn while_the_store_is_away_requests_are_refused_and_nothing_is_forgotten() {
    let Some(mut store) = Store::start() else {
        return;
    };
    let [one, other] = [store.server(""), store.server("")];
    assert_eq!(exchange(&one, &[], &named("used")).status, 200);
    // The racers may be one round behind what happens between the rounds.
    let races = race([&one, &other], 300, |round| match round {
        100 => store.kill(),
        200 => store.run(),
        _ => {}
    });
    let mut refused = 0;
    for (round, replies) in races.iter().enumerate() {
        let reasons = reasons(replies);
        let won = reasons.iter().filter(|reason| reason.is_empty()).count();
        let away = reasons
            .iter()
            .any(|reason| reason == "replay_store_unavailable");
        assert!(won == 1 || won == 0 && away, "{round}: {reasons:?}");
        assert!(
            !(100..199).contains(&round) || won == 0,
            "{round}: {reasons:?}"
        );
        assert!(round >= 99 || !away, "{round}: {reasons:?}");
        refused += usize::from(away);
    }
    assert!(refused >= 99, "{refused}");
    let reply = races[150].first().unwrap();
    assert_eq!(reply.status, 503);
    assert_eq!(one.audit(reply)["reason"], "replay_store_unavailable");
    assert_eq!(one.audit(reply)["outcome"], "error");
    // A request that was refused for want of the store did not use up its token; one that was used stays used.
    let fresh = || exchange(&one, &[], &named("race-150")).status == 200;
    until("the store is found again", fresh);
    for (server, jti) in [(&one, "used"), (&one, "race-150"), (&one, "race-50")] {
        assert_eq!(
            exchange(server, &[], &named(jti)).refusal().2,
            "replayed",
            "{jti}"
        );
    }
    let failures = metric(&one, "remint_replay_store_failures_total");
    assert!(failures >= 99, "{failures}");
    let said = |message: &str| {
        one.logged(message, |line| (line["message"] == message).then_some(()));
    };
    said("the store of used tokens cannot be asked");
    said("the store of used tokens answers again");
    keeps_the_password(&one);
}

#[test]
fn a_store_that_never_answers_holds_up_nobody_who_does_not_need_it() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let other = "replay = \"off\"\nissuer = \"https://other.example\"";
    let server = Site::new()
        .env("REMINT__LIMITS__MAX_CONCURRENT", "1")
        .tables(&format!("[replay]\nstore = \"{url}\""))
        .connector("ci", "replay = \"once\"")
        .connector("other", other)
        .start();
    let free = tokens::token(
        &shapes::gitlab("https://other.example"),
        &RSA,
        "RS256",
        "k1",
    );
    let replies = at_once(12, |number| {
        let token = match number % 2 {
            0 => named(&number.to_string()),
            _ => free.clone(),
        };
        exchange(&server, &[], &token)
    });
    for (number, reply) in replies.iter().enumerate() {
        if number % 2 == 0 {
            let (status, _, reason) = reply.refusal();
            assert_eq!((status, reason.as_str()), (503, "replay_store_unavailable"));
        } else {
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    }
}

#[test]
fn where_it_is_allowed_tokens_are_issued_without_the_store_and_the_audit_says_so() {
    let Some(mut store) = Store::start() else {
        return;
    };
    let server = store.server("on_store_failure = \"allow\"");
    let issues = |expected: &str| {
        let reply = exchange(&server, &[], &named(expected));
        assert_eq!(reply.status, 200, "{}", reply.text());
        server.audit(&reply)["replay"].as_str().unwrap().to_owned()
    };
    assert_eq!(issues("recorded"), "recorded");
    store.kill();
    for _ in 0..3 {
        assert_eq!(issues("store_failed"), "store_failed");
    }
    assert_eq!(metric(&server, "remint_replay_store_failures_total"), 3);
    store.run();
    let refused = || exchange(&server, &[], &named("recorded")).status == 400;
    until("the store is found again", refused);
    keeps_the_password(&server);
}
