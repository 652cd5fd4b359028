//! Functions that the compiler puts into an expression so that evaluating it stays within bounds.

use std::any::Any;
use std::sync::Mutex;

use cel::common::ast::{CallExpr, Expr as Node};
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelNull, CelString, DYN_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{DeclarationError, Env, ExecutionError, IdedExpr};
use serde_json::Value;

use super::meter::{self, COPYING, Meter, PARSING};
use super::pattern::Pattern;
use super::value;

/// `@matches(value, @p0, @meter)`: a pattern compiled beforehand. `@` cannot be written in a source.
pub(super) const MATCHES: &str = "@matches";
/// `@range(list, cost, @meter)`: the list or map of a comprehension, and what a round costs.
pub(super) const RANGE: &str = "@range";
/// `@read(value, @meter)`: a value that is then read or compared as a whole.
pub(super) const READ: &str = "@read";
/// `@copy(value, @meter)`: a value that is then copied and kept.
pub(super) const COPY: &str = "@copy";
/// `@parse(value, @meter)`: a value that is then parsed.
pub(super) const PARSE: &str = "@parse";
/// `@key(value, @meter)`: what a list or map is indexed with.
pub(super) const KEY: &str = "@key";
/// `@equals(a, b, @meter)`: `a == b`.
pub(super) const EQUALS: &str = "@equals";
/// `@add(a, b, @meter)`: `a + b`.
pub(super) const ADD: &str = "@add";
/// `@give(value, @output)`: the value of a computed claim.
pub(super) const GIVE: &str = "@give";
/// The name that stands for the [`Output`].
pub(super) const OUTPUT: &str = "@output";
/// The name that stands for the [`Meter`].
pub(super) const METER: &str = "@meter";
/// What the names of patterns begin with; their index follows.
pub(super) const PATTERN: &str = "@p";

/// Elements that a comprehension may go over.
const MOST_ELEMENTS: i64 = 1000;

static METER_TYPE: Type = Type::new_unspecified_type("meter");
static PATTERN_TYPE: Type = Type::new_unspecified_type("pattern");
static OUTPUT_TYPE: Type = Type::new_unspecified_type("output");

/// Adds the functions to `env`.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let any = |n: usize| (0..n).map(|_| DYN_TYPE).collect();
    env.add_overload(MATCHES, MATCHES, any(3), matches)?;
    env.add_overload(RANGE, RANGE, any(3), range)?;
    env.add_overload(READ, READ, any(2), charged::<1>)?;
    env.add_overload(COPY, COPY, any(2), charged::<COPYING>)?;
    env.add_overload(PARSE, PARSE, any(2), charged::<PARSING>)?;
    env.add_overload(KEY, KEY, any(2), key)?;
    env.add_overload(EQUALS, EQUALS, any(3), equals)?;
    env.add_overload(ADD, ADD, any(3), add)?;
    env.add_overload(GIVE, GIVE, any(2), give)
}

/// The node of a name that begins with `@`.
pub(super) fn internal(name: &str) -> IdedExpr {
    IdedExpr {
        id: 0,
        expr: Node::Ident(name.to_owned()),
    }
}

/// Puts `expr` into a call: `function(expr, arguments...)`.
pub(super) fn wrap(expr: &mut IdedExpr, function: &str, arguments: Vec<IdedExpr>) {
    let inner = std::mem::take(expr);
    expr.id = inner.id;
    expr.expr = Node::Call(CallExpr {
        func_name: function.to_owned(),
        target: None,
        args: std::iter::once(inner).chain(arguments).collect(),
    });
}

/// What the names that begin with `@` stand for during one evaluation.
pub(super) struct Internals<'a> {
    pub(super) patterns: &'a [Pattern],
    pub(super) meter: Meter,
    pub(super) output: Output,
}

impl<'a> Internals<'a> {
    pub(super) fn new(patterns: &'a [Pattern]) -> Self {
        Self {
            patterns,
            meter: Meter::default(),
            output: Output::default(),
        }
    }
}

impl VariableResolver for Internals<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = variable.strip_prefix(PATTERN) {
            let pattern = self.patterns.get(index.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(pattern));
        }
        match variable {
            METER => Some(CowVal::Borrowed(&self.meter)),
            OUTPUT => Some(CowVal::Borrowed(&self.output)),
            _ => None,
        }
    }
}

/// Where the value of a computed claim is put: straight from CEL to JSON, so that nothing is lost between.
#[derive(Debug, Default)]
pub(super) struct Output(Mutex<Option<Result<Value, String>>>);

impl Output {
    /// The value, or why it has no place in a token; `None` if evaluation never got to it.
    pub(super) fn into_inner(self) -> Option<Result<Value, String>> {
        self.0.into_inner().ok().flatten()
    }
}

/// A value that only these functions see. It is borrowed by a call; nothing can hold on to one, so no clone is ever
/// asked for.
macro_rules! internal_value {
    ($name:ident, $cel_type:ident) => {
        impl Val for $name {
            fn get_type(&self) -> &Type {
                &$cel_type
            }

            fn cel_type() -> &'static Type {
                &$cel_type
            }

            fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
            where
                Self: 'v,
            {
                Box::new(CelNull)
            }

            fn as_any(&self) -> Option<&dyn Any> {
                Some(self)
            }
        }

        impl StaticVal for $name {}
    };
}

internal_value!(Meter, METER_TYPE);
internal_value!(Output, OUTPUT_TYPE);
internal_value!(Pattern, PATTERN_TYPE);

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, pattern, meter] = arguments(args)?;
    let Some(pattern) = pattern.downcast_ref::<Pattern>() else {
        return Err(misused());
    };
    let Some(text) = value.downcast_ref::<CelString<'_>>() else {
        let types = vec![value.get_type().name().to_owned(), "string".to_owned()];
        return Err(ExecutionError::no_such_overload(pattern.function(), types));
    };
    let matched = pattern.is_match(text.inner(), meter_of(&meter)?)?;
    Ok(CowVal::owned(CelBool::from(matched)))
}

fn range<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [list, cost, meter] = arguments(args)?;
    let elements = if let Some(list) = list.downcast_ref::<CelList<'_>>() {
        list.inner().len()
    } else if let Some(map) = list.downcast_ref::<CelMap<'_>>() {
        map.inner().len()
    } else {
        return Ok(list);
    };
    let elements = i64::try_from(elements).unwrap_or(i64::MAX);
    if elements > MOST_ELEMENTS {
        return Err(ExecutionError::function_error(
            RANGE,
            format!("a comprehension goes over at most {MOST_ELEMENTS} elements, not {elements}"),
        ));
    }
    let cost = cost
        .downcast_ref::<CelInt>()
        .map_or(1, |cost| *cost.inner());
    let rounds = elements.saturating_mul(cost).unsigned_abs();
    // Each element is copied into the variable.
    meter_of(&meter)?.charge(|| rounds.saturating_add(meter::weight(list.as_ref())))?;
    Ok(list)
}

/// Hands the value on, for so many times its weight.
fn charged<'b, 'v, const TIMES: u64>(
    args: Vec<CowVal<'b, 'v>>,
) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, meter] = arguments(args)?;
    meter_of(&meter)?.charge(|| meter::weight(value.as_ref()).saturating_mul(TIMES))?;
    Ok(value)
}

/// A fraction is no key of anything, but the evaluator copies the whole list into the error that says so.
fn key<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, meter] = arguments(args)?;
    meter_of(&meter)?.charge(|| meter::weight(value.as_ref()))?;
    match value.downcast_ref::<CelDouble>() {
        Some(number) if number.inner().fract() != 0.0 => Err(ExecutionError::UnsupportedIndex(
            cel::Value::Float(*number.inner()),
            cel::Value::Null,
        )),
        _ => Ok(value),
    }
}

fn equals<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right, meter] = arguments(args)?;
    meter_of(&meter)?.charge(|| meter::of_comparing(left.as_ref(), right.as_ref()))?;
    Ok(CowVal::owned(CelBool::from(left == right)))
}

fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right, meter] = arguments(args)?;
    let types = || {
        let name = |value: &CowVal<'_, '_>| value.get_type().name().to_owned();
        ExecutionError::no_such_overload("_+_", vec![name(&left), name(&right)])
    };
    meter_of(&meter)?.charge(|| {
        let both = meter::weight(left.as_ref()).saturating_add(meter::weight(right.as_ref()));
        both.saturating_mul(COPYING)
    })?;
    let sum = left.as_adder().ok_or_else(types)?.add(right.as_ref());
    let sum = sum.map_err(|e| match e {
        ExecutionError::UnsupportedBinaryOperator(..) => types(),
        e => e,
    })?;
    Ok(CowVal::Owned(sum.into_owned()))
}

fn give<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, output] = arguments(args)?;
    let output = output.downcast_ref::<Output>().ok_or_else(misused)?;
    if let Ok(mut slot) = output.0.lock() {
        *slot = Some(value::to_json(value.as_ref()));
    }
    Ok(CowVal::owned(CelNull))
}

fn arguments<'b, 'v, const N: usize>(
    args: Vec<CowVal<'b, 'v>>,
) -> Result<[CowVal<'b, 'v>; N], ExecutionError> {
    args.try_into().map_err(|_| misused())
}

fn meter_of<'m>(value: &'m CowVal<'_, '_>) -> Result<&'m Meter, ExecutionError> {
    value.downcast_ref::<Meter>().ok_or_else(misused)
}

fn misused() -> ExecutionError {
    ExecutionError::InternalError("an internal function was called wrongly".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::super::{Expr, Kind, Root, Scope, Values, Verdict};
    use super::*;
    use crate::jose::Members;

    fn holds(claims: &Value, source: &str) -> Verdict {
        let root = Root::new();
        let expr = Expr::compile(&root, source, Kind::Condition).unwrap();
        let claims = Members::of(claims);
        let values = Values::of(&claims);
        Scope::new(&root, expr.reads(), values).verdict(&expr)
    }

    fn compute(claims: &Value, source: &str) -> Result<Option<Value>, String> {
        let root = Root::new();
        let expr = Expr::compile(&root, source, Kind::Claim).unwrap();
        let claims = Members::of(claims);
        let values = Values::of(&claims);
        Scope::new(&root, expr.reads(), values).compute(&expr)
    }

    #[test]
    fn comprehensions_go_over_a_thousand_elements() {
        let list = |n: i64| json!({"l": (0..n).collect::<Vec<_>>(), "s": "x".repeat(8000)});
        for source in [
            "claims.l.all(x, x >= 0)",
            "claims.l.map(x, x).exists(x, x == 999)",
        ] {
            assert_eq!(holds(&list(1000), source), Verdict::Holds);
            let Verdict::Fails(why) = holds(&list(1001), source) else {
                panic!("{source} holds");
            };
            assert!(
                why.starts_with("a comprehension goes over at most 1000 elements, not 1001"),
                "{why}"
            );
        }
        let why = compute(&list(1001), "size(claims.l.filter(x, true))").unwrap_err();
        assert!(
            why.starts_with("a comprehension goes over at most"),
            "{why}"
        );
        let map: Map<_, _> = (0..1001).map(|n| (n.to_string(), json!(n))).collect();
        let map = json!({ "m": map });
        let Verdict::Fails(why) = holds(&map, "claims.m.exists(k, k == '7')") else {
            panic!("a map of 1001 entries is gone over");
        };
        assert!(
            why.starts_with("a comprehension goes over at most"),
            "{why}"
        );
        let Verdict::Fails(why) = holds(&list(1000), "(claims.l + claims.l).all(x, true)") else {
            panic!("a list of 2000 elements is gone over");
        };
        assert!(
            why.starts_with("a comprehension goes over at most"),
            "{why}"
        );
        assert!(
            compute(&list(1), "claims.s + claims.s + claims.s")
                .unwrap_err()
                .contains("larger than")
        );
    }

    #[test]
    fn the_deepest_tree_fits_a_worker_thread() {
        let chain = format!("1{} > 0", " + 1".repeat(76));
        let nested = format!("{}1{} != []", "[".repeat(32), "]".repeat(32));
        let ternary = format!("{}true", "claims.x ? false : ".repeat(75));
        std::thread::Builder::new()
            .stack_size(1024 * 1024)
            .spawn(move || {
                assert_eq!(holds(&json!({}), &chain), Verdict::Holds);
                assert_eq!(holds(&json!({}), &nested), Verdict::Holds);
                assert_eq!(holds(&json!({"x": false}), &ternary), Verdict::Holds);
            })
            .unwrap()
            .join()
            .unwrap();
    }
}
