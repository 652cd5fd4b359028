//! What every function gives at the edges of what it takes.

use serde_json::json;

use super::{Expr, Kind, Root, Scope, Values, Verdict};
use crate::jose::Members;

/// Expressions, and behind `=>` the value in JSON or why there is none.
const EDGES: &str = r#"
    -claims.min => a number is out of range: the claim `min` is -9223372036854775808
    claims.min / -1 => a number is out of range: the claim `min` is -9223372036854775808
    claims.min % -1 => a number is out of range: the claim `min` is -9223372036854775808
    claims.max + 1 => a number is out of range: the claim `max` is 9223372036854775807
    claims.min - 1 => a number is out of range: the claim `min` is -9223372036854775808
    claims.max * 2 => a number is out of range: the claim `max` is 9223372036854775807
    claims.u + 1u => a number is out of range: the claim `u` is 18446744073709551615
    0u - 1u => a number is out of range
    claims.u * 2u => a number is out of range: the claim `u` is 18446744073709551615
    1 % 0 => a number is divided by zero
    1u / 0u => a number is divided by zero
    -claims.u => `-` cannot take (uint): the claim `u` is 18446744073709551615
    claims.min == -9223372036854775808 => true
    int(1e300) => `int`: integer overflow
    int(-9223372036854775808.0) => `int`: integer overflow
    uint(-1) => `uint`: unsigned integer overflow
    uint(1e300) => `uint`: unsigned integer overflow
    int(claims.u) => `int`: integer overflow: the claim `u` is 18446744073709551615
    int('x') => `int`: string parse error: invalid digit found in string
    double('') => `double`: string parse error: cannot parse float from empty string
    uint('') => `uint`: string parse error: cannot parse integer from empty string
    bool('x') => `bool`: Type conversion error from 'string' to 'bool'
    string(b'\xff') => `string`: invalid UTF-8 in bytes, cannot convert to string
    bytes(claims.s) => it gives a bytes, which a token cannot hold: write string(...)
    claims.s[0] => `[]` cannot take (string, int): the claim `s` is "é"
    claims.l[0] => an index is beyond the end of a list: the claim `l` is []
    claims.l[-1] => an index is beyond the end of a list: the claim `l` is []
    claims.l[1.5] => a value cannot be an index: the claim `l` is []
    claims.l[1e300] => a value cannot be an index: the claim `l` is []
    [1][18446744073709551615u] => an index is beyond the end of a list
    0x7fffffffffffffff => 9223372036854775807
    -0x8000000000000000 => -9223372036854775808
    1e-400 => 0.0
    b'\377' => it gives a bytes, which a token cannot hold: write string(...)
    timestamp('0001-01-01T00:00:00Z').getFullYear('-23:59') => 0
    timestamp('0001-01-01T00:00:00Z').getDayOfYear('-23:59') => 365
    timestamp('9999-12-31T23:59:59Z').getDayOfYear('+23:59') => 0
    timestamp('0001-01-01T00:00:00Z').getHours('No/Land') => `timezone`: unknown time zone No/Land
    timestamp('9999-12-31T23:59:59Z').getFullYear('Pacific/Kiritimati') => 10000
    timestamp(0).getDate('é:é') => `timezone`: invalid digit found in string
    timestamp('') => `timestamp`: premature end of input
    timestamp(0).getDate(':') => `timezone`: cannot parse integer from empty string
    timestamp(0).getDate('') => 1
    timestamp(0).getDate('99999999999:0') => `timezone`: number too large to fit in target type
    timestamp(claims.max) => `timestamp`: timestamp out of range: the claim `max` is 9223372036854775807
    timestamp('2016-12-31T23:59:60Z').getSeconds() => 59
    timestamp('9999-12-31T23:59:59Z') + duration('292y') => `duration`: Parsing Error: Error { input: "y", code: Char }
    timestamp(claims.min) => `timestamp`: timestamp out of range: the claim `min` is -9223372036854775808
    timestamp('9999-12-31T23:59:59Z') + duration('2562047h') => a number is out of range
    string(timestamp(0)) => "1970-01-01T00:00:00Z"
    timestamp('0001-01-01T00:00:00Z') - duration('2562047h') => a number is out of range
    timestamp('0001-01-01T00:00:00+23:59') => `timestamp`: range error parsing timestamp
    timestamp('9999-12-31T23:59:59Z') - timestamp('0001-01-01T00:00:00Z') => a number is out of range
    string(duration('-9223372036.8s')) => "-9223372036.799998976s"
    duration('--1e300h') => `duration`: range error parsing duration
    duration('1e308h1e308h') => `duration`: Parsing Failure: Error { input: "", code: TooLarge }
    duration('-1e308h-1e308h') => it gives a duration, which a token cannot hold: write string(...)
    duration('nanh') => `duration`: Parsing Failure: Error { input: "", code: TooLarge }
    duration('infs') => `duration`: range error parsing duration
    duration('') => `duration`: Parsing Error: Error { input: "", code: Float }
    duration('-') => `duration`: Parsing Error: Error { input: "", code: Float }
    duration('0') => it gives a duration, which a token cannot hold: write string(...)
    duration('9223372036.854775807s') + duration('1s') => a number is out of range
    duration('1é') => `duration`: Parsing Error: Error { input: "é", code: Char }
    claims.nil < 1 => `<` cannot take (null, int): the claim `nil` is null
    claims.nil + claims.nil => `+` cannot take (null, null): the claim `nil` is null
    claims == claims => true
    claims < claims => `<` cannot take (map, map)
    !claims.s => `!` cannot take (string): the claim `s` is "é"
    null in claims => `in` cannot take (null, map)
    {'a': 1, 'a': 2} => a map has the same key twice
    {1.5: 1} => a value cannot be the key of a map
    {null: 1} => a value cannot be the key of a map
    {[]: 1} => a value cannot be the key of a map
    1 in claims.s => `in` cannot take (int, string): the claim `s` is "é"
    claims in claims => `in` cannot take (map, map)
    1.5 in claims => false
    '' in '' => `in` cannot take (string, string)
    claims.s in null => `in` cannot take (string, null): the claim `s` is "é"
    claims.nil.exists(x, true) => a value is no iterable: the claim `nil` is null
    claims.s.all(x, true) => a value is no iterable: the claim `s` is "é"
    claims.l.exists_one(x, x) => false
    size(1) => `size` cannot take (int)
    type(type(1)) => it gives a type, which a token cannot hold: write a string, number, boolean, list or map
    dyn(claims) => {"e":"","l":[],"max":9223372036854775807,"min":-9223372036854775808,"nil":null,"s":"é","u":18446744073709551615}
    optional.none().value() => `value`: optional.none() dereference
    optional.of(claims) => it gives a optional, which a token cannot hold: write .orValue(...), with null to leave the claim out
    [?optional.none()] => []
    string => it gives a type, which a token cannot hold: write a string, number, boolean, list or map
    {?'a': optional.none()} => {}
    optional.of(1).or(2) => it gives a optional, which a token cannot hold: write .orValue(...), with null to leave the claim out
    optional.none().optMap(x, 1 / 0) => it gives a optional, which a token cannot hold: write .orValue(...), with null to leave the claim out
    optional.ofNonZeroValue(0) => it gives a optional, which a token cannot hold: write .orValue(...), with null to leave the claim out
    claims.?s.?t => it gives a optional, which a token cannot hold: write .orValue(...), with null to leave the claim out
    claims[?1] => it gives a optional, which a token cannot hold: write .orValue(...), with null to leave the claim out
    claims.e.matches('') => true
    glob(claims.e, '**') => true
    claims.e.startsWith(claims.s) => false
    [1, 2].map(x, x, x) => a value is no bool
    [1].exists(x, x) => `||` cannot take (bool, int)
    [1].filter(x, 1) => a value is no bool
    [1].map(x, [x].map(x, x)) => [[1]]
    1 ? 2 : 3 => a value is no bool
    true ? 1 / 0 : 2 => a number is divided by zero
    [1] + {'a': 1} => [1,"a"]
    size(claims.l + claims) => 7
    b'a' + b'b' => it gives a bytes, which a token cannot hold: write string(...)
    double(claims.u) == claims.u => true
    r'\' + "\U0010FFFF" => "\\􏿿"
    '"' == claims.s => false
    claims.u == 18446744073709551615u => true
    optional.of(claims.l).value() == [] => true
    claims.l[1.0 / 4.0] => a value cannot be an index: the claim `l` is []
    {1: 'a'}[1.0 / 1.0] => "a"
"#;

#[test]
fn every_edge_has_one_outcome() {
    let claims = Members::of(&json!({
        "min": i64::MIN, "max": i64::MAX, "u": u64::MAX, "s": "é", "e": "", "nil": null, "l": []
    }));
    let root = Root::new();
    for line in EDGES.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (source, expected) = line.split_once(" => ").expect(line);
        let claim = Expr::compile(&root, source, Kind::Claim).expect(source);
        let scope = Scope::new(&root, claim.reads(), Values::of(&claims));
        let outcome = match scope.compute(&claim) {
            Ok(value) => value.unwrap_or_default().to_string(),
            Err(why) => why,
        };
        assert_eq!(outcome, expected, "{source}");
        let condition = Expr::compile(&root, source, Kind::Condition).expect(source);
        let verdict = scope.verdict(&condition);
        assert_eq!(
            verdict == Verdict::Holds,
            expected == "true",
            "{source}: {verdict:?}"
        );
    }
}
