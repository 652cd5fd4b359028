//! What the top-level `&&` operands of a condition say about single claims.

use cel::IdedExpr;
use cel::common::ast::{CallExpr, Expr as Node, LiteralValue, operators};

use super::check::string_literal;
use super::compile::Expr;
use super::guard;
use super::names;
use super::pattern::Pattern;

/// A literal that a claim is compared with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Literal<'e> {
    /// A string.
    Text(&'e str),
    /// An int or uint.
    Integer,
    /// Anything else.
    Other,
}

/// What an operand demands of its claim.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Test<'e> {
    /// `claims.a == literal`, either way round.
    Equals(Literal<'e>),
    /// `claims.a in [literals]`.
    OneOf(Vec<Literal<'e>>),
    /// `startsWith` or `glob`: every value that passes begins with this literal text.
    BeginsWith(&'e str),
}

/// An operand that says something about one claim of the subject token.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Operand<'e> {
    /// The claim's name, a top-level one.
    pub(crate) claim: &'e str,
    /// What is demanded of it.
    pub(crate) test: Test<'e>,
}

impl Expr {
    /// The top-level `&&` operands that say something about one claim; all of them hold if the condition does.
    pub(crate) fn operands(&self) -> Vec<Operand<'_>> {
        let operands = conjuncts(self.tree());
        operands
            .into_iter()
            .filter_map(|operand| read(operand, self.patterns()))
            .collect()
    }
}

/// The operands of `tree` under its top-level `&&`, in order; `tree` itself if it has none.
pub(super) fn conjuncts(tree: &IdedExpr) -> Vec<&IdedExpr> {
    match &tree.expr {
        Node::Call(call) if call.func_name == operators::LOGICAL_AND => {
            call.args.iter().flat_map(conjuncts).collect()
        }
        _ => vec![tree],
    }
}

fn read<'e>(operand: &'e IdedExpr, patterns: &'e [Pattern]) -> Option<Operand<'e>> {
    let Node::Call(call) = &operand.expr else {
        return None;
    };
    let (claim, test) = match (call.func_name.as_str(), call.args.as_slice()) {
        (operators::EQUALS, [left, right]) => match (claim(left), claim(right)) {
            (Some(name), None) => (name, Test::Equals(literal(right))),
            (None, Some(name)) => (name, Test::Equals(literal(left))),
            _ => return None,
        },
        (operators::IN, [value, list]) => {
            let Node::List(list) = &list.expr else {
                return None;
            };
            (
                claim(value)?,
                Test::OneOf(list.elements.iter().map(literal).collect()),
            )
        }
        ("startsWith", [prefix]) => (
            claim(call.target.as_ref()?)?,
            Test::BeginsWith(string_literal(prefix)?),
        ),
        (guard::MATCHES, [value, ..]) => {
            let beginning = pattern(call, patterns)?.prefix()?;
            (claim(value)?, Test::BeginsWith(beginning))
        }
        _ => return None,
    };
    Some(Operand { claim, test })
}

/// The name in `claims.name` or `claims['name']`.
pub(super) fn claim(expr: &IdedExpr) -> Option<&str> {
    let (operand, name) = match &expr.expr {
        Node::Select(select) if !select.test => (&*select.operand, select.field.as_str()),
        Node::Call(call) if call.func_name == operators::INDEX => match call.args.as_slice() {
            [operand, key] => (operand, string_literal(key)?),
            _ => return None,
        },
        _ => return None,
    };
    matches!(&operand.expr, Node::Ident(root) if root == names::CLAIMS).then_some(name)
}

fn literal(expr: &IdedExpr) -> Literal<'_> {
    match &expr.expr {
        Node::Literal(LiteralValue::String(text)) => Literal::Text(text.inner()),
        Node::Literal(LiteralValue::Int(_) | LiteralValue::UInt(_)) => Literal::Integer,
        _ => Literal::Other,
    }
}

fn pattern<'e>(call: &CallExpr, patterns: &'e [Pattern]) -> Option<&'e Pattern> {
    let Node::Ident(name) = &call.args.get(1)?.expr else {
        return None;
    };
    patterns.get(name.strip_prefix(guard::PATTERN)?.parse::<usize>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Root};
    use super::*;

    fn operands(source: &str) -> String {
        let expr = Expr::compile(&Root::new(), source, Kind::Condition).unwrap();
        format!("{:?}", expr.operands())
    }

    #[test]
    fn reads_equality_membership_and_beginnings() {
        assert_eq!(
            operands("claims.a == 'x' && ('y' == assertion['b'] && claims.c in ['p', 1])"),
            "[Operand { claim: \"a\", test: Equals(Text(\"x\")) }, \
              Operand { claim: \"b\", test: Equals(Text(\"y\")) }, \
              Operand { claim: \"c\", test: OneOf([Text(\"p\"), Integer]) }]"
        );
        assert_eq!(
            operands("claims.a.startsWith('x:') && glob(claims.b, 'y/*z') && claims.c.glob('**')"),
            "[Operand { claim: \"a\", test: BeginsWith(\"x:\") }, \
              Operand { claim: \"b\", test: BeginsWith(\"y/\") }, \
              Operand { claim: \"c\", test: BeginsWith(\"\") }]"
        );
    }

    #[test]
    fn sees_nothing_under_or_not_and_ternary_or_in_other_values() {
        for source in [
            "claims.a == 'x' || claims.b == 'y'",
            "!(claims.a == 'x')",
            "claims.t ? claims.a == 'x' : false",
            "claims.a == claims.a",
            "claims.a.b == 'x'",
            "connector == 'x'",
            "has(claims.a)",
            "claims.a.matches('^x')",
            "['a'].exists(x, claims.a == x)",
        ] {
            assert_eq!(operands(source), "[]", "{source}");
        }
    }
}
