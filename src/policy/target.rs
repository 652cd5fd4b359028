//! The audience of a new token (design: "Audience of the new token"; RFC 8693 §2.1).

use super::{Accepted, Ask, Policy, Terms};
use crate::jose::{Claims, Verified};
use crate::oauth::{Reason, Refusal, cut};

/// How many audiences and resources one request may ask for.
const MOST_TARGETS: usize = 10;

/// What a request asks for as audience and resource: in order, without duplicates.
#[derive(Debug, Default)]
pub struct Targets {
    asked: Vec<String>,
    /// Why they cannot even be read; reported when it is their turn.
    bad: Option<Refusal>,
}

impl Targets {
    /// Takes one `audience`.
    pub fn audience(&mut self, value: &str) {
        if self.bad.is_some() || self.asked.iter().any(|known| known == value) {
            return;
        }
        if self.asked.len() == MOST_TARGETS {
            self.refuse(format!(
                "more than {MOST_TARGETS} audiences and resources are asked for"
            ));
            return;
        }
        self.asked.push(value.to_owned());
    }

    /// Takes one `resource`: an absolute URI without fragment (RFC 8707 §2).
    pub fn resource(&mut self, value: &str) {
        let is_absolute = url::Url::parse(value).is_ok()
            && !value.contains('#')
            && !value.contains(char::is_whitespace);
        if is_absolute {
            self.audience(value);
        } else {
            self.refuse(format!(
                "the resource {} is not an absolute URI without fragment",
                cut(value)
            ));
        }
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.asked.is_empty() && self.bad.is_none()
    }

    /// What is asked for.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.asked.iter().map(String::as_str)
    }

    /// What is asked for, where it can be read.
    pub fn checked(&self) -> Result<&[String], Refusal> {
        match &self.bad {
            None => Ok(&self.asked),
            Some(refusal) => Err(refusal.clone()),
        }
    }

    fn refuse(&mut self, words: String) {
        self.bad
            .get_or_insert_with(|| Refusal::new(Reason::TargetRefused, words));
    }
}

impl Policy {
    /// The audiences of the new token, in the order asked; one refused target refuses all.
    pub(super) fn target(
        &self,
        token: &Verified,
        ask: &Ask<'_>,
        terms: &Terms<'_>,
    ) -> Result<Vec<String>, Refusal> {
        let asked = ask.targets.checked()?;
        if asked.is_empty() {
            return self.default_target(token, ask, terms);
        }
        let own;
        let in_force = if let Some(targets) = &terms.grants.targets {
            targets
        } else {
            own = self.own_audiences(token);
            &own
        };
        let allowed = |target: &String| {
            in_force.contains(target)
                || is_clients(target, ask) && !self.is_bound_elsewhere(target, terms)
        };
        match asked.iter().find(|target| !allowed(target)) {
            None => Ok(asked.to_vec()),
            Some(target) => {
                let general = format!("the audience {} is not among the targets", cut(target));
                let full = format!("{general}; allowed: {}", list(in_force));
                Err(self.refuse(Reason::TargetRefused, general, full))
            }
        }
    }

    /// What is given where nothing is asked: the client's id, else the first target, else the token's own audiences.
    fn default_target(
        &self,
        token: &Verified,
        ask: &Ask<'_>,
        terms: &Terms<'_>,
    ) -> Result<Vec<String>, Refusal> {
        let default: Vec<String> = match (&ask.client, &terms.grants.targets) {
            (Some(client), _) if self.is_bound_elsewhere(client.id, terms) => Vec::new(),
            (Some(client), _) => vec![client.id.to_owned()],
            (None, Some(targets)) => targets.iter().take(1).cloned().collect(),
            (None, None) => self.own_audiences(token),
        };
        if default.is_empty() {
            return Err(Refusal::new(
                Reason::TargetRefused,
                "there is no audience to give: ask for an `audience`, or the operator sets `targets`",
            ));
        }
        Ok(default)
    }

    /// Whether some rule lists the audience, but not the one in force: only that rule can grant it.
    pub(super) fn is_bound_elsewhere(&self, audience: &str, terms: &Terms<'_>) -> bool {
        let in_force = terms.grants.targets.as_ref();
        self.rule_targets.contains(audience)
            && !in_force.is_some_and(|targets| targets.iter().any(|target| target == audience))
    }

    /// The values of the token's own `aud` that the connector accepts, rule-bound ones aside.
    fn own_audiences(&self, token: &Verified) -> Vec<String> {
        let accepted = |aud: &&str| match &self.audiences {
            Accepted::Any => true,
            Accepted::Only(accepted) => accepted.iter().any(|known| known == aud),
        };
        let mut own: Vec<String> = Vec::new();
        // What userinfo calls `aud` was not signed for anybody.
        let stated = Some(token.claims()).filter(|_| !token.is_opaque());
        for aud in stated.and_then(Claims::audiences).unwrap_or_default() {
            let fresh = !own.iter().any(|known| known == aud);
            if fresh && accepted(&aud) && !self.rule_targets.contains(aud) {
                own.push(aud.to_owned());
            }
        }
        own
    }
}

/// Whether a target is the asking client's own id, or one of its audiences once it has proved its secret.
fn is_clients(target: &str, ask: &Ask<'_>) -> bool {
    ask.client.is_some_and(|client| {
        client.id == target
            || client.proved && client.audiences.iter().any(|audience| audience == target)
    })
}

fn list(targets: &[String]) -> String {
    if targets.is_empty() {
        "none".to_owned()
    } else {
        targets.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resources(values: &[&str]) -> Targets {
        let mut targets = Targets::default();
        for value in values {
            targets.resource(value);
        }
        targets
    }

    #[test]
    fn a_resource_is_an_absolute_uri_without_fragment() {
        assert!(resources(&["https://a/b?c", "urn:x:y"]).checked().is_ok());
        for bad in [
            "a",
            "/a",
            "//a",
            "https://a#",
            "https://a#b",
            "https://a b",
            "",
        ] {
            assert!(resources(&[bad]).checked().is_err(), "{bad}");
        }
    }

    #[test]
    fn duplicates_are_dropped_before_they_count() {
        let mut targets = Targets::default();
        for index in 0..10 {
            targets.audience(&index.to_string());
            targets.audience("0");
        }
        assert_eq!(targets.checked().unwrap().len(), 10);
        targets.audience("one more");
        assert_eq!(targets.checked().unwrap_err().reason, Reason::TargetRefused);
    }
}
