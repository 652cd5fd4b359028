//! Functions that the compiler puts into an expression so that evaluating it stays within bounds.

use std::any::Any;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use cel::common::types::{
    CelBool, CelBytes, CelInt, CelList, CelMap, CelNull, CelString, DYN_TYPE, Type,
};
use cel::common::value::{CowVal, StaticVal, Val};
use cel::context::VariableResolver;
use cel::{DeclarationError, Env, ExecutionError};
use serde_json::Value;

use super::pattern::Pattern;
use super::value;

/// `@matches(value, @p0)`: a pattern compiled beforehand. `@` cannot be written in a source.
pub(super) const MATCHES: &str = "@matches";
/// `@range(list, cost, @meter)`: the list or map of a comprehension.
pub(super) const RANGE: &str = "@range";
/// `@item(value, @meter)`: what a comprehension keeps.
pub(super) const ITEM: &str = "@item";
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
/// Nodes visited in comprehensions and bytes made that one evaluation may cost: some 20 ms at worst.
const MOST_WORK: u64 = 300_000;

static METER_TYPE: Type = Type::new_unspecified_type("meter");
static PATTERN_TYPE: Type = Type::new_unspecified_type("pattern");
static OUTPUT_TYPE: Type = Type::new_unspecified_type("output");

/// Adds the functions to `env`.
pub(super) fn declare(env: &mut Env) -> Result<(), DeclarationError> {
    let any = |n: usize| (0..n).map(|_| DYN_TYPE).collect();
    env.add_overload(MATCHES, MATCHES, any(2), matches)?;
    env.add_overload(RANGE, RANGE, any(3), range)?;
    env.add_overload(ITEM, ITEM, any(2), item)?;
    env.add_overload(ADD, ADD, any(3), add)?;
    env.add_overload(GIVE, GIVE, any(2), give)
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

/// What is left of [`MOST_WORK`] in one evaluation.
#[derive(Debug)]
pub(super) struct Meter(AtomicU64);

/// Where the value of a computed claim is put: straight from CEL to JSON, so that nothing is lost between.
#[derive(Debug, Default)]
pub(super) struct Output(Mutex<Option<Result<Value, String>>>);

impl Default for Meter {
    fn default() -> Self {
        Self(AtomicU64::new(MOST_WORK))
    }
}

impl Output {
    /// The value, or why it has no place in a token; `None` if evaluation never got to it.
    pub(super) fn into_inner(self) -> Option<Result<Value, String>> {
        self.0.into_inner().ok().flatten()
    }
}

impl Meter {
    fn charge(&self, work: u64) -> Result<(), ExecutionError> {
        self.0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(work)
            })
            .map(drop)
            .map_err(|_| ExecutionError::function_error(METER, "it is too much work to evaluate"))
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

fn give<'b, 'v>(args: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let [value, output] = arguments(args)?;
    let output = output.downcast_ref::<Output>().ok_or_else(misused)?;
    if let Ok(mut slot) = output.0.lock() {
        *slot = Some(value::to_json(value.as_ref()));
    }
    Ok(CowVal::owned(CelNull))
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
        assert!(compute(&list(1001), "size(claims.l.filter(x, true))").is_err());
        let map: Map<_, _> = (0..1001).map(|n| (n.to_string(), json!(n))).collect();
        assert!(matches!(
            holds(&json!({"m": map}), "claims.m.exists(k, false)"),
            Verdict::Fails(_)
        ));
        for source in [
            "claims.l.all(x, claims.l.exists(y, x + y < 0))",
            "size(claims.l.map(x, claims.l.map(y, x))) > 0",
            "size(claims.l.map(x, claims.s)) > 0",
            "claims.l.map(x, claims.s + claims.s).size() > 0",
            "claims.l.map(x, [claims, claims]).size() > 0",
            "(claims.l + claims.l).all(x, true)",
        ] {
            let verdict = holds(&list(1000), source);
            assert!(
                matches!(verdict, Verdict::Fails(_)),
                "{source}: {verdict:?}"
            );
        }
        assert!(
            compute(&list(1), "claims.s + claims.s + claims.s")
                .unwrap_err()
                .contains("larger than")
        );
        let doubling = format!("{}claims.s{}", "[1, 2].map(x, ", ")");
        assert!(compute(&list(1), &doubling).is_ok());
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

    /// One expression a line, at the edges of what the functions take.
    const EDGES: &str = r#"
        -claims.min; claims.min / -1; claims.min % -1; claims.max + 1; claims.min - 1; claims.max * 2
        claims.u + 1u; 0u - 1u; claims.u * 2u; 1 % 0; 1u / 0u; -claims.u; claims.min == -9223372036854775808
        int(1e300); int(-9223372036854775808.0); uint(-1); uint(1e300); int(claims.u); int('x'); double(''); uint('')
        bool('x'); string(b'\xff'); bytes(claims.s); claims.s[0]; claims.l[0]; claims.l[-1]; claims.l[1.5]
        claims.l[1e300]; [1][18446744073709551615u]; 0x7fffffffffffffff; -0x8000000000000000; 1e-400; b'\377'
        timestamp('0001-01-01T00:00:00Z').getFullYear('-23:59'); timestamp('0001-01-01T00:00:00Z').getDayOfYear('-23:59')
        timestamp('9999-12-31T23:59:59Z').getDayOfYear('+23:59'); timestamp('0001-01-01T00:00:00Z').getHours('No/Land')
        timestamp('9999-12-31T23:59:59Z').getFullYear('Pacific/Kiritimati'); timestamp(0).getDate('é:é'); timestamp('')
        timestamp(0).getDate(':'); timestamp(0).getDate(''); timestamp(0).getDate('99999999999:0'); timestamp(claims.max)
        timestamp('2016-12-31T23:59:60Z').getSeconds(); timestamp('9999-12-31T23:59:59Z') + duration('292y')
        timestamp(claims.min); timestamp('9999-12-31T23:59:59Z') + duration('2562047h'); string(timestamp(0))
        timestamp('0001-01-01T00:00:00Z') - duration('2562047h'); timestamp('0001-01-01T00:00:00+23:59')
        timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z'); string(duration('-9223372036.8s'))
        duration('--1e300h'); duration('1e308h1e308h'); duration('-1e308h-1e308h'); duration('nanh'); duration('infs')
        duration(''); duration('-'); duration('0'); duration('9223372036.854775807s') + duration('1s'); duration('1é')
        claims.nil < 1; claims.nil + claims.nil; claims == claims; claims < claims; !claims.s; null in claims
        {'a': 1, 'a': 2}; {1.5: 1}; {null: 1}; {[]: 1}; 1 in claims.s; claims in claims; 1.5 in claims; '' in ''
        claims.s in null; claims.nil.exists(x, true); claims.s.all(x, true); claims.l.exists_one(x, x); size(1)
        type(type(1)); dyn(claims); optional.none().value(); optional.of(claims); [?optional.none()]; string
        {?'a': optional.none()}; optional.of(1).or(2); optional.none().optMap(x, 1 / 0); optional.ofNonZeroValue(0)
        claims.?s.?t; claims[?1]; claims.e.matches(''); glob(claims.e, '**'); claims.e.startsWith(claims.s)
        [1, 2].map(x, x, x); [1].exists(x, x); [1].filter(x, 1); [1].map(x, [x].map(x, x)); 1 ? 2 : 3; true ? 1 / 0 : 2
        [1] + {'a': 1}; claims.l + claims; b'a' + b'b'; double(claims.u) == claims.u; r'\' + "\U0010FFFF"
    "#;

    #[test]
    fn nothing_panics_at_the_edges() {
        let claims = json!({
            "min": i64::MIN, "max": i64::MAX, "u": u64::MAX, "s": "é", "e": "", "nil": null, "l": []
        });
        for source in EDGES
            .split([';', '\n'])
            .map(str::trim)
            .filter(|s| !s.is_empty())
        {
            let _ = holds(&claims, source);
            let _ = compute(&claims, source);
        }
    }
}
