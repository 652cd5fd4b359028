//! Evaluating compiled expressions over the values of one request.

use std::sync::OnceLock;

use cel::common::types::{CelBool, CelNull};
use cel::context::Context;
use cel::{IdedExpr, ResolveResult};
use serde_json::Value;

use super::compile::Expr;
use super::context::Root;
use super::guard::Internals;
use super::reads::Reads;
use super::{explain, meter, names, value};
use crate::jose::Members;

/// What a condition sees as `client`.
#[derive(Debug, Clone, Copy)]
pub struct ClientView<'a> {
    /// The configured id.
    pub id: &'a str,
    /// The configured name.
    pub name: &'a str,
    /// Whether it proved a secret.
    pub authenticated: bool,
}

/// What a condition sees as `request`.
#[derive(Debug, Clone, Default)]
pub struct RequestView<'a> {
    /// The audiences and resources asked, in order.
    pub audience: Vec<&'a str>,
    /// The scopes asked, in order.
    pub scope: Vec<&'a str>,
    /// `requested_token_type`, the default if none was asked.
    pub requested_token_type: &'a str,
}

/// Whether a condition lets a request pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is true.
    Holds,
    /// It is false, is no boolean or cannot be evaluated: what was seen, never what was expected.
    Fails(String),
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Holds,
    Fails,
    /// The meter stopped it.
    TooMuch,
}

/// What the expressions of one request see.
pub struct Values<'a> {
    /// The verified claims of the subject token.
    pub claims: &'a Members,
    /// The connector's id.
    pub connector: &'a str,
    /// The client, if one identified itself.
    pub client: Option<ClientView<'a>>,
    /// What was asked for.
    pub request: RequestView<'a>,
}

/// The values that the expressions of one request see, as far as they may read them; converted once, when the
/// first is evaluated.
pub struct Scope<'a> {
    root: &'a Root,
    reads: &'a Reads,
    values: Values<'a>,
    context: OnceLock<Context<'a, 'a>>,
}

impl<'a> Scope<'a> {
    /// A scope for expressions that read no more than `reads`.
    pub fn new(root: &'a Root, reads: &'a Reads, values: Values<'a>) -> Self {
        Self {
            root,
            reads,
            values,
            context: OnceLock::new(),
        }
    }

    fn context(&self) -> &Context<'a, 'a> {
        self.context.get_or_init(|| self.convert())
    }

    fn convert(&self) -> Context<'a, 'a> {
        let mut context = self.root.context().new_inner_scope();
        let values = &self.values;
        let read = self.reads.of(values.claims);
        context.add_variable_as_val(names::CLAIMS, value::from_entries(read));
        if self.reads.root(names::CONNECTOR) {
            context.add_variable_as_val(names::CONNECTOR, value::from_text(values.connector));
        }
        if self.reads.root(names::CLIENT) {
            let client = values.client.map(from_client);
            context.add_variable_as_val(names::CLIENT, client.unwrap_or_else(|| Box::new(CelNull)));
        }
        if self.reads.root(names::REQUEST) {
            context.add_variable_as_val(names::REQUEST, from_request(&values.request));
        }
        context
    }

    /// Adds the verified claims of an actor token, for expressions of [`Kind::Actor`](super::Kind::Actor).
    #[must_use]
    pub fn with_actor(self, actor: &'a Members) -> Self {
        let mut context = self.convert();
        let members = actor
            .iter()
            .map(|(name, member)| (name, value::from_member(member)));
        context.add_variable_as_val(names::ACTOR, value::from_entries(members));
        Self {
            context: OnceLock::from(context),
            ..self
        }
    }

    /// Whether the condition is true. One that errs, is no boolean or is too much work is not.
    pub fn holds(&self, condition: &Expr) -> bool {
        self.outcome(condition) == Outcome::Holds
    }

    /// Whether the condition is true, and if not, why.
    pub fn verdict(&self, condition: &Expr) -> Verdict {
        match self.outcome(condition) {
            Outcome::Holds => Verdict::Holds,
            Outcome::Fails => Verdict::Fails(self.why_not(condition)),
            Outcome::TooMuch => Verdict::Fails(meter::TOO_MUCH.to_owned()),
        }
    }

    /// Why a condition that does not hold does not: what was seen, never what was expected.
    ///
    /// It evaluates once more, piece by piece, with a budget of its own, so it is for refusals and reports only.
    pub fn why_not(&self, condition: &Expr) -> String {
        let internals = Internals::new(condition.patterns());
        let why = explain::condition(condition.tree(), &self.inner(condition, &internals));
        if internals.meter.is_overdrawn() {
            return meter::TOO_MUCH.to_owned();
        }
        why
    }

    fn outcome(&self, condition: &Expr) -> Outcome {
        if condition.is_true() {
            return Outcome::Holds;
        }
        let internals = Internals::new(condition.patterns());
        let value = evaluate(condition.tree(), &self.inner(condition, &internals));
        match value {
            // Whatever else the condition says: an operand that was too much may have been the one that counts.
            _ if internals.meter.is_overdrawn() => Outcome::TooMuch,
            Ok(cel::Value::Bool(true)) => Outcome::Holds,
            _ => Outcome::Fails,
        }
    }

    /// The value of an expression of [`Kind::Claim`](super::Kind::Claim), `None` if it is null; the error says why
    /// there is none.
    pub fn compute(&self, claim: &Expr) -> Result<Option<Value>, String> {
        let internals = Internals::new(claim.patterns());
        let context = self.inner(claim, &internals);
        let outcome = evaluate(claim.tree(), &context);
        if internals.meter.is_overdrawn() {
            return Err(meter::TOO_MUCH.to_owned());
        }
        if let Err(e) = outcome {
            return Err(explain::error(&e, claim.tree(), &context));
        }
        drop(context);
        match internals.output.into_inner() {
            Some(json) => json.map(|json| Some(json).filter(|json| !json.is_null())),
            None => Err("it was compiled as a condition, not as a claim".to_owned()),
        }
    }

    /// An inner scope in which the names that the compiler put in have a meaning.
    fn inner<'s>(&'s self, expr: &Expr, internals: &'s Internals<'_>) -> Context<'s, 's> {
        // What was not converted would look absent.
        debug_assert!(self.reads.covers(expr.reads()), "{}", expr.source());
        let outer: &'s Context<'s, 's> = self.context();
        let mut inner = outer.new_inner_scope();
        inner.set_variable_resolver(internals);
        inner
    }
}

fn from_client(client: ClientView<'_>) -> value::Boxed<'_> {
    let authenticated: value::Boxed<'_> = Box::new(CelBool::from(client.authenticated));
    value::from_entries([
        ("id", value::from_text(client.id)),
        ("name", value::from_text(client.name)),
        ("authenticated", authenticated),
    ])
}

fn from_request<'a>(request: &RequestView<'a>) -> value::Boxed<'a> {
    value::from_entries([
        ("audience", value::from_texts(&request.audience)),
        ("scope", value::from_texts(&request.scope)),
        (
            "requested_token_type",
            value::from_text(request.requested_token_type),
        ),
    ])
}

/// The value of `tree`. `resolve` and not `resolve_val`, which would be inlined with frames as large as this crate's
/// optimisation leaves them: 30 KiB for each level of the tree in a debug build.
pub(super) fn evaluate(tree: &IdedExpr, context: &Context<'_, '_>) -> ResolveResult {
    cel::Value::resolve(tree, context)
}

#[cfg(test)]
impl<'a> Values<'a> {
    /// Values of a request that says nothing else.
    pub(super) fn of(claims: &'a Members) -> Self {
        Self {
            claims,
            connector: "ci",
            client: None,
            request: RequestView::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Kind;
    use super::*;

    /// Evaluates an expression over just what it says that it reads.
    fn with_scope<R>(
        claims: &Value,
        source: &str,
        kind: Kind,
        run: impl FnOnce(&Expr, &Scope<'_>) -> R,
    ) -> R {
        let root = Root::new();
        let request = RequestView {
            audience: vec!["https://a.example", "b"],
            scope: vec!["deploy"],
            requested_token_type: "urn:ietf:params:oauth:token-type:access_token",
        };
        let client = ClientView {
            id: "app",
            name: "App",
            authenticated: true,
        };
        let values = Values {
            claims: &Members::of(claims),
            connector: "ci",
            client: Some(client),
            request,
        };
        let expr = Expr::compile(&root, source, kind);
        let expr = expr.unwrap_or_else(|e| panic!("{source}: {e}"));
        run(&expr, &Scope::new(&root, expr.reads(), values))
    }

    fn holds(claims: &Value, source: &str) -> Verdict {
        with_scope(claims, source, Kind::Condition, |expr, scope| {
            scope.verdict(expr)
        })
    }

    fn compute(claims: &Value, source: &str) -> Result<Option<Value>, String> {
        with_scope(claims, source, Kind::Claim, |expr, scope| {
            scope.compute(expr)
        })
    }

    #[test]
    fn a_root_and_an_expression_are_shared_between_threads() {
        fn shared<T: Send + Sync>() {}
        shared::<Root>();
        shared::<Expr>();
        shared::<Scope<'_>>();
    }

    #[test]
    fn the_language_that_operators_expect() {
        let claims = json!({
            "ref": "refs/heads/main", "run": 7, "ratio": 7.0, "big": u64::MAX, "protected": "true",
            "oidc.circleci.com/project-id": "p", "groups": ["dev", "ops"], "k": {"ns": "prod"},
            "sub": "repo:octo-org/site:ref:refs/heads/main"
        });
        for source in [
            "claims.ref == 'refs/heads/main' && assertion.ref == claims.ref",
            "has(claims.ref) && !has(claims.nope) && has(claims.k.ns) && !has(claims.k.x)",
            "claims['oidc.circleci.com/project-id'] == 'p' && 'ref' in claims && !('x' in claims)",
            "'dev' in claims.groups && claims.groups.exists(g, g.startsWith('op'))",
            "claims.groups.all(g, g.size() == 3) && claims.groups.exists_one(g, g == 'dev')",
            "claims.groups.map(g, g + '!') == ['dev!', 'ops!']",
            "claims.groups.filter(g, g != 'dev') == ['ops'] && size(claims.groups) == 2",
            "claims.groups.map(g, g == 'dev', g + g) == ['devdev']",
            "claims.k.exists(key, key == 'ns') && claims.k.all(key, claims.k[key] == 'prod')",
            "claims.run == 7 && claims.run == 7.0 && claims.ratio == 7 && claims.run == claims.ratio",
            "claims.run + 1 == 8 && claims.big == 18446744073709551615u && claims.run != '7'",
            "claims.protected != true && string(claims.run) == '7' && int('7') == claims.run",
            "(claims.run > 5 ? 'a' : 'b') == 'a' && type(claims.run) == int",
            "claims.ref.matches('^refs/(heads|tags)/[a-z]+$') && matches(claims.ref, 'main')",
            "claims.ref.endsWith('main') && claims.ref.contains('heads') && !claims.ref.matches('dev')",
            "glob(claims.sub, 'repo:octo-org/*:ref:refs/heads/*') && claims.sub.glob('repo:octo-org/**')",
            "!glob(claims.sub, 'repo:octo-org/*') && !glob(claims.ref, 'refs/*')",
            "claims.nope == 'x' || claims.run == 7",
            "!(claims.run == 8 && claims.nope == 'x')",
            "connector == 'ci' && client.id == 'app' && client.authenticated && client != null",
            "'b' in request.audience && 'deploy' in request.scope && size(request.audience) == 2",
            "request.requested_token_type.endsWith(':access_token')",
            "claims.?nope.orValue('none') == 'none' && claims.?ref.hasValue()",
            "claims.?ref.optMap(r, r + '!').orValue('') == 'refs/heads/main!'",
            "timestamp('2026-01-01T00:00:00Z').getFullYear() == 2026 && duration('1h').getMinutes() == 60",
            "[[1, 2], [3]].all(l, l.exists(x, x > 1)) && {'a': 1}['a'] == 1",
        ] {
            assert_eq!(holds(&claims, source), Verdict::Holds, "{source}");
        }
    }

    #[test]
    fn computed_values_come_back_as_json() {
        let claims = json!({"p": "g/p", "n": 5, "d": 2.5, "u": u64::MAX, "b": true, "nil": null, "m": {"z": [null]}});
        for (source, value) in [
            ("claims.p + '@' + string(claims.n)", json!("g/p@5")),
            ("claims.n * 2", json!(10)),
            ("claims.d", json!(2.5)),
            ("claims.u", json!(u64::MAX)),
            ("claims.b && true", json!(true)),
            ("claims.m", json!({"z": [null]})),
            (
                "{'b': 1, 'a': [claims.p, null]}",
                json!({"a": ["g/p", null], "b": 1}),
            ),
            ("claims.p.matches('^g/')", json!(true)),
        ] {
            assert_eq!(compute(&claims, source), Ok(Some(value)), "{source}");
        }
        assert_eq!(compute(&claims, "claims.nil"), Ok(None));
        assert_eq!(compute(&claims, "claims.?x.orValue(null)"), Ok(None));
        for (source, text) in [
            ("claims.x", "the claim `x` is absent"),
            ("claims.d / 0.0", "not a finite number"),
            ("double('NaN')", "not a finite number"),
            ("[double('inf')]", "not a finite number"),
            (
                "bytes(claims.p)",
                "a bytes, which a token cannot hold: write string(...)",
            ),
            ("duration('1h')", "duration"),
            (
                "timestamp('2026-01-01T00:00:00Z')",
                "string(...) or int(...)",
            ),
            ("[bytes('a')]", "bytes"),
            ("{1: 'a'}", "a key that is no string"),
            ("claims.?x", ".orValue(...)"),
            ("string", "a type"),
        ] {
            let error = compute(&claims, source).unwrap_err();
            assert!(error.contains(text), "{source}: {error}");
        }
    }

    #[test]
    fn actors_are_seen_where_they_belong() {
        let root = Root::new();
        let [claims, actor] = ["a", "b"].map(|sub| Members::of(&json!({ "sub": sub })));
        let verdict = |source| {
            let expr = Expr::compile(&root, source, Kind::Actor).unwrap();
            let values = Values::of(&claims);
            let scope = Scope::new(&root, expr.reads(), values);
            scope.with_actor(&actor).verdict(&expr)
        };
        let both = "actor.sub == 'b' && claims.sub == 'a'";
        assert_eq!(verdict(both), Verdict::Holds);
        let why = "the actor's claim `x` is absent".to_owned();
        assert_eq!(verdict("actor.x == 'b'"), Verdict::Fails(why));
    }
}
