//! A key file that is something else, and private keys from PEM.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p256::pkcs8::EncodePrivateKey;
use rsa::pkcs1::EncodeRsaPrivateKey;
use serde_json::{Value, json};

use crate::bench::http::{get, post};
use crate::bench::process::Finished;
use crate::bench::site::{Site, keys};
use crate::bench::upstream::{Upstream, part};
use crate::messages::{GOOD, check};

/// An EC key of the curve secp256k1, which is as long as one of P-256.
const OTHER_CURVE: &str = "-----BEGIN EC PRIVATE KEY-----
MHQCAQEEICTzT6++a1bzH2lAo51dwyQKsy9JsIhK9xjUXr8phw1PoAcGBSuBBAAK
oUQDQgAEr9erLcnELQEzPvLpKMvzpRJDP9l5LYnjjnyswgm6ENJRZBrDt07mBCg/
gxF3PWVsyWYnH01rKSm15j2vYPr04A==
-----END EC PRIVATE KEY-----
";

const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgKb0OVp8RqNgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJaiYbjJcxgyFAxguh650twEgZBt
pHKfCeIvjsxbtn+ewBuipw0Jcl796oJaCsJFNMscGbExWFuFA1YyWNDU0k7192z+
BfLqyKUa4AdEp6ZPzCelxP6WAt8RE4PNKxSOuLR45SywFrWl+zHL/fd2Dqj0pUvG
KDD+3MP0wPgVVVTQL4oXvC6XOdzCpnYCRApxe/reZcJQ89NpocpmlpBHtPVgdgk=
-----END ENCRYPTED PRIVATE KEY-----
";

const ENCRYPTED_AS_BEFORE: &str = "-----BEGIN EC PRIVATE KEY-----
Proc-Type: 4,ENCRYPTED
DEK-Info: AES-128-CBC,C858442FA7F2B07665286340C350C906

+9bj2mQwVisIxCDbUzvQeylNGCLrVjftSweyeg+j8vLpXIISBJJu264HOHR0uK9/
bsRuBSej56IU+wB9EzseMbUZPiExpTPc+O7ZkUgvrtrHyNFvYY5q5dxfYyWL3uZt
S8jYDFfd4wJ/XmF6MmxSEB5kVNJA9lKC5yjsF//XNfc=
-----END EC PRIVATE KEY-----
";

/// What openssl writes before an EC key unless it is told not to.
const PARAMETERS: &str = "-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
";

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<_> = text.as_bytes().chunks(64).collect();
    let lines: Vec<_> = lines
        .iter()
        .map(|line| std::str::from_utf8(line).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}

fn ec() -> p256::SecretKey {
    p256::SecretKey::random(&mut rand::rngs::OsRng)
}

fn rsa(bits: usize) -> rsa::RsaPrivateKey {
    rsa::RsaPrivateKey::new(&mut rand::rngs::OsRng, bits).unwrap()
}

fn entries(site: &Site) -> Vec<Value> {
    let set: Value = serde_json::from_str(&site.read("jwks.json")).unwrap();
    set["keys"].as_array().unwrap().clone()
}

/// No line of what a PEM file holds stands in anything that was printed.
fn hides(pem: &str, run: &Finished) {
    for line in pem
        .lines()
        .filter(|line| line.len() > 20 && !line.starts_with('-'))
    {
        assert!(!format!("{run:?}").contains(line), "{run:#?}");
    }
}

#[test]
fn a_key_file_that_is_something_else_is_told_what_it_is() {
    let public =
        json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "a", "x": "AA", "y": "AA" }] });
    let single = keys()["keys"][0].to_string();
    for (text, words) in [
        (
            pem("PRIVATE KEY", ec().to_pkcs8_der().unwrap().as_bytes()),
            [
                "jwks.json is PEM, and a JWKS is expected",
                "`remint keys import --file jwks.json jwks.json`",
            ],
        ),
        (
            format!("Bag Attributes\n  friendlyName: x\n{ENCRYPTED}"),
            ["jwks.json is PEM", "`remint keys import "],
        ),
        (
            pem("PUBLIC KEY", b"x"),
            [
                "jwks.json is PEM without a private key",
                "`remint keys generate`",
            ],
        ),
        (
            "0\u{3}\u{2}\u{1}\u{1}".to_owned(),
            ["jwks.json is DER", "openssl pkey -inform DER -in jwks.json"],
        ),
        (
            String::new(),
            [
                "jwks.json is empty",
                "`remint keys generate --alg RS256 --file jwks.json`",
            ],
        ),
        (" \n".to_owned(), ["jwks.json is empty", "remove it"]),
        (
            single.clone(),
            ["jwks.json is a single key (JWK)", "{\"keys\": ["],
        ),
        (
            format!("[{single}]"),
            ["jwks.json is a list", "{\"keys\": in front"],
        ),
        (
            public.to_string(),
            ["jwks.json holds only public keys", "the private ones sign"],
        ),
        (
            "{\"key\": []}".to_owned(),
            ["jwks.json has no list `keys`", "{\"keys\": [...]}"],
        ),
        ("{".to_owned(), ["is not valid JSON", "line 1, column 1"]),
    ] {
        let site = Site::new(GOOD);
        site.write("jwks.json", &text);
        let run = check(&site, 64);
        hides(&text, &run);
        let errors: Vec<_> = run
            .stdout
            .lines()
            .filter(|line| line.starts_with("error: "))
            .collect();
        assert_eq!(errors.len(), 1, "{run:#?}");
        assert!(
            errors[0].starts_with("error: site.toml:1:1: keys.file: "),
            "{errors:?}"
        );
        assert!(
            words.iter().all(|word| errors[0].contains(word)),
            "{words:?} in {errors:?}"
        );
        let serve = site.run(&["serve"]).exits(64);
        assert!(serve.stderr.contains(errors[0]), "{serve:#?}");
        // A command that changes the file leaves it as it is.
        let generate = site.run(&["keys", "list"]).exits(64);
        assert!(generate.stderr.contains(words[0]), "{generate:#?}");
        assert_eq!(site.read("jwks.json"), text);
    }
    let site = Site::new(&format!("{GOOD}[keys]\nfile = \".\"\n"));
    let run = check(&site, 64);
    let words = "keys.file: cannot read .: it is a folder, not a file; name the file in it, such as keys.file = \"./jwks.json\"";
    assert!(run.stdout.contains(words), "{run:#?}");
}

#[test]
fn a_command_that_would_change_a_pem_file_says_what_it_is() {
    let site = Site::without_keys(GOOD);
    site.write("own.pem", ENCRYPTED);
    let generate = ["keys", "generate", "--alg", "ES256", "--file", "own.pem"];
    let run = site.run(&generate).exits(1);
    let words = [
        "own.pem is not a JWKS",
        "left as it was",
        "own.pem is PEM",
        "remint keys import",
    ];
    run.complains(&words);
    assert_eq!(site.read("own.pem"), ENCRYPTED);
}

#[test]
fn a_private_key_of_any_common_form_is_imported_and_signs() {
    let (ec, rsa) = (ec(), rsa(2048));
    let sec1 = pem("EC PRIVATE KEY", &ec.to_sec1_der().unwrap());
    for (name, text, alg) in [
        (
            "PKCS#8 of EC",
            pem("PRIVATE KEY", ec.to_pkcs8_der().unwrap().as_bytes()),
            "ES256",
        ),
        ("SEC1", format!("{PARAMETERS}{sec1}"), "ES256"),
        (
            "PKCS#8 of RSA",
            pem("PRIVATE KEY", rsa.to_pkcs8_der().unwrap().as_bytes()),
            "RS256",
        ),
        (
            "PKCS#1",
            format!(
                "Bag Attributes\r\n{}",
                pem("RSA PRIVATE KEY", rsa.to_pkcs1_der().unwrap().as_bytes())
            ),
            "RS256",
        ),
    ] {
        let upstream = Upstream::start();
        let site = Site::trusting(upstream.url());
        fs::remove_file(site.folder().join("jwks.json")).unwrap();
        site.write("own.pem", &text);
        let run = site
            .run(&["keys", "import", "--file", "jwks.json", "own.pem"])
            .exits(0);
        hides(&text, &run);
        assert!(
            run.stderr.contains("own.pem still holds the private key"),
            "{run:#?}"
        );
        let mode = fs::metadata(site.folder().join("jwks.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let [entry] = entries(&site).try_into().unwrap();
        assert_eq!(
            (&entry["alg"], &entry["use"]),
            (&json!(alg), &json!("sig")),
            "{name}"
        );
        let kid = entry["kid"].as_str().unwrap();
        assert_eq!(run.stdout, format!("{kid}\n"), "{name}");
        let named = ["keys", "import", "own.pem", "--kid", "mine", "--alg", alg];
        assert_eq!(site.run(&named).exits(0).stdout, "mine\n");
        assert_eq!(entries(&site)[1]["kid"], "mine");

        let remint = site.serve();
        let body = json!({ "token": upstream.token(&json!({})) }).to_string();
        let token = post(&remint.origin(), "application/json", &body).body;
        assert_eq!(part(&token, 0)["kid"], kid, "{name}: {token}");
        assert_eq!(part(&token, 0)["alg"], alg, "{name}");
        let served = get(&remint.origin(), "/.well-known/jwks.json").body;
        assert!(served.contains(kid) && !served.contains("\"d\""), "{name}");
        remint.stop();
    }
}

#[test]
fn what_cannot_be_imported_says_what_it_is() {
    let good = pem("PRIVATE KEY", ec().to_pkcs8_der().unwrap().as_bytes());
    let small = rsa(1024);
    let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    for (text, words) in [
        (
            ENCRYPTED.to_owned(),
            "is encrypted with a password: decrypt it with `openssl pkey -in FILE",
        ),
        (
            ENCRYPTED_AS_BEFORE.to_owned(),
            "is encrypted with a password",
        ),
        (
            pem("CERTIFICATE", b"x"),
            "holds a certificate and no private key",
        ),
        (pem("PUBLIC KEY", b"x"), "holds a public key"),
        (pem("RSA PUBLIC KEY", b"x"), "holds a public key"),
        (
            pem("CERTIFICATE REQUEST", b"x"),
            "holds a certificate request",
        ),
        (
            pem("OPENSSH PRIVATE KEY", b"x"),
            "`ssh-keygen -p -m PKCS8 -f FILE`",
        ),
        (PARAMETERS.to_owned(), "only the name of a curve"),
        (
            pem("DSA PRIVATE KEY", b"x"),
            "no private key that can be read",
        ),
        (OTHER_CURVE.to_owned(), "is an EC key of another curve"),
        (p384.serialize_pem(), "is an EC key of another curve"),
        (ed25519.serialize_pem(), "of another kind (Ed25519)"),
        (
            pem("RSA PRIVATE KEY", small.to_pkcs1_der().unwrap().as_bytes()),
            "it has 1024 bits; at least 2048",
        ),
        (format!("{good}{good}"), "holds 2 private keys"),
        (pem("PRIVATE KEY", b"x"), "is damaged"),
        (
            "-----BEGIN PRIVATE KEY-----\n!\n-----END PRIVATE KEY-----\n".to_owned(),
            "is damaged",
        ),
        ("{\"keys\": []}".to_owned(), "is not PEM"),
        (String::new(), "is not PEM"),
    ] {
        let site = Site::new(GOOD);
        let before = site.read("jwks.json");
        site.write("own.pem", &text);
        let run = site.run(&["keys", "import", "own.pem"]).exits(1);
        hides(&text, &run);
        assert!(run.stderr.starts_with("error: own.pem "), "{run:#?}");
        assert!(run.stderr.contains(words), "{words:?} is not in {run:#?}");
        assert_eq!((run.stdout.as_str(), site.read("jwks.json")), ("", before));
    }
    let site = Site::new(GOOD);
    site.write("own.pem", &good);
    for (args, words) in [
        (
            &["own.pem", "--alg", "RS256"][..],
            "signs with ES256, not RS256",
        ),
        (&["own.pem", "--kid", ""], "--kid is empty"),
        (
            &["own.pem", "--kid", "ec-1"],
            "a key with the kid \"ec-1\" already",
        ),
        (
            &["a/own.pem"],
            "cannot read a/own.pem: the folder a does not exist",
        ),
        (&["."], "it is a folder, not a file"),
        (
            &["own.pem", "--file", "b/jwks.json"],
            "the folder b does not exist",
        ),
    ] {
        let run = site.run(&[&["keys", "import"], args].concat()).exits(1);
        assert!(run.stderr.contains(words), "{words:?} is not in {run:#?}");
    }
}
