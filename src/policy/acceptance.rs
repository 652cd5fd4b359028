//! Measuring a foreign token against what its connector accepts: header, times and `aud`.

use super::{Accepted, Policy, Verdicts};
use crate::jose::{Algorithm, Unverified, Verified};
use crate::oauth::{Reason, Refusal, cut};

impl Policy {
    /// What a token's header and `exp` alone decide, before any key is looked up.
    pub fn check_header(
        &self,
        token: &Unverified<'_>,
        now: f64,
        verdicts: &mut Verdicts,
    ) -> Result<Option<Algorithm>, Refusal> {
        let alg = verdicts.settle("alg", self.check_alg(token), |alg| {
            format!("the token is signed with {alg}, which the connector accepts")
        })?;
        verdicts.settle("typ", self.check_type(token), |()| match token.typ() {
            Some(typ) => format!("the header's typ is {}", cut(typ)),
            None => "the header has no typ".to_owned(),
        })?;
        verdicts.settle("exp", self.check_expiry(token.exp(), now), |()| {
            format!("the token expires in {:.0} s", token.exp() - now)
        })?;
        Ok(alg)
    }

    /// What a vouched-for opaque token states of itself, where it does: whose it is and until when it lives.
    pub fn check_opaque(
        &self,
        token: &Verified,
        now: f64,
        verdicts: &mut Verdicts,
    ) -> Result<(), Refusal> {
        let claims = token.claims();
        if let Some(iss) = claims.members().get("iss") {
            let is_same = iss.as_str() == Some(token.issuer());
            let checked = if is_same {
                Ok(())
            } else {
                Err(Refusal::new(
                    Reason::IssuerMismatch,
                    "the userinfo of the token is not from the issuer of the connector",
                ))
            };
            verdicts.settle("issuer", checked, |()| {
                "the userinfo is from the connector's issuer".to_owned()
            })?;
        }
        if let Some(exp) = claims.exp() {
            verdicts.settle("exp", self.check_expiry(exp, now), |()| {
                format!("the token expires in {:.0} s", exp - now)
            })?;
        }
        Ok(())
    }

    fn check_alg(&self, token: &Unverified<'_>) -> Result<Algorithm, Refusal> {
        let alg = token.alg().parse::<Algorithm>().ok();
        alg.filter(|alg| self.algorithms.contains(alg))
            .ok_or_else(|| {
                let accepted: Vec<_> = self.algorithms.iter().map(|alg| alg.name()).collect();
            Refusal::new(
                Reason::AlgRefused,
                "the token was not accepted: its signature algorithm is not accepted from its issuer",
            )
            .with_detail(format!(
                "the token is signed with {}; {} is accepted from its issuer",
                cut(token.alg()),
                accepted.join(" or ")
            ))
        })
    }

    fn check_type(&self, token: &Unverified<'_>) -> Result<(), Refusal> {
        let Some(typ) = token.typ() else {
            return Ok(());
        };
        let short = plain_type(typ);
        if self.types.contains(&short) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::TypeRefused,
            "the token was not accepted: its header's `typ` is not that of a subject token",
        )
        .with_detail(format!(
            "the token's header says typ {}; {} is accepted",
            cut(typ),
            self.types.join(" or ")
        )))
    }

    fn check_expiry(&self, exp: f64, now: f64) -> Result<(), Refusal> {
        // Leeway never lengthens a life: there is nothing left to hand on, unless it may be outlived.
        let leeway = if self.outlive_subject_token {
            self.limits.leeway.as_secs_f64()
        } else {
            0.0
        };
        if now < exp.floor() + leeway {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::TokenExpired,
            "the token is expired: fetch a fresh one from its issuer and try again",
        ))
    }

    pub(super) fn check_start(&self, token: &Verified, now: f64) -> Result<(), Refusal> {
        let latest = now + self.limits.leeway.as_secs_f64();
        let claims = token.claims();
        for (name, time) in [("nbf", claims.nbf()), ("iat", claims.iat())] {
            if let Some(time) = time.filter(|time| *time > latest) {
                return Err(Refusal::new(
                    Reason::TokenNotYetValid,
                    format!(
                        "the token's `{name}` lies {:.0} s in the future: a clock is wrong at its issuer or here",
                        time - now
                    ),
                ));
            }
        }
        Ok(())
    }

    /// How old the token is and how long it lives, where the connector limits it. Leeway lengthens neither.
    pub(super) fn check_age(
        &self,
        token: &Verified,
        now: f64,
        verdicts: &mut Verdicts,
    ) -> Result<(), Refusal> {
        let claims = token.claims();
        let limits = [
            (
                "max_token_age",
                self.max_token_age,
                Some(now),
                Reason::TokenTooOld,
            ),
            (
                "max_subject_lifetime",
                self.max_subject_lifetime,
                claims.exp(),
                Reason::TokenLivesTooLong,
            ),
        ];
        for (key, limit, until, reason) in limits {
            let Some(limit) = limit.map(|limit| limit.as_secs_f64()) else {
                continue;
            };
            let times = (claims.iat(), until);
            let checked = self.check_since_issued(times, (key, limit), reason);
            verdicts.settle(key, checked, |seconds| {
                format!("{seconds:.0} s since `iat`, of at most {limit:.0} s")
            })?;
        }
        Ok(())
    }

    fn check_since_issued(
        &self,
        times: (Option<f64>, Option<f64>),
        (key, limit): (&str, f64),
        reason: Reason,
    ) -> Result<f64, Refusal> {
        let (Some(iat), Some(until)) = times else {
            // Only an opaque token may have no `exp`.
            let absent = if times.0.is_none() { "iat" } else { "exp" };
            return Err(Refusal::new(
                reason,
                format!("the token has no `{absent}`, which `{key}` of its connector needs"),
            ));
        };
        let seconds = until - iat;
        if seconds <= limit {
            return Ok(seconds);
        }
        let words = if reason == Reason::TokenTooOld {
            format!("the token was issued {seconds:.0} s ago: fetch a fresh one from its issuer")
        } else {
            format!(
                "the token lives {seconds:.0} s: request one with a shorter life from its issuer"
            )
        };
        let full = format!("{words}; `{key}` is {limit:.0} s");
        Err(self.refuse(reason, words, full))
    }

    pub(super) fn check_audience(&self, token: &Verified) -> Result<(), Refusal> {
        let seen = token.claims().audiences();
        let accepted = match (&self.audiences, &seen) {
            // Userinfo need not say whom a token is for; where it does, that counts.
            (_, None) => token.is_opaque() && token.claims().members().get("aud").is_none(),
            (Accepted::Any, Some(_)) => true,
            (Accepted::Only(accepted), Some(seen)) => seen
                .iter()
                .any(|aud| accepted.iter().any(|known| known == aud)),
        };
        if accepted {
            return Ok(());
        }
        let seen = seen_audience(token);
        let expected = match &self.audiences {
            Accepted::Any => "a string or a list of strings is expected".to_owned(),
            Accepted::Only(accepted) => {
                format!("expected is {}", accepted.join(" or "))
            }
        };
        Err(self.refuse(
            Reason::AudienceMismatch,
            format!("{seen} is not accepted here: request the token from its issuer for the right audience"),
            format!("{seen} is not accepted; {expected}"),
        ))
    }
}

/// The token's audience in words.
pub(super) fn seen_audience(token: &Verified) -> String {
    match token.claims().audiences() {
        Some(seen) => format!("the token's aud {}", cut(&seen.join(", "))),
        None if token.is_opaque() => "an opaque token of unknown aud".to_owned(),
        None => "a token without a usable aud".to_owned(),
    }
}

/// A media type as `typ` abbreviates it (RFC 7515 §4.1.9): lower case, without `application/`.
pub(super) fn plain_type(typ: &str) -> String {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
}
