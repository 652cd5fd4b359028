//! The operator's rules: who may exchange, and what the new token says. Pure: no I/O, no clock, no keys.

mod acceptance;
mod ask;
mod case;
pub mod cel;
mod claims;
mod compile;
mod new_claims;
mod provider_claims;
mod scopes;
pub mod subject;
mod target;
pub mod tenant;
mod terms;
mod userinfo;
mod verdicts;

pub use ask::{Ask, Asker, Decision};
pub use case::{Case, Granting};
pub use new_claims::{NewClaim, NewClaims};
pub use scopes::{STANDARD as STANDARD_SCOPES, cross_client, peer};
pub use target::Targets;
pub use terms::Terms;
pub use verdicts::{Line, Verdicts};

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::config::SubjectFormat;
use crate::jose::{Algorithm, SigningAlgorithm};
use crate::oauth::{Reason, Refusal};
use cel::Expr;

/// One connector's rules, compiled.
#[derive(Debug)]
pub struct Policy {
    connector: Arc<str>,
    /// Anybody can get a token of this issuer, so callers are not told what is expected.
    shared: bool,
    algorithms: Vec<Algorithm>,
    types: Vec<String>,
    audiences: Accepted,
    allow: Vec<Condition>,
    actors: Vec<Expr>,
    base: Grants,
    rules: Vec<Rule>,
    /// Audiences that only the rule which lists them can grant.
    rule_targets: HashSet<String>,
    subject_prefix: String,
    /// Whether the scope `groups` releases upstream groups.
    groups: bool,
    /// The claim that `name` comes from.
    user_name_key: String,
    outlive_subject_token: bool,
    /// The longest time since `iat` of a subject token.
    max_token_age: Option<Duration>,
    /// The longest time from `iat` to `exp` of a subject token.
    max_subject_lifetime: Option<Duration>,
    limits: Limits,
    root: cel::Root,
    /// What all of its expressions together read.
    reads: cel::Reads,
}

/// The limits that hold for every connector.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest life of a new token.
    pub max_lifetime: Duration,
    /// How far the issuer's clock may be off.
    pub leeway: Duration,
    /// How `sub` is written.
    pub subject_format: SubjectFormat,
}

/// The `aud` values that are accepted in a subject token.
#[derive(Debug)]
enum Accepted {
    Any,
    Only(Vec<String>),
}

/// A condition and where it stands, such as `allow[1]`.
#[derive(Debug)]
struct Condition {
    place: String,
    expr: Expr,
}

/// What a new token gets: the connector's own, or a rule's merged into it.
#[derive(Debug)]
struct Grants {
    targets: Option<Vec<String>>,
    scopes: Vec<String>,
    clone_claims: Vec<String>,
    claims: Vec<(String, Expr)>,
    lifetime: Option<Duration>,
    alg: Option<SigningAlgorithm>,
}

#[derive(Debug)]
struct Rule {
    name: Arc<str>,
    when: Condition,
    allow: Vec<Condition>,
    grants: Grants,
}

impl Policy {
    /// Whether a new token may live longer than the token that it was traded for.
    pub fn outlives(&self) -> bool {
        self.outlive_subject_token
    }

    /// A refusal whose caller learns what was expected only where the issuer is the operator's own.
    fn refuse(&self, reason: Reason, general: String, full: String) -> Refusal {
        if self.shared {
            Refusal::new(reason, general).with_detail(full)
        } else {
            Refusal::new(reason, full)
        }
    }
}
