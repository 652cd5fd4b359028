//! What each stage of an exchange costs alone, so that a slower exchange can be traced to one.
//!
//! `cargo bench --bench stages`. The stages of ES256 are those where the signature does not hide the rest.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a benchmark: whatever goes wrong ends it"
)]

#[allow(dead_code, reason = "the benchmark uses a part")]
#[path = "../../tests/support/keys.rs"]
mod keys;
#[allow(dead_code, reason = "the benchmark uses a part")]
#[path = "../../tests/support/shapes.rs"]
mod shapes;
#[allow(dead_code, reason = "the benchmark uses a part")]
#[path = "../../tests/support/tokens.rs"]
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use criterion::{BatchSize, Criterion};
use remint::clock::{Clock, SystemClock};
use remint::config::load_toml;
use remint::config::problems::Problems;
use remint::grant::{Draft, Minter};
use remint::jose::{
    Algorithm, Choice, GoodSignatures, Keyring, SigningAlgorithm, Unverified, VerifyingKey,
};
use remint::oauth::TokenType;
use remint::policy::cel::{Expr, Kind, RequestView, Root, Scope, Values};
use remint::policy::{Ask, Limits, NewClaims, Policy, Targets, Verdicts};
use remint::random::SystemRandom;

use keys::{P256, RSA};

/// Seconds since the Unix epoch.
fn now() -> u64 {
    SystemClock::new().unix().as_secs()
}

const ISSUER: &str = "https://ci.example";

/// A condition, a rule and three computed claims.
const CONFIG: &str = r#"
issuer = "https://sts.example.com"
[[connectors]]
id = "ci"
issuer = "https://ci.example"
jwks_uri = "http://127.0.0.1:9/never-asked"
audiences = ["https://sts.example.com"]
allow = ["claims.namespace_path == 'acme' && claims.ref_protected == 'true'"]
[[connectors.rules]]
name = "production"
when = "claims.environment == 'production' && glob(claims.project_path, 'acme/*')"
[connectors.rules.claims]
project = "claims.project_path"
team = "claims.groups_direct[0]"
environment = "claims.environment + '@' + claims.ref"
"#;

fn keyring() -> Arc<Keyring> {
    let own = include_bytes!("../../jwks.example.json");
    let keyring = Keyring::load(own, &Choice::default(), &mut Problems::new());
    Arc::new(keyring.expect("the example's keys"))
}

fn parse_and_verify(criterion: &mut Criterion) {
    for (name, alg, key) in [
        ("RS256", Algorithm::Rs256, &*RSA),
        ("ES256", Algorithm::Es256, &*P256),
    ] {
        let token = tokens::token(&shapes::gitlab(ISSUER), key, name, "k");
        criterion.bench_function(&format!("parse {name}"), |bencher| {
            bencher.iter(|| Unverified::parse(&token).unwrap());
        });
        let candidates = [Arc::new(VerifyingKey::from_jwk(&key.jwk("k")).unwrap())];
        criterion.bench_function(&format!("verify {name}"), |bencher| {
            let parse = || Unverified::parse(&token).unwrap();
            bencher.iter_batched(
                parse,
                |token| {
                    let good = GoodSignatures::default();
                    token.verify(alg, &candidates, &good).unwrap()
                },
                BatchSize::SmallInput,
            );
        });
    }
}

/// From a verified token to what the new one says.
fn decide(criterion: &mut Criterion) {
    let mut problems = Problems::new();
    let settings = load_toml(CONFIG, &mut problems).expect("a right configuration");
    let limits = Limits {
        max_lifetime: settings.tokens.max_lifetime,
        leeway: settings.tokens.leeway,
        subject_format: settings.tokens.subject_format,
    };
    let signs = [SigningAlgorithm::Es256];
    let connector = &settings.connectors[0];
    let policy = Policy::compile(&Root::new(), connector, limits, &signs, &mut problems).unwrap();
    let token = tokens::token(&shapes::gitlab(ISSUER), &P256, "ES256", "k");
    let candidates = [Arc::new(VerifyingKey::from_jwk(&P256.jwk("k")).unwrap())];
    let token = Unverified::parse(&token).unwrap();
    let good = GoodSignatures::default();
    let token = token.verify(Algorithm::Es256, &candidates, &good).unwrap();
    let targets = Targets::default();
    let ask = Ask {
        targets: &targets,
        scopes: &[],
        requested_token_type: TokenType::AccessToken,
        alg: None,
        client: None,
    };
    let now = SystemClock::new().unix().as_secs_f64();
    criterion.bench_function("decide: CEL, a rule, three claims", |bencher| {
        bencher.iter(|| {
            let mut verdicts = Verdicts::stop_at_first();
            let case = policy.case(&token, &ask);
            let terms = case.admit(now, &mut verdicts).unwrap();
            let granting = case.grant(&terms, &mut verdicts).unwrap();
            case.decide(&terms, granting, &signs, &mut verdicts)
                .unwrap()
        });
    });
}

/// What the work meter lets the most expensive conditions take: SECURITY.md names the bound.
fn worst_conditions(criterion: &mut Criterion) {
    let mut claims = shapes::gitlab(ISSUER);
    let text = |n: u32| if (n * n) % 7 < 3 { 'a' } else { 'b' };
    claims["many"] = vec![1; 1000].into();
    claims["some"] = vec![1; 300].into();
    claims["text"] = (0..6000).map(text).collect::<String>().into();
    let token = tokens::token(&claims, &P256, "ES256", "k");
    let candidates = [Arc::new(VerifyingKey::from_jwk(&P256.jwk("k")).unwrap())];
    let good = GoodSignatures::default();
    let token = Unverified::parse(&token).unwrap();
    let token = token.verify(Algorithm::Es256, &candidates, &good).unwrap();
    let root = Root::new();
    for (name, body) in [
        ("errors", "claims.no.no.no.no == 1"),
        ("copies", "claims.many - 1 == 1"),
        ("patterns", "claims.text.matches('[ab]*a[ab]{300}c')"),
    ] {
        let source = format!("claims.many.exists(x, claims.some.exists(y, {body}))");
        let condition = Expr::compile(&root, &source, Kind::Condition).unwrap();
        criterion.bench_function(&format!("worst condition: {name}"), |bencher| {
            bencher.iter(|| {
                let values = Values {
                    claims: token.claims().members(),
                    connector: "ci",
                    client: None,
                    request: RequestView::default(),
                };
                let scope = Scope::new(&root, condition.reads(), values);
                assert!(!scope.holds(&condition));
            });
        });
    }
}

fn mint_and_sign(criterion: &mut Criterion) {
    let minter = Minter::new(keyring(), Arc::new(SystemRandom));
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.expect("a runtime");
    let now = SystemClock::new().unix();
    let mut sub = NewClaims::default();
    sub.set("sub", "project_path:acme/shop");
    for (name, alg) in [
        ("RS256", SigningAlgorithm::Rs256),
        ("ES256", SigningAlgorithm::Es256),
    ] {
        let draft = || Draft {
            issuer: "https://sts.example.com",
            aud: vec!["https://internal.example".to_owned()],
            alg,
            now,
            exp: now.as_secs() + 3600,
            claims: sub.clone(),
        };
        if alg == SigningAlgorithm::Es256 {
            criterion.bench_function("mint", |bencher| {
                bencher.iter_batched(
                    draft,
                    |draft| minter.complete(draft).unwrap(),
                    BatchSize::SmallInput,
                );
            });
        }
        criterion.bench_function(&format!("sign {name}"), |bencher| {
            bencher.iter_batched(
                || minter.complete(draft()).unwrap(),
                |token| runtime.block_on(minter.sign(token)).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
}

fn main() {
    let mut criterion = Criterion::default()
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500))
        .configure_from_args();
    parse_and_verify(&mut criterion);
    decide(&mut criterion);
    worst_conditions(&mut criterion);
    mint_and_sign(&mut criterion);
    criterion.final_summary();
}
