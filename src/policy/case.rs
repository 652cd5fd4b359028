//! One token's case: from what is asked for it to what the new token says, or a refusal.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::acceptance::seen_audience;
use super::cel::{Scope, Values, Verdict};
use super::scopes::Granted;
use super::terms::signing_alg;
use super::{Ask, Condition, Decision, NewClaims, Policy, Rule, Terms, Verdicts};
use crate::jose::{Member, Members, SigningAlgorithm, Verified};
use crate::oauth::{Reason, Refusal};

/// The audience and the scopes that a case grants.
#[derive(Debug)]
pub struct Granting<'a> {
    /// `None` only where `explain` goes on past a refusal.
    aud: Option<Vec<String>>,
    scopes: Granted<'a>,
}

/// One verified token, what is asked for it, and the rules that it is measured against.
pub struct Case<'a> {
    policy: &'a Policy,
    token: &'a Verified,
    ask: &'a Ask<'a>,
    scope: Scope<'a>,
}

impl Policy {
    /// Opens the case of one verified token and what is asked for it.
    pub fn case<'a>(&'a self, token: &'a Verified, ask: &'a Ask<'a>) -> Case<'a> {
        Case {
            policy: self,
            token,
            ask,
            scope: self.scope(token, ask),
        }
    }

    fn scope<'a>(&'a self, token: &'a Verified, ask: &Ask<'a>) -> Scope<'a> {
        let values = Values {
            claims: token.claims().members(),
            connector: &self.connector,
            client: ask.client_view(),
            request: ask.request_view(),
        };
        Scope::new(&self.root, &self.reads, values)
    }
}

impl<'a> Case<'a> {
    /// Measures the token against its times, `aud`, `allow` and the rules.
    pub fn admit(&self, now: f64, verdicts: &mut Verdicts) -> Result<Terms<'a>, Refusal> {
        verdicts.settle("nbf, iat", self.policy.check_start(self.token, now), |()| {
            "the token is valid already".to_owned()
        })?;
        self.policy.check_age(self.token, now, verdicts)?;
        verdicts.settle("aud", self.policy.check_audience(self.token), |()| {
            format!("{} is accepted", seen_audience(self.token))
        })?;
        for condition in &self.policy.allow {
            verdicts.settle(&condition.place, self.check(condition), |()| {
                holds(condition)
            })?;
        }
        self.rule_in_force(verdicts)
    }

    /// The audiences of the new token and the scopes that are granted.
    pub fn grant(
        &self,
        terms: &Terms<'_>,
        verdicts: &mut Verdicts,
    ) -> Result<Granting<'a>, Refusal> {
        let aud = self.policy.target(self.token, self.ask, terms);
        let aud = verdicts.settle("audience", aud, |aud| {
            format!("granted: {}", aud.join(", "))
        })?;
        let scopes = self.policy.grant_scopes(self.ask, terms);
        let scopes = verdicts.settle("scope", scopes, Granted::words)?;
        Ok(Granting {
            aud,
            scopes: scopes.unwrap_or_default(),
        })
    }

    /// What the new token says.
    ///
    /// `signs` holds the algorithms that can sign, the default first.
    pub fn decide(
        &self,
        terms: &Terms<'a>,
        granting: Granting<'_>,
        signs: &[SigningAlgorithm],
        verdicts: &mut Verdicts,
    ) -> Result<Option<Decision<'a>>, Refusal> {
        let alg = signing_alg(self.token, self.ask, terms.grants.alg, signs);
        let alg = verdicts.settle("signing alg", alg, |alg| {
            format!("the new token is signed with {alg}")
        })?;
        let upstream = self.token.claims().members();
        let given = self.policy.scope_claims(&granting.scopes, upstream);
        let claims = self
            .policy
            .map_claims(upstream, given, terms.grants, &self.scope);
        let claims = verdicts.settle("claims", claims, |claims| {
            let names: Vec<_> = claims.iter().map(|(name, _)| name).collect();
            format!("given by the connector: {}", names.join(", "))
        })?;
        let (Some(aud), Some(alg), Some(mut claims)) = (granting.aud, alg, claims) else {
            return Ok(None);
        };
        let aud = self.with_peers(aud, &granting.scopes, &mut claims);
        Ok(Some(Decision {
            aud,
            alg,
            claims,
            scope: granting.scopes.reply(self.ask),
        }))
    }

    /// Cross-client audiences follow those asked, then comes the asking client, named in `azp` (as Dex).
    fn with_peers(
        &self,
        aud: Vec<String>,
        scopes: &Granted<'_>,
        claims: &mut NewClaims<'a>,
    ) -> Vec<String> {
        let Some(client) = self.ask.client.filter(|_| !scopes.peers.is_empty()) else {
            return aud;
        };
        let all: Vec<String> = self
            .ask
            .audiences()
            .into_iter()
            .map(str::to_owned)
            .collect();
        if all.len() > 1 {
            claims.set("azp", client.id);
        }
        all
    }

    /// Whether a verified actor may act for the subject (RFC 8693 §4.4, and `actors`).
    pub fn check_actor(&self, actor: &Verified) -> Result<(), Refusal> {
        // `act` says who acts by `iss` and `sub`; without a `sub` it would name everybody of that issuer.
        if actor.claims().text("sub").is_none_or(str::is_empty) {
            return Err(Refusal::new(
                Reason::ActorRefused,
                "the actor token's `sub` is not a non-empty string, so `act` could not name the actor",
            ));
        }
        let (subject, actor) = (self.token.claims().members(), actor.claims().members());
        // `may_act` is a claim of tokens; among profile data it may be the user's own words.
        if !self.token.is_opaque() && may_act(subject, actor) {
            return Ok(());
        }
        let scope = self.policy.scope(self.token, self.ask).with_actor(actor);
        let mut skipped = false;
        for condition in &self.policy.actors {
            if self.ask.asks_for_none() && condition.mentions_request_audience() {
                skipped = true;
            } else if scope.holds(condition) {
                return Ok(());
            }
        }
        Err(if skipped {
            Refusal::new(
                Reason::AudienceRequired,
                "ask for an `audience`: who may act for this subject depends on it",
            )
        } else {
            Refusal::new(
                Reason::ActorRefused,
                "the actor may not act for this subject: its `may_act` does not name it, and no condition in `actors` of the subject's connector holds",
            )
        })
    }

    fn check(&self, condition: &Condition) -> Result<(), Refusal> {
        self.audience_is_asked(condition)?;
        match self.scope.verdict(&condition.expr) {
            Verdict::Holds => Ok(()),
            Verdict::Fails(why) => Err(self.policy.refuse(
                Reason::ConditionFalse,
                format!(
                    "the condition {} of the connector does not hold for this token: {why}",
                    condition.place
                ),
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
        if self.ask.asks_for_none() && condition.expr.mentions_request_audience() {
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
            if self.scope.holds(&rule.when.expr) {
                return self.enter(rule, verdicts);
            }
            verdicts.note(&rule.when.place, || {
                let why = self.scope.why_not(&rule.when.expr);
                format!("rule {} is not in force ({why})", rule.name)
            });
        }
        let names: Vec<_> = self
            .policy
            .rules
            .iter()
            .map(|rule| rule.name.as_ref())
            .collect();
        let refusal = self.policy.refuse(
            Reason::NoRule,
            "no rule of the connector holds for this token".to_owned(),
            format!(
                "no rule of the connector holds for this token; it has {}",
                names.join(", ")
            ),
        );
        verdicts.settle::<()>("rules", Err(refusal), |()| String::new())?;
        Ok(own)
    }

    fn enter(&self, rule: &'a Rule, verdicts: &mut Verdicts) -> Result<Terms<'a>, Refusal> {
        verdicts.note(&rule.when.place, || {
            format!("rule {} is in force", rule.name)
        });
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

/// Every member of `may_act` equals the actor's claim of that name (RFC 8693 §4.4).
fn may_act(subject: &Members, actor: &Members) -> bool {
    let Some(Member::Other(Value::Object(named))) = subject.get("may_act") else {
        return false;
    };
    // A token may have more than a thousand of both.
    let actor: HashMap<_, _> = actor.iter().collect();
    let is_actors = |(name, value): (&String, &Value)| {
        actor.get(name.as_str()).is_some_and(|claim| claim == value)
    };
    !named.is_empty() && named.iter().all(is_actors)
}
