//! What is too much work to evaluate, and what is not.

use serde_json::{Value, json};

use super::meter::TOO_MUCH;
use super::{Expr, Kind, Root, Scope, Values, Verdict};
use crate::jose::Members;

/// What a token of 16 KiB can hold: long texts, long lists, maps of many entries.
fn large() -> Value {
    // As good as random, so that an automaton meets ever new states.
    let mut state = 1_u32;
    let mut ab = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if state >> 31 == 0 { 'a' } else { 'b' }
    };
    let s: String = (0..10_000).map(|_| ab()).collect();
    let entries = (0..900).map(|n| (format!("k{n}"), json!(n)));
    json!({
        "s": s,
        "a": "a".repeat(10_000),
        "units": "1s".repeat(5_000),
        "l": vec![1; 1000],
        "few": vec![1; 60],
        "texts": vec!["a".repeat(100); 100],
        "lists": vec![vec![1; 90]; 10],
        "m": entries.collect::<serde_json::Map<_, _>>(),
    })
}

fn with_scope<R>(
    claims: &Value,
    source: &str,
    kind: Kind,
    run: impl FnOnce(&Expr, &Scope<'_>) -> R,
) -> R {
    let root = Root::new();
    let expr = Expr::compile(&root, source, kind);
    let expr = expr.unwrap_or_else(|e| panic!("{source}: {e}"));
    let claims = Members::of(claims);
    run(&expr, &Scope::new(&root, expr.reads(), Values::of(&claims)))
}

/// The same claims with hardly anything in them, but for the 60 elements of `few`.
fn small() -> Value {
    json!({
        "s": "b", "a": "a", "units": "1s", "l": [1], "few": vec![1; 60],
        "texts": ["b"], "lists": [[1]], "m": {},
    })
}

fn verdict(claims: &Value, source: &str) -> Verdict {
    with_scope(claims, source, Kind::Condition, |e, s| s.verdict(e))
}

#[track_caller]
fn is_too_much(claims: &Value, source: &str) {
    let too_much = Verdict::Fails(TOO_MUCH.to_owned());
    assert_eq!(verdict(claims, source), too_much, "{source}");
    let value = with_scope(claims, source, Kind::Claim, |e, s| s.compute(e));
    assert_eq!(value, Err(TOO_MUCH.to_owned()), "{source}");
}

#[test]
fn what_large_values_make_expensive_is_stopped() {
    let (large, small) = (large(), small());
    let literal = vec!["'abc'"; 200].join(", ");
    let bodies = [
        "!claims.s.matches('c')",
        "!claims.s.matches('[ab]*a[ab]{30}c')",
        "!glob(claims.s, '*a*a*a*c*')",
        "!claims.a.contains('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')",
        "!'x'.contains(claims.s)",
        "claims.a.startsWith(claims.a)",
        "claims.a.endsWith(claims.a)",
        "claims.a == claims.a",
        "!(claims.a != claims.a)",
        "claims.m == claims.m",
        "claims.l == claims.l",
        "claims.a <= claims.a",
        "!(2 in claims.l)",
        "!(claims.a in claims.texts)",
        "!(claims.s in {'a': 1})",
        "size(claims.a) > 0",
        "size(claims.a + claims.s) > 0",
        "size(claims.l + claims.l) > 0",
        "size([claims.m, claims.m]) > 0",
        "size({'m': claims.m}) > 0",
        "bytes(claims.a) != b''",
        "string(claims.a) != ''",
        "duration(claims.units) != null",
        "optional.of(claims.m).hasValue()",
        "optional.ofNonZeroValue(claims.l).hasValue()",
    ]
    .map(|body| format!("claims.few.all(x, claims.few.all(y, {body}))"));
    let loops = [
        "claims.l.all(x, claims.l.all(y, x == y))",
        "claims.l.all(x, claims.lists.all(y, true))",
        "claims.l.all(x, claims.?m.hasValue())",
        "[optional.of(claims.m)].all(o, claims.l.all(x, optional.of(1).optFlatMap(y, o).hasValue()))",
        "claims.l.all(x, claims[?'m'].hasValue())",
        "size(claims.l.map(x, claims.s)) > 0",
        "size(claims.l.filter(x, claims.m == claims.m)) > 0",
        "claims.l.exists_one(x, x == 1 && claims.m == claims.m)",
        "size(claims.l.map(x, claims.l.map(y, x))) > 0",
    ];
    let literals = [
        format!("claims.l.all(x, size([{literal}]) > 0)"),
        format!("claims.l.all(x, size([x, '{}']) > 0)", "a".repeat(3000)),
    ];
    let sources = bodies.iter().map(String::as_str).chain(loops);
    for source in sources.chain(literals.iter().map(String::as_str)) {
        assert_eq!(verdict(&small, source), Verdict::Holds, "{source}");
        is_too_much(&large, source);
    }
}

/// Errors hold copies of values, and of these a loop goes on to the next round.
#[test]
fn errors_cost_what_their_values_do() {
    let (large, small) = (large(), small());
    for (body, why) in [
        ("claims.m - 1 == 1", "`sub` cannot take"),
        ("claims.m * claims.m == 1", "`mul` cannot take"),
        ("claims.m + 1 == 1", "`+` cannot take"),
        ("claims.s < 1", "`<` cannot take"),
        ("int(claims.s) == 1", "`int`: string parse error"),
        ("timestamp(claims.s) == null", "`timestamp`: "),
        ("claims[claims.s] == 1", "`b` is absent"),
    ] {
        let source = format!("claims.few.exists(x, claims.few.exists(y, {body}))");
        let Verdict::Fails(found) = verdict(&small, &source) else {
            panic!("{body} holds");
        };
        assert!(found.starts_with(why), "{body}: {found}");
        is_too_much(&large, &source);
    }
}

#[test]
fn patterns_that_a_value_makes_slow_are_stopped_without_a_loop() {
    let (large, small) = (large(), small());
    for source in [
        "!claims.s.matches('[ab]*a[ab]{300}c')",
        "!claims.s.matches('[ab]*a[ab]{5000}c')",
        // Each builds its states once, and they fit.
        &vec!["!claims.s.matches('[ab]*a[ab]{9}c')"; 90].join(" && "),
        &format!("!glob(claims.s, '{}c*')", "*a".repeat(1900)),
    ] {
        assert_eq!(verdict(&small, source), Verdict::Holds, "{source}");
        is_too_much(&large, source);
    }
}

/// CEL takes the operand that decides, whatever the other one ended in.
#[test]
fn what_was_too_much_is_not_outweighed() {
    let claims = large();
    let long = "claims.l.all(x, claims.m == claims.m)";
    for source in [
        format!("{long} || true"),
        format!("{long} || [1].all(x, {long}) || true"),
        format!("!({long} && false)"),
        format!("[1, 2].exists(x, x == 1 ? {long} : true)"),
    ] {
        is_too_much(&claims, &source);
    }
}

#[test]
fn what_operators_write_is_never_too_much() {
    let group = |n: i32| format!("team-{n}-of-the-organisation-acme");
    let groups: Vec<String> = (0..100).map(group).collect();
    let listed = format!("{:?}", &groups[..80]).replace('"', "'");
    let claims = json!({
        "groups": groups, "few": groups[..80], "others": groups, "ref": "refs/heads/main", "n": 5,
        "email": "somebody.with-a-long-name@build.acme.example",
        "sub": "repo:octo-org/site:ref:refs/heads/main",
        "roles": {"a": groups, "b": groups, "c": groups},
    });
    for source in [
        "'team-99-of-the-organisation-acme' in claims.groups",
        "claims.groups.exists(g, g == 'team-99-of-the-organisation-acme')",
        "claims.groups.all(g, g.startsWith('team-') && !g.endsWith('x') && g.contains('acme'))",
        "claims.groups.all(g, glob(g, 'team-*-of-**'))",
        r"claims.groups.all(g, g.matches('^team-[0-9]+-of-the-[a-z]+-acme$'))",
        r"claims.groups.all(g, g.matches('^\\w+-\\d{1,3}-[\\w-]+$'))",
        r"claims.email.matches('^[\\w.+-]+@([\\w-]+\\.)+[a-z]{2,}$')",
        r"claims.email.matches('(?i)\\bACME\\b')",
        "claims.groups.all(g, claims.others.exists(o, o == g))",
        "claims.groups.all(g, g in claims.others)",
        &format!("claims.few.all(g, g in {listed})"),
        "claims.roles.all(r, claims.roles[r].exists(g, g == claims.groups[3]))",
        "size(claims.groups.map(g, {'name': g, 'ref': claims.ref}).filter(g, g.name != '')) == 100",
        "claims.groups.map(g, g + '@' + claims.ref).exists(g, g.endsWith('main'))",
        "claims == claims && claims.roles == claims.roles && claims.?nope.orValue('x') == 'x'",
        "timestamp('2026-01-01T00:00:00Z') + duration('1h') > timestamp(0) && claims.n * 2 < 11",
    ] {
        assert_eq!(verdict(&claims, source), Verdict::Holds, "{source}");
    }
}
