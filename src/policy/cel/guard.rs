//! Functions that the compiler puts into an expression so that evaluating it stays within bounds.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::types::{CelBool, CelBytes, CelInt, CelList, CelMap, CelString, DYN_TYPE, Type};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{DeclarationError, Env, ExecutionError};

use super::pattern::Pattern;

/// `@matches(value, @p0)`: a pattern compiled beforehand. `@` cannot be written in a source.
pub(super) const MATCHES: &str = "@matches";
/// `@range(list, cost, @meter)`: the list or map of a comprehension.
pub(super) const RANGE: &str = "@range";
/// `@item(value, @meter)`: what a comprehension keeps.
pub(super) const ITEM: &str = "@item";
/// `@add(a, b, @meter)`: `a + b`.
pub(super) const ADD: &str = "@add";
/// The name that stands for the [`Meter`].
pub(super) const METER: &str = "@meter";
/// What the names of patterns begin with; their index follows.
pub(super) const PATTERN: &str = "@p";

/// Elements that a comprehension may go over.
const MOST_ELEMENTS: i64 = 1000;
/// Steps and bytes that one evaluation may take: some 50 ms at worst.
const MOST_WORK: u64 = 1_000_000;

static METER_TYPE: Type = Type::new_unspecified_type("meter");

/// Adds the functions to `env`.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let any = |n: usize| (0..n).map(|_| DYN_TYPE).collect();
    env.add_overload(MATCHES, MATCHES, any(2), matches)?;
    env.add_overload(RANGE, RANGE, any(3), range)?;
    env.add_overload(ITEM, ITEM, any(2), item)?;
    env.add_overload(ADD, ADD, any(3), add)
}

/// What the names that begin with `@` stand for during one evaluation.
pub(super) struct Internals<'a> {
    pub(super) patterns: &'a [Pattern],
    pub(super) meter: Meter,
}

impl VariableResolver for Internals<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some(index) = variable.strip_prefix(PATTERN) {
            let pattern = self.patterns.get(index.parse::<usize>().ok()?)?;
            return Some(CowVal::Borrowed(pattern));
        }
        (variable == METER).then_some(CowVal::Borrowed(&self.meter))
    }
}

/// What is left of [`MOST_WORK`] in one evaluation.
#[derive(Debug)]
pub(super) struct Meter(AtomicU64);

impl Meter {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(MOST_WORK))
    }

    fn charge(&self, work: u64) -> Result<(), ExecutionError> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(work)
            })
            .map(drop)
            .map_err(|_| ExecutionError::function_error(METER, "it is too much work to evaluate"))
    }
}

impl Val for Meter {
    fn get_type(&self) -> &Type {
        &METER_TYPE
    }

    fn cel_type() -> &'static Type {
        &METER_TYPE
    }

    /// A meter is only ever borrowed by a call; nothing can hold on to one.
    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v>
    where
        Self: 'v,
    {
        Box::new(cel::common::types::CelNull)
    }

    fn as_any(&self) -> Option<&dyn Any> {
        Some(self)
    }
}

impl StaticVal for Meter {}

fn matches<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, pattern] = arguments(args)?;
    let Some(pattern) = pattern.downcast_ref::<Pattern>() else {
        return Err(misused());
    };
    let Some(text) = value.downcast_ref::<CelString<'_>>() else {
        let types = vec![value.get_type().name().to_owned(), "string".to_owned()];
        return Err(ExecutionError::no_such_overload(pattern.function(), types));
    };
    match pattern.is_match(text.inner()) {
        Some(matched) => Ok(CowVal::owned(CelBool::from(matched))),
        None => Err(ExecutionError::function_error(
            pattern.function(),
            "the value is too long",
        )),
    }
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
    meter_of(&meter)?.charge(elements.saturating_mul(cost).unsigned_abs())?;
    Ok(list)
}

fn item<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, meter] = arguments(args)?;
    meter_of(&meter)?.charge(weight(value.as_ref()))?;
    Ok(value)
}

fn add<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [left, right, meter] = arguments(args)?;
    let types = || {
        let name = |value: &CowVal<'_, '_>| value.get_type().name().to_owned();
        ExecutionError::no_such_overload("_+_", vec![name(&left), name(&right)])
    };
    let sum = left.as_adder().ok_or_else(types)?.add(right.as_ref());
    let sum = sum.map_err(|e| match e {
        ExecutionError::UnsupportedBinaryOperator(..) => types(),
        e => e,
    })?;
    meter_of(&meter)?.charge(weight(sum.as_ref()))?;
    Ok(CowVal::Owned(sum.into_owned()))
}

/// The size of a value in bytes and elements.
fn weight(value: &dyn Val) -> u64 {
    let length = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    if let Some(text) = value.downcast_ref::<CelString<'_>>() {
        1 + length(text.inner().len())
    } else if let Some(bytes) = value.downcast_ref::<CelBytes<'_>>() {
        1 + length(bytes.inner().len())
    } else if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        1 + list
            .inner()
            .iter()
            .map(|item| weight(item.as_ref()))
            .sum::<u64>()
    } else if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        1 + map
            .inner()
            .values()
            .map(|item| 16 + weight(item.as_ref()))
            .sum::<u64>()
    } else {
        8
    }
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
