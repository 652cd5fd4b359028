//! Compiled expressions.

use std::fmt;

use cel::IdedExpr;
use cel::common::ast::{Expr as Node, LiteralValue};

use super::context::Root;
use super::pattern::Pattern;
use super::reads::Reads;
use super::{charges, check, guard, source};

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
    reads: Reads,
    always: bool,
}

impl Expr {
    /// Compiles `source`, at most 4 KiB of CEL; the error says what to write instead.
    pub fn compile(root: &Root, source: &str, kind: Kind) -> Result<Self, CompileError> {
        source::on_large_stack(source, || {
            let mut tree = source::parse(root.env(), source, kind)?;
            let checked = check::check(&mut tree, kind)?;
            charges::put_into(&mut tree);
            if kind == Kind::Claim {
                let output = guard::internal(guard::OUTPUT);
                guard::wrap(&mut tree, guard::GIVE, vec![output]);
            }
            Ok(Self {
                always: matches!(&tree.expr, Node::Literal(LiteralValue::Boolean(it)) if *it.inner()),
                source: source.to_owned(),
                tree,
                patterns: checked.patterns,
                reads_audience: checked.reads_audience,
                reads: checked.reads,
            })
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

    /// What it may read.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// Whether it is the literal `true`, which needs no evaluation.
    pub(super) fn is_true(&self) -> bool {
        self.always
    }

    pub(super) fn tree(&self) -> &IdedExpr {
        &self.tree
    }

    pub(super) fn patterns(&self) -> &[Pattern] {
        &self.patterns
    }
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.source).finish()
    }
}
