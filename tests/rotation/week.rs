//! A week of rotations: no verification ever meets an unknown key, and with times too short some do.

use crate::world::{LEEWAY, LIFETIME, Plan, Seen, World};

const DAY: u64 = 24 * 60 * 60;

/// The least that `keys rotate` takes without a warning: the published max-age and a minute.
const LEAD: u64 = 360;
/// The life of a token with all leeway, and a minute for the clocks.
const RETIRE: u64 = LIFETIME + LEEWAY + 60;

async fn turn(plan: Plan) -> Seen {
    let seen = World::new(plan).turn().await;
    assert!(seen.rotations >= 4, "{seen:?}");
    // Each new key but perhaps the last one has signed.
    assert!(seen.kids.len() >= seen.rotations, "{seen:?}");
    assert!(seen.pruned + 1 >= seen.rotations, "{seen:?}");
    assert!(seen.verifications > 5_000, "{seen:?}");
    seen
}

#[tokio::test]
async fn no_verifier_meets_an_unknown_key_in_a_week_of_rotations() {
    let seen = turn(Plan {
        lead: LEAD,
        retire_after: RETIRE,
        length: 7 * DAY,
    })
    .await;
    assert!(seen.rotations >= 28, "{seen:?}");
    assert_eq!(seen.unknown, [""; 0]);
}

#[tokio::test]
async fn a_lead_shorter_than_the_max_age_fails() {
    let seen = turn(Plan {
        lead: 240,
        retire_after: RETIRE,
        length: DAY,
    })
    .await;
    assert!(!seen.unknown.is_empty(), "{seen:?}");
    let at_once = seen.unknown.iter().any(|what| what.contains("at once"));
    assert!(at_once, "{seen:?}");
}

#[tokio::test]
async fn a_retirement_shorter_than_a_token_fails() {
    let seen = turn(Plan {
        lead: LEAD,
        retire_after: LIFETIME - 120,
        length: DAY,
    })
    .await;
    assert!(!seen.unknown.is_empty(), "{seen:?}");
    let late = seen.unknown.iter().all(|what| what.contains("at its end"));
    assert!(late, "{seen:?}");
}
