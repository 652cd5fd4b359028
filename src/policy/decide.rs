//! The decision: from a verified token and a request to what the new token says, or a refusal.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::cel::{RequestView, Scope, Verdict};
use super::{Accepted, Condition, Grants, Policy, Rule, Verdicts};
use crate::jose::{Algorithm, SigningAlgorithm, Unverified, Verified};
use crate::oauth::{Reason, Refusal, TokenType, cut};

/// What a request asks for, beside the token that it brings.
#[derive(Debug)]
pub struct Ask<'a> {
    /// Every `audience` and `resource`, in order, without duplicates.
    pub audiences: &'a [String],
    /// Why the targets asked for cannot even be read; reported when it is their turn.
    pub bad_target: Option<&'a Refusal>,
    /// Every scope.
    pub scopes: &'a [String],
    /// The kind of token asked for.
    pub requested_token_type: TokenType,
    /// The signing algorithm asked for, by name (simple exchange).
    pub alg: Option<&'a str>,
}

impl<'a> Ask<'a> {
    fn view(&self) -> RequestView<'a> {
        RequestView {
            audience: self.audiences.iter().map(String::as_str).collect(),
            scope: self.scopes.iter().map(String::as_str).collect(),
            requested_token_type: self.requested_token_type.urn(),
        }
    }
}

/// One verified token, what is asked for it, and the rules that it is measured against.
pub struct Case<'a> {
    policy: &'a Policy,
    token: &'a Verified,
    ask: &'a Ask<'a>,
    scope: Scope<'a>,
}

/// What the policy grants a token, before a concrete request is measured against it.
#[derive(Debug)]
pub struct Terms<'p> {
    /// The name of the rule in force, where the connector has rules.
    pub rule: Option<Arc<str>>,
    pub(super) grants: &'p Grants,
}

/// What the new token says, times aside.
#[derive(Debug)]
pub struct Decision {
    /// The audiences, at least one.
    pub aud: Vec<String>,
    /// The key that signs, by its algorithm.
    pub alg: SigningAlgorithm,
    /// Every claim that the policy gives, `sub` among them.
    pub claims: Map<String, Value>,
}

impl Policy {
    /// The connector that the rules belong to.
    pub fn connector(&self) -> &Arc<str> {
        &self.connector
    }

    /// Whether a token may be handed on although its own life is over.
    pub fn outlives(&self) -> bool {
        self.outlive_subject_token
    }

    /// What a token's header and `exp` alone decide, before any key is looked up.
    pub fn check_header(
        &self,
        token: &Unverified,
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

    /// Opens the case of one verified token and what is asked for it.
    pub fn case<'a>(&'a self, token: &'a Verified, ask: &'a Ask<'a>) -> Case<'a> {
        Case {
            policy: self,
            token,
            ask,
            scope: self.scope(token, ask),
        }
    }

    /// `exp` of a new token: seconds since the Unix epoch, whole.
    ///
    /// `bounds` holds the `exp` of each token that it is made from.
    pub fn expiry(&self, terms: &Terms<'_>, now: u64, bounds: impl Iterator<Item = f64>) -> u64 {
        let lifetime = terms.grants.lifetime.unwrap_or(self.limits.max_lifetime);
        let latest = now + lifetime.min(self.limits.max_lifetime).as_secs();
        bounds.map(whole_seconds).fold(latest, u64::min)
    }

    fn scope<'a>(&'a self, token: &'a Verified, ask: &Ask<'a>) -> Scope<'a> {
        let claims = token.claims().members();
        Scope::new(&self.root, claims, &self.connector, None, &ask.view())
    }

    fn check_alg(&self, token: &Unverified) -> Result<Algorithm, Refusal> {
        let alg = token.alg().parse::<Algorithm>().ok();
        alg.filter(|alg| self.algorithms.contains(alg)).ok_or_else(|| {
            let accepted: Vec<_> = self.algorithms.iter().map(|alg| alg.name()).collect();
            Refusal::new(
                Reason::AlgRefused,
                format!(
                    "the token is signed with {}; {} is accepted from its issuer",
                    cut(token.alg()),
                    accepted.join(" or ")
                ),
            )
        })
    }

    fn check_type(&self, token: &Unverified) -> Result<(), Refusal> {
        let Some(typ) = token.typ() else {
            return Ok(());
        };
        let short = |typ: &str| {
            let typ = typ.to_ascii_lowercase();
            typ.strip_prefix("application/").unwrap_or(&typ).to_owned()
        };
        if self.types.iter().any(|accepted| short(accepted) == short(typ)) {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::TypeRefused,
            format!(
                "the token's header says typ {}; {} is accepted",
                cut(typ),
                self.types.join(" or ")
            ),
        ))
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

    fn check_start(&self, token: &Verified, now: f64) -> Result<(), Refusal> {
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

    fn check_audience(&self, token: &Verified) -> Result<(), Refusal> {
        let seen = token.claims().audiences();
        let accepted = match (&self.audiences, &seen) {
            (_, None) => false,
            (Accepted::Any, Some(_)) => true,
            (Accepted::Only(accepted), Some(seen)) => {
                seen.iter().any(|aud| accepted.iter().any(|known| known == aud))
            }
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

    /// A refusal whose caller learns what was expected only where the issuer is the operator's own.
    pub(super) fn refuse(&self, reason: Reason, general: String, full: String) -> Refusal {
        if self.shared {
            Refusal::new(reason, general).with_detail(full)
        } else {
            Refusal::new(reason, full)
        }
    }
}

impl<'a> Case<'a> {
    /// Measures the token against its times, `aud`, `allow` and the rules.
    pub fn admit(&self, now: f64, verdicts: &mut Verdicts) -> Result<Terms<'a>, Refusal> {
        verdicts.settle("nbf, iat", self.policy.check_start(self.token, now), |()| {
            "the token is valid already".to_owned()
        })?;
        verdicts.settle("aud", self.policy.check_audience(self.token), |()| {
            format!("{} is accepted", seen_audience(self.token))
        })?;
        for condition in &self.policy.allow {
            verdicts.settle(&condition.place, self.check(condition), |()| holds(condition))?;
        }
        self.rule_in_force(verdicts)
    }

    /// The audiences of the new token, and that no scope is asked which cannot be granted.
    pub fn target(
        &self,
        terms: &Terms<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<Option<Vec<String>>, Refusal> {
        let aud = self.policy.target(self.token, self.ask, terms);
        let aud = verdicts.settle("audience", aud, |aud| {
            format!("the new token's aud is {}", aud.join(", "))
        })?;
        verdicts.settle("scope", check_scopes(self.ask), |()| {
            "no scope is asked".to_owned()
        })?;
        Ok(aud)
    }

    /// What else the new token says: its algorithm and its claims.
    ///
    /// `signs` holds the algorithms that can sign, the default first.
    pub fn decide(
        &self,
        terms: &Terms<'_>,
        aud: Option<Vec<String>>,
        signs: &[SigningAlgorithm],
        verdicts: &mut Verdicts,
    ) -> Result<Option<Decision>, Refusal> {
        let alg = signing_alg(self.token, self.ask, terms.grants.alg, signs);
        let alg = verdicts.settle("signing alg", alg, |alg| {
            format!("the new token is signed with {alg}")
        })?;
        let upstream = self.token.claims().members();
        let claims = self.policy.map_claims(upstream, terms.grants, &self.scope);
        let claims = verdicts.settle("claims", claims, |claims| {
            let names: Vec<_> = claims.keys().map(String::as_str).collect();
            format!("given by the connector: {}", names.join(", "))
        })?;
        Ok(match (aud, alg, claims) {
            (Some(aud), Some(alg), Some(claims)) => Some(Decision { aud, alg, claims }),
            _ => None,
        })
    }

    /// Whether a verified actor may act for the subject (RFC 8693 §4.4, and `actors`).
    pub fn check_actor(&self, actor: &Verified) -> Result<(), Refusal> {
        let (subject, actor) = (self.token.claims().members(), actor.claims().members());
        if may_act(subject, actor) {
            return Ok(());
        }
        let mut scope = self.policy.scope(self.token, self.ask);
        scope.with_actor(actor);
        let unasked = self.ask.audiences.is_empty();
        let allowed = self.policy.actors.iter().any(|condition| {
            !(unasked && condition.mentions_request_audience())
                && matches!(scope.holds(condition), Verdict::Holds)
        });
        if allowed {
            return Ok(());
        }
        Err(Refusal::new(
            Reason::ActorRefused,
            "the actor may not act for this subject: its `may_act` does not name it, and no condition in `actors` of the subject's connector holds",
        ))
    }

    fn check(&self, condition: &Condition) -> Result<(), Refusal> {
        self.audience_is_asked(condition)?;
        match self.scope.holds(&condition.expr) {
            Verdict::Holds => Ok(()),
            Verdict::Fails(why) => Err(self.policy.refuse(
                Reason::ConditionFalse,
                format!("the condition {} of the connector does not hold for this token", condition.place),
                format!(
                    "the condition {} does not hold: {} ({why})",
                    condition.place,
                    condition.expr.source()
                ),
            )),
        }
    }

    /// A condition on what is asked says nothing about a request that asks for nothing.
    fn audience_is_asked(&self, condition: &Condition) -> Result<(), Refusal> {
        if self.ask.audiences.is_empty() && condition.expr.mentions_request_audience() {
            return Err(self.policy.refuse(
                Reason::AudienceRequired,
                "ask for an `audience`: the rules for this token depend on it".to_owned(),
                format!(
                    "ask for an `audience`: the condition {} speaks of request.audience",
                    condition.place
                ),
            ));
        }
        Ok(())
    }

    fn rule_in_force(&self, verdicts: &mut Verdicts) -> Result<Terms<'a>, Refusal> {
        let own = Terms {
            rule: None,
            grants: &self.policy.base,
        };
        if self.policy.rules.is_empty() {
            return Ok(own);
        }
        for rule in &self.policy.rules {
            verdicts.settle(&rule.when.place, self.audience_is_asked(&rule.when), |()| {
                format!("rule {}: {}", rule.name, rule.when.expr.source())
            })?;
            match self.scope.holds(&rule.when.expr) {
                Verdict::Holds => return self.enter(rule, verdicts),
                Verdict::Fails(why) => verdicts.note(&rule.when.place, || {
                    format!("rule {} is not in force ({why})", rule.name)
                }),
            }
        }
        let names: Vec<_> = self.policy.rules.iter().map(|rule| rule.name.as_ref()).collect();
        let refusal = self.policy.refuse(
            Reason::NoRule,
            "no rule of the connector holds for this token".to_owned(),
            format!("no rule of the connector holds for this token; it has {}", names.join(", ")),
        );
        verdicts.settle::<()>("rules", Err(refusal), |()| String::new())?;
        Ok(own)
    }

    fn enter(&self, rule: &'a Rule, verdicts: &mut Verdicts) -> Result<Terms<'a>, Refusal> {
        verdicts.note(&rule.when.place, || format!("rule {} is in force", rule.name));
        for condition in &rule.allow {
            let result = self.check(condition);
            verdicts.settle(&condition.place, result, |()| holds(condition))?;
        }
        Ok(Terms {
            rule: Some(Arc::clone(&rule.name)),
            grants: &rule.grants,
        })
    }
}

fn holds(condition: &Condition) -> String {
    format!("holds: {}", condition.expr.source())
}

fn seen_audience(token: &Verified) -> String {
    match token.claims().audiences() {
        Some(seen) => format!("the token's aud {}", cut(&seen.join(", "))),
        None => "a token without a usable aud".to_owned(),
    }
}

/// Every member of `may_act` equals the actor's claim of that name (RFC 8693 §4.4).
fn may_act(subject: &Map<String, Value>, actor: &Map<String, Value>) -> bool {
    subject
        .get("may_act")
        .and_then(Value::as_object)
        .is_some_and(|named| {
            !named.is_empty()
                && named
                    .iter()
                    .all(|(name, value)| actor.get(name) == Some(value))
        })
}

fn check_scopes(ask: &Ask<'_>) -> Result<(), Refusal> {
    match ask.scopes.first() {
        None => Ok(()),
        Some(scope) => Err(Refusal::new(
            Reason::ScopeRefused,
            format!("the scope {} is not known here: leave `scope` out", cut(scope)),
        )),
    }
}

/// The forced algorithm, else the one asked for, else the token's own if it signs, else the default.
fn signing_alg(
    token: &Verified,
    ask: &Ask<'_>,
    forced: Option<SigningAlgorithm>,
    signs: &[SigningAlgorithm],
) -> Result<SigningAlgorithm, Refusal> {
    let known = |name: &str| signs.iter().copied().find(|alg| alg.name() == name);
    let refused = |asked: &str| {
        let offered: Vec<_> = match forced {
            Some(alg) => vec![alg.name()],
            None => signs.iter().map(|alg| alg.name()).collect(),
        };
        Refusal::new(
            Reason::AlgUnavailable,
            format!(
                "the algorithm {} cannot be had here; {} can",
                cut(asked),
                offered.join(" or ")
            ),
        )
    };
    match (forced, ask.alg) {
        (Some(alg), Some(asked)) if asked != alg.name() => Err(refused(asked)),
        (Some(alg), _) => known(alg.name()).ok_or_else(|| refused(alg.name())),
        (None, Some(asked)) => known(asked).ok_or_else(|| refused(asked)),
        (None, None) => known(token.alg())
            .or_else(|| signs.first().copied())
            .ok_or_else(|| Refusal::new(Reason::Internal, "no key signs")),
    }
}

/// A time rounded down to whole seconds: a new token never lives longer than what it was made from.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates, which is what a bound needs"
)]
fn whole_seconds(time: f64) -> u64 {
    time.floor() as u64
}
