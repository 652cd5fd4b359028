//! With what an expression compares the claims of the subject token, wherever in it that is.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, EntryExpr, Expr as Node, LiteralValue, operators};

use super::compile::Expr;
use super::guard;
use super::operands::claim;

/// A claim that is compared with a value, or stands for a condition itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Comparison {
    /// The claim's name, a top-level one.
    pub(crate) claim: String,
    /// With what it is compared.
    pub(crate) with: Compared,
}

/// What a claim is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Compared {
    /// A string.
    Text(String),
    /// A number, as it would be written.
    Number(String),
    /// `true` or `false`.
    Boolean(bool),
    /// Nothing: it is taken for a boolean, as in `claims.a && ...`.
    Truth,
}

impl Expr {
    /// Every comparison of a claim with a literal, by `==`, `!=`, `<` and its like, or `in` a list.
    pub(crate) fn comparisons(&self) -> Vec<Comparison> {
        let mut found = Vec::new();
        // A computed claim is wrapped into a call, so that only a condition is looked at as one.
        walk(self.tree(), true, &mut found);
        found
    }
}

fn walk(expr: &IdedExpr, is_condition: bool, found: &mut Vec<Comparison>) {
    if let Some(name) = claim(expr) {
        if is_condition {
            found.push(Comparison {
                claim: name.to_owned(),
                with: Compared::Truth,
            });
        }
        return;
    }
    match &expr.expr {
        Node::Call(call) => {
            compare(call, found);
            call.target
                .iter()
                .for_each(|target| walk(target, false, found));
            for (index, argument) in call.args.iter().enumerate() {
                walk(argument, takes_condition(call, index), found);
            }
        }
        Node::Select(select) => walk(&select.operand, false, found),
        Node::List(list) => list
            .elements
            .iter()
            .for_each(|item| walk(item, false, found)),
        Node::Map(map) => {
            for entry in &map.entries {
                if let EntryExpr::MapEntry(entry) = &entry.expr {
                    walk(&entry.key, false, found);
                    walk(&entry.value, false, found);
                }
            }
        }
        Node::Comprehension(comprehension) => {
            walk(&comprehension.iter_range, false, found);
            walk(&comprehension.accu_init, false, found);
            walk(&comprehension.loop_step, false, found);
            walk(&comprehension.result, false, found);
        }
        Node::Ident(_) | Node::Literal(_) | Node::Struct(_) | Node::Unspecified => {}
    }
}

/// Whether the argument with this index must be a boolean.
fn takes_condition(call: &CallExpr, index: usize) -> bool {
    match call.func_name.as_str() {
        operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => true,
        operators::CONDITIONAL => index == 0,
        _ => false,
    }
}

fn compare(call: &CallExpr, found: &mut Vec<Comparison>) {
    let mut note = |value: &IdedExpr, with: &IdedExpr| {
        if let (Some(name), Some(with)) = (claim(uncharged(value)), literal(uncharged(with))) {
            found.push(Comparison {
                claim: name.to_owned(),
                with,
            });
        }
    };
    match (call.func_name.as_str(), call.args.as_slice()) {
        (
            operators::EQUALS
            | operators::NOT_EQUALS
            | operators::LESS
            | operators::LESS_EQUALS
            | operators::GREATER
            | operators::GREATER_EQUALS,
            [left, right],
        ) => {
            note(left, right);
            note(right, left);
        }
        (operators::IN, [value, list]) => {
            if let Node::List(list) = &uncharged(list).expr {
                list.elements.iter().for_each(|item| note(value, item));
            }
        }
        _ => {}
    }
}

/// An operand as it was written, without what the compiler put around it.
fn uncharged(expr: &IdedExpr) -> &IdedExpr {
    match &expr.expr {
        Node::Call(call) if [guard::READ, guard::COPY].contains(&call.func_name.as_str()) => {
            call.args.first().map_or(expr, uncharged)
        }
        _ => expr,
    }
}

fn literal(expr: &IdedExpr) -> Option<Compared> {
    let Node::Literal(literal) = &expr.expr else {
        return None;
    };
    Some(match literal {
        LiteralValue::String(text) => Compared::Text(text.inner().to_owned()),
        LiteralValue::Int(number) => Compared::Number(number.inner().to_string()),
        LiteralValue::UInt(number) => Compared::Number(number.inner().to_string()),
        LiteralValue::Double(number) => Compared::Number(number.inner().to_string()),
        LiteralValue::Boolean(flag) => Compared::Boolean(*flag.inner()),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Root};
    use super::*;

    fn comparisons(source: &str, kind: Kind) -> String {
        let expr = Expr::compile(&Root::new(), source, kind).unwrap();
        let shown = expr.comparisons().into_iter();
        let shown = shown.map(|one| format!("{} {:?}", one.claim, one.with));
        shown.collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn comparisons_are_found_wherever_they_stand() {
        for (source, found) in [
            (
                "claims.a == 'x' && 5 < claims['b']",
                "a Text(\"x\"), b Number(\"5\")",
            ),
            (
                "!(assertion.a != true) || claims.b in ['x', 1]",
                "a Boolean(true), b Text(\"x\"), b Number(\"1\")",
            ),
            ("claims.a && !claims.b", "a Truth, b Truth"),
            ("claims.a", "a Truth"),
            (
                "claims.a ? claims.b == 1.5 : claims.c == 2u",
                "a Truth, b Number(\"1.5\"), c Number(\"2\")",
            ),
            ("claims.a in ['x', claims.b]", "a Text(\"x\")"),
            ("['x'].exists(x, claims.a == 1)", "a Number(\"1\")"),
            (
                "has(claims.a) && claims.a.b == 1 && claims.a == claims.b",
                "",
            ),
            ("claims.a.startsWith('x') && int(claims.b) == 5", ""),
        ] {
            assert_eq!(comparisons(source, Kind::Condition), found, "{source}");
        }
        assert_eq!(comparisons("claims.a", Kind::Claim), "");
        assert_eq!(
            comparisons("claims.a == 1 ? 'x' : claims.b", Kind::Claim),
            "a Number(\"1\")"
        );
        assert_eq!(
            comparisons("actor.a == 1 && claims.b == 2", Kind::Actor),
            "b Number(\"2\")"
        );
    }
}
