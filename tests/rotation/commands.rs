//! `remint keys rotate`, `prune` and `list`, and what `check` and `publish` say of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use remint::jose::rfc3339;
use serde_json::{Value, json};

use crate::bench::site::{Site, config, connector, generate, keys, private_members, set_mode};
use crate::support::now;

pub(crate) const ROTATE: [&str; 4] = ["keys", "rotate", "--alg", "ES256"];
const HOUR: u64 = 60 * 60;

/// A site with the key file that these entries make, and with a connector that needs no network.
pub(crate) fn site(entries: &[Value], keys: &str) -> Site {
    let connector = connector("ci", "https://ci.example.com");
    let text = config("https://sts.example.com", &connector);
    let site = Site::without_keys(&text.replace("[server]", &format!("{keys}\n[server]")));
    site.write("jwks.json", &json!({ "keys": entries }).to_string());
    site.close("jwks.json");
    site
}

/// The entries of the key file.
pub(crate) fn entries(site: &Site) -> Vec<Value> {
    let set: Value = serde_json::from_str(&site.read("jwks.json")).unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// What `keys list` says.
pub(crate) fn list(site: &Site) -> Vec<Value> {
    let run = site.run(&["keys", "list", "--format", "json"]).exits(0);
    serde_json::from_str::<Value>(&run.stdout)
        .unwrap()
        .as_array()
        .unwrap()
        .clone()
}

/// The given key with these times, in seconds since the Unix epoch.
pub(crate) fn timed(key: &Value, times: &Value) -> Value {
    let mut key = key.clone();
    for (name, time) in times.as_object().unwrap() {
        key[format!("remint_{name}")] = time.clone();
    }
    key
}

pub(crate) fn kids(entries: &[Value]) -> Vec<&str> {
    entries
        .iter()
        .map(|key| key["kid"].as_str().unwrap())
        .collect()
}

fn row(kid: &str, alg: &str, state: &str, times: [Option<u64>; 3]) -> Value {
    let [from, until, published] = times.map(|time| time.map(rfc3339));
    json!({ "kid": kid, "alg": alg, "state": state, "signs_from": from,
            "signs_until": until, "published_until": published })
}

#[test]
fn rotate_adds_the_next_key_and_gives_the_old_one_its_end() {
    let set = keys();
    let site = site(set["keys"].as_array().unwrap(), "");
    set_mode(&site.folder().join("jwks.json"), 0o640);
    let before = now();
    let run = site.run(&ROTATE).exits(0);
    let after = now();
    let kid = run.stdout.trim().to_owned();
    let found = entries(&site);
    // The first key of the file decides on the default algorithm, also after the old one is gone.
    assert_eq!(kids(&found), ["rsa-1", "ec-1", &kid]);
    assert_eq!(found[0], set["keys"][0], "another algorithm is left alone");
    let change = found[2]["remint_signs_from"].as_u64().unwrap();
    assert!((before + 24 * HOUR..=after + 24 * HOUR).contains(&change));
    assert_eq!(found[1]["remint_signs_until"], change);
    let end = change + 48 * HOUR;
    assert_eq!(
        list(&site),
        [
            row("rsa-1", "RS256", "signing", [None; 3]),
            row("ec-1", "ES256", "signing", [None, Some(change), Some(end)]),
            row(&kid, "ES256", "next", [Some(change), None, None]),
        ]
    );
    let text = site.run(&["keys", "list"]).exits(0).stdout;
    for words in [
        "What happens next:".to_owned(),
        format!(
            "{}  \"{kid}\" signs with ES256 in place of \"ec-1\"",
            rfc3339(change)
        ),
        format!("{}  \"ec-1\" leaves the published keys", rfc3339(end)),
    ] {
        assert!(text.contains(&words), "{words} is not in {text}");
    }
    // The times are nobody else's business, and nothing private is printed.
    let public = site.run(&["keys", "public"]).exits(0).stdout;
    assert!(!public.contains("remint_"), "{public}");
    let public: Value = serde_json::from_str(&public).unwrap();
    assert_eq!(public["keys"].as_array().unwrap().len(), 3);
    for (name, value) in private_members(&json!({ "keys": found })) {
        assert!(
            !run.stdout.contains(&value) && !run.stderr.contains(&value),
            "{name}"
        );
        assert!(!public.to_string().contains(&value), "{name}");
    }
    let mode = fs::metadata(site.folder().join("jwks.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(
        fs::read_dir(site.folder()).unwrap().count(),
        2,
        "nothing is left over"
    );

    let check = site.run(&["check", "--format", "json"]).exits(0);
    let report: Value = serde_json::from_str(&check.stdout).unwrap();
    let notes = report["notes"].to_string();
    assert!(
        notes.contains("in place of") && notes.contains(&rfc3339(change)),
        "{report}"
    );
    let published = site.run(&["publish", "--out", "www"]).exits(0).stdout;
    for words in [
        format!("\"{kid}\" signs from {} on", rfc3339(change)),
        format!("Publish again soon after {}: \"ec-1\" leaves", rfc3339(end)),
    ] {
        assert!(published.contains(&words), "{words} is not in {published}");
    }
}

#[test]
fn list_knows_all_four_states() {
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|kid| generate("ES256", kid));
    let (past, long_past, soon, late) = (
        1_500_000_000,
        1_400_000_000,
        4_000_000_000_u64,
        4_100_000_000_u64,
    );
    let site = site(
        &[
            timed(
                &a,
                &json!({ "signs_until": long_past, "published_until": past }),
            ),
            timed(
                &b,
                &json!({ "signs_from": long_past, "signs_until": soon, "published_until": late }),
            ),
            timed(&c, &json!({ "signs_from": soon })),
            d,
        ],
        "",
    );
    assert_eq!(
        list(&site),
        [
            row("a", "ES256", "retired", [None, Some(long_past), Some(past)]),
            row(
                "b",
                "ES256",
                "signing",
                [Some(long_past), Some(soon), Some(late)]
            ),
            row("c", "ES256", "next", [Some(soon), None, None]),
            row("d", "ES256", "retiring", [None; 3]),
        ]
    );
    let public = site.run(&["keys", "public"]).exits(0).stdout;
    let public: Value = serde_json::from_str(&public).unwrap();
    assert_eq!(kids(public["keys"].as_array().unwrap()), ["b", "c", "d"]);
}

#[test]
fn what_cannot_be_rotated_is_left_as_it_was() {
    let own = keys()["keys"].as_array().unwrap().clone();
    let pinned = "[keys.signing]\nES256 = \"ec-1\"";
    let other = "[keys.signing]\nRS256 = \"rsa-1\"";
    let next = timed(
        &generate("ES256", "ec-2"),
        &json!({ "signs_from": 4_000_000_000_u64 }),
    );
    let waiting = [own.clone(), vec![next]].concat();
    let broken = timed(&own[1], &json!({ "signs_from": "tomorrow" }));
    for (entries, lines, words) in [
        (
            &own,
            pinned,
            &["\"ec-1\" is named under [keys.signing]", "always signs"][..],
        ),
        (&own, other, &["does not list ES256"]),
        (
            &waiting,
            "",
            &[
                "\"ec-2\" waits already",
                "2096-10-02T07:06:40Z",
                "keys remove",
            ],
        ),
        (&vec![broken], "", &["remint_signs_from", "left as it was"]),
    ] {
        let site = site(entries, lines);
        let before = site.read("jwks.json");
        let args = [&ROTATE[..], &["--config", "site.toml"]].concat();
        let run = site.run(&args).exits(1).complains(words);
        assert_eq!(run.stdout, "");
        assert_eq!(site.read("jwks.json"), before);
    }
    let site = site(&own, "");
    let nowhere = [&ROTATE[..], &["--file", "none.json"]].concat();
    site.run(&nowhere)
        .exits(1)
        .complains(&["none.json does not exist", "keys generate"]);
    site.write("jwks.json", "[]");
    site.run(&ROTATE).exits(1).complains(&["is not a JWKS"]);
    assert_eq!(site.read("jwks.json"), "[]");
}

#[test]
fn times_that_are_too_short_are_warned_about() {
    let own = keys()["keys"].as_array().unwrap();
    let short = "[tokens]\nmax_lifetime = \"5m\"\nleeway = \"0s\"";
    let config = ["--config", "site.toml"];
    for (lead, retire, further, lines, expected) in [
        ("24h", "48h", &[][..], "", &[][..]),
        ("6m", "61m", &[], "", &[]),
        ("5m", "48h", &[], "", &["--lead 300 s"]),
        ("0s", "48h", &[], "", &["--lead 0 s"]),
        ("24h", "60m", &[], "", &["--retire-after 3600 s"]),
        ("1m", "1m", &[], "", &["--lead 60 s", "--retire-after 60 s"]),
        ("24h", "5m", &config, short, &[]),
        ("24h", "299s", &config, short, &["--retire-after 299 s"]),
    ] {
        let site = site(own, lines);
        let args = [
            &ROTATE[..],
            &["--lead", lead, "--retire-after", retire],
            further,
        ]
        .concat();
        let run = site.run(&args).exits(0).complains(expected);
        let warnings = run
            .stderr
            .lines()
            .filter(|line| line.starts_with("warning"));
        assert_eq!(warnings.count(), expected.len(), "{lead} {retire} {run:#?}");
    }
}

#[test]
fn an_algorithm_without_a_key_gets_its_first_one() {
    let site = site(&[keys()["keys"][0].clone()], "");
    let run = site
        .run(&ROTATE)
        .exits(0)
        .complains(&["no key signs with ES256 before that"]);
    let rows = list(&site);
    assert_eq!(rows[1]["kid"], run.stdout.trim());
    assert_eq!(
        (&rows[0]["state"], &rows[1]["state"]),
        (&json!("signing"), &json!("next"))
    );
    // It would be published at once, but not sign: the default stays.
    site.run(&["check"]).exits(0);
}

#[test]
fn prune_takes_out_what_is_past_and_nothing_else() {
    let [a, b, other] =
        [("RS256", "a"), ("RS256", "b"), ("ES256", "other")].map(|(alg, kid)| generate(alg, kid));
    let over = json!({ "signs_until": 1_400_000_000, "published_until": 1_500_000_000 });
    let begun = json!({ "signs_from": 1_400_000_000 });
    let past = timed(&a, &over);
    let site = site(&[past.clone(), other.clone(), timed(&b, &begun)], "");
    let run = site.run(&["keys", "prune"]).exits(0);
    assert_eq!(run.stdout, "a\n");
    // RS256 was the default by the order of the file, and stays it.
    assert_eq!(kids(&entries(&site)), ["b", "other"]);
    let (before, inode) = (site.read("jwks.json"), inode(&site));
    let run = site
        .run(&["keys", "prune"])
        .exits(0)
        .complains(&["no key is past"]);
    assert_eq!(
        (
            run.stdout.as_str(),
            site.read("jwks.json"),
            self::inode(&site)
        ),
        ("", before, inode)
    );
    // A pinned key never leaves, and the last key never does.
    let lines = "[keys.signing]\nRS256 = \"a\"";
    let site = self::site(&[past.clone(), other], lines);
    site.run(&["keys", "prune", "--config", "site.toml"])
        .exits(0)
        .complains(&["no key is past"]);
    let site = self::site(&[past], "");
    site.run(&["keys", "prune"])
        .exits(1)
        .complains(&["every key in it is past"]);
    assert_eq!(entries(&site).len(), 1);
}

fn inode(site: &Site) -> u64 {
    fs::metadata(site.folder().join("jwks.json")).unwrap().ino()
}
