//! Why a condition does not hold or a claim has no value: what was seen, in one line.

use std::fmt::Write as _;

use cel::common::ast::{EntryExpr, Expr as Node, operators};
use cel::common::types::{CelMap, CelMapKey};
use cel::common::value::Val;
use cel::context::Context;
use cel::{ExecutionError, IdedExpr};

use super::compile::string_literal;
use super::context::{as_bool, evaluate, is_true};
use super::{names, operands, value};

/// How many values one reason shows.
const MOST_SHOWN: usize = 3;

/// Why `tree`, which did not come out true, failed: it speaks of the first `&&` operand that is not true.
pub(super) fn condition(tree: &IdedExpr, context: &Context<'_, '_>) -> String {
    let failing = operands::conjuncts(tree)
        .into_iter()
        .find(|operand| !is_true(&evaluate(operand, context)))
        .unwrap_or(tree);
    match evaluate(failing, context) {
        Err(e) => error(&e, failing, context),
        Ok(result) => match as_bool(result.as_ref()) {
            Some(_) => seen(failing, context).unwrap_or_else(|| "it is false".to_owned()),
            None => with_seen(
                format!(
                    "it gives a {}, not true or false",
                    value::type_name(result.as_ref())
                ),
                failing,
                context,
            ),
        },
    }
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

/// A field that the source names in full: `claims.a.b`, `claims['a']`, `client.id`.
#[derive(Debug, PartialEq)]
struct Path<'e> {
    root: &'e str,
    fields: Vec<&'e str>,
}

/// What stands at a path, with how much of the path it took to see it.
enum Found<'v> {
    Value(&'v dyn Val),
    Absent(usize),
    NoMap(usize, &'v dyn Val),
}

fn absent(key: &str, tree: &IdedExpr, context: &Context<'_, '_>) -> String {
    let at = paths(tree).into_iter().find_map(|path| {
        with_found(&path, context, |found| match found {
            Found::Absent(n) if path.fields.get(n - 1) == Some(&key) => Some(path.describe(n)),
            _ => None,
        })
    });
    let name = at.unwrap_or_else(|| format!("`{}`", crate::oauth::cut(key)));
    format!("{name} is absent")
}

fn not_a_map(tree: &IdedExpr, context: &Context<'_, '_>) -> Option<String> {
    paths(tree).into_iter().find_map(|path| {
        with_found(&path, context, |found| match found {
            Found::NoMap(n, value) => Some(format!(
                "{} is {} {}, so it has no `{}`",
                path.describe(n),
                if value::type_name(value) == "null" {
                    "just"
                } else {
                    "a"
                },
                value::type_name(value),
                path.fields.get(n).unwrap_or(&"")
            )),
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
        let one = with_found(&path, context, |found| match found {
            Found::Value(value) => Some(match value::to_json(value) {
                Ok(json) => {
                    format!(
                        "{} is {}",
                        path.describe(path.fields.len()),
                        crate::oauth::cut(&json.to_string())
                    )
                }
                Err(_) => format!(
                    "{} is a {}",
                    path.describe(path.fields.len()),
                    value::type_name(value)
                ),
            }),
            Found::Absent(n) => Some(format!("{} is absent", path.describe(n))),
            Found::NoMap(n, value) => Some(format!(
                "{} is a {}",
                path.describe(n),
                value::type_name(value)
            )),
        });
        if let Some(one) = one {
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{separator}{one}");
        }
    }
    (!text.is_empty()).then_some(text)
}

impl Path<'_> {
    /// The first `n` fields, as the reader of a token calls them.
    fn describe(&self, n: usize) -> String {
        let fields = crate::oauth::cut(&self.fields.get(..n).unwrap_or_default().join("."));
        match (self.root, n) {
            (names::CLAIMS, 1..) => format!("the claim `{fields}`"),
            (names::ACTOR, 1..) => format!("the actor's claim `{fields}`"),
            (root, 0) => format!("`{root}`"),
            (root, _) => format!("`{root}.{fields}`"),
        }
    }
}

fn with_found<R>(
    path: &Path<'_>,
    context: &Context<'_, '_>,
    look: impl FnOnce(Found<'_>) -> Option<R>,
) -> Option<R> {
    let root = context.get_variable(path.root)?;
    let mut value: &dyn Val = root.as_ref();
    for (n, field) in path.fields.iter().enumerate() {
        let Some(map) = value.downcast_ref::<CelMap<'_>>() else {
            return look(Found::NoMap(n, value));
        };
        match map.inner().get(&CelMapKey::from(*field)) {
            Some(next) => value = next.as_ref(),
            None => return look(Found::Absent(n + 1)),
        }
    }
    look(Found::Value(value))
}

/// The paths that `tree` names, in the order of the source, each once.
fn paths(tree: &IdedExpr) -> Vec<Path<'_>> {
    let mut found = Vec::new();
    collect(tree, &mut found);
    found
}

fn collect<'e>(expr: &'e IdedExpr, found: &mut Vec<Path<'e>>) {
    if let Some(path) = path(expr) {
        let known = [names::CLAIMS, names::ACTOR, names::CLIENT, names::REQUEST]
            .contains(&path.root)
            && !path.fields.is_empty();
        if (known || path.root == names::CONNECTOR) && !found.contains(&path) {
            found.push(path);
        }
        return;
    }
    match &expr.expr {
        Node::Call(call) => {
            call.target.iter().for_each(|target| collect(target, found));
            call.args.iter().for_each(|arg| collect(arg, found));
        }
        Node::Select(select) => collect(&select.operand, found),
        Node::List(list) => list.elements.iter().for_each(|e| collect(e, found)),
        Node::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    collect(&entry.key, found);
                    collect(&entry.value, found);
                }
            }
        }
        Node::Comprehension(comprehension) => {
            collect(&comprehension.iter_range, found);
            collect(&comprehension.accu_init, found);
            collect(&comprehension.loop_step, found);
            collect(&comprehension.result, found);
        }
        Node::Ident(_) | Node::Literal(_) | Node::Struct(_) | Node::Unspecified => {}
    }
}

/// The path that `expr` spells, if it is nothing but one.
fn path(expr: &IdedExpr) -> Option<Path<'_>> {
    let mut fields = Vec::new();
    let mut expr = expr;
    let root = loop {
        match &expr.expr {
            Node::Ident(name) => break name,
            Node::Select(select) => {
                fields.push(select.field.as_str());
                expr = &select.operand;
            }
            Node::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
                (
                    operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT,
                    [operand, key],
                ) => {
                    fields.push(string_literal(key)?);
                    expr = operand;
                }
                _ => return None,
            },
            _ => return None,
        }
    };
    fields.reverse();
    Some(Path { root, fields })
}

/// How the source spells the operator that the evaluator calls `name`.
fn operator(name: &str) -> &str {
    match name {
        operators::INDEX => "[]",
        operators::IN => "in",
        name => name.trim_matches('_'),
    }
}
