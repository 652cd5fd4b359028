//! `remint keys remove`: what goes, what dies with it, and what is refused.

use serde_json::{Value, json};

use crate::bench::site::{generate, keys};
use crate::commands::{entries, kids, list, site, timed};
use crate::support::now;

const SOON: u64 = 4_000_000_000;

/// Two keys of which the second waits, and one of another algorithm.
fn rotating() -> Vec<Value> {
    let old = json!({ "signs_until": SOON, "published_until": SOON + 1 });
    vec![
        keys()["keys"][0].clone(),
        timed(&keys()["keys"][1], &old),
        timed(&generate("ES256", "ec-2"), &json!({ "signs_from": SOON })),
    ]
}

fn remove(kid: &str) -> [&str; 4] {
    ["keys", "remove", "--kid", kid]
}

#[test]
fn nothing_goes_without_yes() {
    let site = site(&rotating(), "");
    let before = site.read("jwks.json");
    let run = site.run(&remove("ec-1")).exits(1).complains(&[
        "every token that \"ec-1\" signed until now dies",
        "\"ec-2\", which was to sign later, signs with ES256 at once",
        "give --yes",
    ]);
    assert_eq!(run.stdout, "");
    assert_eq!(site.read("jwks.json"), before);
}

#[test]
fn the_key_that_waits_takes_over_from_one_that_leaked() {
    let site = site(&rotating(), "");
    let run = site
        .run(&[&remove("ec-1")[..], &["--yes"]].concat())
        .exits(0);
    assert_eq!(run.stdout, "ec-1\n");
    assert_eq!(kids(&entries(&site)), ["rsa-1", "ec-2"]);
    let row = &list(&site)[1];
    assert_eq!(
        (&row["kid"], &row["state"]),
        (&json!("ec-2"), &json!("signing"))
    );
    assert!(entries(&site)[1]["remint_signs_from"].as_u64().unwrap() <= now());
}

#[test]
fn a_rotation_is_taken_back_with_the_key_that_waits() {
    let site = site(&rotating(), "");
    let run = site
        .run(&[&remove("ec-2")[..], &["--yes"]].concat())
        .exits(0);
    run.complains(&["no token dies", "\"ec-1\" signs on"]);
    assert_eq!(entries(&site), *keys()["keys"].as_array().unwrap());
}

#[test]
fn what_each_key_takes_with_it_is_said() {
    let (lately, before) = (now() - 60, now() - 9_000);
    let past = json!({ "signs_until": 5, "published_until": 6 });
    let long = json!({ "signs_from": 5, "signs_until": before, "published_until": SOON });
    let short = json!({ "signs_from": before, "signs_until": lately, "published_until": SOON });
    let begun = json!({ "signs_from": lately });
    let mut foreign = keys()["keys"][1].clone();
    foreign["kid"] = "enc".into();
    foreign["use"] = "enc".into();
    let site = site(
        &[
            keys()["keys"][0].clone(),
            timed(&generate("ES256", "lately"), &short),
            timed(&generate("ES256", "before"), &long),
            timed(&generate("ES256", "past"), &past),
            timed(&generate("ES256", "new"), &begun),
            generate("ES256", "spare"),
            foreign,
        ],
        "",
    );
    for (kid, words) in [
        ("lately", "every token that \"lately\" signed until 2"),
        ("before", "no live token dies: \"before\" signed until 2"),
        ("past", "no live token dies"),
        (
            "spare",
            "no token dies by the times in the file: \"spare\" does not sign",
        ),
        (
            "enc",
            "no token dies: \"enc\" was neither used nor published",
        ),
        ("rsa-1", "no key signs with RS256 any more"),
        ("new", "\"spare\" signs with ES256 from now on"),
    ] {
        site.run(&remove(kid)).exits(1).complains(&[words]);
    }
    site.run(&[&remove("rsa-1")[..], &["--yes"]].concat())
        .exits(0);
    assert_eq!(entries(&site).len(), 6);
}

#[test]
fn what_a_server_cannot_do_without_stays_until_there_is_another() {
    let own = keys()["keys"].as_array().unwrap();
    let only = [own[1].clone()];
    let pinned = "[keys.signing]\nRS256 = \"rsa-1\"\nES256 = \"ec-1\"";
    for (entries, lines, words) in [
        (
            &only[..],
            "",
            &["\"ec-1\" is the only one that signs", "keys generate"][..],
        ),
        (
            own,
            pinned,
            &["named under [keys.signing]", "would keep the key"],
        ),
        (
            own,
            "[keys]\ndefault_alg = \"ES256\"",
            &["keys.default_alg", "would keep the key"],
        ),
    ] {
        let site = site(entries, lines);
        let before = site.read("jwks.json");
        let args = [&remove("ec-1")[..], &["--yes", "--config", "site.toml"]].concat();
        site.run(&args).exits(1).complains(words);
        assert_eq!(site.read("jwks.json"), before);
    }
    let site = site(&only, "");
    site.run(&remove("no-such"))
        .exits(1)
        .complains(&["no key has the kid \"no-such\""]);
    // With another one in place the leaked one goes.
    site.run(&["keys", "generate", "--alg", "ES256", "--kid", "fresh"])
        .exits(0);
    site.run(&[&remove("ec-1")[..], &["--yes"]].concat())
        .exits(0);
    assert_eq!(kids(&entries(&site)), ["fresh"]);
}

#[test]
fn every_entry_with_the_id_goes_and_broken_ones_do_not_hinder() {
    let broken =
        json!({ "kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA", "d": "AA" });
    let all = [&rotating()[..], &[generate("ES256", "ec-1"), broken]].concat();
    let site = site(&all, "");
    site.run(&[&remove("ec-1")[..], &["--yes"]].concat())
        .exits(0);
    assert_eq!(kids(&entries(&site)), ["rsa-1", "ec-2", "broken"]);
    site.run(&[&remove("broken")[..], &["--yes"]].concat())
        .exits(0);
    assert_eq!(kids(&entries(&site)), ["rsa-1", "ec-2"]);
}
