//! Checking a syntax tree, and rewriting it so that evaluating it is fast and bounded.

use std::fmt;

use cel::IdedExpr;
use cel::common::ast::{
    CallExpr, ComprehensionExpr, EntryExpr, Expr as Node, LiteralValue, SelectExpr, operators,
};

use super::context::Root;
use super::guard;
use super::names;
use super::pattern::Pattern;
use super::source;

/// How deep a tree may be: evaluation recurses along it.
const DEEPEST_TREE: usize = 80;
/// How deep comprehensions may nest.
const DEEPEST_LOOP: usize = 2;
/// What the parser calls the result that a comprehension gathers.
const RESULT: &str = "@result";
/// What the parser calls the variable of a comprehension that only binds a name (`optMap`).
const UNUSED: &str = "#unused";

/// Where an expression stands: it decides which names it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Under `allow` or `when`: sees `claims` (also as `assertion`), `connector`, `client`, `request`.
    Condition,
    /// Under `actors`: sees `actor` too.
    Actor,
    /// A computed claim: sees what a condition sees.
    Claim,
}

/// Why a source is no usable expression: what is wrong and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct CompileError(String);

impl CompileError {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

/// A compiled expression; evaluated by [`Scope`](super::Scope).
pub struct Expr {
    source: String,
    tree: IdedExpr,
    patterns: Vec<Pattern>,
    reads_audience: bool,
    uses_internals: bool,
}

impl Expr {
    /// Compiles `source`, at most 4 KiB of CEL; the error says what to write instead.
    pub fn compile(root: &Root, source: &str, kind: Kind) -> Result<Self, CompileError> {
        let mut tree = source::parse(root.env(), source, kind)?;
        let mut checker = Checker::new(kind);
        checker.visit(&mut tree, 0)?;
        Ok(Self {
            source: source.to_owned(),
            tree,
            patterns: checker.patterns,
            reads_audience: checker.reads_audience,
            uses_internals: checker.uses_internals,
        })
    }

    /// The text that was compiled.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Whether it reads `request.audience`, or could: a request that asks for no audience must then be refused.
    pub fn mentions_request_audience(&self) -> bool {
        self.reads_audience
    }

    pub(super) fn tree(&self) -> &IdedExpr {
        &self.tree
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }

    /// Whether evaluating needs the names that begin with `@`.
    pub(super) fn uses_internals(&self) -> bool {
        self.uses_internals
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.source).finish()
    }
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
    nodes: i64,
    patterns: Vec<Pattern>,
    reads_audience: bool,
    uses_internals: bool,
}

impl Checker {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            variables: Vec::new(),
            loops: 0,
            nodes: 0,
            patterns: Vec::new(),
            reads_audience: false,
            uses_internals: false,
        }
    }

    fn visit(&mut self, expr: &mut IdedExpr, depth: usize) -> Result<(), CompileError> {
        self.nodes += 1;
        if depth > DEEPEST_TREE {
            return Err(CompileError::new(format!(
                "it nests or chains more than {DEEPEST_TREE} operators: split it into several conditions"
            )));
        }
        let depth = depth + 1;
        match &mut expr.expr {
            Node::Literal(_) => Ok(()),
            Node::Ident(name) => self.visit_name(name),
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
                message.type_name
            ))),
            Node::Unspecified => Err(unreadable()),
        }
    }

    fn visit_all(&mut self, exprs: &mut [IdedExpr], depth: usize) -> Result<(), CompileError> {
        exprs
            .iter_mut()
            .try_for_each(|expr| self.visit(expr, depth))
    }

    fn visit_name(&mut self, name: &mut String) -> Result<(), CompileError> {
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
        // Bare `request` may be compared or indexed in ways that reach the audience.
        self.reads_audience |= name == names::REQUEST;
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
        let (Node::Ident(name), Some(field)) = (&operand.expr, field) else {
            return self.visit(operand, depth);
        };
        if names::is_root(name, self.kind) {
            names::check_field(name, field)?;
            if name == names::REQUEST {
                self.reads_audience |= field == "audience";
                return Ok(());
            }
        }
        self.visit(operand, depth)
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
            operators::ADD => self.visit_add(call, depth),
            name if is_operator(name) => self.visit_all(&mut call.args, depth),
            _ => self.visit_function(call, depth),
        }
    }

    /// `@result + [item]` keeps its shape, which the evaluator knows; any other sum is metered.
    fn visit_add(&mut self, call: &mut CallExpr, depth: usize) -> Result<(), CompileError> {
        self.visit_all(&mut call.args, depth)?;
        let gathers = matches!(call.args.first(), Some(IdedExpr { expr: Node::Ident(name), .. }) if name == RESULT);
        if !gathers {
            guard::ADD.clone_into(&mut call.func_name);
            call.args.push(self.internal(guard::METER));
        } else if let Some(Node::List(list)) = call.args.get_mut(1).map(|arg| &mut arg.expr) {
            for item in &mut list.elements {
                let meter = self.internal(guard::METER);
                wrap(item, guard::ITEM, vec![meter]);
            }
        }
        Ok(())
    }

    fn visit_function(&mut self, call: &mut CallExpr, depth: usize) -> Result<(), CompileError> {
        let count = call.args.len();
        let namespace = call.target.as_ref().map(|target| &target.expr);
        if matches!(namespace, Some(Node::Ident(name)) if name == names::OPTIONAL) {
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
        let name = format!("{}{}", guard::PATTERN, self.patterns.len());
        self.patterns.push(pattern);
        guard::MATCHES.clone_into(&mut call.func_name);
        call.args.pop();
        if let Some(target) = call.target.take() {
            call.args.insert(0, *target);
        }
        let name = self.internal(&name);
        call.args.push(name);
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
        let before = self.nodes;
        self.declare(&comprehension.iter_var)?;
        self.visit(&mut comprehension.loop_cond, depth)?;
        self.visit(&mut comprehension.loop_step, depth)?;
        self.variables.pop();
        self.loops -= 1;
        let cost = IdedExpr {
            id: 0,
            expr: Node::Literal(LiteralValue::Int((self.nodes - before).into())),
        };
        let meter = self.internal(guard::METER);
        wrap(
            &mut comprehension.iter_range,
            guard::RANGE,
            vec![cost, meter],
        );
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

    fn internal(&mut self, name: &str) -> IdedExpr {
        self.uses_internals = true;
        IdedExpr {
            id: 0,
            expr: Node::Ident(name.to_owned()),
        }
    }
}

/// Puts `expr` into a call: `function(expr, arguments...)`.
fn wrap(expr: &mut IdedExpr, function: &str, arguments: Vec<IdedExpr>) {
    let inner = std::mem::take(expr);
    expr.id = inner.id;
    expr.expr = Node::Call(CallExpr {
        func_name: function.to_owned(),
        target: None,
        args: std::iter::once(inner).chain(arguments).collect(),
    });
}

/// Operators have names that no source can spell.
fn is_operator(name: &str) -> bool {
    name.starts_with('@')
        || name.contains(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')))
}

fn unreadable() -> CompileError {
    CompileError::new("it cannot be read: check its quotes, brackets and operators")
}
