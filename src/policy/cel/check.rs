//! Checking a syntax tree: its names, its calls, its depth; and compiling its patterns.

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Node, LiteralValue, SelectExpr, operators,
};

use super::compile::{CompileError, Kind};
use super::guard;
use super::names;
use super::pattern::Pattern;
use super::reads::Reads;

/// How deep a tree may be: evaluation recurses along it.
const DEEPEST_TREE: usize = 80;
/// How deep comprehensions may nest.
const DEEPEST_LOOP: usize = 2;
/// What the parser calls the result that a comprehension gathers.
pub(super) const RESULT: &str = "@result";
/// What the parser calls the variable of a comprehension that only binds a name (`optMap`).
pub(super) const UNUSED: &str = "#unused";

/// What was learnt of a tree.
pub(super) struct Checked {
    /// What the names `@p0`, `@p1` and so on stand for.
    pub(super) patterns: Vec<Pattern>,
    /// Whether it may read `request.audience`.
    pub(super) reads_audience: bool,
    /// What it may read at all.
    pub(super) reads: Reads,
}

/// Checks every name, call and bound of `tree`, and compiles its patterns.
pub(super) fn check(tree: &mut IdedExpr, kind: Kind) -> Result<Checked, CompileError> {
    let mut checker = Checker {
        kind,
        variables: Vec::new(),
        loops: 0,
        found: Checked {
            patterns: Vec::new(),
            reads_audience: false,
            reads: Reads::default(),
        },
    };
    checker.visit(tree, 0)?;
    Ok(checker.found)
}

/// The text of a string literal.
pub(super) fn string_literal(expr: &IdedExpr) -> Option<&str> {
    match &expr.expr {
        Node::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

/// Walks a tree once; recursion is bounded by [`DEEPEST_TREE`].
struct Checker {
    kind: Kind,
    variables: Vec<String>,
    loops: usize,
    found: Checked,
}

impl Checker {
    fn visit(&mut self, expr: &mut IdedExpr, depth: usize) -> Result<(), CompileError> {
        if depth > DEEPEST_TREE {
            return Err(CompileError::new(format!(
                "it nests or chains more than {DEEPEST_TREE} operators: split it into several conditions"
            )));
        }
        let depth = depth + 1;
        match &mut expr.expr {
            Node::Literal(_) => Ok(()),
            Node::Ident(name) => self.visit_name(name, None),
            Node::Select(select) => self.visit_select(select, depth),
            Node::Call(call) => self.visit_call(call, depth),
            Node::List(list) => self.visit_all(&mut list.elements, depth),
            Node::Map(map) => {
                for entry in &mut map.entries {
                    let EntryExpr::MapEntry(entry) = &mut entry.expr else {
                        return Err(unreadable());
                    };
                    self.visit(&mut entry.key, depth)?;
                    self.visit(&mut entry.value, depth)?;
                }
                Ok(())
            }
            Node::Comprehension(comprehension) => self.visit_comprehension(comprehension, depth),
            Node::Struct(message) => Err(CompileError::new(format!(
                "unknown type `{}`: write a map such as {{'a': 1}}",
                crate::oauth::cut(&message.type_name)
            ))),
            Node::Unspecified => Err(unreadable()),
        }
    }

    fn visit_all(&mut self, exprs: &mut [IdedExpr], depth: usize) -> Result<(), CompileError> {
        exprs
            .iter_mut()
            .try_for_each(|expr| self.visit(expr, depth))
    }

    /// Visits a name, of whose value only `field` is taken where there is one.
    fn visit_name(&mut self, name: &mut String, field: Option<&str>) -> Result<(), CompileError> {
        if self.variables.iter().any(|variable| variable == name) || name.starts_with('@') {
            return Ok(());
        }
        if !names::is_root(name, self.kind) {
            if names::is_type(name) {
                return Ok(());
            }
            return Err(names::unknown_name(name, self.kind));
        }
        if name == names::ASSERTION {
            names::CLAIMS.clone_into(name);
        }
        self.found.reads.note(name, field);
        // Bare `request` may be compared or indexed in ways that reach the audience.
        self.found.reads_audience |=
            name == names::REQUEST && field.is_none_or(|field| field == "audience");
        Ok(())
    }

    fn visit_select(&mut self, select: &mut SelectExpr, depth: usize) -> Result<(), CompileError> {
        self.visit_member(&mut select.operand, Some(&select.field), depth)
    }

    /// Visits what `field` is taken of; a field of `request` that is known is looked at singly.
    fn visit_member(
        &mut self,
        operand: &mut IdedExpr,
        field: Option<&str>,
        depth: usize,
    ) -> Result<(), CompileError> {
        let (Node::Ident(name), Some(field)) = (&mut operand.expr, field) else {
            return self.visit(operand, depth);
        };
        if names::is_root(name, self.kind) {
            names::check_field(name, field)?;
        }
        self.visit_name(name, Some(field))
    }

    fn visit_call(&mut self, call: &mut CallExpr, depth: usize) -> Result<(), CompileError> {
        match call.func_name.as_str() {
            operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT => {
                let [operand, key] = call.args.as_mut_slice() else {
                    return Err(unreadable());
                };
                self.visit_member(operand, string_literal(key), depth)?;
                self.visit(key, depth)
            }
            name if is_operator(name) => self.visit_all(&mut call.args, depth),
            _ => self.visit_function(call, depth),
        }
    }

    fn visit_function(&mut self, call: &mut CallExpr, depth: usize) -> Result<(), CompileError> {
        let count = call.args.len();
        if is_optional_namespace(call) {
            names::check_optional(&call.func_name, count)?;
            return self.visit_all(&mut call.args, depth);
        }
        names::check_function(&call.func_name, count, call.target.is_some())?;
        if let Some(target) = &mut call.target {
            self.visit(target, depth)?;
        }
        self.visit_all(&mut call.args, depth)?;
        if matches!(call.func_name.as_str(), "matches" | "glob") {
            self.compile_pattern(call)?;
        }
        Ok(())
    }

    /// Turns `x.matches('a')` and `matches(x, 'a')`, and `glob` alike, into `@matches(x, @p0)`.
    fn compile_pattern(&mut self, call: &mut CallExpr) -> Result<(), CompileError> {
        let Some(literal) = call.args.last().and_then(string_literal) else {
            return Err(CompileError::new(format!(
                "the pattern of {} is not a string literal: write it out, such as {}",
                call.func_name,
                if call.func_name == "glob" {
                    "glob(claims.ref, 'refs/heads/*')"
                } else {
                    "claims.ref.matches('^refs/heads/v[0-9]+$')"
                }
            )));
        };
        let pattern = Pattern::new(&call.func_name, literal)?;
        let name = format!("{}{}", guard::PATTERN, self.found.patterns.len());
        self.found.patterns.push(pattern);
        guard::MATCHES.clone_into(&mut call.func_name);
        call.args.pop();
        if let Some(target) = call.target.take() {
            call.args.insert(0, *target);
        }
        call.args.push(guard::internal(&name));
        Ok(())
    }

    fn visit_comprehension(
        &mut self,
        comprehension: &mut ComprehensionExpr,
        depth: usize,
    ) -> Result<(), CompileError> {
        self.visit(&mut comprehension.accu_init, depth)?;
        if comprehension.iter_var == UNUSED {
            return self.visit_binding(comprehension, depth);
        }
        self.visit(&mut comprehension.iter_range, depth)?;
        self.loops += 1;
        if self.loops > DEEPEST_LOOP {
            return Err(CompileError::new(format!(
                "its comprehensions (all, exists, map, filter) nest more than {DEEPEST_LOOP} deep: compute a claim upstream instead"
            )));
        }
        self.declare(&comprehension.iter_var)?;
        self.visit(&mut comprehension.loop_cond, depth)?;
        self.visit(&mut comprehension.loop_step, depth)?;
        self.variables.pop();
        self.loops -= 1;
        self.visit(&mut comprehension.result, depth)
    }

    /// A comprehension over nothing, which names `accu_init` in `result`.
    fn visit_binding(
        &mut self,
        binding: &mut ComprehensionExpr,
        depth: usize,
    ) -> Result<(), CompileError> {
        self.declare(&binding.accu_var)?;
        self.visit(&mut binding.result, depth)?;
        self.variables.pop();
        Ok(())
    }

    fn declare(&mut self, variable: &str) -> Result<(), CompileError> {
        if names::is_reserved(variable) {
            return Err(CompileError::new(format!(
                "the variable `{variable}` would hide what has that name: write another, such as x"
            )));
        }
        self.variables.push(variable.to_owned());
        Ok(())
    }
}

/// Whether a call is one of `optional.of` and its like, whose target is no value.
pub(super) fn is_optional_namespace(call: &CallExpr) -> bool {
    let target = call.target.as_ref().map(|target| &target.expr);
    matches!(target, Some(Node::Ident(name)) if name == names::OPTIONAL)
}

/// Operators have names that no source can spell.
fn is_operator(name: &str) -> bool {
    name.starts_with('@')
        || name.contains(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
}

fn unreadable() -> CompileError {
    CompileError::new("it cannot be read: check its quotes, brackets and operators")
}

#[cfg(test)]
mod tests {
    use super::super::{Expr, Root};
    use super::*;

    fn compile(source: &str) -> Result<Expr, CompileError> {
        Expr::compile(&Root::new(), source, Kind::Condition)
    }

    fn error(source: &str) -> String {
        compile(source).unwrap_err().to_string()
    }

    #[test]
    fn unknown_names_and_functions_are_errors() {
        for (source, text) in [
            ("environment == 'x'", "write claims.environment"),
            ("claim.x == 'x'", "write claims"),
            (".claims.x == 'x'", "write claims"),
            ("actor.sub == 'x'", "`actors`"),
            ("['a'].exists(x, y == 'a')", "unknown name `y`"),
            ("['a'].exists(x, true) && x == 'a'", "unknown name `x`"),
            ("claims.ref.startswith('x')", "`startsWith`"),
            ("claims.lower()", "unknown function `lower`"),
            ("startsWith(claims.ref, 'x')", "is called on a value"),
            ("claims.exists(x)", "list.exists(x, condition)"),
            ("request.audiences == []", "request.audience"),
            ("client['secret'] == ''", "`client` has no `secret`"),
            ("connector.id == 'x'", "connector == 'id'"),
            ("optional.some(1).hasValue()", "optional.of(x)"),
            ("google.protobuf.Timestamp{}.x", "unknown type"),
            ("[1].all(claims, true)", "`claims` would hide"),
            ("[1].all(string, true)", "`string` would hide"),
            (
                "claims.optMap(actor, true).orValue(true)",
                "`actor` would hide",
            ),
        ] {
            let found = error(source);
            assert!(found.contains(text), "{source}: {found}");
        }
        let actor = Expr::compile(&Root::new(), "actor.sub == claims.sub", Kind::Actor);
        assert!(actor.is_ok());
    }

    #[test]
    fn internal_functions_cannot_be_written() {
        for source in [
            "@matches('a', 'b')",
            "'a'.@matches('b')",
            "matches('a', @p0)",
            "@meter",
            "@result",
            "`@matches`('a')",
            "_+_(1, 2)",
            "@in('a', ['a'])",
            "[1].map(x, @result)",
        ] {
            assert!(compile(source).is_err(), "{source}");
        }
    }

    #[test]
    fn patterns_are_literals() {
        for source in [
            "claims.ref.matches(claims.pattern)",
            "matches(claims.ref, 'a' + 'b')",
            "glob(claims.ref, claims.ref)",
            "['a*'].exists(p, claims.ref.glob(p))",
        ] {
            assert!(error(source).contains("string literal"), "{source}");
        }
        assert!(error("claims.ref.matches('(')").contains("no regular expression"));
        assert!(error("claims.ref.matches('(a{1000}){1000}')").contains("too large"));
    }

    #[test]
    fn depth_and_loops_are_bounded() {
        let chain = |piece: &str, n: usize| compile(&format!("true{}", piece.repeat(n))).map(drop);
        assert!(chain(" == true", 80).is_ok());
        assert!(
            chain(" == true", 81)
                .unwrap_err()
                .to_string()
                .contains("more than 80")
        );
        assert!(chain(" && true", 400).is_ok(), "&& is balanced");
        assert!(error(&format!("claims{}", ".a".repeat(2000))).contains("more than 80"));
        assert!(error(&format!("claims.l{}", "[0]".repeat(1300))).contains("more than 80"));
        assert!(error(&format!("1{} > 0", "+1".repeat(2000))).contains("more than 80"));
        assert!(error(&format!("{}1", "true?1:".repeat(500))).contains("too deep"));
        assert!(compile(&format!("{}true", "!".repeat(4090))).is_ok());
        assert!(compile(&format!("{}1 == 1", "-".repeat(4089))).is_ok());

        assert!(compile("[1].all(x, [2].exists(y, x < y))").is_ok());
        assert!(
            compile("[1].all(x, true) && [1].map(x, x).filter(x, true).exists(x, true)").is_ok()
        );
        assert!(error("[1].all(x, [2].all(y, [3].all(z, true)))").contains("2 deep"));
    }

    #[test]
    fn knows_what_reads_the_audience() {
        let reads = |source: &str| compile(source).unwrap().mentions_request_audience();
        for source in [
            "'a' in request.audience",
            "request['audience'] == []",
            "request.?audience.hasValue()",
            "request[?'audience'].hasValue()",
            "has(request.audience)",
            "request == {}",
            "request[claims.key] == 'a'",
            "[request].exists(r, r.audience == [])",
            "request.exists(k, k == 'audience')",
            "request.optMap(r, r.audience).hasValue()",
        ] {
            assert!(reads(source), "{source}");
        }
        for source in [
            "'a' in request.scope",
            "request['scope'] == []",
            "request.?requested_token_type.hasValue()",
            "claims.audience == 'request.audience'",
            "claims.request == 'a'",
            "client.id == 'x'",
        ] {
            assert!(!reads(source), "{source}");
        }
    }
}
