//! What expressions read of a request, so that nothing else is converted for them.

use std::collections::BTreeSet;

use super::names;
use super::value::{self, Boxed};
use crate::jose::Members;

/// The values that some expressions may read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reads {
    /// `claims` as a whole, in a way that does not name the claim.
    all_claims: bool,
    claims: BTreeSet<String>,
    /// Of `connector`, `client` and `request` those that are read.
    others: BTreeSet<&'static str>,
}

impl Reads {
    /// Reads what `other` reads, too.
    pub fn merge(&mut self, other: &Self) {
        self.all_claims |= other.all_claims;
        self.claims.extend(other.claims.iter().cloned());
        self.others.extend(&other.others);
    }

    /// The claims of the subject token that it reads by name.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &str> {
        self.claims.iter().map(String::as_str)
    }

    /// Whether all that `other` reads is among it.
    pub(super) fn covers(&self, other: &Self) -> bool {
        let claims = self.all_claims || (!other.all_claims && other.claims.is_subset(&self.claims));
        claims && other.others.is_subset(&self.others)
    }

    /// Those of `claims` that may be read, in CEL.
    pub(super) fn of<'a>(
        &'a self,
        claims: &'a Members,
    ) -> impl Iterator<Item = (&'a str, Boxed<'a>)> {
        let all = claims.iter().filter(|_| self.all_claims);
        let named = self.claims.iter().filter(|_| !self.all_claims);
        let named = named.filter_map(|name| Some((name.as_str(), claims.get(name)?)));
        all.chain(named)
            .map(|(name, member)| (name, value::from_member(member)))
    }

    /// Whether `connector`, `client` or `request` may be read.
    pub(super) fn root(&self, name: &str) -> bool {
        self.others.contains(name)
    }

    /// Notes that `root` is read, and of the claims the one called `field`, or any where it is not named.
    pub(super) fn note(&mut self, root: &str, field: Option<&str>) {
        match (root, field) {
            (names::CLAIMS | names::ASSERTION, Some(field)) => {
                self.claims.insert(field.to_owned());
            }
            (names::CLAIMS | names::ASSERTION, None) => self.all_claims = true,
            (root, _) => {
                let known = [names::CONNECTOR, names::CLIENT, names::REQUEST];
                self.others
                    .extend(known.into_iter().find(|known| *known == root));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Expr, Kind, Root};
    use super::*;

    #[test]
    fn named_claims_are_read_singly_and_the_rest_as_a_whole() {
        let root = Root::new();
        let reads = |source: &str| {
            let expr = Expr::compile(&root, source, Kind::Condition).unwrap();
            expr.reads().clone()
        };
        let claims = Members::of(&json!({"a": 1, "b": 2, "c": 3, "d": 4}));
        let seen = |reads: &Reads| {
            let mut names: Vec<_> = reads.of(&claims).map(|(name, _)| name.to_owned()).collect();
            names.sort();
            names.concat()
        };
        for source in [
            "claims.a == 'x' && has(assertion.b) && claims['c'].d == 1",
            "claims.?a.hasValue() || claims[?'b'].hasValue() || claims.c.exists(c, c == claims.a)",
        ] {
            let reads = reads(source);
            assert_eq!(seen(&reads), "abc", "{source}");
            assert!(!reads.root("client"), "{source}");
        }
        for source in [
            "size(claims) == 1",
            "'d' in claims",
            "claims[connector] == 'x'",
            "claims.exists(name, name == 'd')",
            "[claims] == []",
            "{'a': assertion} == {}",
            "(client == null ? claims : claims).a == 'x'",
        ] {
            assert_eq!(seen(&reads(source)), "abcd", "{source}");
        }
        let reads = reads("connector == 'c' && client.id == 'x' && 'a' in request.scope");
        assert!(
            ["connector", "client", "request"]
                .iter()
                .all(|root| reads.root(root))
        );
        assert_eq!(seen(&reads), "");
    }
}
