//! Issuers that refuse, break, hang or lead elsewhere.

use serde_json::json;

use crate::support::authority::Authority;
use crate::support::issuer::{Answer, DISCOVERY, Issuer, JWKS, nobody};
use crate::support::server::{Server, Site};
use crate::support::until;
use crate::{
    TOKEN, USERINFO, ada, answers, connector, discovery, exchange, issuer, refusal, simple, site,
};

fn document(text: &str) -> Answer {
    Answer::Document(text.to_owned())
}

fn raw(head: &str, body: &[u8]) -> Answer {
    let head = format!(
        "HTTP/1.1 {head}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Answer::Raw([head.as_bytes(), body].concat())
}

/// The form gets 503, the simple exchange `status`; gives the `detail` of the event.
#[track_caller]
fn unavailable(server: &Server, status: u16) -> String {
    let (form, simple) = (exchange(server, TOKEN, &[]), simple(server, TOKEN));
    for (reply, status) in [(&form, 503), (&simple, status)] {
        let expected = refusal(status, "temporarily_unavailable", "userinfo_unavailable");
        assert_eq!(reply.refusal(), expected, "{}", reply.text());
        assert!(reply.header("retry-after").is_some());
        assert_eq!(server.audit(reply)["outcome"], "error");
    }
    let words = form.description();
    assert!(!words.contains("127.0.0.1"), "{words}");
    server.audit(&form)["detail"].as_str().unwrap().to_owned()
}

#[test]
fn a_token_that_its_issuer_refuses_is_refused() {
    for status in [400, 401, 403] {
        let issuer = issuer();
        issuer.set(USERINFO, Answer::Status(status));
        let server = site(&issuer, "").start();
        let (form, simple) = (exchange(&server, TOKEN, &[]), simple(&server, TOKEN));
        assert_eq!(
            form.refusal(),
            refusal(400, "invalid_request", "userinfo_refused")
        );
        assert_eq!(
            simple.refusal(),
            refusal(403, "access_denied", "userinfo_refused")
        );
        let event = server.audit(&form);
        assert_eq!(event["outcome"], "refused");
        assert_eq!(event["connector"], "idp");
        assert_eq!(event.get("subject_sub"), None);
        let detail = event["detail"].as_str().unwrap();
        assert!(detail.contains(&status.to_string()), "{detail}");
        assert!(!server.log().contains(TOKEN));
    }
}

#[test]
fn an_answer_that_cannot_be_used_is_503_and_the_log_says_why() {
    let deep = format!(
        "{{\"sub\":\"a\",\"x\":{}{}}}",
        "[".repeat(40),
        "]".repeat(40)
    );
    let jwt = Answer::Page(
        "application/jwt",
        "eyJhbGciOiJSUzI1NiJ9.e30.c2ln".to_owned(),
    );
    let text = |body: &str| Answer::Page("text/html", body.to_owned());
    for (answer, words) in [
        (Answer::Status(404), "404"),
        (Answer::Status(429), "429"),
        (Answer::Status(500), "500"),
        (Answer::Status(503), "503"),
        (Answer::Status(204), "204"),
        (Answer::Close, "127.0.0.1"),
        (jwt, "userinfo_signed_response_alg"),
        (text("<html>"), "\"text/html\""),
        (text("{\"sub\":\"ada\"}"), "application/json is expected"),
        (raw("200 OK", b"{\"sub\":\"ada\"}"), "content type \"\""),
        (document(""), "not valid JSON"),
        (document("[]"), "not a JSON object"),
        (document("{}"), "no `sub`"),
        (document("{\"sub\":\"\"}"), "no `sub`"),
        (document("{\"sub\":5}"), "no `sub`"),
        (document("{\"sub\":\"a\",\"sub\":\"b\"}"), "a member twice"),
        (
            document("{\"sub\":\"a\",\"x\":{\"y\":1,\"y\":1}}"),
            "a member twice",
        ),
        (document("{\"sub\":\"\\ud800\"}"), "not valid JSON"),
        (
            document("{\"sub\":\"a\",\"exp\":\"never\"}"),
            "`exp` that is not a number",
        ),
        (document(&deep), "nests deeper than 32"),
        (
            document(&format!("{{\"sub\":\"{}\"}}", "a".repeat(300_000))),
            "256 KiB",
        ),
        (
            raw(
                "200 OK\r\nContent-Type: application/json",
                b"{\"sub\":\"\xff\"}",
            ),
            "UTF-8",
        ),
    ] {
        let issuer = issuer();
        issuer.set(USERINFO, answer);
        let detail = unavailable(&site(&issuer, "").start(), 502);
        assert!(detail.contains(words), "{words}: {detail}");
    }
}

#[test]
fn an_issuer_that_hangs_is_504_and_503() {
    for path in [DISCOVERY, USERINFO] {
        let issuer = issuer();
        issuer.set(path, Answer::Hang);
        unavailable(&site(&issuer, "timeout = \"300ms\"").start(), 504);
    }
}

#[test]
fn an_issuer_that_is_down_is_502_and_503() {
    let gone = nobody();
    let server = Site::new().tables(&connector(&gone, "")).start();
    unavailable(&server, 502);
    let lines = format!("userinfo_uri = \"{gone}/userinfo\"");
    unavailable(&site(&issuer(), &lines).start(), 502);
}

#[test]
fn a_token_is_not_sent_where_a_redirect_leads() {
    let (here, elsewhere) = (issuer(), issuer());
    let to = |place: &str| raw(&format!("302 Found\r\nLocation: {place}"), b"");
    here.set(USERINFO, to(&format!("{}{USERINFO}", elsewhere.url)));
    let server = site(&here, "").start();
    let detail = unavailable(&server, 502);
    assert!(detail.contains("redirects to"), "{detail}");
    assert_eq!(elsewhere.hits(USERINFO), 0);
    // On the same origin it is followed, and not for ever.
    here.set(USERINFO, to("/me"));
    here.set("/me", document(&ada().to_string()));
    assert_eq!(exchange(&server, "another", &[]).status, 200);
    here.set("/me", to(USERINFO));
    let detail = unavailable(&server, 502);
    assert!(detail.contains("more than 3 times"), "{detail}");
}

#[test]
fn discovery_leads_only_where_it_may() {
    let other = issuer();
    let host = other.url.strip_prefix("http://").unwrap();
    let elsewhere = json!(format!("{}{USERINFO}", other.url));
    for (endpoint, words) in [
        (json!(null), "no text `userinfo_endpoint`"),
        (json!("/userinfo"), "is not a URL"),
        (json!("file:///etc/passwd"), "not an https URL"),
        (elsewhere.clone(), "jwks_hosts"),
    ] {
        let issuer = issuer();
        discovery(&issuer, &endpoint);
        let detail = unavailable(&site(&issuer, "").start(), 502);
        assert!(detail.contains(words), "{words}: {detail}");
    }
    assert_eq!(other.hits(USERINFO), 0);
    let issuer = issuer();
    discovery(&issuer, &elsewhere);
    let server = site(&issuer, &format!("jwks_hosts = [\"{host}\"]")).start();
    assert_eq!(exchange(&server, TOKEN, &[]).status, 200);
    assert_eq!((issuer.hits(USERINFO), other.hits(USERINFO)), (0, 1));

    let url = other.url.clone();
    let foreign = json!({"issuer": url, "userinfo_endpoint": format!("{}{USERINFO}", issuer.url)});
    issuer.set(DISCOVERY, document(&foreign.to_string()));
    let detail = unavailable(&site(&issuer, "").start(), 502);
    assert!(detail.contains("of the issuer"), "{detail}");
}

#[test]
fn discovery_is_read_when_it_is_needed_and_once() {
    let issuer = issuer();
    let jwks = format!("jwks_uri = \"{}{JWKS}\"", issuer.url);
    let server = site(&issuer, &jwks).start();
    until("the keys are there", || issuer.hits(JWKS) == 1);
    assert_eq!(issuer.hits(DISCOVERY), 0);
    for number in 0..3 {
        assert_eq!(exchange(&server, &format!("t{number}"), &[]).status, 200);
    }
    assert_eq!((issuer.hits(DISCOVERY), issuer.hits(USERINFO)), (1, 3));
    let uri = format!("{jwks}\nuserinfo_uri = \"{}{USERINFO}\"", issuer.url);
    let server = site(&issuer, &uri).start();
    assert_eq!(exchange(&server, TOKEN, &[]).status, 200);
    assert_eq!((issuer.hits(DISCOVERY), issuer.hits(USERINFO)), (1, 4));
}

#[test]
fn the_connectors_headers_are_sent_and_its_own_bearer_token_is_not() {
    let issuer = issuer();
    let lines = "headers = { x-tenant = \"acme\" }\nbearer_file = \"own\"";
    let server = site(&issuer, lines).file("own", "own-bearer").start();
    assert_eq!(exchange(&server, TOKEN, &[]).status, 200);
    let asked = &issuer.heads(USERINFO)[0];
    assert!(
        asked.contains("x-tenant: acme") && !asked.contains("own-bearer"),
        "{asked}"
    );
    assert!(
        issuer
            .heads(DISCOVERY)
            .iter()
            .all(|head| head.contains("Bearer own-bearer"))
    );
}

#[test]
fn the_connectors_ca_is_trusted_for_userinfo_and_no_other() {
    let ca = Authority::new("idp's own");
    let issuer = Issuer::start_tls(&[], &ca.sign());
    let url = issuer.url.clone();
    discovery(&issuer, &json!(format!("{url}{USERINFO}")));
    answers(&issuer, &ada());
    for source in ["", "jwks_file = \"ci.json\""] {
        let lines = format!("{source}\nca_file = \"ca.pem\"");
        let server = site(&issuer, &lines).file("ca.pem", &ca.pem()).start();
        assert_eq!(exchange(&server, TOKEN, &[]).status, 200, "{source}");
    }
    let other = Authority::new("other").pem();
    let server = site(&issuer, "ca_file = \"ca.pem\"").file("ca.pem", &other);
    let detail = unavailable(&server.start(), 502);
    assert!(detail.contains("UnknownIssuer"), "{detail}");
}

#[test]
fn what_an_endpoint_said_is_counted() {
    let issuer = issuer();
    let site = site(&issuer, "").env("REMINT__SERVER__ADMIN_LISTEN", "127.0.0.1:0");
    let server = site.start();
    let admin = server.logged("where the admin listener is", |line| {
        let words = line["message"].as_str()?;
        words.strip_prefix("admin on http://")?.parse().ok()
    });
    let ask = |token: &str, answer: Answer| {
        issuer.set(USERINFO, answer);
        exchange(&server, token, &[]);
    };
    ask("refused", Answer::Status(401));
    ask("good", Answer::Status(500));
    ask("good", Answer::Status(500));
    ask("good", document(&ada().to_string()));
    // From memory.
    ask("good", Answer::Status(500));
    let metrics = crate::support::http::send(admin, "GET", "/metrics", &[], b"");
    for (outcome, count) in [("success", 1), ("refused", 1), ("failure", 2)] {
        let line = format!(
            "remint_userinfo_requests_total{{connector=\"idp\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(metrics.text().lines().any(|found| found == line), "{line}");
    }
}
