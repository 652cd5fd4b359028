//! The simple exchange: a JSON body with the token in it, the new token as the reply (as oidc-token-proxy).

use serde_json::Value;

use super::registry::Caller;
use super::{Event, Exchange, Redeemed, Request, Secret, advice};
use crate::jose::{Member, Members, NotStrict};
use crate::oauth::{Reason, Refusal, TokenType};
use crate::policy::Targets;

/// Every member that the body can have.
const MEMBERS: [&str; 4] = ["token", "alg", "connector_id", "audience"];

/// The parameter that every form has.
const GRANT_TYPE: &str = "grant_type";

/// The members of a simple exchange.
pub struct Simple {
    token: String,
    alg: Option<String>,
    connector_id: Option<String>,
    targets: Targets,
}

impl Simple {
    /// The name of this way in, in events and metrics.
    pub const NAME: &'static str = "simple";

    /// Reads the body; a member that is not known is refused, since the caller meant something by it.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let members = Members::parse(body.to_vec()).map_err(|error| not_an_object(&error, body))?;
        check_names(&members)?;
        let token = text(&members, "token")?.map_or("", str::trim_ascii);
        if token.is_empty() {
            return Err(Refusal::new(
                Reason::ParameterMissing,
                "the member `token` is missing or empty: it holds the token to exchange; if it comes from a variable, is that set?",
            ));
        }
        let mut targets = Targets::default();
        if let Some(audience) = text(&members, "audience")? {
            targets.audience(audience);
        }
        Ok(Self {
            token: token.to_owned(),
            alg: text(&members, "alg")?.map(str::to_owned),
            connector_id: text(&members, "connector_id")?.map(str::to_owned),
            targets,
        })
    }

    /// Decides on the request and issues the token.
    pub async fn redeem(
        &self,
        exchange: &Exchange,
        caller: &Caller<'_>,
        event: &mut Event,
    ) -> Result<Redeemed, Refusal> {
        let request = Request {
            issuer: caller.issuer,
            from: caller.from,
            client: caller.client.as_ref(),
            subject_token: Secret(&self.token),
            // Its kind is not said; who names a connector says whose it is.
            may_be_opaque: self.connector_id.is_some(),
            connector_id: self.connector_id.as_deref(),
            actor_token: None,
            targets: &self.targets,
            scopes: &[],
            requested_token_type: TokenType::AccessToken,
            alg: self.alg.as_deref(),
        };
        let (issued, scope) = exchange.issue(&request, event).await?;
        Ok(Redeemed {
            issued,
            kind: Some(TokenType::AccessToken),
            scope,
            id_token: None,
        })
    }
}

impl std::fmt::Debug for Simple {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simple")
            .field("alg", &self.alg)
            .field("connector_id", &self.connector_id)
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

fn check_names(members: &Members) -> Result<(), Refusal> {
    let mut unknown = members.iter().map(|(name, _)| name);
    let unknown = unknown.find(|name| !MEMBERS.contains(name));
    // Whoever sends a whole form as JSON is told that, not what one of its parameters is called here.
    let unknown = members.get(GRANT_TYPE).map(|_| GRANT_TYPE).or(unknown);
    unknown.map_or(Ok(()), |name| Err(advice::member(name, &MEMBERS)))
}

/// A member that is a string; empty and null count as absent.
fn text<'a>(members: &'a Members, name: &str) -> Result<Option<&'a str>, Refusal> {
    match members.get(name) {
        None | Some(Member::Other(Value::Null) | Member::Text("")) => Ok(None),
        Some(Member::Text(text)) => Ok(Some(text)),
        Some(Member::Other(_)) => {
            let advice = match name {
                "audience" => {
                    ": for several audiences send the OAuth form, with one `audience` each"
                }
                _ => "",
            };
            Err(Refusal::new(
                Reason::ParameterMalformed,
                format!("the member `{name}` is not a string{advice}"),
            ))
        }
    }
}

fn not_an_object(error: &NotStrict, body: &[u8]) -> Refusal {
    match error {
        NotStrict::Duplicate => Refusal::new(
            Reason::ParameterRepeated,
            "the JSON body has a member twice: send each once",
        ),
        NotStrict::Refused(_) => Refusal::new(
            Reason::ParameterMalformed,
            format!("the body {error}: send an object, {{\"token\": \"...\"}}"),
        ),
        NotStrict::Syntax(_) => Refusal::new(
            Reason::ContentTypeUnsupported,
            match mistake(body) {
                Some(mistake) => format!("the body {error}: {mistake}"),
                None => format!("the body {error}"),
            },
        ),
    }
}

/// Why a body is not JSON, where that is plain to see, and what to do.
fn mistake(body: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(body);
    if text.trim_ascii().is_empty() {
        return Some("it is empty; send {\"token\": \"...\"}");
    }
    let Some(inside) = text.trim_ascii_start().strip_prefix('{') else {
        let is_form = text.split_once('=').is_some_and(|(name, _)| is_name(name));
        return Some(if is_form {
            "it looks like a form, which is sent as application/x-www-form-urlencoded (curl does that without a Content-Type)"
        } else {
            "send an object, {\"token\": \"...\"}"
        });
    };
    let value = text.split_once("\"token\"").map(|(_, rest)| {
        let rest = rest.trim_ascii_start();
        rest.strip_prefix(':')
            .unwrap_or_default()
            .trim_ascii_start()
    });
    match value.map(|value| value.chars().next()) {
        Some(Some('$')) => Some(
            "there is a variable that was not replaced by its value: put double quotes around the whole body, and a backslash before each double quote in it",
        ),
        Some(Some(c)) if c.is_ascii_alphabetic() => Some(
            "the token in it is not quoted: put double quotes around the token, which in a double-quoted shell string are written with a backslash before each",
        ),
        Some(Some('}' | ',')) => {
            Some("nothing stands behind `token`: is the variable set that the token comes from?")
        }
        Some(Some('"')) if text.contains(['\n', '\r']) => {
            Some("write the token in one line, without line breaks")
        }
        _ if inside
            .trim_ascii_start()
            .starts_with(|c: char| c == '\'' || c.is_alphabetic()) =>
        {
            Some("names and texts stand in double quotes in JSON (some shells take them away)")
        }
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unquoted_token_gets_a_hint() {
        let refusal = Simple::parse(br#"{"token": eyJhbGciOi.e30.x}"#).unwrap_err();
        assert_eq!(refusal.reason, Reason::ContentTypeUnsupported);
        assert!(refusal.description.contains("not quoted"));
    }

    #[test]
    fn each_wrong_body_has_its_own_refusal() {
        for (body, reason) in [
            ("", Reason::ContentTypeUnsupported),
            ("token=x", Reason::ContentTypeUnsupported),
            (r#"{"token":"a","unknown":1}"#, Reason::ParameterMalformed),
            (r#"{"token":" "}"#, Reason::ParameterMissing),
            ("[]", Reason::ParameterMalformed),
            ("{}", Reason::ParameterMissing),
            (r#"{"token":""}"#, Reason::ParameterMissing),
            (r#"{"token":1}"#, Reason::ParameterMalformed),
            (r#"{"token":"a","alg":[]}"#, Reason::ParameterMalformed),
            (r#"{"token":"a","token":"a"}"#, Reason::ParameterRepeated),
            (r#"{"token":"a","x":1,"x":1}"#, Reason::ParameterRepeated),
        ] {
            assert_eq!(
                Simple::parse(body.as_bytes()).unwrap_err().reason,
                reason,
                "{body}"
            );
        }
    }
}
