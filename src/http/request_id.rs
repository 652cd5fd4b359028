//! `X-Request-Id`: the caller's where it is sane, else a new one.

use warp::http::HeaderMap;

use crate::clock::Clock;
use crate::oauth::redact;
use crate::random::{Random, uuid_v7};

/// The header's name.
pub(super) const HEADER: &str = "x-request-id";

/// The longest id that is taken over.
const LONGEST: usize = 128;

/// The id of a request.
pub(super) fn of(headers: &HeaderMap, clock: &dyn Clock, random: &dyn Random) -> String {
    let sane = |id: &&str| {
        (1..=LONGEST).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:=+/@".contains(&byte))
    };
    let is_token = |id: &&str| redact(id) != *id;
    let given = headers.get(HEADER).and_then(|id| id.to_str().ok());
    given.filter(|id| sane(id) && !is_token(id)).map_or_else(
        || {
            let millis = u64::try_from(clock.unix().as_millis()).unwrap_or(u64::MAX);
            uuid_v7(random, millis).to_string()
        },
        str::to_owned,
    )
}
