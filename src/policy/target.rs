//! The audience of a new token (design: "Audience of the new token"; RFC 8693 §2.1).

use super::{Accepted, Ask, Policy, Terms};
use crate::jose::Verified;
use crate::oauth::{Reason, Refusal, cut};

impl Policy {
    /// The audiences of the new token, in the order asked; one refused target refuses all.
    pub(super) fn target(
        &self,
        token: &Verified,
        ask: &Ask<'_>,
        terms: &Terms<'_>,
    ) -> Result<Vec<String>, Refusal> {
        if let Some(refusal) = ask.bad_target {
            return Err(refusal.clone());
        }
        let in_force = match &terms.grants.targets {
            Some(targets) => targets.clone(),
            None => self.own_audiences(token),
        };
        if ask.audiences.is_empty() {
            return default_audience(terms, in_force);
        }
        match ask.audiences.iter().find(|asked| !in_force.contains(asked)) {
            None => Ok(ask.audiences.to_vec()),
            Some(asked) => {
                let general = format!("the audience {} is not among the targets", cut(asked));
                let full = format!("{general}; allowed: {}", list(&in_force));
                Err(self.refuse(Reason::TargetRefused, general, full))
            }
        }
    }

    /// The values of the token's own `aud` that the connector accepts, rule-bound ones aside.
    fn own_audiences(&self, token: &Verified) -> Vec<String> {
        let accepted = |aud: &&str| match &self.audiences {
            Accepted::Any => true,
            Accepted::Only(accepted) => accepted.iter().any(|known| known == aud),
        };
        let mut own: Vec<String> = Vec::new();
        for aud in token.claims().audiences().unwrap_or_default() {
            let fresh = !own.iter().any(|known| known == aud);
            if fresh && accepted(&aud) && !self.rule_targets.contains(aud) {
                own.push(aud.to_owned());
            }
        }
        own
    }
}

/// What is given where nothing was asked: the first target, or every audience of the token's own.
fn default_audience(terms: &Terms<'_>, in_force: Vec<String>) -> Result<Vec<String>, Refusal> {
    let default: Vec<String> = if terms.grants.targets.is_some() {
        in_force.into_iter().take(1).collect()
    } else {
        in_force
    };
    if default.is_empty() {
        return Err(Refusal::new(
            Reason::TargetRefused,
            "there is no audience to give: ask for an `audience`, or the operator sets `targets`",
        ));
    }
    Ok(default)
}

fn list(targets: &[String]) -> String {
    if targets.is_empty() {
        "none".to_owned()
    } else {
        targets.join(", ")
    }
}
