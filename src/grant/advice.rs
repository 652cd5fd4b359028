//! What to send instead of a parameter or a member that is wrong; values are never quoted, they may be tokens.

use crate::config::near;
use crate::oauth::{CLIENT_CREDENTIALS, Form, Reason, Refusal, TOKEN_EXCHANGE, TokenType, cut};

/// Names under which people send the subject token.
const TOKEN_NAMES: [&str; 6] = [
    "token",
    "id_token",
    "access_token",
    "jwt",
    "assertion",
    "subject_token",
];

/// Parameters of the form that the JSON body does not have.
const FORM_ONLY: [&str; 10] = [
    "grant_type",
    "subject_token_type",
    "requested_token_type",
    "resource",
    "scope",
    "scopes",
    "actor_token",
    "actor_token_type",
    "nonce",
    "client_assertion",
];

/// Longer values are not misspelt names.
const LONGEST_NAME: usize = 100;

/// The refusal of a form without a `grant_type`.
pub(super) fn no_grant_type(form: &Form<'_>) -> Refusal {
    let advice = if form.looks_like_json() {
        "the body looks like JSON, which needs the header -H 'Content-Type: application/json'"
            .to_owned()
    } else {
        let token = sent_as(form).map_or_else(String::new, |name| {
            format!(", and `{name}` is sent as `subject_token`")
        });
        format!(
            "a form for a token exchange has grant_type={TOKEN_EXCHANGE}, subject_token and subject_token_type{token}; the simple exchange takes JSON with `token`, under Content-Type: application/json"
        )
    };
    missing("grant_type", &advice)
}

/// The refusal of a `grant_type` that is not enabled.
pub(super) fn grant(wanted: &str, enabled: &[&str]) -> Refusal {
    let short = match last_word(wanted, ["token_exchange", CLIENT_CREDENTIALS]) {
        Some("token_exchange") => Some(TOKEN_EXCHANGE),
        short => short,
    };
    let advice = match short.filter(|name| enabled.contains(name)) {
        Some(name) => format!("; write grant_type={name}"),
        None if short == Some(CLIENT_CREDENTIALS) => {
            format!("; {CLIENT_CREDENTIALS} is enabled by a client that lists it in `grants`")
        }
        None => String::new(),
    };
    Refusal::new(
        Reason::GrantUnsupported,
        format!(
            "the grant_type is not one of those enabled: {}{advice}",
            enabled.join(", ")
        ),
    )
}

/// The refusal of a form without the token `name`.
pub(super) fn no_token(form: &Form<'_>, name: &str) -> Refusal {
    let advice = match sent_as(form) {
        Some(other) if name == "subject_token" => format!("`{other}` is sent under this name"),
        _ => "it holds a token; if it comes from a variable, is that set?".to_owned(),
    };
    missing(name, &advice)
}

/// The refusal of a form without the token type `name`.
pub(super) fn no_token_type(name: &str) -> Refusal {
    let urn = TokenType::IdToken.urn();
    missing(name, &format!("for an ID token it is {urn}"))
}

/// The refusal of a `value` that is no token type.
pub(super) fn token_type(name: &str, value: &str) -> Refusal {
    let advice = match last_word(value, ["id_token", "jwt", "access_token"]) {
        Some("id_token") => Some(TokenType::IdToken),
        Some("jwt") => Some(TokenType::Jwt),
        Some(_) => Some(TokenType::AccessToken),
        None => None,
    };
    let advice = advice.map_or_else(String::new, |kind| format!("; write {}", kind.urn()));
    Refusal::new(
        Reason::ParameterMalformed,
        format!(
            "`{name}` is not one of {}, {} and {}{advice}",
            TokenType::IdToken.urn(),
            TokenType::Jwt.urn(),
            TokenType::AccessToken.urn(),
        ),
    )
}

/// The refusal of a member of the JSON body that is none of `known`.
pub(super) fn member(name: &str, known: &[&str]) -> Refusal {
    let meant = match name {
        "aud" | "target" => Some("audience"),
        "algorithm" => Some("alg"),
        "connector" => Some("connector_id"),
        name if TOKEN_NAMES.contains(&name) => Some("token"),
        name if FORM_ONLY.contains(&name) || name.len() > LONGEST_NAME => None,
        name => near(&folded(name), known.iter().copied()),
    };
    let advice = match (meant, name) {
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, "client_id" | "client_secret") => {
            "a client authenticates with Basic here (curl -u ID:SECRET)".to_owned()
        }
        (None, "resource") => {
            "`audience` says what the new token is for; `resource` takes the OAuth form, sent as application/x-www-form-urlencoded".to_owned()
        }
        (None, name) if FORM_ONLY.contains(&name) => {
            "it takes the OAuth form, sent as application/x-www-form-urlencoded (curl --data-urlencode, without a Content-Type)".to_owned()
        }
        (None, _) => format!("there are {}", known.join(", ")),
    };
    Refusal::new(
        Reason::ParameterMalformed,
        format!(
            "the JSON body has an unknown member `{}`: {advice}",
            cut(name)
        ),
    )
}

fn missing(name: &str, advice: &str) -> Refusal {
    Refusal::new(
        Reason::ParameterMissing,
        format!("the parameter `{name}` is missing or empty: {advice}"),
    )
}

/// The other name under which a form has the subject token.
fn sent_as<'n>(form: &Form<'_>) -> Option<&'n str> {
    let mut others = TOKEN_NAMES
        .into_iter()
        .filter(|name| *name != "subject_token");
    others.find(|name| form.get(name).is_some())
}

/// Which of `known` is meant by the last part of something like a URN.
fn last_word<'k, const N: usize>(value: &str, known: [&'k str; N]) -> Option<&'k str> {
    let value = value.trim_ascii();
    let last = value.rsplit(':').next()?;
    let is_name = value.len() <= LONGEST_NAME && !last.is_empty();
    is_name.then(|| near(&folded(last), known.into_iter()))?
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', ' '], "_")
}
