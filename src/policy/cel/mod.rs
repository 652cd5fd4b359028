//! Conditions and computed claims in CEL: compiled and checked once, evaluated within bounds on each request.

mod charges;
mod check;
mod comparisons;
mod compile;
mod context;
#[cfg(test)]
mod edges;
mod explain;
mod glob;
mod guard;
mod meter;
mod names;
mod operands;
mod path;
mod pattern;
mod reads;
mod scope;
mod source;
mod value;
#[cfg(test)]
mod worst;

pub(crate) use comparisons::{Compared, Comparison};
pub use compile::{CompileError, Expr, Kind};
pub use context::Root;
pub(crate) use operands::{Literal, Operand, Test};
pub use reads::Reads;
pub use scope::{ClientView, RequestView, Scope, Values, Verdict};
