//! The names and functions that an expression may use, and what to write instead of an unknown one.

use super::compile::{CompileError, Kind};

/// The subject token's claims.
pub(super) const CLAIMS: &str = "claims";
/// Another name of `claims`; the compiler replaces it.
pub(super) const ASSERTION: &str = "assertion";
/// The id of the connector.
pub(super) const CONNECTOR: &str = "connector";
/// The client, or null.
pub(super) const CLIENT: &str = "client";
/// What is asked for.
pub(super) const REQUEST: &str = "request";
/// The actor token's claims.
pub(super) const ACTOR: &str = "actor";
/// The namespace of `optional.of` and its like.
pub(super) const OPTIONAL: &str = "optional";

const ROOTS: [&str; 6] = [CLAIMS, ASSERTION, CONNECTOR, CLIENT, REQUEST, ACTOR];
const CLIENT_FIELDS: [&str; 3] = ["id", "name", "authenticated"];
const REQUEST_FIELDS: [&str; 3] = ["audience", "scope", "requested_token_type"];
const TYPES: [&str; 11] = [
    "bool",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "list",
    "map",
    "null_type",
    "type",
    "optional_type",
];
const OPTIONAL_FUNCTIONS: [(&str, usize); 3] = [("of", 1), ("none", 0), ("ofNonZeroValue", 1)];

/// A function: its name, how many arguments it takes, and how many when called as `value.name()`.
type Function = (&'static str, &'static [usize], &'static [usize]);

const FUNCTIONS: [Function; 32] = [
    ("bool", &[1], &[]),
    ("bytes", &[1], &[]),
    ("contains", &[], &[1]),
    ("double", &[1], &[]),
    ("duration", &[1], &[]),
    ("dyn", &[1], &[]),
    ("endsWith", &[], &[1]),
    ("getDate", &[], &[0, 1]),
    ("getDayOfMonth", &[], &[0, 1]),
    ("getDayOfWeek", &[], &[0, 1]),
    ("getDayOfYear", &[], &[0, 1]),
    ("getFullYear", &[], &[0, 1]),
    ("getHours", &[], &[0, 1]),
    ("getMilliseconds", &[], &[0, 1]),
    ("getMinutes", &[], &[0, 1]),
    ("getMonth", &[], &[0, 1]),
    ("getSeconds", &[], &[0, 1]),
    ("glob", &[2], &[1]),
    ("hasValue", &[], &[0]),
    ("int", &[1], &[]),
    ("matches", &[2], &[1]),
    ("optFlatMap", &[], &[]),
    ("optMap", &[], &[]),
    ("or", &[], &[1]),
    ("orValue", &[], &[1]),
    ("size", &[1], &[0]),
    ("startsWith", &[], &[1]),
    ("string", &[1], &[]),
    ("timestamp", &[1], &[]),
    ("type", &[1], &[]),
    ("uint", &[1], &[]),
    ("value", &[], &[0]),
];

/// Expanded by the parser; a call that is left over was written wrongly.
const MACROS: [(&str, &str); 9] = [
    ("has", "has(claims.ref)"),
    ("all", "list.all(x, condition)"),
    ("exists", "list.exists(x, condition)"),
    ("exists_one", "list.exists_one(x, condition)"),
    ("existsOne", "list.existsOne(x, condition)"),
    ("map", "list.map(x, value)"),
    ("filter", "list.filter(x, condition)"),
    ("optMap", "optional.optMap(x, value)"),
    ("optFlatMap", "optional.optFlatMap(x, optional)"),
];

/// Whether `name` is one of the values that an expression of this kind sees.
pub(super) fn is_root(name: &str, kind: Kind) -> bool {
    ROOTS.contains(&name) && (name != ACTOR || kind == Kind::Actor)
}

/// Whether `name` is a type such as `string`, for `type(x) == string`.
pub(super) fn is_type(name: &str) -> bool {
    TYPES.contains(&name)
}

/// Whether a comprehension's variable may not have this name, because it would hide something.
pub(super) fn is_reserved(name: &str) -> bool {
    ROOTS.contains(&name) || is_type(name) || name == OPTIONAL
}

/// Checks `root.field` where the fields of `root` are known beforehand.
pub(super) fn check_field(root: &str, field: &str) -> Result<(), CompileError> {
    let field = &crate::oauth::cut(field);
    let fields = match root {
        CLIENT => CLIENT_FIELDS,
        REQUEST => REQUEST_FIELDS,
        CONNECTOR => {
            return Err(CompileError::new(format!(
                "`connector` is the connector's id, a string without `{field}`: write connector == 'id'"
            )));
        }
        _ => return Ok(()),
    };
    if fields.contains(&field.as_str()) {
        return Ok(());
    }
    let instead = closest(field, fields).map_or_else(
        || fields.map(|f| format!("{root}.{f}")).join(", "),
        |f| format!("{root}.{f}"),
    );
    Err(CompileError::new(format!(
        "`{root}` has no `{field}`: write {instead}"
    )))
}

/// The error for a name that nothing declares.
pub(super) fn unknown_name(name: &str, kind: Kind) -> CompileError {
    if name == ACTOR {
        return CompileError::new(
            "`actor` is known only in the conditions under `actors`: write it there",
        );
    }
    let name = &crate::oauth::cut(name);
    let bare = name.trim_start_matches('.');
    let visible = ROOTS.into_iter().filter(|root| is_root(root, kind));
    let instead = match closest(bare, visible) {
        Some(root) => root.to_owned(),
        None => format!("claims.{bare} if you mean the claim, or '{bare}' if you mean the text"),
    };
    CompileError::new(format!("unknown name `{name}`: write {instead}"))
}

/// Checks a call of `optional.NAME` with `count` arguments.
pub(super) fn check_optional(name: &str, count: usize) -> Result<(), CompileError> {
    if OPTIONAL_FUNCTIONS.contains(&(name, count)) {
        return Ok(());
    }
    let name = crate::oauth::cut(name);
    Err(CompileError::new(format!(
        "unknown function `optional.{name}`: write optional.of(x), optional.ofNonZeroValue(x) or optional.none()"
    )))
}

/// Checks that a function `name` exists and takes `count` arguments, called as a method or not.
pub(super) fn check_function(name: &str, count: usize, method: bool) -> Result<(), CompileError> {
    if let Some((_, usage)) = MACROS.iter().find(|(macro_name, _)| *macro_name == name) {
        return Err(CompileError::new(format!("`{name}` is written {usage}")));
    }
    let Some((_, global, member)) = FUNCTIONS.iter().find(|(known, ..)| *known == name) else {
        return Err(unknown_function(name));
    };
    let (same, other) = if method {
        (member, global)
    } else {
        (global, member)
    };
    if same.contains(&count) {
        return Ok(());
    }
    Err(CompileError::new(match (same.first(), method) {
        (Some(_), true) => format!(
            "`.{name}()` cannot take {count} arguments{}",
            usage(member, "value.", name)
        ),
        (Some(_), false) => format!(
            "`{name}()` cannot take {count} arguments{}",
            usage(global, "", name)
        ),
        (None, true) => format!(
            "`{name}` is not called on a value{}",
            usage(other, "", name)
        ),
        (None, false) => format!(
            "`{name}` is called on a value{}",
            usage(other, "value.", name)
        ),
    }))
}

fn usage(counts: &[usize], before: &str, name: &str) -> String {
    match counts.first() {
        Some(count) => format!(": write {before}{name}({})", vec!["x"; *count].join(", ")),
        None => String::new(),
    }
}

fn unknown_function(name: &str) -> CompileError {
    let name = &crate::oauth::cut(name);
    let bare = name.trim_start_matches('.');
    let known = FUNCTIONS
        .iter()
        .map(|f| f.0)
        .chain(MACROS.iter().map(|m| m.0));
    CompileError::new(match closest(bare, known) {
        Some(known) => format!("unknown function `{name}`: did you mean `{known}`?"),
        None => format!(
            "unknown function `{name}`: use ==, in, has, startsWith, endsWith, contains, matches, glob, exists, all or size"
        ),
    })
}

/// The candidate that `name` is most likely a slip of the pen for.
fn closest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = (name.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| {
            let distance = strsim::damerau_levenshtein(
                &name.to_lowercase().replace('_', ""),
                &candidate.to_lowercase().replace('_', ""),
            );
            (distance, candidate)
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_what_was_meant() {
        let name = |name| unknown_name(name, Kind::Condition).to_string();
        assert!(name("environment").contains("write claims.environment"));
        assert!(name("claim").contains("write claims"));
        assert!(name("Request").contains("write request"));
        assert!(name("actor").contains("`actors`"));
        let call =
            |name, count, method| check_function(name, count, method).unwrap_err().to_string();
        assert!(call("startswith", 1, true).contains("`startsWith`"));
        assert!(call("starts_with", 1, true).contains("`startsWith`"));
        assert!(call("startsWith", 2, false).contains("value.startsWith(x)"));
        assert!(call("size", 2, false).contains("size(x)"));
        assert!(call("exists", 1, true).contains("list.exists(x, condition)"));
        assert!(call("frobnicate", 1, true).contains("unknown function"));
        assert!(
            check_field("request", "audiences")
                .unwrap_err()
                .to_string()
                .contains("request.audience")
        );
        assert!(
            check_field("client", "secret")
                .unwrap_err()
                .to_string()
                .contains("client.id")
        );
        assert!(check_field("claims", "anything").is_ok());
    }

    #[test]
    fn a_long_name_is_compared_quickly() {
        assert!(
            unknown_name(&"a".repeat(4096), Kind::Condition)
                .to_string()
                .contains("unknown")
        );
    }
}
