//! A running instance follows the key file and the clock, without a restart.

use remint::config::problems::Problem;
use remint::jose::rfc3339;
use serde_json::{Value, json};

use crate::bench::http::{get, post};
use crate::bench::process::remint;
use crate::bench::site::{generate, keys};
use crate::commands::{kids, timed};
use crate::instance::{Instance, JWKS, START, config};
use crate::support::{now, tokens, until};

const CHANGE: u64 = START + 1_000;
const END: u64 = START + 5_000;
const METADATA: &str = "/.well-known/openid-configuration";

/// `rsa-1` signs throughout, `ec-1` hands over to `ec-2`.
fn rotating() -> Value {
    let own = &keys()["keys"];
    let old = json!({ "signs_until": CHANGE, "published_until": END });
    let next = json!({ "signs_from": CHANGE });
    json!({ "keys": [
        timed(&own[1], &old), timed(&generate("ES256", "ec-2"), &next), own[0],
    ] })
}

async fn signer(instance: &Instance) -> String {
    let jwks = instance.get(JWKS).await.json();
    let (header, _) = tokens::read(&instance.token().await, &jwks);
    header["kid"].as_str().unwrap().to_owned()
}

async fn published(instance: &Instance) -> Vec<String> {
    let jwks = instance.get(JWKS).await.json();
    let kids = kids(jwks["keys"].as_array().unwrap());
    kids.into_iter().map(str::to_owned).collect()
}

/// The kids and states of the metric.
async fn measured(instance: &Instance) -> Vec<(String, String)> {
    let text = instance.operators_see("/metrics").await.body;
    let label = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
        rest.split('"').next().unwrap().to_owned()
    };
    let lines = text
        .lines()
        .filter(|line| line.starts_with("remint_signing_key_info{"));
    lines
        .map(|line| (label(line, "kid"), label(line, "state")))
        .collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(kid, state): &(&str, &str)| ((*kid).to_owned(), (*state).to_owned());
    expected.iter().map(owned).collect()
}

#[tokio::test]
async fn the_states_follow_the_clock() {
    let file = rotating();
    let one = Instance::new(&config("", 600), &file, START);
    let metadata = one.get(METADATA).await;
    let tag = one.get(JWKS).await.etag;
    for (advance, kid, state, known) in [
        (
            0,
            "ec-1",
            ["signing", "next"],
            &["ec-1", "ec-2", "rsa-1"][..],
        ),
        (999, "ec-1", ["signing", "next"], &["ec-1", "ec-2", "rsa-1"]),
        (
            1,
            "ec-2",
            ["retiring", "signing"],
            &["ec-1", "ec-2", "rsa-1"],
        ),
        (
            3_999,
            "ec-2",
            ["retiring", "signing"],
            &["ec-1", "ec-2", "rsa-1"],
        ),
        (1, "ec-2", ["retired", "signing"], &["ec-2", "rsa-1"]),
    ] {
        one.advance(advance);
        assert_eq!(signer(&one).await, kid);
        assert_eq!(published(&one).await, known);
        let states = pairs(&[("ec-1", state[0]), ("ec-2", state[1]), ("rsa-1", "signing")]);
        assert_eq!(measured(&one).await, states);
        let health = one.operators_see("/healthz").await.json();
        assert_eq!(health["signing"], json!({ "ES256": kid, "RS256": "rsa-1" }));
        assert_eq!(health["keys"][0]["state"], state[0], "{health}");
        assert_eq!(health["keys"][0]["published_until"], rfc3339(END));
        let reply = one.get(JWKS).await;
        assert_eq!(reply.cache_control, "public, max-age=300");
        assert_eq!(
            reply.etag == tag,
            known.len() == 3,
            "the tag follows the keys"
        );
        assert_eq!(one.get(METADATA).await.etag, metadata.etag);
        // One that starts now says the same, to the byte.
        let now = remint::clock::Clock::unix(one.clock.as_ref()).as_secs();
        let other = Instance::new(&config("", 600), &file, now);
        assert_eq!(other.get(JWKS).await.body, reply.body);
        assert_eq!(other.get(METADATA).await.body, metadata.body);
        assert_eq!(signer(&other).await, kid);
    }
}

#[tokio::test]
async fn metadata_announces_an_algorithm_as_long_as_a_verifier_may_meet_it() {
    let own = &keys()["keys"];
    let file = json!({ "keys": [
        timed(&own[0], &json!({ "signs_until": CHANGE, "published_until": END })),
        timed(&own[1], &json!({ "signs_from": START + 500 })),
        timed(&generate("ES256", "past"), &json!({ "signs_until": 5, "published_until": 6 })),
    ] });
    for issuer in ["", "from-request"] {
        let mut text = config("", 600);
        if !issuer.is_empty() {
            text = text.replace("https://sts.example.com", issuer);
        }
        let one = Instance::new(&text, &file, START);
        for (advance, expected, jwks) in [
            (0, json!(["RS256", "ES256"]), 2),
            (500, json!(["RS256", "ES256"]), 2),
            (500, json!(["ES256", "RS256"]), 2),
            (4_000, json!(["ES256"]), 1),
        ] {
            one.advance(advance);
            let metadata = one.get(METADATA).await.json();
            assert_eq!(metadata["id_token_signing_alg_values_supported"], expected);
            assert_eq!(published(&one).await.len(), jwks);
        }
    }
}

#[tokio::test]
async fn a_pinned_key_signs_whatever_its_times_say() {
    let text = config("[keys.signing]\nES256 = \"ec-1\"", 600);
    let (one, problems) = Instance::build(&text, &rotating(), START);
    let one = one.unwrap();
    let warned: Vec<_> = problems.iter().map(without_place).collect();
    for kid in ["ec-1", "ec-2"] {
        let about = |line: &String| line.starts_with("warning: keys.signing") && line.contains(kid);
        assert!(warned.iter().any(about), "{kid}: {warned:?}");
    }
    for _ in 0..3 {
        assert_eq!(signer(&one).await, "ec-1");
        assert_eq!(published(&one).await, ["ec-1", "ec-2", "rsa-1"]);
        let states = pairs(&[
            ("ec-1", "signing"),
            ("ec-2", "retiring"),
            ("rsa-1", "retiring"),
        ]);
        assert_eq!(measured(&one).await, states);
        one.advance(5_000);
    }
}

#[tokio::test]
async fn without_a_key_that_signs_it_is_not_ready_and_refuses() {
    let end = json!({ "signs_until": CHANGE, "published_until": END });
    let file = json!({ "keys": [timed(&keys()["keys"][1], &end)] });
    let one = Instance::new(&config("", 600), &file, START);
    assert_eq!(one.get("/healthz").await.status, 200);
    one.advance(1_000);
    let reply = one.ask_token().await;
    assert_eq!(
        (
            reply.status,
            &reply.json()["error"],
            &reply.json()["reason"]
        ),
        (400, &json!("invalid_request"), &json!("alg_unavailable"))
    );
    let health = one.get("/healthz").await;
    assert_eq!(
        (health.status, health.body.as_str()),
        (503, r#"{"status":"no_signing_key"}"#)
    );
    assert_eq!(one.get("/healthz/live").await.status, 200);
    // Its tokens can still be verified.
    assert_eq!(published(&one).await, ["ec-1"]);
}

fn without_place(problem: &Problem) -> String {
    let mut problem = problem.clone();
    problem.place = None;
    problem.to_string()
}

#[test]
fn what_is_wrong_with_the_times_is_said_at_the_start() {
    let own = &keys()["keys"];
    let ec = |times: Value| timed(&own[1], &times);
    let default = "default_alg = \"ES256\"";
    for (entries, lines, expected) in [
        (
            vec![ec(json!({ "signs_from": "soon" }))],
            "",
            &["error: keys.file: keys[0] (kid \"ec-1\") cannot be used: its `remint_signs_from`"][..],
        ),
        (
            vec![ec(json!({ "signs_until": 6, "published_until": 5 }))],
            "",
            &[
                "error: keys.file: keys[0] (kid \"ec-1\") cannot be used: its `remint_published_until`",
            ],
        ),
        (
            vec![ec(json!({ "signs_until": START }))],
            "",
            &["error: keys.file: the time of every key in it is over"],
        ),
        (
            vec![ec(json!({ "signs_from": CHANGE }))],
            "",
            &["warning: keys.file: no key signs before 2027-01-15T08:16:40Z"],
        ),
        (
            vec![own[0].clone(), ec(json!({ "signs_until": CHANGE }))],
            "",
            &["warning: keys.file: no key signs with ES256 from 2027-01-15T08:16:40Z on"],
        ),
        (
            vec![
                ec(json!({ "signs_until": CHANGE, "published_until": CHANGE + 659 })),
                generate("ES256", "ec-2"),
            ],
            "",
            &[
                "warning: keys.file: the key \"ec-1\" leaves the published keys 659 s after it stops signing, but a token may live for 660 s",
            ],
        ),
        (
            vec![
                ec(json!({ "signs_until": CHANGE, "published_until": CHANGE + 660 })),
                generate("ES256", "ec-2"),
            ],
            "",
            &[],
        ),
        (
            vec![own[0].clone(), ec(json!({ "signs_from": CHANGE }))],
            default,
            &["error: keys.default_alg: found \"ES256\", but the keys that sign are for RS256"],
        ),
    ] {
        let (built, problems) =
            Instance::build(&config(lines, 600), &json!({ "keys": entries }), START);
        let found = problems.iter().map(without_place);
        let found: Vec<_> = found
            .filter(|line| !line.starts_with("note") && !line.contains("it holds no key"))
            .collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{found}");
        }
        assert_eq!(
            built.is_none(),
            expected.iter().any(|line| line.starts_with("error"))
        );
    }
}

/// The program itself, by the clock of this machine.
#[test]
fn the_program_goes_on_to_the_next_key_by_itself() {
    let change = now() + 3;
    let old = json!({ "signs_until": change, "published_until": change + 4_000 });
    let text = config("", 600).replace("[keys]", "[server]\nlisten = [\"127.0.0.1:0\"]\n[keys]");
    let site = crate::bench::site::Site::without_keys(&text);
    let entries = [
        timed(&keys()["keys"][1], &old),
        timed(&generate("ES256", "ec-2"), &json!({ "signs_from": change })),
    ];
    site.write("jwks.json", &json!({ "keys": entries }).to_string());
    site.close("jwks.json");
    let command = remint(site.folder(), &["serve"]);
    let running = site.start(command);
    let origin = running.origin();
    let form = "grant_type=client_credentials&client_id=job&client_secret=a-plain-secret";
    let signer = || {
        let reply = post(&origin, "application/x-www-form-urlencoded", form);
        let token = reply.json()["access_token"].as_str().unwrap().to_owned();
        let jwks = get(&origin, JWKS).json();
        let (header, claims) = tokens::read(&token, &jwks);
        (
            header["kid"].as_str().unwrap().to_owned(),
            claims["iat"].as_u64().unwrap(),
        )
    };
    until("ec-2 signs", || {
        let (kid, iat) = signer();
        assert_eq!(kid == "ec-2", iat >= change, "{kid} at {iat}");
        kid == "ec-2"
    });
    running.stop();
}
