//! The fields that an expression names, and what stands there.

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr as Node, operators};
use cel::common::types::{CelMap, CelMapKey};
use cel::common::value::Val;
use cel::context::Context;

use super::check::string_literal;
use super::{guard, names, value};

/// A field that the source names in full: `claims.a.b`, `claims['a']`, `client.id`.
#[derive(Debug, PartialEq)]
pub(super) struct Path<'e> {
    root: &'e str,
    pub(super) fields: Vec<&'e str>,
}

/// What stands at a path, with how much of the path it took to see it.
pub(super) enum Found<'v> {
    /// The value at its end.
    Value(&'v dyn Val),
    /// No such field: the last of that many.
    Absent(usize),
    /// A value after that many fields that has no fields.
    NoMap(usize, &'v dyn Val),
}

impl Path<'_> {
    /// Hands what stands here to `look`; `None` if the root is unknown.
    pub(super) fn find<R>(
        &self,
        context: &Context<'_, '_>,
        look: impl FnOnce(Found<'_>) -> Option<R>,
    ) -> Option<R> {
        let root = context.get_variable(self.root)?;
        let mut value: &dyn Val = root.as_ref();
        for (n, field) in self.fields.iter().enumerate() {
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

    /// The first `n` fields, as the reader of a token calls them.
    pub(super) fn describe(&self, n: usize) -> String {
        let fields = crate::oauth::cut(&self.fields.get(..n).unwrap_or_default().join("."));
        match (self.root, n) {
            (names::CLAIMS, 1..) => format!("the claim `{fields}`"),
            (names::ACTOR, 1..) => format!("the actor's claim `{fields}`"),
            (root, 0) => format!("`{root}`"),
            (root, _) => format!("`{root}.{fields}`"),
        }
    }

    /// That `value`, which stands after `n` fields, is of its type.
    pub(super) fn of_type(&self, n: usize, value: &dyn Val) -> String {
        match value::type_name(value) {
            "null" => format!("{} is null", self.describe(n)),
            name => format!("{} is of type {name}", self.describe(n)),
        }
    }
}

/// The paths that `tree` names, in the order of the source, each once.
pub(super) fn paths(tree: &IdedExpr) -> Vec<Path<'_>> {
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
                (guard::READ, [operand, _]) => expr = operand,
                _ => return None,
            },
            _ => return None,
        }
    };
    fields.reverse();
    Some(Path { root, fields })
}
