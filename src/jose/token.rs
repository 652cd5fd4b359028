//! A foreign token, before and after its signature was checked (RFC 7515, RFC 7519).

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::{
    Algorithm, GoodSignatures, Member, Members, Verified, VerifyingKey, base64url, mistakes,
};

/// The longest token that is read, in bytes.
pub const LONGEST_TOKEN: usize = 16 * 1024;

/// Header members whose mere presence is refused: each lets the token say how it wants to be verified.
const REFUSED_HEADERS: [&str; 7] = ["crit", "b64", "jwk", "jku", "x5u", "x5c", "zip"];

/// Why a text is no JWT that Remint reads; the words never quote the token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token {0}")]
pub struct Malformed(pub(super) String);

impl Malformed {
    pub(super) fn new(cause: impl Into<String>) -> Self {
        Self(cause.into())
    }
}

/// What a token says of itself; nothing of it may be believed.
pub struct Unverified<'a> {
    /// The whole token.
    text: &'a str,
    /// Header and claims as they came, with the dot between (RFC 7515 §5.1).
    signing_input: &'a str,
    signature: Vec<u8>,
    header: Header,
    claims: Claims,
    exp: f64,
}

/// The members of a JOSE header that matter here.
#[derive(Debug)]
struct Header {
    alg: String,
    kid: Option<String>,
    typ: Option<String>,
}

/// The claims of a token, its times already known to be numbers.
#[derive(Clone, Debug)]
pub struct Claims {
    members: Members,
    exp: Option<f64>,
    nbf: Option<f64>,
    iat: Option<f64>,
}

/// The leave to go on without a proof; only what explains, and issues nothing, has one.
#[derive(Clone, Copy, Debug)]
pub struct Presumption(());

impl Presumption {
    /// For `explain`, which shows what the steps behind a refusal would say.
    pub(crate) fn to_explain() -> Self {
        Self(())
    }
}

impl<'a> Unverified<'a> {
    /// Takes a compact JWS apart, strictly, without any trust in it.
    pub fn parse(token: &'a str) -> Result<Self, Malformed> {
        if token.len() > LONGEST_TOKEN {
            return Err(Malformed("is longer than 16 KiB".to_owned()));
        }
        Self::read(token).map_err(|Malformed(cause)| match mistakes::recognise(token) {
            Some(mistake) => Malformed(format!("{cause}; {mistake}")),
            None => Malformed(cause),
        })
    }

    fn read(token: &'a str) -> Result<Self, Malformed> {
        let no = |cause: &str| Err(Malformed(cause.to_owned()));
        let dots = token.bytes().filter(|byte| *byte == b'.').count();
        let parts = token
            .rsplit_once('.')
            .and_then(|(signing_input, signature)| {
                let (header, claims) = signing_input.split_once('.')?;
                Some((signing_input, header, claims, signature))
            });
        let (signing_input, header, claims, signature) = match (dots, parts) {
            (2, Some(parts)) => parts,
            (4, _) => return no("is encrypted (five parts); a signed JWT has three"),
            _ => {
                return no(
                    "is not a JWT: three base64url parts with dots between are expected (an opaque access token is sent with `connector_id`, and in a form with subject_token_type access_token, to a connector that sets `get_user_info`)",
                );
            }
        };
        let header = Header::parse(&object(header, "header")?)?;
        let claims = Claims::parse(object(claims, "payload")?)?;
        let Some(exp) = claims.exp else {
            return no("has no claim `exp`");
        };
        let Some(signature) = base64url::decode(signature) else {
            return no("has a signature that is not strict base64url");
        };
        Ok(Self {
            text: token,
            signing_input,
            signature,
            header,
            claims,
            exp,
        })
    }

    /// The `alg` of the header, whatever it is.
    pub fn alg(&self) -> &str {
        &self.header.alg
    }

    /// The `kid` of the header.
    pub fn kid(&self) -> Option<&str> {
        self.header.kid.as_deref()
    }

    /// The `typ` of the header.
    pub fn typ(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// The `iss` claim, `None` where it is absent or not a string.
    pub fn issuer(&self) -> Option<&str> {
        self.claims.text("iss")
    }

    /// Seconds since the Unix epoch at which the token says that it expires.
    pub fn exp(&self) -> f64 {
        self.exp
    }

    /// Checks the signature with each of `candidates`, unless it is known to be good; the token comes back where none
    /// made it.
    pub fn verify(
        self,
        alg: Algorithm,
        candidates: &[Arc<VerifyingKey>],
        good_signatures: &GoodSignatures,
    ) -> Result<Verified, Box<Self>> {
        let message = self.signing_input.as_bytes();
        let mut fitting = candidates.iter().filter(|key| key.fits(alg));
        let made = |key: &VerifyingKey| key.verify(alg, message, &self.signature);
        if fitting.any(|key| good_signatures.check(key, alg, self.text, || made(key))) {
            Ok(self.into_verified())
        } else {
            Err(Box::new(self))
        }
    }

    /// Takes the token for verified without any proof, so that `explain` can say what would follow.
    pub fn presume(self, _: Presumption) -> Verified {
        self.into_verified()
    }

    fn into_verified(self) -> Verified {
        Verified::by_signature(self.claims, self.header.alg)
    }
}

// The signature makes a token of the rest.
impl fmt::Debug for Unverified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unverified")
            .field("header", &self.header)
            .finish_non_exhaustive()
    }
}

impl Claims {
    pub(super) fn parse(members: Members) -> Result<Self, Malformed> {
        let time = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Member::Other(Value::Number(number))) => Ok(number.as_f64()),
            Some(_) => Err(Malformed(format!(
                "has a claim `{name}` that is not a number"
            ))),
        };
        let (exp, nbf, iat) = (time("exp")?, time("nbf")?, time("iat")?);
        Ok(Self {
            members,
            exp,
            nbf,
            iat,
        })
    }

    /// All claims by name.
    pub fn members(&self) -> &Members {
        &self.members
    }

    /// A claim that is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    /// `exp`: seconds since the Unix epoch from which on the token is expired; of an opaque one it may be unknown.
    pub fn exp(&self) -> Option<f64> {
        self.exp
    }

    /// `nbf`: seconds since the Unix epoch before which the token is not valid.
    pub fn nbf(&self) -> Option<f64> {
        self.nbf
    }

    /// `iat`: seconds since the Unix epoch at which the token was issued.
    pub fn iat(&self) -> Option<f64> {
        self.iat
    }

    /// The values of `aud`; `None` where it is absent, empty, or not a string or a list of strings.
    pub fn audiences(&self) -> Option<Vec<&str>> {
        match self.members.get("aud")? {
            Member::Text(one) => Some(vec![one]),
            Member::Other(Value::Array(several)) if !several.is_empty() => {
                several.iter().map(Value::as_str).collect()
            }
            Member::Other(_) => None,
        }
    }
}

impl Header {
    fn parse(members: &Members) -> Result<Self, Malformed> {
        if let Some(name) = REFUSED_HEADERS
            .into_iter()
            .find(|name| members.get(name).is_some())
        {
            return Err(Malformed(format!(
                "has the header member `{name}`, which is not accepted"
            )));
        }
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Member::Text(text)) => Ok(Some(text.to_owned())),
            Some(Member::Other(_)) => Err(Malformed(format!(
                "has a header member `{name}` that is not a string"
            ))),
        };
        let (kid, typ) = (text("kid")?, text("typ")?);
        let Some(alg) = text("alg")? else {
            return Err(Malformed("has no header member `alg`".to_owned()));
        };
        Ok(Self { alg, kid, typ })
    }
}

fn object(part: &str, what: &str) -> Result<Members, Malformed> {
    let Some(bytes) = base64url::decode(part) else {
        return Err(Malformed(format!(
            "has a {what} that is not strict base64url"
        )));
    };
    Members::parse(bytes).map_err(|cause| Malformed(format!("has a {what} that {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        [header, claims, "sig"].map(base64url::encode).join(".")
    }

    fn cause(header: &str, claims: &str) -> String {
        Unverified::parse(&token(header, claims))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn reads_a_plain_token() {
        let token = token(
            r#"{"alg":"RS256","kid":"k","typ":"JWT","x5t":"ignored"}"#,
            r#"{"iss":"https://i","exp":1.5,"aud":["a","b"]}"#,
        );
        let token = Unverified::parse(&token).unwrap();
        assert_eq!((token.alg(), token.kid()), ("RS256", Some("k")));
        assert_eq!(token.issuer(), Some("https://i"));
        assert!((token.exp() - 1.5).abs() < f64::EPSILON);
        let verified = token.presume(Presumption::to_explain());
        assert_eq!(verified.claims().audiences().unwrap(), ["a", "b"]);
    }

    #[test]
    fn headers_that_steer_the_verification_are_refused() {
        for name in REFUSED_HEADERS {
            let header = format!(r#"{{"alg":"RS256","{name}":null}}"#);
            assert!(cause(&header, r#"{"exp":1}"#).contains(name));
        }
    }

    #[test]
    fn times_are_numbers_and_exp_is_there() {
        for (claims, expected) in [
            (r#"{"nbf":1}"#, "has no claim `exp`"),
            (r#"{"exp":"1"}"#, "`exp` that is not a number"),
            (r#"{"exp":1,"nbf":null}"#, "`nbf` that is not a number"),
            (r#"{"exp":1,"iat":[1]}"#, "`iat` that is not a number"),
        ] {
            let cause = cause(r#"{"alg":"RS256"}"#, claims);
            assert!(cause.contains(expected), "{cause}");
        }
    }

    #[test]
    fn the_compact_form_is_read_strictly() {
        let good = token(r#"{"alg":"RS256"}"#, r#"{"exp":1}"#);
        for bad in [
            String::new(),
            "abc".to_owned(),
            format!("{good}="),
            format!("{good} "),
            format!("{good}.x"),
            format!("{good}.x.y"),
            good.replace('.', ""),
            "a".repeat(LONGEST_TOKEN + 1),
        ] {
            assert!(Unverified::parse(&bad).is_err(), "{bad:.60}");
        }
        assert!(Unverified::parse(&good).is_ok());
    }
}
