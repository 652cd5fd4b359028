//! The claims of a new token: computed ones first, then those of scopes, then copied ones.

use serde_json::{Map, Value};

use super::cel::Scope;
use super::{Grants, Policy, subject};
use crate::config::SubjectFormat;
use crate::oauth::{Reason, Refusal, cut};

impl Policy {
    /// The claims that the policy gives; the final `sub` is a non-empty string.
    pub(super) fn map_claims(
        &self,
        upstream: &Map<String, Value>,
        scope_given: Map<String, Value>,
        grants: &Grants,
        scope: &Scope<'_>,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut claims = Map::new();
        let mut withheld = Vec::new();
        for (name, expr) in &grants.claims {
            match scope.compute(expr) {
                Ok(Some(value)) => {
                    claims.insert(name.clone(), value);
                }
                // A computed null also keeps a copied claim of that name out.
                Ok(None) => withheld.push(name),
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
        for (name, value) in scope_given {
            if !claims.contains_key(&name) && !withheld.contains(&&name) {
                claims.insert(name, value);
            }
        }
        for name in &grants.clone_claims {
            if let Some(value) = upstream.get(name)
                && !claims.contains_key(name)
                && !withheld.contains(&name)
            {
                claims.insert(name.clone(), value.clone());
            }
        }
        self.finish_subject(&mut claims)?;
        Ok(claims)
    }

    fn finish_subject(&self, claims: &mut Map<String, Value>) -> Result<(), Refusal> {
        match claims.get_mut("sub") {
            Some(Value::String(sub)) if !sub.is_empty() => {
                sub.insert_str(0, &self.subject_prefix);
                if self.limits.subject_format == SubjectFormat::Dex {
                    *sub = subject::dex(sub, &self.connector);
                }
                Ok(())
            }
            found => {
                let found = match found {
                    None => "absent".to_owned(),
                    Some(value) => cut(&value.to_string()),
                };
                Err(Refusal::new(
                    Reason::ClaimFailed,
                    format!(
                        "the new token's `sub` would be {found}; a non-empty string is needed: copy or compute `sub`"
                    ),
                ))
            }
        }
    }
}
