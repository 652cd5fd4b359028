//! From a connector's settings to its compiled policy; every bad expression is reported with its path.

use std::collections::HashSet;

use super::cel::{self, Expr, Kind};
use super::{Accepted, Condition, Grants, Limits, Policy, Rule, tenant};
use crate::config;
use crate::config::problems::{Problems, child_path};
use crate::jose::SigningAlgorithm;

impl Policy {
    /// Compiles a connector's rules; what is wrong goes to `problems`, and then nothing comes back.
    ///
    /// `signs` holds the algorithms that can sign.
    pub fn compile(
        root: &cel::Root,
        settings: &config::Connector,
        limits: Limits,
        signs: &[SigningAlgorithm],
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut compiler = Compiler {
            root,
            signs,
            problems,
            sound: true,
        };
        let path = &settings.path;
        let allow = compiler.conditions(path, "", &settings.allow);
        let actors = compiler.actors(path, &settings.actors);
        let base = compiler.base(settings);
        let rules: Vec<_> = settings
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| compiler.rule(index, rule, settings))
            .collect();
        let sound = compiler.sound;
        let rules: Vec<Rule> = rules.into_iter().collect::<Option<_>>()?;
        let (Some(allow), Some(actors), Some(base), true) = (allow, actors, base, sound) else {
            return None;
        };
        let policy = Self {
            connector: settings.id.as_str().into(),
            shared: tenant::shared_issuer(&settings.issuer).is_some(),
            algorithms: settings
                .algorithms
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
            types: settings.types.clone(),
            audiences: if settings.audiences == ["*"] {
                Accepted::Any
            } else {
                Accepted::Only(settings.audiences.clone())
            },
            allow,
            actors,
            base,
            rule_targets: settings
                .rules
                .iter()
                .filter_map(|rule| rule.targets.clone())
                .flatten()
                .collect::<HashSet<_>>(),
            rules,
            subject_prefix: settings.subject_prefix.clone().unwrap_or_default(),
            outlive_subject_token: settings.outlive_subject_token,
            limits,
            root: root.clone(),
        };
        policy.check_tenant(settings, problems).then_some(policy)
    }

    /// A shared issuer needs a condition that pins the tenant: its signature alone proves nothing.
    fn check_tenant(&self, settings: &config::Connector, problems: &mut Problems) -> bool {
        let Some(shared) = tenant::shared_issuer(&settings.issuer) else {
            return true;
        };
        let mut sound = true;
        if matches!(self.audiences, Accepted::Any) {
            sound = false;
            problems.error(
                format!("{}.audiences", settings.path),
                format!(
                    "found [\"*\"], but tokens of {} are made for many services, and any of these could use them here: list the audience that your jobs ask for",
                    shared.name
                ),
            );
        }
        let rules: Vec<_> = self
            .rules
            .iter()
            .map(|rule| {
                let own = std::iter::once(&rule.when).chain(&rule.allow);
                own.map(|condition| &condition.expr).collect::<Vec<_>>()
            })
            .collect();
        let allow: Vec<_> = self.allow.iter().map(|condition| &condition.expr).collect();
        if !settings.allow_anyone && !shared.is_pinned(&allow, &rules) {
            sound = false;
            problems.error(
                format!("{}.allow", settings.path),
                format!(
                    "no condition fixes the tenant, so {} could get a token here: add one such as {} (or, knowing what it means, allow_anyone = true)",
                    shared.anybody, shared.example
                ),
            );
        }
        sound
    }
}

struct Compiler<'a> {
    root: &'a cel::Root,
    signs: &'a [SigningAlgorithm],
    problems: &'a mut Problems,
    sound: bool,
}

impl Compiler<'_> {
    fn expr(&mut self, path: String, source: &str, kind: Kind) -> Option<Expr> {
        Expr::compile(self.root, source, kind)
            .map_err(|error| {
                self.sound = false;
                self.problems.error_once(path, error.to_string());
            })
            .ok()
    }

    /// The `allow` list under `path`; `place` names the rule that it belongs to, if any.
    fn conditions(
        &mut self,
        path: &str,
        place: &str,
        sources: &[String],
    ) -> Option<Vec<Condition>> {
        let compiled: Vec<_> = sources
            .iter()
            .enumerate()
            .map(|(index, source)| {
                let expr = self.expr(format!("{path}.allow[{index}]"), source, Kind::Condition)?;
                let place = format!("{place}allow[{index}]");
                Some(Condition { place, expr })
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn actors(&mut self, path: &str, sources: &[String]) -> Option<Vec<Expr>> {
        let compiled: Vec<_> = sources
            .iter()
            .enumerate()
            .map(|(index, source)| {
                self.expr(format!("{path}.actors[{index}]"), source, Kind::Actor)
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn claims(&mut self, path: &str, sources: &[(String, String)]) -> Option<Vec<(String, Expr)>> {
        let compiled: Vec<_> = sources
            .iter()
            .map(|(name, source)| {
                let expr = self.expr(
                    child_path(&format!("{path}.claims"), name),
                    source,
                    Kind::Claim,
                )?;
                Some((name.clone(), expr))
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn alg(&mut self, path: &str, name: Option<&String>) -> Option<SigningAlgorithm> {
        let name = name?;
        let found = self.signs.iter().copied().find(|alg| alg.name() == name);
        // Without any key the key file has been reported already.
        if found.is_none() && !self.signs.is_empty() {
            self.sound = false;
            self.problems.error_once(
                format!("{path}.alg"),
                format!("found {name:?}, but no key signs with it: add one with `remint keys generate --alg {name}`, or list it in [keys.signing]"),
            );
        }
        found
    }

    fn base(&mut self, settings: &config::Connector) -> Option<Grants> {
        let alg = self.alg(&settings.path, settings.alg.as_ref());
        Some(Grants {
            targets: settings.targets.clone(),
            clone_claims: settings.clone_claims.clone(),
            claims: self.claims(&settings.path, &settings.claims)?,
            lifetime: settings.lifetime,
            alg,
        })
    }

    fn rule(
        &mut self,
        index: usize,
        rule: &config::Rule,
        settings: &config::Connector,
    ) -> Option<Rule> {
        let place = format!("rules[{index}].");
        let when = self.expr(format!("{}.when", rule.path), &rule.when, Kind::Condition);
        let allow = self.conditions(&rule.path, &place, &rule.allow);
        let own = self.claims(&rule.path, &rule.claims);
        let alg = self.alg(&rule.path, rule.alg.as_ref());
        // Compiled once more for this rule, since an expression belongs to one list; errors are known.
        let mut inherited = settings.claims.clone();
        inherited.retain(|(name, _)| rule.claims.iter().all(|(other, _)| other != name));
        let inherited = inherited
            .into_iter()
            .map(|(name, source)| {
                Some((name, Expr::compile(self.root, &source, Kind::Claim).ok()?))
            })
            .collect::<Option<Vec<_>>>()?;
        let base_alg = settings.alg.as_ref().and_then(|name| name.parse().ok());
        Some(Rule {
            name: rule.name.as_str().into(),
            when: Condition {
                place: format!("{place}when"),
                expr: when?,
            },
            allow: allow?,
            grants: Grants {
                targets: appended(settings.targets.as_ref(), rule.targets.as_ref()),
                clone_claims: [&settings.clone_claims[..], &rule.clone_claims[..]].concat(),
                claims: inherited.into_iter().chain(own?).collect(),
                lifetime: rule.lifetime.or(settings.lifetime),
                alg: alg.or(base_alg),
            },
        })
    }
}

/// The connector's targets, then the rule's; absent only where both are.
fn appended(base: Option<&Vec<String>>, own: Option<&Vec<String>>) -> Option<Vec<String>> {
    match (base, own) {
        (None, None) => None,
        (base, own) => Some(base.into_iter().chain(own).flatten().cloned().collect()),
    }
}
