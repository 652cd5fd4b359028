//! From a connector's settings to its compiled policy; every bad expression is reported with its path.

use super::acceptance::plain_type;
use super::cel::{self, Comparison, Expr, Kind};
use super::{Accepted, Condition, Grants, Limits, Policy, Rule, provider_claims, tenant, userinfo};
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
            comparisons: Vec::new(),
            reads: cel::Reads::default(),
        };
        let path = &settings.path;
        let allow = compiler.conditions(path, "", &settings.allow);
        let rules: Vec<Conditions> = settings
            .rules
            .iter()
            .enumerate()
            .map(|(index, rule)| compiler.rule_conditions(index, rule))
            .collect();
        compiler.check_tenant(settings, &allow, &rules);
        compiler.sound &= userinfo::check(settings, compiler.problems);
        compiler.warn_of_loose_targets(settings);
        let actors = compiler.actors(path, &settings.actors);
        let base = compiler.base(settings);
        let rules: Vec<_> = rules
            .into_iter()
            .zip(&settings.rules)
            .map(|(conditions, rule)| compiler.rule(conditions, rule, settings))
            .collect();
        compiler.warn_of_types(settings);
        if !compiler.sound {
            return None;
        }
        let base = base?;
        let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
        Some(Self {
            reads: reads(&allow, &actors, &base, &rules),
            connector: settings.id.as_str().into(),
            shared: tenant::shared_issuer(&settings.issuer).is_some(),
            algorithms: settings
                .algorithms
                .iter()
                .filter_map(|name| name.parse().ok())
                .collect(),
            types: settings.types.iter().map(|typ| plain_type(typ)).collect(),
            audiences: accepted(settings),
            allow,
            actors,
            base,
            rules,
            rule_targets: settings
                .rules
                .iter()
                .flat_map(targets_of)
                .cloned()
                .collect(),
            subject_prefix: settings.subject_prefix.clone().unwrap_or_default(),
            groups: settings.groups,
            user_name_key: settings.user_name_key.clone(),
            outlive_subject_token: settings.outlive_subject_token,
            max_token_age: settings.max_token_age,
            max_subject_lifetime: settings.max_subject_lifetime,
            limits,
            root: root.clone(),
        })
    }
}

/// What all of these expressions together read.
fn reads(allow: &[Condition], actors: &[Expr], base: &Grants, rules: &[Rule]) -> cel::Reads {
    let of_rules = rules
        .iter()
        .flat_map(|rule| std::iter::once(&rule.when).chain(&rule.allow));
    let conditions = allow.iter().chain(of_rules);
    let grants = std::iter::once(base).chain(rules.iter().map(|rule| &rule.grants));
    let claims = grants.flat_map(|grants| grants.claims.iter().map(|(_, expr)| expr));
    let expressions = conditions.map(|condition| &condition.expr);
    let mut reads = cel::Reads::default();
    for expr in expressions.chain(actors).chain(claims) {
        reads.merge(expr.reads());
    }
    reads
}

fn accepted(settings: &config::Connector) -> Accepted {
    if settings.audiences == ["*"] {
        Accepted::Any
    } else {
        Accepted::Only(settings.audiences.clone())
    }
}

fn targets_of(rule: &config::Rule) -> impl Iterator<Item = &String> {
    rule.targets.iter().flatten()
}

/// A rule's conditions, compiled as far as they could be.
struct Conditions {
    when: Option<Condition>,
    allow: Vec<Condition>,
}

struct Compiler<'a> {
    root: &'a cel::Root,
    signs: &'a [SigningAlgorithm],
    problems: &'a mut Problems,
    sound: bool,
    /// What each expression, by its path, compares claims with.
    comparisons: Vec<(String, Comparison)>,
    /// What all of them read.
    reads: cel::Reads,
}

impl Compiler<'_> {
    fn expr(&mut self, path: String, source: &str, kind: Kind) -> Option<Expr> {
        match Expr::compile(self.root, source, kind) {
            Ok(expr) => {
                let found = expr.comparisons().into_iter();
                let found = found.map(|comparison| (path.clone(), comparison));
                self.comparisons.extend(found);
                self.reads.merge(expr.reads());
                Some(expr)
            }
            Err(error) => {
                self.sound = false;
                self.problems.error_once(path, error.to_string());
                None
            }
        }
    }

    /// A claim compared with what its provider never sends is a condition that nobody meets, or, under `!=`, everybody.
    fn warn_of_types(&mut self, settings: &config::Connector) {
        let Some(provider) = provider_claims::provider(settings, self.reads.claims()) else {
            return;
        };
        for (path, comparison) in &self.comparisons {
            if let Some(objection) = provider.objects_to(comparison) {
                self.problems.warning(path, objection);
            }
        }
    }

    /// The `allow` list under `path`; `place` names the rule that it belongs to, if any.
    fn conditions(&mut self, path: &str, place: &str, sources: &[String]) -> Vec<Condition> {
        let compiled = sources.iter().enumerate().filter_map(|(index, source)| {
            let expr = self.expr(format!("{path}.allow[{index}]"), source, Kind::Condition)?;
            let place = format!("{place}allow[{index}]");
            Some(Condition { place, expr })
        });
        compiled.collect()
    }

    fn rule_conditions(&mut self, index: usize, rule: &config::Rule) -> Conditions {
        let place = format!("rules[{index}].");
        let when = self.expr(format!("{}.when", rule.path), &rule.when, Kind::Condition);
        Conditions {
            when: when.map(|expr| Condition {
                place: format!("{place}when"),
                expr,
            }),
            allow: self.conditions(&rule.path, &place, &rule.allow),
        }
    }

    /// A shared issuer needs a condition that pins the tenant: its signature alone proves nothing.
    fn check_tenant(
        &mut self,
        settings: &config::Connector,
        allow: &[Condition],
        rules: &[Conditions],
    ) {
        let Some(shared) = tenant::shared_issuer(&settings.issuer) else {
            return;
        };
        if matches!(accepted(settings), Accepted::Any) {
            self.sound = false;
            self.problems.error(
                format!("{}.audiences", settings.path),
                format!(
                    "found [\"*\"], but tokens of {} are made for many services, and any of these could use them here: list the audience that your jobs ask for",
                    shared.name
                ),
            );
        }
        let allow: Vec<_> = allow.iter().map(|condition| &condition.expr).collect();
        let rules: Vec<Vec<_>> = rules
            .iter()
            .map(|rule| {
                let own = rule.when.iter().chain(&rule.allow);
                own.map(|condition| &condition.expr).collect()
            })
            .collect();
        if !settings.allow_anyone && !shared.is_pinned(&allow, &rules) {
            self.sound = false;
            self.problems.error_once(
                format!("{}.allow", settings.path),
                format!(
                    "no condition fixes the tenant, so {} could get a token here: add one such as {} (or, knowing what it means, allow_anyone = true)",
                    shared.anybody, shared.example
                ),
            );
        }
    }

    /// A target of the connector that a rule lists too is no longer granted without that rule.
    fn warn_of_loose_targets(&mut self, settings: &config::Connector) {
        let targets = settings.targets.iter().flatten().enumerate();
        for (index, target) in targets {
            let binding = |rule: &&config::Rule| targets_of(rule).any(|bound| bound == target);
            if let Some(rule) = settings.rules.iter().find(binding) {
                self.problems.warning(
                    format!("{}.targets[{index}]", settings.path),
                    format!(
                        "the rule {:?} lists {target:?} too, so only that rule grants it: remove it in one of the two places",
                        rule.name
                    ),
                );
            }
        }
    }

    fn actors(&mut self, path: &str, sources: &[String]) -> Vec<Expr> {
        let compiled = sources.iter().enumerate().filter_map(|(index, source)| {
            self.expr(format!("{path}.actors[{index}]"), source, Kind::Actor)
        });
        compiled.collect()
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
            scopes: settings.scopes.clone(),
            clone_claims: settings.clone_claims.clone(),
            claims: self.claims(&settings.path, &settings.claims)?,
            lifetime: settings.lifetime,
            alg,
        })
    }

    fn rule(
        &mut self,
        conditions: Conditions,
        rule: &config::Rule,
        settings: &config::Connector,
    ) -> Option<Rule> {
        let own = self.claims(&rule.path, &rule.claims);
        let alg = self.alg(&rule.path, rule.alg.as_ref());
        // Compiled once more for this rule, since an expression belongs to one list; errors are known.
        let inherited = settings
            .claims
            .iter()
            .filter(|(name, _)| rule.claims.iter().all(|(other, _)| other != name))
            .map(|(name, source)| {
                let expr = Expr::compile(self.root, source, Kind::Claim).ok()?;
                Some((name.clone(), expr))
            })
            .collect::<Option<Vec<_>>>();
        let base_alg = settings.alg.as_ref().and_then(|name| name.parse().ok());
        Some(Rule {
            name: rule.name.as_str().into(),
            when: conditions.when?,
            allow: conditions.allow,
            grants: Grants {
                targets: targets_in_force(settings, rule),
                scopes: [&settings.scopes[..], &rule.scopes[..]].concat(),
                clone_claims: [&settings.clone_claims[..], &rule.clone_claims[..]].concat(),
                claims: inherited?.into_iter().chain(own?).collect(),
                lifetime: rule.lifetime.or(settings.lifetime),
                alg: alg.or(base_alg),
            },
        })
    }
}

/// The connector's targets that no other rule binds, then the rule's own; absent only where both are.
fn targets_in_force(settings: &config::Connector, rule: &config::Rule) -> Option<Vec<String>> {
    if settings.targets.is_none() && rule.targets.is_none() {
        return None;
    }
    let is_free = |target: &&String| {
        targets_of(rule).any(|own| own == *target)
            || settings
                .rules
                .iter()
                .flat_map(targets_of)
                .all(|bound| bound != *target)
    };
    let inherited = settings.targets.iter().flatten().filter(is_free);
    let mut targets: Vec<String> = Vec::new();
    for target in inherited.chain(targets_of(rule)) {
        if !targets.contains(target) {
            targets.push(target.clone());
        }
    }
    Some(targets)
}
