//! `kill -9` in the middle of `keys rotate`: the file is the old one or the new one.

use std::time::Duration;

use serde_json::{Value, json};

use crate::bench::process::remint;
use crate::bench::site::keys;
use crate::commands::{entries, has_leftovers, site};
use crate::support::PATIENCE;
use remint::clock::{Clock, SystemClock};

/// A member so large that writing the file takes a good part of the run.
const PADDING: usize = 1 << 20;

#[test]
fn a_rotation_that_is_killed_leaves_the_old_file_or_the_new_one() {
    let mut old: Vec<Value> = keys()["keys"].as_array().unwrap().clone();
    old[0]["x-padding"] = "x".repeat(PADDING).into();
    let before = json!({ "keys": old }).to_string();
    let site = site(&old, "");
    let args = ["keys", "rotate", "--alg", "ES256"];
    let clock = SystemClock::new();
    let start = clock.monotonic();
    site.run(&args).exits(0);
    let whole = clock.monotonic().saturating_sub(start);

    let (mut unchanged, mut changed, mut left_over) = (0, 0, 0);
    let mut runs = 0;
    // Until both ends were seen often, and something half-made was left behind.
    while runs < 100 || unchanged < 20 || changed < 20 || left_over == 0 {
        assert!(runs < 1_500, "{unchanged} {changed} {left_over}");
        site.write("jwks.json", &before);
        let mut child = remint(site.folder(), &args)
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        // Spread over all of the run and a little beyond; where it falls does not matter for what is checked.
        let moment = whole.mul_f64(f64::from(runs % 50) / 40.0);
        std::thread::sleep(moment.min(PATIENCE).max(Duration::from_micros(1)));
        child.kill().unwrap();
        child.wait().unwrap();
        if site.read("jwks.json") == before {
            unchanged += 1;
        } else {
            let found = entries(&site);
            assert_eq!(found.len(), 3);
            assert_eq!(found[0], old[0]);
            assert_eq!(
                found[1]["remint_signs_until"],
                found[2]["remint_signs_from"]
            );
            changed += 1;
        }
        left_over += usize::from(has_leftovers(site.folder()));
        runs += 1;
    }
    // What was left behind held keys: the next run takes it away.
    site.write("jwks.json", &before);
    site.run(&args).exits(0);
    assert!(!has_leftovers(site.folder()));
    assert_eq!(entries(&site).len(), 3);
}
