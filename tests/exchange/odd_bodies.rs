//! Some hundreds of odd bodies: each is refused with a 4xx in the usual shape, and the program goes on.

use serde_json::json;

use crate::support::keys::RSA;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::support::tokens::compact;
use crate::{job, signed};

const FORM: &str = "application/x-www-form-urlencoded";

fn all_refused(bodies: Vec<(&str, Vec<u8>)>) -> usize {
    let server: Server = Site::new().connector("ci", "").start();
    let count = bodies.len();
    for (kind, body) in bodies {
        let reply = server.post(kind, &body);
        let shown = String::from_utf8_lossy(&body)
            .chars()
            .take(200)
            .collect::<String>();
        assert!((400..500).contains(&reply.status), "{shown}: {reply:?}");
    }
    assert_eq!(server.exchange(&signed(&job()), &[]).status, 200);
    count
}

#[test]
fn odd_forms() {
    let whole = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&subject_token=a.b.c&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt";
    let mut bodies: Vec<Vec<u8>> = (0..whole.len())
        .step_by(2)
        .map(|end| whole.as_bytes()[..end].to_vec())
        .collect();
    for odd in [
        "&",
        "&&&&",
        "=",
        "==",
        "=&=",
        "a",
        "%",
        "%%%",
        "%0",
        "%zz=%zz",
        "+",
        "a=%00",
        "grant_type",
        "grant_type=&",
        "grant_type=%0d%0a",
        "grant_type[]=x",
        "grant_type=x;subject_token=y",
        "{}",
        "[]",
        "null",
        "<xml/>",
        "\u{feff}",
        "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nx\r\n--x--",
    ] {
        bodies.push(odd.as_bytes().to_vec());
    }
    for byte in [0_u8, 1, 10, 13, 127, 128, 200, 254, 255] {
        bodies.push(vec![byte; 100]);
    }
    bodies.push(b"a=b&".repeat(15_000));
    bodies.push("a%5b%5d=1&".repeat(5_000).into_bytes());
    let numbered: Vec<_> = (0..6_000).map(|n| format!("p{n}=&")).collect();
    bodies.push(numbered.concat().into_bytes());
    assert!(all_refused(bodies.into_iter().map(|body| (FORM, body)).collect()) > 100);
}

#[test]
fn odd_subject_tokens() {
    let good = signed(&job());
    let mut tokens: Vec<String> = (0..good.len())
        .step_by(13)
        .map(|end| good[..end].to_owned())
        .collect();
    // The signature's last character may have unused bits, so the ends are left to other tests.
    for at in (0..good.len() - 1).step_by(11) {
        let mut bytes = good.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        tokens.push(String::from_utf8(bytes).unwrap());
    }
    for odd in [
        "...",
        "..",
        ".",
        "....",
        "a",
        "\0",
        "\u{1f600}",
        "null",
        "eyJ9.e30.e30",
        "e30.e30.e30",
        "e30.e30.",
        "bnVsbA.bnVsbA.bnVsbA",
    ] {
        tokens.push(odd.to_owned());
    }
    let headers = [
        "{}",
        "[]",
        "1",
        "{\"alg\":\"RS256\"",
        "{\"alg\":{}}",
        "{\"alg\":\"RS256\",\"kid\":null}",
        "\"RS256\"",
        "{\"\":\"\"}",
    ];
    tokens.extend(headers.map(|header| compact(header, job().to_string(), &RSA, "RS256")));
    let kid = json!({"alg": "RS256", "kid": "\u{0}\n\"".repeat(500)}).to_string();
    tokens.push(compact(kid, job().to_string(), &RSA, "RS256"));
    let form = |token: &String| {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.extend_pairs([
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", JWT),
        ]);
        (FORM, form.finish().into_bytes())
    };
    let simple = |token: &String| {
        (
            "application/json",
            json!({ "token": token }).to_string().into_bytes(),
        )
    };
    let bodies = tokens
        .iter()
        .map(form)
        .chain(tokens.iter().map(simple))
        .collect();
    assert!(all_refused(bodies) > 200);
}

#[test]
fn odd_json() {
    let whole = json!({"token": "a.b.c", "alg": "ES256", "audience": "x", "connector_id": "ci"})
        .to_string();
    let mut bodies: Vec<Vec<u8>> = (0..whole.len())
        .map(|end| whole.as_bytes()[..end].to_vec())
        .collect();
    for odd in [
        "[]",
        "null",
        "true",
        "1",
        "\"x\"",
        "{}{}",
        "{\"token\":}",
        "{\"token\"}",
        "{,}",
        "[{]}",
        "{\"token\":\"\\ud800\"}",
        "{\"token\":\"\\u0000\"}",
        "{\"token\":\"a\nb\"}",
        "{\"token\":1e400}",
        "{\"token\":NaN}",
        "// x\n{}",
        "{\"token\":\"x\",}",
        "token=x",
        "eyJ",
        "\u{feff}{}",
        "{\"\":\"\"}",
        "{\"token\":\"\"}",
        "{\"token\":\" \"}",
        "{\"token\":\"\\\"\"}",
        "{\"token\":\"x\",\"alg\":{}}",
        "{\"token\":\"x\",\"connector_id\":[]}",
        "{\"token\":\"x\",\"audience\":0}",
    ] {
        bodies.push(odd.as_bytes().to_vec());
    }
    for opening in ["[", "{\"a\":", "{\"token\":["] {
        bodies.push(opening.repeat(5_000).into_bytes());
    }
    bodies.push(
        format!(
            "{{\"token\":\"x\",\"a\":{}1{}}}",
            "[".repeat(40),
            "]".repeat(40)
        )
        .into_bytes(),
    );
    bodies.push(vec![0xff; 500]);
    bodies.push(b"{\"token\":\"\xc3\x28\"}".to_vec());
    assert!(
        all_refused(
            bodies
                .into_iter()
                .map(|body| ("application/json", body))
                .collect()
        ) > 90
    );
}
