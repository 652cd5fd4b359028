//! The claims of a new token: computed ones first, then those of scopes, then copied ones.

use super::cel::Scope;
use super::{Grants, NewClaim, NewClaims, Policy, subject};
use crate::config::SubjectFormat;
use crate::jose::Members;
use crate::oauth::{Reason, Refusal, cut};

impl Policy {
    /// The claims that the policy gives; the final `sub` is a non-empty string.
    pub(super) fn map_claims<'a>(
        &self,
        upstream: &'a Members,
        scope_given: NewClaims<'a>,
        grants: &'a Grants,
        scope: &Scope<'_>,
    ) -> Result<NewClaims<'a>, Refusal> {
        let mut claims = NewClaims::default();
        let mut withheld = Vec::new();
        for (name, expr) in &grants.claims {
            match scope.compute(expr) {
                Ok(Some(value)) => claims.set(name, value),
                // A computed null also keeps a copied claim of that name out.
                Ok(None) => withheld.push(name.as_str()),
                Err(why) => {
                    return Err(self.refuse(
                        Reason::ClaimFailed,
                        format!("the claim `{name}` could not be computed for this token ({why})"),
                        format!(
                            "the claim `{name}` could not be computed: {} ({why})",
                            expr.source()
                        ),
                    ));
                }
            }
        }
        for (name, claim) in scope_given {
            if !withheld.contains(&name) {
                claims.add(name, claim);
            }
        }
        for name in &grants.clone_claims {
            if let Some(member) = upstream.get(name)
                && !withheld.contains(&name.as_str())
            {
                claims.add(name, member);
            }
        }
        self.finish_subject(&mut claims)?;
        Ok(claims)
    }

    fn finish_subject(&self, claims: &mut NewClaims<'_>) -> Result<(), Refusal> {
        let claim = claims.get("sub");
        let Some(sub) = claim
            .and_then(NewClaim::as_str)
            .filter(|sub| !sub.is_empty())
        else {
            let found = match claim {
                None => "absent".to_owned(),
                Some(claim) => cut(&claim.to_value().to_string()),
            };
            return Err(Refusal::new(
                Reason::ClaimFailed,
                format!(
                    "the new token's `sub` would be {found}; a non-empty string is needed: copy or compute `sub`"
                ),
            ));
        };
        let is_dex = self.limits.subject_format == SubjectFormat::Dex;
        if is_dex || !self.subject_prefix.is_empty() {
            let mut sub = format!("{}{sub}", self.subject_prefix);
            if is_dex {
                sub = subject::dex(&sub, &self.connector);
            }
            claims.set("sub", sub);
        }
        Ok(())
    }
}
