//! Keys and signatures: which key verifies a token, and which never does (design §6, §7).

use serde_json::{Value, json};

use crate::support::keys::{
    ED25519, Key, OTHER_P256, OTHER_RSA, P256, P384, RSA, WEAK, hs256, jwks,
};
use crate::support::server::{Server, Site};
use crate::support::shapes::with;
use crate::support::tokens::{b64, compact, seal, token, unb64};
use crate::{job, signed};

const EVERY: &str = r#"algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]"#;

/// A server whose connector `ci` publishes these keys and accepts every algorithm.
fn publishing(keys: &[Value]) -> Server {
    Site::new()
        .file("keys.json", &jwks(keys))
        .connector("ci", &format!("jwks_file = \"keys.json\"\n{EVERY}"))
        .start()
}

fn status(server: &Server, key: &Key, alg: &str, kid: Option<&str>) -> (u16, String) {
    let header = match kid {
        Some(kid) => json!({"alg": alg, "kid": kid}),
        None => json!({ "alg": alg }),
    };
    let token = compact(header.to_string(), job().to_string(), key, alg);
    let reply = server.exchange(&token, &[]);
    let reason = reply.json()["reason"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (reply.status, reason)
}

fn ok() -> (u16, String) {
    (200, String::new())
}

fn refused(reason: &str) -> (u16, String) {
    (400, reason.to_owned())
}

/// Each accepted algorithm and a key that signs with it.
fn pairs() -> Vec<(&'static str, &'static Key, &'static str)> {
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let rsa = rsa.map(|alg| (alg, &*RSA, "rsa"));
    let rest: [(_, &Key, _); 3] = [
        ("ES256", &P256, "p256"),
        ("ES384", &P384, "p384"),
        ("EdDSA", &ED25519, "ed"),
    ];
    rsa.into_iter().chain(rest).collect()
}

fn all_keys() -> [Value; 4] {
    [
        RSA.jwk("rsa"),
        P256.jwk("p256"),
        P384.jwk("p384"),
        ED25519.jwk("ed"),
    ]
}

#[test]
fn every_asymmetric_algorithm_is_verified() {
    let server = publishing(&all_keys());
    for (alg, key, kid) in pairs() {
        assert_eq!(status(&server, key, alg, Some(kid)), ok(), "{alg}");
    }
}

#[test]
fn without_a_list_only_rs256_and_es256_are_accepted() {
    let server = Site::new()
        .file("keys.json", &jwks(&all_keys()))
        .connector("ci", "jwks_file = \"keys.json\"")
        .start();
    for (alg, key, kid) in pairs() {
        let expected = match alg {
            "RS256" | "ES256" => ok(),
            _ => refused("alg_refused"),
        };
        assert_eq!(status(&server, key, alg, Some(kid)), expected, "{alg}");
    }
    // Nothing is verified yet, so only the log says what is expected.
    let reply = server.exchange(&token(&job(), &RSA, "PS256", "rsa"), &[]);
    assert!(!reply.description().contains("256"), "{}", reply.text());
    let event = server.audit(&reply);
    let detail = event["detail"].as_str().unwrap();
    assert!(
        detail.contains("PS256") && detail.contains("RS256 or ES256"),
        "{detail}"
    );
}

#[test]
fn a_key_of_another_type_than_the_algorithm_is_never_tried() {
    let server = publishing(&all_keys());
    for (alg, key, own) in pairs() {
        for kid in ["rsa", "p256", "p384", "ed"]
            .into_iter()
            .filter(|kid| *kid != own)
        {
            assert_eq!(
                status(&server, key, alg, Some(kid)),
                refused("key_unknown"),
                "{alg} {kid}"
            );
        }
    }
}

#[test]
fn a_signature_of_another_algorithm_of_the_same_key_is_bad() {
    let server = publishing(&all_keys());
    let rsa: Vec<_> = pairs()
        .into_iter()
        .filter(|(_, _, kid)| *kid == "rsa")
        .collect();
    assert_eq!(rsa.len(), 6);
    for (said, _, _) in &rsa {
        for (made, _, _) in rsa.iter().filter(|(made, _, _)| made != said) {
            let header = json!({"alg": said, "kid": "rsa"});
            let token = compact(header.to_string(), job().to_string(), &RSA, made);
            server.refuses(&token, "signature_invalid");
        }
    }
}

#[test]
fn an_altered_stripped_or_foreign_signature_is_bad() {
    let server = Site::new().connector("ci", "").start();
    let good = signed(&job());
    // That its signature is known to be good helps no other token.
    assert_eq!(server.exchange(&good, &[]).status, 200);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let mut flipped = unb64(signature);
    flipped[100] ^= 1;
    let mut longer = unb64(signature);
    longer.push(0);
    let other_payload = b64(crate::job_with(json!({"sub": "root"})).to_string());
    let header = input.split_once('.').unwrap().0;
    for bad in [
        format!("{input}."),
        format!("{input}.{}", b64(&flipped)),
        format!("{input}.{}", b64(&longer)),
        format!("{input}.{}", b64(&unb64(signature)[1..])),
        format!("{input}.{}", b64([0; 256])),
        format!("{header}.{other_payload}.{signature}"),
        token(&job(), &OTHER_RSA, "RS256", "k1"),
        format!("{input}.{}", b64(hs256(&RSA.jwk("k1"), input.as_bytes()))),
    ] {
        server.refuses(&bad, "signature_invalid");
    }
}

#[test]
fn ecdsa_signatures_are_raw_and_their_two_halves_both_count() {
    let server = Site::new().connector("ci", "").start();
    let good = token(&job(), &P256, "ES256", "e1");
    assert_eq!(server.exchange(&good, &[]).status, 200);
    let (input, signature) = good.rsplit_once('.').unwrap();
    let raw = unb64(signature);
    assert_eq!(raw.len(), 64);
    let der = [
        &[0x30, 0x44, 0x02, 0x20],
        &raw[..32],
        &[0x02, 0x20],
        &raw[32..],
    ]
    .concat();
    for bad in [
        vec![0; 64],
        der,
        raw[..63].to_vec(),
        [&raw[32..], &raw[..32]].concat(),
        [&raw[..32], &[0; 32]].concat(),
    ] {
        server.refuses(&format!("{input}.{}", b64(bad)), "signature_invalid");
    }
    server.refuses(
        &token(&job(), &OTHER_P256, "ES256", "e1"),
        "signature_invalid",
    );
}

#[test]
fn a_jwk_with_an_alg_of_its_own_verifies_only_that() {
    let jwk = with(RSA.jwk("k"), json!({"alg": "RS256"}));
    let server = publishing(&[jwk]);
    assert_eq!(status(&server, &RSA, "RS256", Some("k")), ok());
    assert_eq!(
        status(&server, &RSA, "RS512", Some("k")),
        refused("key_unknown")
    );
    assert_eq!(status(&server, &RSA, "PS256", None), refused("key_unknown"));
}

#[test]
fn keys_that_must_not_verify_are_left_out() {
    let good = with(
        RSA.jwk("good"),
        json!({"use": "sig", "key_ops": ["verify"], "alg": "RS256", "x5c": ["AA=="], "d": "AA"}),
    );
    let rows: [(Value, &Key, &str); 7] = [
        (WEAK.jwk("bad"), &WEAK, "RS256"),
        (with(RSA.jwk("bad"), json!({"use": "enc"})), &RSA, "RS256"),
        (
            with(RSA.jwk("bad"), json!({"key_ops": ["sign"]})),
            &RSA,
            "RS256",
        ),
        (with(RSA.jwk("bad"), json!({"alg": "HS256"})), &RSA, "RS256"),
        (with(RSA.jwk("bad"), json!({"e": "AQAB=="})), &RSA, "RS256"),
        (
            with(P256.jwk("bad"), json!({"crv": "P-521"})),
            &P256,
            "ES256",
        ),
        (
            with(P256.jwk("bad"), json!({"x": b64([1; 32])})),
            &P256,
            "ES256",
        ),
    ];
    let oct = json!({"kty": "oct", "k": b64("secret"), "kid": "oct"});
    for (bad, key, alg) in rows {
        let what = bad.to_string();
        let server = publishing(&[
            oct.clone(),
            json!("no object"),
            json!({}),
            bad,
            good.clone(),
        ]);
        assert_eq!(status(&server, &RSA, "RS256", Some("good")), ok(), "{what}");
        assert_eq!(
            status(&server, key, alg, Some("bad")),
            refused("key_unknown"),
            "{what}"
        );
    }
}

#[test]
fn a_set_of_only_weak_keys_is_no_set() {
    let server = publishing(&[WEAK.jwk("weak")]);
    let expected = (503, "keys_unavailable".to_owned());
    assert_eq!(status(&server, &WEAK, "RS256", Some("weak")), expected);
}

#[test]
fn a_token_without_kid_needs_exactly_one_key_that_fits() {
    let lone = publishing(&[RSA.jwk("a"), P256.jwk("b")]);
    assert_eq!(status(&lone, &RSA, "RS256", None), ok());
    assert_eq!(status(&lone, &P256, "ES256", None), ok());
    assert_eq!(
        status(&lone, &OTHER_RSA, "RS256", None),
        refused("signature_invalid")
    );
    assert_eq!(status(&lone, &P384, "ES384", None), refused("key_unknown"));
    let two = publishing(&[RSA.jwk("a"), OTHER_RSA.jwk("b"), P256.jwk("c")]);
    assert_eq!(status(&two, &RSA, "RS256", None), refused("key_unknown"));
    assert_eq!(status(&two, &P256, "ES256", None), ok());
    assert_eq!(status(&two, &RSA, "RS256", Some("a")), ok());
}

#[test]
fn keys_without_kid_serve_tokens_without_kid() {
    let mut nameless = RSA.jwk("");
    nameless.as_object_mut().unwrap().shift_remove("kid");
    let server = publishing(&[nameless]);
    assert_eq!(status(&server, &RSA, "RS256", None), ok());
    assert_eq!(
        status(&server, &RSA, "RS256", Some("x")),
        refused("key_unknown")
    );
}

#[test]
fn of_several_keys_with_one_kid_the_fitting_ones_are_tried_at_most_four() {
    let mixed = publishing(&[P256.jwk("k"), OTHER_RSA.jwk("k"), RSA.jwk("k")]);
    for (key, alg) in [(&*RSA, "RS256"), (&*OTHER_RSA, "RS256"), (&*P256, "ES256")] {
        assert_eq!(status(&mixed, key, alg, Some("k")), ok());
    }
    let fillers: Vec<_> = (0..4).map(|_| Key::p256().jwk("k")).collect();
    let fourth = [&fillers[..3], &[P256.jwk("k")]].concat();
    assert_eq!(
        status(&publishing(&fourth), &P256, "ES256", Some("k")),
        ok()
    );
    let fifth = [&fillers[..], &[P256.jwk("k")]].concat();
    let bad = refused("signature_invalid");
    assert_eq!(status(&publishing(&fifth), &P256, "ES256", Some("k")), bad);
}

#[test]
fn an_unknown_kid_is_400_and_kids_are_exact() {
    let server = Site::new().connector("ci", "").start();
    assert_eq!(status(&server, &RSA, "RS256", Some("k1")), ok());
    assert_eq!(
        status(&server, &RSA, "RS256", Some("k2")),
        refused("key_unknown")
    );
    // Known now as unknown, so it is refused again without a look at the file.
    let words = server.refuses(&token(&job(), &RSA, "RS256", "k2"), "key_unknown");
    assert!(words.contains("does not publish the key"), "{words}");
    // Within the cooldown another unknown kid is told to try again.
    let later = (503, "keys_unavailable".to_owned());
    assert_eq!(status(&server, &RSA, "RS256", Some("K1")), later);
    assert_eq!(status(&server, &RSA, "RS256", Some("k1")), ok());
}

#[test]
fn swapping_the_algorithm_for_one_with_a_public_secret_fails() {
    let server = publishing(&all_keys());
    for alg in ["HS256", "HS384", "HS512", "none"] {
        let input = format!(
            "{}.{}",
            b64(json!({"alg": alg, "kid": "rsa"}).to_string()),
            b64(job().to_string())
        );
        server.refuses(&seal(&input, &RSA, "RS256"), "alg_refused");
        let mac = b64(hs256(&RSA.jwk("rsa"), input.as_bytes()));
        server.refuses(&format!("{input}.{mac}"), "alg_refused");
    }
}
