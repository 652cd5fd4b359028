//! Conditions and computed claims in CEL: compiled and checked once, evaluated within bounds on each request.

mod compile;
mod context;
mod explain;
mod glob;
mod guard;
mod names;
mod operands;
mod pattern;
mod source;
mod value;

pub use compile::{CompileError, Expr, Kind};
pub use context::{ClientView, RequestView, Root, Scope, Verdict};
pub(crate) use operands::{Literal, Operand, Test};
