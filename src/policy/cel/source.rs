//! From text to syntax tree, with the text bounded before the parser sees it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cel::{Env, IdedExpr, ParseErrors};

use super::compile::{CompileError, Kind};

/// Bytes of the longest source.
const LONGEST: usize = 4096;

/// How deep `(`, `[` and `{` may nest outside string literals.
const DEEPEST: usize = 32;

/// Stack of the compiling thread: the worst 4 KiB (2,000 chained operators) take some 1 MiB of it.
const STACK: usize = 16 * 1024 * 1024;

/// Bytes of a source that any stack can hold. Most are that short, and a thread costs more than parsing them.
const SHORT: usize = 256;

/// Runs `work`, which parses `source`, on a stack that is large enough; a panic becomes an error.
pub(super) fn on_large_stack<R: Send>(
    source: &str,
    work: impl FnOnce() -> Result<R, CompileError> + Send,
) -> Result<R, CompileError> {
    if source.len() <= SHORT {
        let work = AssertUnwindSafe(work);
        return catch_unwind(work).unwrap_or_else(|_panic| Err(unreadable()));
    }
    std::thread::scope(|threads| {
        std::thread::Builder::new()
            .name("cel-compiler".to_owned())
            .stack_size(STACK)
            .spawn_scoped(threads, work)
            .map_err(|e| {
                CompileError::new(format!(
                    "no thread could be started to compile it ({e}): raise the limit of processes"
                ))
            })?
            .join()
            .unwrap_or_else(|_panic| Err(unreadable()))
    })
}

/// The syntax tree of `source`, its macros expanded; an error if it is too long, too deep or no CEL.
pub(super) fn parse(env: &Env, source: &str, kind: Kind) -> Result<IdedExpr, CompileError> {
    check_size(source, kind)?;
    env.parser().parse(source).map_err(|e| syntax_error(&e))
}

fn check_size(source: &str, kind: Kind) -> Result<(), CompileError> {
    if source.trim().is_empty() {
        return Err(CompileError::new(match kind {
            Kind::Claim => "it is empty: write an expression such as claims.sub",
            Kind::Condition | Kind::Actor => {
                "it is empty: write a condition such as claims.ref == 'refs/heads/main', or true"
            }
        }));
    }
    if source.len() > LONGEST {
        return Err(CompileError::new(format!(
            "it is {} bytes long, at most {LONGEST} are read: split it into several conditions",
            source.len()
        )));
    }
    if depth(source) > DEEPEST {
        return Err(CompileError::new(format!(
            "its brackets nest more than {DEEPEST} deep: split it into several conditions"
        )));
    }
    Ok(())
}

/// How deep the brackets outside string literals and comments nest.
fn depth(source: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = source;
    let mut raw = false;
    while let Some(c) = rest.chars().next() {
        if c == '\'' || c == '"' {
            rest = after_string(rest, c, raw);
            raw = false;
            continue;
        }
        if rest.starts_with("//") {
            rest = rest.find('\n').and_then(|at| rest.get(at..)).unwrap_or("");
            continue;
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
        raw = matches!(c, 'r' | 'R') || (raw && matches!(c, 'b' | 'B'));
        rest = rest.get(c.len_utf8()..).unwrap_or("");
    }
    deepest
}

/// What follows the string literal that `rest` begins with. A newline ends a short literal: the lexer reads none there.
fn after_string(rest: &str, quote: char, raw: bool) -> &str {
    let triple = quote.to_string().repeat(3);
    let long = rest.starts_with(&triple);
    let end = if long { triple.as_str() } else { &triple[..1] };
    let mut body = rest.get(end.len()..).unwrap_or("");
    while let Some(c) = body.chars().next() {
        if let Some(after) = body.strip_prefix(end) {
            return after;
        }
        if c == '\n' && !long {
            return body;
        }
        let mut skip = c.len_utf8();
        if c == '\\' && !raw {
            skip += body.chars().nth(1).map_or(0, char::len_utf8);
        }
        body = body.get(skip..).unwrap_or("");
    }
    body
}

fn unreadable() -> CompileError {
    CompileError::new("the compiler cannot read it: write it in a simpler way")
}

fn syntax_error(errors: &ParseErrors) -> CompileError {
    let Some(first) = errors.errors.first() else {
        return unreadable();
    };
    let what = first.msg.trim_start_matches("Syntax error: ");
    if what.contains("Recursion limit") {
        return CompileError::new("it nests too deep: split it into several conditions");
    }
    if what.contains("has() macro") {
        return CompileError::new(
            "has() takes a field such as has(claims.ref); for other names write 'a/b' in claims",
        );
    }
    let what = what.split(" expecting ").next().unwrap_or(what);
    let (line, column) = first.pos;
    CompileError::new(format!(
        "it cannot be read at line {line}, column {column} ({}): check the quotes, brackets and operators there",
        crate::oauth::cut(what)
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Expr, Root};
    use super::*;

    fn parse_text(source: &str) -> Result<IdedExpr, CompileError> {
        on_large_stack(source, || parse(&Env::stdlib(), source, Kind::Condition))
    }

    #[test]
    fn brackets_in_literals_and_comments_do_not_count() {
        assert_eq!(depth("((a))"), 2);
        assert_eq!(
            depth("'(((' + \"[[[\" + '''{'{''' + r'\\(' + '\\'((' // ((("),
            0
        );
        assert_eq!(depth("r'\\' + ('(')"), 1);
        assert_eq!(depth("'a\n(("), 2);
        assert_eq!(depth("'"), 0);
    }

    #[test]
    fn long_and_deep_sources_are_refused_before_parsing() {
        let text = |source: &str| parse_text(source).map(drop).unwrap_err().to_string();
        assert!(text(&"a".repeat(4097)).contains("4097 bytes"));
        for open in ["(", "[", "{", "f("] {
            assert!(text(&open.repeat(4096 / open.len())).contains("32 deep"));
        }
        assert!(text(" \n").contains("empty"));
        let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert!(parse_text(&nested(32)).is_ok());
        assert!(text(&nested(33)).contains("32 deep"));
    }

    #[test]
    fn hostile_sources_of_four_kib_end_in_a_tree_or_an_error() {
        const UNREADABLE: &str = "it cannot be read at line 1";
        const OK: &str = "a tree";
        let outcome =
            |source: &str| parse_text(source).map_or_else(|e| e.to_string(), |_| OK.to_owned());
        for (pieces, alone, before_a_number) in [
            (&[".a"][..], OK, OK),
            (
                &["!", "-", "a+", "a==", "a||", "a&&", "a in "],
                UNREADABLE,
                OK,
            ),
            (&["\n"], "it is empty", OK),
            (&["a?1:"], "it nests too deep", "it nests too deep"),
            (
                &[
                    "-!", "a.", "a?", "'", "\"", "\\", "a[0]", "?", ":", "]", ")", "1,", "é", "\0",
                    "r'", "//", "a ", "`",
                ],
                UNREADABLE,
                UNREADABLE,
            ),
        ] {
            for piece in pieces {
                let mut source = piece.repeat(4096 / piece.len());
                let found = outcome(&source);
                assert!(found.starts_with(alone), "{piece:?}: {found}");
                source.truncate(4095 - (4095 % piece.len()));
                source.push('1');
                let found = outcome(&source);
                assert!(
                    found.starts_with(before_a_number),
                    "{piece:?} and a number: {found}"
                );
            }
        }
    }

    #[test]
    fn short_sources_need_little_stack() {
        let small = std::thread::Builder::new().stack_size(1024 * 1024);
        let parse_all = || {
            for piece in ["!", "-", "a?1:", "a+", "a==", "a||", "a[0]+"] {
                for (open, close) in [("(", ")"), ("[", "]"), ("{1:", "}")] {
                    let filling = piece.repeat((SHORT - 31 * 4 - 1) / piece.len());
                    let source = format!("{}{filling}1{}", open.repeat(31), close.repeat(31));
                    assert!(source.len() <= SHORT);
                    assert!(parse_text(&source).is_ok(), "{source}");
                    // It is looked at whole, whatever is wrong with it.
                    let compiled = Expr::compile(&Root::new(), &source, Kind::Condition);
                    let found = compiled.map_or_else(|e| e.to_string(), |_| "nothing".to_owned());
                    let wrong = match (piece, open) {
                        ("!" | "-", _) => "nothing",
                        ("a+", "[" | "{1:") => "it nests or chains more than 80",
                        _ => "unknown name `a`",
                    };
                    assert!(found.starts_with(wrong), "{source}: {found}");
                }
            }
        };
        small.spawn(parse_all).unwrap().join().unwrap();
    }

    #[test]
    fn errors_say_where_and_what_to_do() {
        let text = parse_text("claims.ref ==")
            .map(drop)
            .unwrap_err()
            .to_string();
        assert!(text.contains("line 1, column 14"), "{text}");
        let text = parse_text("has(claims['a'])").map(drop).unwrap_err();
        assert!(text.to_string().contains("in claims"), "{text}");
    }
}
