//! What people send by mistake where a token belongs, recognised to say so; the words never quote it.

use serde_json::Value;

/// Members under which services hand out a token, as GitHub's `{"count": ..., "value": ...}` does.
const HOLDERS: [&str; 5] = ["value", "token", "id_token", "access_token", "jwt"];

/// What is wrong with `text`, which could not be read as a JWT, and what to do; `None` where that is not plain to see.
pub(super) fn recognise(text: &str) -> Option<String> {
    let is_cut = || text.bytes().filter(|byte| *byte == b'.').count() == 1;
    of_any_token(text)
        .or_else(|| is_cut().then(|| "it has two parts: the end was cut off".to_owned()))
}

/// The same of a text that need not be a JWT.
pub(super) fn of_any_token(text: &str) -> Option<String> {
    let unquoted = text.trim_matches(is_quote);
    let words = if is_variable(unquoted) {
        "it is a variable that was not replaced by its value (`$NAME`, `${NAME}`, `$(...)`, `%NAME%`): a POSIX shell replaces it in double quotes, not in single quotes"
    } else if text.starts_with(is_quote) || text.ends_with(is_quote) {
        "there are quotes around it: send it without them (`jq -r` prints none)"
    } else if is_header(text) {
        "it begins with `Bearer`, the scheme of a header: send the token alone"
    } else if text.starts_with(['{', '[']) {
        return Some(json(text));
    } else if ["null", "undefined", "None"].contains(&text) {
        "there was no token where it was taken from: `jq -r` prints null for a member that is absent"
    } else if text.starts_with('@') {
        "it is the name of a file: curl reads one with --data-urlencode subject_token@FILE, without `=`"
    } else if !text.is_empty() && text.bytes().all(|byte| byte == b'*') {
        "it is masked: it was copied from a log"
    } else if text.contains(['\r', '\n']) {
        "there are line breaks in it: send it in one line"
    } else if text.contains(char::is_whitespace) {
        "there is white space in it: send it in one piece"
    } else if text.contains("%2E") || text.contains("%2e") {
        "it is percent-encoded once more than it should be"
    } else {
        return None;
    };
    Some(words.to_owned())
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '\u{201c}' | '\u{201d}')
}

/// A variable or a command of a shell or of a CI system that stands there literally.
fn is_variable(text: &str) -> bool {
    let is_percent = text.len() > 2 && text.starts_with('%') && text.ends_with('%');
    is_percent || ["$", "`", "{{"].iter().any(|start| text.starts_with(start))
}

/// Whether it is the value of an `Authorization` header, or the whole line.
fn is_header(text: &str) -> bool {
    let begins = |with: &str| {
        let start = text.get(..with.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    begins("bearer ") || begins("authorization:") || text.eq_ignore_ascii_case("bearer")
}

fn json(text: &str) -> String {
    let object = serde_json::from_str::<Value>(text).ok();
    let holder = HOLDERS.iter().find(|name| {
        let member = object.as_ref().and_then(|object| object.get(**name));
        member.is_some_and(Value::is_string)
    });
    match holder {
        Some(name) => {
            format!("it is JSON: send only its member `{name}` (`jq -r .{name}` prints that)")
        }
        None => "it is JSON: send the token alone".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_plain_to_see_is_not_guessed() {
        for text in ["", "a.b.c", "a", "a.b.c.d.e", "%", "%%", "Bearerx", "é"] {
            assert_eq!(recognise(text), None, "{text}");
        }
    }
}
