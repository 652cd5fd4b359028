//! Why a condition does not hold or a claim has no value: what was seen, in one line.

use std::fmt::Write as _;

use cel::common::ast::operators;
use cel::context::Context;
use cel::{ExecutionError, IdedExpr};

use super::path::{Found, paths};
use super::scope::evaluate;
use super::{operands, value};

/// How many values one reason shows.
const MOST_SHOWN: usize = 3;

/// Why `tree`, which did not come out true, failed: it speaks of the first `&&` operand that is not true.
pub(super) fn condition(tree: &IdedExpr, context: &Context<'_, '_>) -> String {
    for operand in operands::conjuncts(tree) {
        return match evaluate(operand, context) {
            Ok(cel::Value::Bool(true)) => continue,
            Ok(cel::Value::Bool(false)) => seen(operand, context).unwrap_or_else(falsity),
            Ok(other) => with_seen(
                format!(
                    "it gives a value of type {}, not true or false",
                    other.type_of()
                ),
                operand,
                context,
            ),
            Err(e) => error(&e, operand, context),
        };
    }
    falsity()
}

fn falsity() -> String {
    "it is false".to_owned()
}

/// Why evaluating `tree` gave `error`.
pub(super) fn error(error: &ExecutionError, tree: &IdedExpr, context: &Context<'_, '_>) -> String {
    use ExecutionError as E;
    let what = match error {
        E::NoSuchKey(key) => return absent(key, tree, context),
        E::NoSuchOverload(e) => {
            if let Some(text) = not_a_map(tree, context) {
                return text;
            }
            let types: Vec<_> = e
                .argument_types()
                .iter()
                .map(|t| value::readable(t))
                .collect();
            format!(
                "`{}` cannot take ({})",
                operator(e.function()),
                types.join(", ")
            )
        }
        E::ValuesNotComparable(..) => "two values of different types cannot be compared".to_owned(),
        E::UnexpectedType { want, .. } => format!("a value is no {want}"),
        E::UnsupportedBinaryOperator(name, ..) => {
            format!("`{name}` cannot take values of these types")
        }
        E::UnsupportedKeyType(_) => "a value cannot be the key of a map".to_owned(),
        E::UnsupportedIndex(..) => "a value cannot be an index".to_owned(),
        E::IndexOutOfBounds(_) => "an index is beyond the end of a list".to_owned(),
        E::DuplicateKey(_) => "a map has the same key twice".to_owned(),
        E::Overflow(..) => "a number is out of range".to_owned(),
        E::DivisionByZero(_) | E::RemainderByZero(_) => "a number is divided by zero".to_owned(),
        E::FunctionError { function, message } if function.starts_with('@') => message.clone(),
        E::FunctionError { function, message } => {
            format!("`{function}`: {}", crate::oauth::cut(message))
        }
        e => crate::oauth::cut(&e.to_string()),
    };
    with_seen(what, tree, context)
}

fn absent(key: &str, tree: &IdedExpr, context: &Context<'_, '_>) -> String {
    let at = paths(tree).into_iter().find_map(|path| {
        path.find(context, |found| match found {
            Found::Absent(n) if path.fields.get(n - 1) == Some(&key) => Some(path.describe(n)),
            _ => None,
        })
    });
    let name = at.unwrap_or_else(|| format!("`{}`", crate::oauth::cut(key)));
    format!("{name} is absent")
}

fn not_a_map(tree: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    paths(tree).into_iter().find_map(|path| {
        path.find(context, |found| match found {
            Found::NoMap(n, value) => {
                let field = path.fields.get(n).unwrap_or(&"");
                Some(format!(
                    "{}, so it has no `{field}`",
                    path.of_type(n, value)
                ))
            }
            _ => None,
        })
    })
}

fn with_seen(what: String, tree: &IdedExpr, context: &Context<'_, '_>) -> String {
    match seen(tree, context) {
        Some(seen) => format!("{what}: {seen}"),
        None => what,
    }
}

/// The values that `tree` names, or that they are absent.
fn seen(tree: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    let mut text = String::new();
    for path in paths(tree).into_iter().take(MOST_SHOWN) {
        let one = path.find(context, |found| match found {
            Found::Value(value) => Some(match value::to_json(value) {
                Ok(json) => {
                    format!(
                        "{} is {}",
                        path.describe(path.fields.len()),
                        crate::oauth::cut(&json.to_string())
                    )
                }
                Err(_) => path.of_type(path.fields.len(), value),
            }),
            Found::Absent(n) => Some(format!("{} is absent", path.describe(n))),
            Found::NoMap(n, value) => Some(path.of_type(n, value)),
        });
        if let Some(one) = one {
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{separator}{one}");
        }
    }
    (!text.is_empty()).then_some(text)
}

/// How the source spells the operator that the evaluator calls `name`.
fn operator(name: &str) -> &str {
    match name {
        operators::INDEX => "[]",
        operators::IN => "in",
        name => name.trim_matches('_'),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{ClientView, Expr, Kind, Root, Scope, Values, Verdict};
    use crate::jose::Members;

    fn why(claims: &Value, source: &str) -> String {
        let root = Root::new();
        let expr = Expr::compile(&root, source, Kind::Condition).unwrap();
        let client = ClientView {
            id: "app",
            name: "App",
            authenticated: true,
        };
        let claims = Members::of(claims);
        let values = Values {
            client: Some(client),
            ..Values::of(&claims)
        };
        let scope = Scope::new(&root, expr.reads(), values);
        match scope.verdict(&expr) {
            Verdict::Holds => panic!("{source} holds"),
            Verdict::Fails(why) => why,
        }
    }

    #[test]
    fn names_the_absent_claim() {
        let claims = json!({"a": {"b": {}}, "k": "z", "n": 5, "nil": null});
        for (source, text) in [
            (
                "claims.environment == 'x'",
                "the claim `environment` is absent",
            ),
            ("claims.x.y.z == 'x'", "the claim `x` is absent"),
            ("claims.a.b.c == 'x'", "the claim `a.b.c` is absent"),
            (
                "claims['oidc.circleci.com/org-id'] == 'x'",
                "the claim `oidc.circleci.com/org-id` is absent",
            ),
            ("assertion.ref.startsWith('x')", "the claim `ref` is absent"),
            (
                "claims.k == 'z' && claims.ref.matches('x')",
                "the claim `ref` is absent",
            ),
            ("has(claims.ref)", "the claim `ref` is absent"),
            ("has(claims.x.y)", "the claim `x` is absent"),
            ("claims[claims.k] == 'x'", "`z` is absent"),
            ("['q'].exists(x, claims.a[x] == 1)", "`q` is absent"),
            (
                "claims.n.b == 1",
                "the claim `n` is of type int, so it has no `b`",
            ),
            (
                "claims.nil.b == 1",
                "the claim `nil` is null, so it has no `b`",
            ),
        ] {
            assert_eq!(why(&claims, source), text, "{source}");
        }
    }

    #[test]
    fn shows_what_was_seen_but_not_what_was_expected() {
        let claims = json!({"ref": "refs/heads/dev", "n": 5, "t": "true", "long": "é".repeat(300), "l": [1]});
        for (source, text) in [
            (
                "claims.ref == 'secret'",
                "the claim `ref` is \"refs/heads/dev\"",
            ),
            (
                "true && claims.n > 7 && claims.ref == 'x'",
                "the claim `n` is 5",
            ),
            ("!(claims.n in [5])", "the claim `n` is 5"),
            ("connector == 'x'", "`connector` is \"ci\""),
            (
                "client.name == 'x' || claims.n == 1",
                "`client.name` is \"App\", the claim `n` is 5",
            ),
            ("'a' in request.audience", "`request.audience` is []"),
            ("false", "it is false"),
            ("'x' in claims", "it is false"),
            (
                "claims.t",
                "it gives a value of type string, not true or false: the claim `t` is \"true\"",
            ),
            (
                "claims.l",
                "it gives a value of type list, not true or false: the claim `l` is [1]",
            ),
            ("null", "it gives a value of type null, not true or false"),
            (
                "string",
                "it gives a value of type string, not true or false",
            ),
            (
                "claims.n.startsWith('x')",
                "`startsWith` cannot take (int, string): the claim `n` is 5",
            ),
            (
                "claims.n.matches('x')",
                "`matches` cannot take (int, string): the claim `n` is 5",
            ),
            (
                "claims.ref || false",
                "`||` cannot take (string, bool): the claim `ref` is \"refs/heads/dev\"",
            ),
            (
                "claims.ref + 1 == 'x'",
                "`+` cannot take (string, int): the claim `ref` is \"refs/heads/dev\"",
            ),
            (
                "claims.ref < 1",
                "`<` cannot take (string, int): the claim `ref` is \"refs/heads/dev\"",
            ),
            (
                "claims.n / 0 == 1",
                "a number is divided by zero: the claim `n` is 5",
            ),
            (
                "claims.n * 9223372036854775807 == 1",
                "a number is out of range: the claim `n` is 5",
            ),
            (
                "claims.l[7] == 1",
                "an index is beyond the end of a list: the claim `l` is [1]",
            ),
        ] {
            assert_eq!(why(&claims, source), text, "{source}");
        }
        let long = why(&claims, "claims.long == 'x'");
        assert!(long.chars().count() < 150, "{long}");
    }

    #[test]
    fn a_request_without_client_is_explained() {
        let root = Root::new();
        let claims = Members::of(&json!({}));
        let holds = |source| {
            let expr = Expr::compile(&root, source, Kind::Condition).unwrap();
            Scope::new(&root, expr.reads(), Values::of(&claims)).verdict(&expr)
        };
        assert_eq!(holds("client == null"), Verdict::Holds);
        let why = "`client` is null, so it has no `id`".to_owned();
        assert_eq!(holds("client.id == 'x'"), Verdict::Fails(why));
    }
}
