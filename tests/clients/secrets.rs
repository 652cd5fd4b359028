//! Where secrets come from, and what wrong guesses at a hashed one may cost (design §3, §8).

use std::sync::Barrier;
use std::thread;

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use serde_json::json;

use crate::support::server::{Server, Site};
use crate::{basic, exchange, job, refused};

fn argon2id(secret: &str, params: Params) -> String {
    let salt = SaltString::encode_b64(b"sixteen bytes ok").unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    argon2
        .hash_password(secret.as_bytes(), &salt)
        .unwrap()
        .to_string()
}

fn bcrypt(secret: &str) -> String {
    bcrypt::hash_with_salt(secret, 4, *b"sixteen bytes ok")
        .unwrap()
        .to_string()
}

/// Only the right secret is right, the first time and when it is known.
fn takes_only(server: &Server, id: &str, secret: &str) {
    for attempt in 0..2 {
        let reply = exchange(server, &basic(id, "no"), &job(json!({})), &[]);
        refused(server, &reply, 401, "invalid_client", "client_invalid");
        let reply = exchange(server, &basic(id, ""), &job(json!({})), &[]);
        refused(server, &reply, 401, "invalid_client", "client_invalid");
        let reply = exchange(server, &basic(id, secret), &job(json!({})), &[]);
        assert_eq!(reply.status, 200, "{id}, {attempt}: {}", reply.text());
        assert_eq!(server.audit(&reply)["client"], id);
    }
}

#[test]
fn secrets_stand_in_the_file_beside_it_in_the_environment_or_hashed() {
    let quick = || Params::new(64, 1, 1, None).unwrap();
    let server = Site::new()
        .connector("ci", "")
        .client("plain", "secret = \"of the file\"")
        .env("APP_SECRET", " of the environment ")
        .client("env", "secret_env = \"APP_SECRET\"")
        .file("unix.txt", "of a file beside it\n")
        .file("dos.txt", "of another\r\n")
        .file("bare.txt", " of a third")
        .client("unix", "secret_file = \"unix.txt\"")
        .client("dos", "secret_file = \"dos.txt\"")
        .client("bare", "secret_file = \"bare.txt\"")
        .client(
            "argon",
            &format!("secret_hash = '{}'", argon2id("kept", quick())),
        )
        .client("bcrypt", &format!("secret_hash = '{}'", bcrypt("kept too")))
        .client(
            "htpasswd",
            &format!(
                "secret_hash = '{}'",
                bcrypt("as 2y").replace("$2b$", "$2y$")
            ),
        )
        .client(
            "public",
            &format!(
                "public = true\nsecret_hash = '{}'",
                argon2id("said", quick())
            ),
        )
        .start();
    for (id, secret) in [
        ("plain", "of the file"),
        ("env", " of the environment "),
        ("unix", "of a file beside it"),
        ("dos", "of another"),
        ("bare", " of a third"),
        ("argon", "kept"),
        ("bcrypt", "kept too"),
        ("htpasswd", "as 2y"),
        ("public", "said"),
    ] {
        takes_only(&server, id, secret);
    }
}

#[test]
fn a_secret_longer_than_bcrypt_reads_is_refused() {
    let letters = "s".repeat(72);
    let accents = "\u{e9}".repeat(36);
    let server = Site::new()
        .connector("ci", "")
        .client("letters", &format!("secret_hash = '{}'", bcrypt(&letters)))
        .client("accents", &format!("secret_hash = '{}'", bcrypt(&accents)))
        .start();
    for (id, secret) in [("letters", &letters), ("accents", &accents)] {
        for longer in [format!("{secret}s"), format!("{secret} and more")] {
            let reply = exchange(&server, &basic(id, &longer), &job(json!({})), &[]);
            refused(&server, &reply, 401, "invalid_client", "client_invalid");
            let event = server.audit(&reply);
            let detail = event["detail"].as_str().unwrap();
            assert!(detail.contains("more than 72 bytes"), "{detail}");
        }
        takes_only(&server, id, secret);
        // Nor once the beginning is known to be right.
        let longer = format!("{secret}s");
        let reply = exchange(&server, &basic(id, &longer), &job(json!({})), &[]);
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
    }
}

#[test]
fn a_hash_is_no_secret() {
    let hash = bcrypt("kept");
    let server = Site::new()
        .connector("ci", "")
        .client("app", &format!("secret_hash = '{hash}'"))
        .start();
    let reply = exchange(&server, &basic("app", &hash), &job(json!({})), &[]);
    refused(&server, &reply, 401, "invalid_client", "client_invalid");
}

#[test]
fn a_hashed_secret_is_decoded_first_and_then_taken_as_it_stands() {
    let server = Site::new()
        .connector("ci", "")
        .client("app", &format!("secret_hash = '{}'", bcrypt("p%2Bw+d")))
        .start();
    for secret in ["p%2Bw+d", "p%252Bw%2Bd"] {
        for _ in 0..2 {
            let reply = exchange(&server, &basic("app", secret), &job(json!({})), &[]);
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    }
}

#[test]
fn a_flood_of_guesses_finds_no_room_while_known_clients_pass() {
    const GUESSES: usize = 24;
    // So slow that the first two are not done before the last have come.
    let slow = || Params::new(64 * 1024, 6, 1, None).unwrap();
    let server = Site::new()
        .connector("ci", "")
        .client(
            "slow",
            &format!("secret_hash = '{}'", argon2id("right", slow())),
        )
        .client("other", &format!("secret_hash = '{}'", bcrypt("right too")))
        .client("plain", "secret = \"plain\"")
        .start();
    let known = [
        ("slow", "right"),
        ("other", "right too"),
        ("plain", "plain"),
    ];
    let passes = |(id, secret): (&str, &str)| {
        let reply = exchange(&server, &basic(id, secret), &job(json!({})), &[]);
        assert_eq!(reply.status, 200, "{id}: {}", reply.text());
    };
    known.into_iter().for_each(passes);
    let start = Barrier::new(GUESSES + 1);
    let replies: Vec<_> = thread::scope(|scope| {
        let guess = |number: usize| {
            let (server, start) = (&server, &start);
            scope.spawn(move || {
                let header = basic("slow", &format!("guess-{number}"));
                let token = job(json!({}));
                start.wait();
                exchange(server, &header, &token, &[])
            })
        };
        let guesses: Vec<_> = (0..GUESSES).map(guess).collect();
        start.wait();
        for _ in 0..20 {
            known.into_iter().for_each(passes);
        }
        guesses.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut counts = [0; 2];
    for reply in &replies {
        if reply.status == 401 {
            refused(&server, reply, 401, "invalid_client", "client_invalid");
            counts[0] += 1;
        } else {
            let expected = (503, "temporarily_unavailable", "overloaded");
            let found = reply.refusal();
            assert_eq!((found.0, found.1.as_str(), found.2.as_str()), expected);
            counts[1] += 1;
        }
    }
    // Two are hashed at once and four of one client wait, so that no more than a few get an answer.
    assert!(counts[0] >= 2 && counts[1] >= 1, "{counts:?}");
    let log = server.logged("the sampled count of overload", |line| {
        line.to_string()
            .contains("overloaded")
            .then(|| line.clone())
    });
    assert_eq!(log["outcome"], "error", "{log}");
    // Room is left again.
    takes_only(&server, "slow", "right");
}
