//! `max_concurrent`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::server::{JWT, Site};
use crate::{at_once, exchange, job, metric};

const ADMIN: &str = "\n[limits]\nmax_concurrent = 1";

#[test]
fn one_at_a_time_is_enough_for_everybody_who_waits() {
    let server = Site::new()
        .keys(ADMIN)
        .env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0")
        .connector("ci", "require_client = false\nactors = [\"true\"]")
        .client("app", "secret = \"s\"\ngrants = [\"client_credentials\"]")
        .start();
    let basic = format!("Basic {}", STANDARD.encode("app:s"));
    let token = job(json!({}));
    let replies = at_once(48, |number| match number % 3 {
        0 => exchange(&server, &[], &token),
        // Two verifications, and two signatures: neither may wait for a permit while it has one.
        1 => {
            let actor = [("actor_token", token.as_str()), ("actor_token_type", JWT)];
            server.exchange(&token, &actor)
        }
        _ => {
            let form = [("grant_type", "client_credentials"), ("scope", "openid")];
            server.form_with(&[("Authorization", &basic)], &form)
        }
    });
    for reply in &replies {
        assert_eq!(reply.status, 200, "{}", reply.text());
    }
    assert_eq!(metric(&server, "remint_exchanges_waiting"), 0);
    let refused = "remint_limited_total{limit=\"max_concurrent\"}";
    assert_eq!(metric(&server, refused), 0);
}
