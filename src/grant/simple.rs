//! The simple exchange: a JSON body with the token in it, the new token as the reply (as oidc-token-proxy).

use serde_json::Value;

use super::registry::Caller;
use super::{Event, Exchange, Redeemed, Request, Secret};
use crate::jose::{Member, Members, NotStrict};
use crate::oauth::{Reason, Refusal, TokenType};
use crate::policy::Targets;

/// The members of a simple exchange; unknown ones are ignored.
pub struct Simple {
    token: String,
    alg: Option<String>,
    connector_id: Option<String>,
    targets: Targets,
}

impl Simple {
    /// The name of this way in, in events and metrics.
    pub const NAME: &'static str = "simple";

    /// Reads the body.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let members = Members::parse(body.to_vec()).map_err(|error| not_an_object(&error, body))?;
        let Some(token) = text(&members, "token")? else {
            return Err(Refusal::new(
                Reason::ParameterMissing,
                "the member `token` is missing or empty: it holds the token to exchange",
            ));
        };
        let mut targets = Targets::default();
        if let Some(audience) = text(&members, "audience")? {
            targets.audience(&audience);
        }
        Ok(Self {
            token,
            alg: text(&members, "alg")?,
            connector_id: text(&members, "connector_id")?,
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
            client: caller.client.as_ref(),
            subject_token: Secret(&self.token),
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

/// A member that is a string; empty and null count as absent.
fn text(members: &Members, name: &str) -> Result<Option<String>, Refusal> {
    match members.get(name) {
        None | Some(Member::Other(Value::Null) | Member::Text("")) => Ok(None),
        Some(Member::Text(text)) => Ok(Some(text.to_owned())),
        Some(Member::Other(_)) => Err(Refusal::new(
            Reason::ParameterMalformed,
            format!("the member `{name}` is not a string"),
        )),
    }
}

fn not_an_object(error: &NotStrict, body: &[u8]) -> Refusal {
    match error {
        NotStrict::Duplicate => Refusal::new(
            Reason::ParameterRepeated,
            "the JSON body has a member twice: send each once",
        ),
        NotStrict::Refused(_) => {
            Refusal::new(Reason::ParameterMalformed, format!("the body {error}"))
        }
        NotStrict::Syntax(_) if has_unquoted_token(body) => Refusal::new(
            Reason::ContentTypeUnsupported,
            "the body is not JSON because the token in it is not quoted: put double quotes around the token, which in a double-quoted shell string are written with a backslash before each",
        ),
        NotStrict::Syntax(_) => {
            Refusal::new(Reason::ContentTypeUnsupported, format!("the body {error}"))
        }
    }
}

/// Whether `"token":` is followed by something that begins like a JWT instead of by a quote.
fn has_unquoted_token(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.split_once("\"token\"").is_some_and(|(_, rest)| {
        let rest = rest.trim_start().strip_prefix(':').unwrap_or_default();
        rest.trim_start()
            .starts_with(|c: char| c.is_ascii_alphabetic())
    })
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
        assert!(Simple::parse(br#"{"token":"a","unknown":1}"#).is_ok());
    }
}
