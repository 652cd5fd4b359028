//! CI jobs as people have written them, with only host, port and token changed.

use std::process::Command;

use serde_json::{Value, json};

use crate::bench::process::Finished;
use crate::bench::site::{Site, TARGET};
use crate::bench::upstream::{Upstream, part};

/// The step of a GitLab job that trades its token, as oidc-token-proxy's page gives it but for the
/// quotes around the token, which that page leaves out.
const GITLAB: &str = r#"
PUBLIC_ID_TOKEN_FOR_AWS=$(curl
$ORIGIN/token
-X POST
-H 'Content-Type: application/json'
-H 'Accept: application/jwt'
--data "{\"token\": \"$PRIVATE_ID_TOKEN_FOR_AWS\"}")
"#;

/// The same job by RFC 8693.
const RFC_8693: &str = r#"
PUBLIC_ID_TOKEN_FOR_AWS=$(curl
$ORIGIN/token
-H 'Accept: application/jwt'
--data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange
--data-urlencode subject_token="$PRIVATE_ID_TOKEN_FOR_AWS"
--data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:id_token
--data-urlencode audience=https://sts.amazonaws.com)
"#;

/// What the job's variable holds in the end. A folded YAML scalar joins its lines with spaces.
fn run_job(step: &str, origin: &str, token: &str) -> String {
    let folded = step.trim().replace('\n', " ");
    let script = format!("{folded}\nprintf '%s' \"$PUBLIC_ID_TOKEN_FOR_AWS\"");
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", &script])
        .env("ORIGIN", origin)
        .env("PRIVATE_ID_TOKEN_FOR_AWS", token)
        .env("no_proxy", "*");
    Finished::from(bash.output().unwrap()).exits(0).stdout
}

#[test]
fn a_gitlab_job_gets_the_token_for_aws_either_way() {
    // GitLab signs with RS256.
    let upstream = Upstream::start_rsa();
    let remint = Site::trusting(upstream.url()).serve();
    let origin = remint.origin();
    for step in [GITLAB, RFC_8693] {
        let given = upstream.token(&json!({}));
        let token = run_job(step, &origin, &given);
        let (header, claims) = (part(&token, 0), part(&token, 1));
        assert_eq!(
            header["alg"], "RS256",
            "the algorithm of the job's own token"
        );
        assert_eq!(claims["aud"], TARGET);
        assert_eq!(claims["iss"], "http://127.0.0.1:9");
        for name in ["sub", "exp"] {
            assert_eq!(claims[name], part(&given, 1)[name], "{name}");
        }
    }
    remint.stop();
}

#[test]
fn the_unquoted_token_of_that_page_gets_a_hint() {
    let upstream = Upstream::start_rsa();
    let remint = Site::trusting(upstream.url()).serve();
    let unquoted = GITLAB.replace(
        "\\\"$PRIVATE_ID_TOKEN_FOR_AWS\\\"",
        "$PRIVATE_ID_TOKEN_FOR_AWS",
    );
    assert_ne!(unquoted, GITLAB);
    let with_status = unquoted.replace("-X POST", "-X POST -w ' %{http_code}'");
    let said = run_job(&with_status, &remint.origin(), &upstream.token(&json!({})));
    let (body, status) = said.rsplit_once(' ').unwrap();
    assert_eq!(status, "415");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["error"], "invalid_request");
    let words = body["error_description"].as_str().unwrap();
    assert!(words.contains("not quoted"), "{words}");
    remint.stop();
}
