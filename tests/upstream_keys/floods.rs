//! Floods of tokens that nobody signed, beside honest ones of the same issuer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::support::issuer::JWKS;
use super::support::keys::P256;
use super::support::tokens::b64;
use super::world::{Caller, World};

const FLOOD: usize = 10_000;
const CALLERS: usize = 4;

/// Sends the flood, the token of each number as `token` makes it; gives how often each of the reasons came back.
fn flood(world: &World, reasons: [&str; 2], token: impl Fn(usize) -> String + Sync) -> [usize; 2] {
    let counts = [AtomicUsize::new(0), AtomicUsize::new(0)];
    thread::scope(|scope| {
        for first in 0..CALLERS {
            let (counts, token) = (&counts, &token);
            scope.spawn(move || {
                let mut caller = Caller::to(world.address);
                for number in (first..FLOOD).step_by(CALLERS) {
                    let (status, reason) = caller.exchange(&token(number));
                    assert!([403, 503].contains(&status), "{status} {reason}");
                    let place = reasons.iter().position(|known| *known == reason);
                    let place = place.unwrap_or_else(|| panic!("{reason}"));
                    counts[place].fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    counts.map(AtomicUsize::into_inner)
}

/// An honest token with another kid and with no signature of anybody.
fn forged(world: &World, kid: &str) -> String {
    let honest = world.job(&world.sick, &P256, kid);
    let (signed, _) = honest.rsplit_once('.').unwrap();
    format!("{signed}.{}", b64([7; 64]))
}

/// The token that ends with `rest`, with another kid.
fn with_kid(kid: &str, rest: &str) -> String {
    let header = format!(r#"{{"alg":"ES256","kid":"{kid}","typ":"JWT"}}"#);
    format!("{}.{rest}", b64(header))
}

#[test]
fn random_kids_cause_one_fetch_in_30_seconds() {
    let world = World::start();
    let load = world.load(&[&world.well, &world.sick]);
    let template = forged(&world, "KID");
    let (_, rest) = template.split_once('.').unwrap();
    let reasons = ["key_unknown", "keys_unavailable"];
    for round in 1..=2 {
        let hits = world.sick.hits(JWKS);
        let counts = flood(&world, reasons, |number| {
            with_kid(&format!("flood-{round}-{number}"), rest)
        });
        assert_eq!(counts.iter().sum::<usize>(), FLOOD);
        assert_eq!(world.sick.hits(JWKS), hits + 1, "round {round}");
        load.goes_on();
        // The last second of the 30 does not bring another.
        world.advance(29);
        assert_eq!(
            world.exchange(&with_kid("late", rest)).1,
            "keys_unavailable"
        );
        assert_eq!(world.sick.hits(JWKS), hits + 1);
        world.advance(1);
    }
    load.end();
}

#[test]
fn bad_signatures_cause_no_fetch() {
    let world = World::start();
    let load = world.load(&[&world.well, &world.sick]);
    let hits = world.sick.hits(JWKS);
    let token = forged(&world, "e1");
    let counts = flood(&world, ["signature_invalid", ""], |_| token.clone());
    assert_eq!(counts, [FLOOD, 0]);
    assert_eq!(world.sick.hits(JWKS), hits);
    load.end();
}
