//! What a token must look like before anything in it is believed (design §7).

use serde_json::{Value, json};

use crate::support::keys::{RSA, hs256};
use crate::support::server::{Server, Site};
use crate::support::shapes::{github, gitlab, kubernetes, with};
use crate::support::tokens::{b64, compact, seal};
use crate::{CI, job, job_with, signed};

const HEADER: &str = r#"{"alg":"RS256","kid":"k1","typ":"JWT"}"#;

fn server() -> Server {
    Site::new().connector("ci", "").start()
}

/// Rightly signed over any header and payload.
fn made(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    compact(header, payload, &RSA, "RS256")
}

/// The job's claims as text, with more members written at the end.
fn job_and(more: &str) -> String {
    let text = job().to_string();
    format!("{},{more}}}", text.strip_suffix('}').unwrap())
}

/// Refused as malformed both ways; each row gives a token and what the caller is told of it.
fn all_malformed(rows: impl IntoIterator<Item = (String, String)>) {
    let server = server();
    for (token, words) in rows {
        let description = server.refuses(&token, "token_malformed");
        assert!(description.contains(&words), "{words}: {description}");
    }
}

fn rows<const N: usize>(rows: [(String, &str); N]) -> [(String, String); N] {
    rows.map(|(token, words)| (token, words.to_owned()))
}

#[test]
fn tokens_in_the_shapes_of_real_systems_are_taken() {
    let server = server();
    for claims in [gitlab(CI), github(CI), kubernetes(CI)] {
        let issued = server.claims(&signed(&claims), &[]);
        assert_eq!(issued["sub"], claims["sub"]);
        assert_eq!(issued["aud"], "https://sts.example.com");
    }
}

#[test]
fn header_members_that_steer_the_verification_are_refused_by_their_presence() {
    let names = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip"];
    let values = [json!(null), json!(false), json!(["exp"]), json!("DEF")];
    let row = |name: &str, value: &Value| {
        let header = json!({"alg": "RS256", "kid": "k1", name: value});
        let words = format!("header member `{name}`");
        (made(header.to_string(), job().to_string()), words)
    };
    all_malformed(
        names
            .iter()
            .flat_map(|name| values.iter().map(|value| row(name, value))),
    );
}

#[test]
fn other_unknown_header_members_are_ignored() {
    let header = json!({
        "alg": "RS256", "kid": "k1", "x5t": "abc", "x5t#S256": 1, "cty": null,
        "deep": {"er": [1]}, "CRIT": ["exp"],
    });
    let token = made(header.to_string(), job().to_string());
    assert_eq!(server().claims(&token, &[])["sub"], job()["sub"]);
}

#[test]
fn headers_without_a_usable_alg_kid_or_typ_are_malformed() {
    let row = |header: &str, words: &str| (made(header, job().to_string()), words.to_owned());
    all_malformed([
        row(r#"{"kid":"k1"}"#, "no header member `alg`"),
        row(r#"{"alg":null,"kid":"k1"}"#, "`alg` that is not a string"),
        row(r#"{"alg":["RS256"]}"#, "`alg` that is not a string"),
        row(r#"{"alg":"RS256","kid":1}"#, "`kid` that is not a string"),
        row(r#"{"alg":"RS256","typ":[]}"#, "`typ` that is not a string"),
    ]);
}

#[test]
fn symmetric_absent_and_unknown_algorithms_are_refused() {
    let server = server();
    for alg in [
        "none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "RS256 ", "RS1", "ES256K",
        "ES512", "RSA-OAEP",
    ] {
        let header = json!({"alg": alg, "kid": "k1"}).to_string();
        let input = format!("{}.{}", b64(header), b64(job().to_string()));
        for token in [
            seal(&input, &RSA, "RS256"),
            format!("{input}."),
            format!("{input}.{}", b64(hs256(&RSA.jwk("k1"), input.as_bytes()))),
        ] {
            server.refuses(&token, "alg_refused");
        }
    }
}

#[test]
fn foreign_types_are_refused_and_their_spelling_is_free() {
    let server = Site::new()
        .connector("ci", "")
        .connector("own", r#"types = ["application/secevent+jwt"]"#)
        .start();
    let token = |iss: &str, typ: &Value| {
        let header = json!({"alg": "RS256", "kid": "k1", "typ": typ});
        let claims = job_with(json!({"iss": iss}));
        made(header.to_string(), claims.to_string())
    };
    for typ in [
        "JWT",
        "jwt",
        "at+jwt",
        "AT+JWT",
        "application/at+jwt",
        "Application/JWT",
    ] {
        assert_eq!(
            server.exchange(&token(CI, &json!(typ)), &[]).status,
            200,
            "{typ}"
        );
    }
    for typ in ["logout+jwt", "dpop+jwt", "JOSE", "", "JWT ", "secevent+jwt"] {
        let words = server.refuses(&token(CI, &json!(typ)), "type_refused");
        assert!(!words.contains("at+jwt"), "{words}");
    }
    let own = "https://own.example";
    assert_eq!(
        server
            .exchange(&token(own, &json!("SecEvent+JWT")), &[])
            .status,
        200
    );
    server.refuses(&token(own, &json!("JWT")), "type_refused");
}

#[test]
fn other_forms_than_three_parts_are_refused() {
    let good = signed(&job());
    let parts: Vec<_> = good.split('.').collect();
    let jwe = format!("{good}.{}.{}", b64("tag"), b64("more"));
    let opaque = "gho_16C7e42F292c6912E7710c838347Ae178B4a".to_owned();
    let json = json!({"payload": parts[1], "signatures": [{"protected": parts[0], "signature": parts[2]}]});
    all_malformed(rows([
        (jwe, "is encrypted (five parts)"),
        (format!("{good}."), "is not a JWT"),
        (format!("{}.{}", parts[0], parts[1]), "is not a JWT"),
        (parts[1].to_owned(), "is not a JWT"),
        (opaque, "is not a JWT"),
        (json.to_string(), "is not a JWT"),
        (format!("..{}", parts[2]), "is not valid JSON"),
        (format!("{}..{}", parts[0], parts[2]), "is not valid JSON"),
        (format!("Bearer {good}"), "not strict base64url"),
    ]));
}

#[test]
fn tokens_over_16_kib_are_refused_and_those_of_16_kib_are_not() {
    let server = server();
    let sized = |pad: usize| signed(&job_with(json!({"pad": "x".repeat(pad)})));
    // Three bytes of padding are exactly four of base64.
    let pad = (16_384 - sized(0).len()) / 4 * 3;
    assert!((16_380..=16_384).contains(&sized(pad).len()));
    assert_eq!(server.exchange(&sized(pad), &[]).status, 200);
    let above = sized(pad + 3);
    assert!(above.len() > 16_384);
    assert!(server.refuses(&above, "token_malformed").contains("16 KiB"));
    server.refuses(&"a".repeat(60_000), "token_malformed");
}

#[test]
fn deep_nesting_is_refused_at_33() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let objects = |depth: usize| format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
    let server = server();
    // The payload itself is the first level.
    for (deep, status) in [
        (nested(31), 200),
        (nested(32), 400),
        (objects(31), 200),
        (objects(32), 400),
    ] {
        let token = made(HEADER, job_and(&format!(r#""deep":{deep}"#)));
        assert_eq!(server.exchange(&token, &[]).status, status, "{deep}");
    }
    let row = |header: String, claims: String| (made(header, claims), "deeper than 32".to_owned());
    all_malformed([
        row(
            HEADER.to_owned(),
            job_and(&format!(r#""deep":{}"#, objects(32))),
        ),
        row(
            HEADER.to_owned(),
            job_and(&format!(r#""deep":{}"#, nested(4_000))),
        ),
        row(
            HEADER.replace('}', &format!(r#","deep":{}}}"#, nested(32))),
            job().to_string(),
        ),
    ]);
}

#[test]
fn text_that_is_not_unicode_is_refused() {
    let with = |value: &[u8]| [br#","x":""#, value, br#""}"#].concat();
    let header = |value: &[u8]| {
        let mut bytes = HEADER.as_bytes().to_vec();
        bytes.pop();
        made([bytes, with(value)].concat(), job().to_string())
    };
    let claims = |value: &[u8]| {
        let mut bytes = job().to_string().into_bytes();
        bytes.pop();
        made(HEADER, [bytes, with(value)].concat())
    };
    let bad: [&[u8]; 7] = [
        br"\ud800",
        br"\udc00",
        br"\ud800A",
        br"\udc00\ud800",
        b"\xff",
        b"\xed\xa0\x80",
        b"\xc0\xaf",
    ];
    all_malformed(
        bad.iter()
            .flat_map(|bytes| [header(bytes), claims(bytes)])
            .map(|token| (token, "is not valid JSON".to_owned())),
    );
    let pair = claims(br"\ud83d\ude00");
    assert_eq!(server().exchange(&pair, &[]).status, 200);
}

#[test]
fn members_that_stand_twice_are_refused_wherever_they_are() {
    let twice = |token: String| (token, "has a member twice".to_owned());
    let header = |more: &str| {
        let header = HEADER.replace('}', &format!(",{more}}}"));
        twice(made(header, job().to_string()))
    };
    let claims = |more: &str| twice(made(HEADER, job_and(more)));
    all_malformed([
        header(r#""alg":"RS256""#),
        header(r#""\u0061lg":"none""#),
        header(r#""x":{"a":1,"a":1}"#),
        claims(r#""sub":"root""#),
        claims(r#""s\u0075b":"root""#),
        claims(r#""x":1,"x":1"#),
        claims(r#""x":{"a":1,"\u0061":2}"#),
        claims(r#""x":[{"a":[{"b":1,"b":1}]}]"#),
        claims(r#""exp":99999999999"#),
    ]);
    // Names that merely look alike are two names.
    let alike = made(HEADER, job_and(r#""Sub":"root","sub ":"root""#));
    assert_eq!(server().claims(&alike, &[])["sub"], job()["sub"]);
}

#[test]
fn base64_that_has_a_second_spelling_is_refused_in_each_part() {
    let lax = |part: &str| {
        vec![
            format!("{part}="),
            format!("{part}=="),
            format!("{part} "),
            format!("{part}\n"),
            format!(" {part}"),
            format!("{}\t{}", &part[..4], &part[4..]),
            format!("{part}+"),
            format!("{part}/"),
            format!("{part}%"),
        ]
    };
    let good = signed(&job());
    let parts: Vec<_> = good.split('.').map(str::to_owned).collect();
    let mut all = Vec::new();
    for (index, name) in ["header", "payload", "signature"].iter().enumerate() {
        for spelling in lax(&parts[index])
            .into_iter()
            .chain(trailing_bits(&parts[index]))
        {
            let mut changed = parts.clone();
            changed[index] = spelling;
            // White space around the whole token is none of it.
            if changed.join(".").trim_ascii() == good {
                continue;
            }
            let input = changed[..2].join(".");
            // A signature over the lax spelling itself is right, so only the spelling is at fault.
            let token = match index {
                2 => changed.join("."),
                _ => seal(&input, &RSA, "RS256"),
            };
            all.push((token, format!("{name} that is not strict base64url")));
        }
    }
    assert!(all.len() > 24);
    all_malformed(all);
}

/// The part with bits set that no byte holds, where its length leaves any.
fn trailing_bits(part: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let unused = match part.len() % 4 {
        2 => 4,
        3 => 2,
        _ => return None,
    };
    let last = ALPHABET.find(part.chars().last()?)?;
    assert_eq!(last % (1 << unused), 0);
    let changed = ALPHABET.chars().nth(last + 1)?;
    Some(format!("{}{changed}", &part[..part.len() - 1]))
}

#[test]
fn payloads_that_are_no_json_object_are_refused() {
    let row = |payload: &str, words: &str| (made(HEADER, payload), words.to_owned());
    all_malformed([
        row("", "is not valid JSON"),
        row("[]", "is not a JSON object"),
        row("\"text\"", "is not a JSON object"),
        row("1", "is not a JSON object"),
        row("null", "is not a JSON object"),
        row("{\"exp\":1", "is not valid JSON"),
        row("{\"exp\":1}}", "is not valid JSON"),
        row("{\"exp\":1,}", "is not valid JSON"),
        row("{'exp':1}", "is not valid JSON"),
        row("\u{feff}{\"exp\":1}", "is not valid JSON"),
        row("{\"exp\":1}\0", "is not valid JSON"),
        row("{\"exp\":NaN}", "is not valid JSON"),
        row("{\"exp\":Infinity}", "is not valid JSON"),
    ]);
    let spaced = made(HEADER, format!(" \n{}\t\r\n", job()));
    assert_eq!(server().exchange(&spaced, &[]).status, 200);
}

#[test]
fn an_opaque_access_token_is_refused_and_one_that_is_a_jwt_is_verified() {
    let server = server();
    let access = [
        ("grant_type", crate::support::server::EXCHANGE),
        (
            "subject_token_type",
            "urn:ietf:params:oauth:token-type:access_token",
        ),
    ];
    let jwt = signed(&with(github(CI), json!({"aud": "https://sts.example.com"})));
    let sent = |token: &str| server.form(&[&access[..], &[("subject_token", token)]].concat());
    assert_eq!(sent(&jwt).status, 200);
    let refused = sent("gho_16C7e42F292c6912E7710c838347Ae178B4a").refusal();
    assert_eq!(
        refused,
        (
            400,
            "invalid_request".to_owned(),
            "token_malformed".to_owned()
        )
    );
}
