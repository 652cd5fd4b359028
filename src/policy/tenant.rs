//! Shared issuers: those where anybody can get a token, so that a connector must say whose it accepts.

use super::cel::{Expr, Literal, Operand, Test};

/// An issuer that signs tokens for everybody's workloads.
#[derive(Debug)]
pub struct SharedIssuer {
    /// What people call it.
    pub name: &'static str,
    /// The spellings of `iss`; the first is the current one.
    pub issuers: &'static [&'static str],
    /// Who can get a token from it.
    pub anybody: &'static str,
    /// A condition that would fix the tenant, to be put under `allow`.
    pub example: &'static str,
    /// The claims that fix the tenant when they are compared with a literal; `sub` does everywhere.
    pins: &'static [&'static str],
    /// What a `sub` begins with, and the separator that ends the tenant after it.
    sub: Option<(&'static str, char)>,
}

/// Every shared issuer that is known; the list is closed.
pub const SHARED_ISSUERS: &[SharedIssuer] = &[
    SharedIssuer {
        name: "GitHub Actions",
        issuers: &["https://token.actions.githubusercontent.com"],
        anybody: "anybody with a GitHub account",
        example: "claims.repository_owner_id == '123456'",
        pins: &[
            "repository_owner_id",
            "repository_id",
            "repository_owner",
            "repository",
            "enterprise_id",
        ],
        sub: Some(("repo:", '/')),
    },
    SharedIssuer {
        name: "GitLab.com",
        issuers: &["https://gitlab.com"],
        anybody: "anybody with a GitLab.com account",
        example: "claims.namespace_id == '123456'",
        pins: &[
            "namespace_id",
            "project_id",
            "namespace_path",
            "project_path",
        ],
        sub: Some(("project_path:", '/')),
    },
    SharedIssuer {
        name: "Buildkite",
        issuers: &["https://agent.buildkite.com"],
        anybody: "anybody with a Buildkite organization",
        example: "claims.sub.startsWith('organization:my-org:')",
        pins: &["organization_id"],
        sub: Some(("organization:", ':')),
    },
    SharedIssuer {
        name: "CircleCI",
        issuers: &["https://oidc.circleci.com"],
        anybody: "anybody with a CircleCI organization",
        example: "claims['oidc.circleci.com/org-id'] == 'your-organization-uuid'",
        pins: &["oidc.circleci.com/org-id", "oidc.circleci.com/project-id"],
        sub: Some(("org/", '/')),
    },
    SharedIssuer {
        name: "HCP Terraform",
        issuers: &["https://app.terraform.io"],
        anybody: "anybody with an HCP Terraform organization",
        example: "claims.terraform_organization_id == 'org-abc123'",
        pins: TERRAFORM,
        sub: Some(("organization:", ':')),
    },
    SharedIssuer {
        name: "HCP Terraform (Europe)",
        issuers: &["https://app.eu.terraform.io"],
        anybody: "anybody with an HCP Terraform organization",
        example: "claims.terraform_organization_id == 'org-abc123'",
        pins: TERRAFORM,
        sub: Some(("organization:", ':')),
    },
    SharedIssuer {
        name: "Google",
        issuers: &["https://accounts.google.com", "accounts.google.com"],
        anybody: "anybody with a Google account or a Google Cloud project",
        example: "claims.sub == '112233445566778899000'",
        pins: &[],
        sub: None,
    },
    SharedIssuer {
        name: "Codefresh",
        issuers: &["https://oidc.codefresh.io"],
        anybody: "anybody with a Codefresh account",
        example: "claims.account_id == 'your-account-id'",
        pins: &["account_id"],
        sub: Some(("account:", ':')),
    },
    SharedIssuer {
        name: "Buddy",
        issuers: &[
            "https://oidc.buddyusercontent.com",
            "https://eu-oidc.buddyusercontent.com",
            "https://asia-oidc.buddyusercontent.com",
        ],
        anybody: "anybody with a Buddy workspace",
        example: "claims.sub == 'the sub of your pipeline'",
        pins: &["organization_id", "workspace_id"],
        sub: None,
    },
];

const TERRAFORM: &[&str] = &[
    "terraform_organization_id",
    "terraform_project_id",
    "terraform_workspace_id",
];

/// The shared issuer that `issuer` names. Other spellings of its URL count too: the letters' case, the scheme,
/// a port, a trailing slash or dot, so that none slips past.
pub fn shared_issuer(issuer: &str) -> Option<&'static SharedIssuer> {
    let host = root_host(issuer)?;
    let names = |known: &&str| root_host(known).as_deref() == Some(host.as_str());
    SHARED_ISSUERS
        .iter()
        .find(|shared| shared.issuers.iter().any(names))
}

impl SharedIssuer {
    /// Whether the conditions of a connector fix the tenant: some `allow` does, or every rule does by its `when`
    /// or an `allow` of its own (`rules` holds these for each rule).
    pub fn is_pinned(&self, allow: &[&Expr], rules: &[Vec<&Expr>]) -> bool {
        let any = |conditions: &[&Expr]| conditions.iter().any(|condition| self.pins(condition));
        any(allow) || (!rules.is_empty() && rules.iter().all(|rule| any(rule)))
    }

    /// Whether a top-level `&&` operand of `condition` fixes the tenant.
    fn pins(&self, condition: &Expr) -> bool {
        condition
            .operands()
            .iter()
            .any(|operand| self.operand_pins(operand))
    }

    fn operand_pins(&self, operand: &Operand<'_>) -> bool {
        let named = operand.claim == "sub" || self.pins.contains(&operand.claim);
        match &operand.test {
            Test::Equals(literal) => named && is_fixed(literal),
            Test::OneOf(literals) => named && !literals.is_empty() && literals.iter().all(is_fixed),
            Test::BeginsWith(text) => operand.claim == "sub" && self.fixes_tenant(text),
        }
    }

    /// Whether what every `sub` begins with holds the whole tenant, such as `repo:OWNER/` or `repo:OWNER@ID/`.
    fn fixes_tenant(&self, beginning: &str) -> bool {
        let Some((before, separator)) = self.sub else {
            return false;
        };
        let tenant = beginning
            .strip_prefix(before)
            .and_then(|rest| rest.split_once(separator))
            .map(|(tenant, _)| tenant);
        tenant.is_some_and(|tenant| {
            let mut parts = tenant.split('@');
            parts.all(|part| !part.trim().is_empty() && !part.contains(['*', ':', '/']))
        })
    }
}

fn is_fixed(literal: &Literal<'_>) -> bool {
    match literal {
        Literal::Text(text) => !text.is_empty(),
        Literal::Integer => true,
        Literal::Other => false,
    }
}

/// The host of a URL that has no path, in lower case; `None` if it has one.
fn root_host(url: &str) -> Option<String> {
    let url = url.trim().to_ascii_lowercase();
    let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let authority = rest.trim_end_matches('/');
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let host = host.split(':').next().unwrap_or(host).trim_end_matches('.');
    (!host.is_empty() && !host.contains(['/', '?', '#'])).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::cel::{Kind, Root};
    use super::*;

    const GITHUB: &str = "https://token.actions.githubusercontent.com";
    const GITLAB: &str = "https://gitlab.com";
    const BUILDKITE: &str = "https://agent.buildkite.com";
    const CIRCLECI: &str = "https://oidc.circleci.com";

    fn compile(sources: &[&str]) -> Vec<Expr> {
        let root = Root::new();
        let compile = |source: &&str| Expr::compile(&root, source, Kind::Condition).unwrap();
        sources.iter().map(compile).collect()
    }

    fn pinned(issuer: &str, allow: &str) -> bool {
        let allow = compile(&[allow]);
        shared_issuer(issuer)
            .unwrap()
            .is_pinned(&allow.iter().collect::<Vec<_>>(), &[])
    }

    #[test]
    fn near_spellings_are_the_same_issuer() {
        for issuer in [
            GITHUB,
            "https://token.actions.githubusercontent.com/",
            "https://Token.Actions.GitHubUserContent.com",
            "https://token.actions.githubusercontent.com:443",
            "https://x@token.actions.githubusercontent.com.//",
            "http://token.actions.githubusercontent.com",
        ] {
            assert_eq!(
                shared_issuer(issuer).map(|s| s.name),
                Some("GitHub Actions"),
                "{issuer}"
            );
        }
        assert!(shared_issuer("accounts.google.com").is_some());
        assert!(shared_issuer("https://asia-oidc.buddyusercontent.com").is_some());
    }

    #[test]
    fn tenants_with_an_issuer_of_their_own_are_not_shared() {
        for issuer in [
            "https://token.actions.githubusercontent.com/my-enterprise",
            "https://oidc.circleci.com/org/0f3b5a8e",
            "https://gitlab.internal",
            "https://gitlab.com.evil.example",
            "https://token.actions.octo.ghe.com",
            "",
        ] {
            assert!(shared_issuer(issuer).is_none(), "{issuer}");
        }
    }

    #[test]
    fn every_example_pins_its_own_issuer() {
        for shared in SHARED_ISSUERS {
            for issuer in shared.issuers {
                assert!(pinned(issuer, shared.example), "{issuer}");
                assert!(!pinned(issuer, "true"), "{issuer}");
                assert!(pinned(issuer, "claims.sub == 'x'"), "{issuer}");
            }
        }
    }

    #[test]
    fn a_pin_is_a_top_level_operand_with_literals() {
        for allow in [
            "claims.repository_owner_id == '1'",
            "'1' == claims.repository_owner_id && claims.ref == 'refs/heads/main'",
            "claims.ref_protected == 'true' && (assertion['repository_id'] in ['1', '2'] && true)",
            "claims.repository_owner_id == 1",
            "claims.sub.startsWith('repo:octo-org/')",
            "claims.sub.startsWith('repo:octo-org@12/site@34:')",
            "glob(claims.sub, 'repo:octo-org/*:ref:refs/heads/main')",
            "claims.sub.glob('repo:octo-org/**')",
            "claims.sub in ['repo:o/a:ref:x', 'repo:o/b:ref:x']",
        ] {
            assert!(pinned(GITHUB, allow), "{allow}");
        }
    }

    #[test]
    fn near_misses_pin_nothing() {
        for allow in [
            "claims.repository_owner_id == '1' || true",
            "!(claims.repository_owner_id == '1')",
            "claims.repository_owner_id != '1'",
            "true ? claims.repository_owner_id == '1' : true",
            "claims.repository_owner == claims.repository_owner",
            "claims.repository_owner == claims.actor",
            "claims.repository in []",
            "claims.repository in ['o/a', claims.repository]",
            "claims.repository in ['']",
            "claims.repository_owner == ''",
            "claims.repository_owner.startsWith('octo')",
            "claims.repository_owner.matches('^octo$')",
            "claims.x.repository_owner == 'octo'",
            "has(claims.repository_owner_id)",
            "claims.ref == 'refs/heads/main'",
            "claims.sub.startsWith('repo:')",
            "claims.sub.startsWith('repo:octo-org')",
            "claims.sub.startsWith('repo:/')",
            "claims.sub.startsWith('repo:@1/')",
            "claims.sub.startsWith('repo:octo@/')",
            "claims.sub.startsWith('repo:*/')",
            "glob(claims.sub, 'repo:octo-*/site:**')",
            "glob(claims.sub, '*:octo-org/**')",
            "glob(claims.sub, '**')",
            "claims.sub.startsWith('project_path:group/')",
            "claims.project_id == '5'",
            "['1'].exists(x, claims.repository_owner_id == x)",
        ] {
            assert!(!pinned(GITHUB, allow), "{allow}");
        }
    }

    #[test]
    fn each_provider_has_its_own_forms() {
        assert!(pinned(GITLAB, "claims.project_id == '5'"));
        assert!(pinned(
            GITLAB,
            "claims.sub.startsWith('project_path:group/')"
        ));
        assert!(!pinned(
            GITLAB,
            "claims.sub.startsWith('project_path:group')"
        ));
        assert!(pinned(BUILDKITE, "glob(claims.sub, 'organization:o:**')"));
        assert!(!pinned(
            BUILDKITE,
            "claims.sub.startsWith('organization:o')"
        ));
        assert!(!pinned(BUILDKITE, "claims.organization_slug == 'o'"));
        assert!(pinned(BUILDKITE, "claims.organization_id == 'o'"));
        assert!(pinned(
            CIRCLECI,
            "claims['oidc.circleci.com/project-id'] == 'u'"
        ));
        assert!(!pinned(
            CIRCLECI,
            "claims['oidc.circleci.com/vcs-ref'] == 'u'"
        ));
        assert!(!pinned(
            "https://accounts.google.com",
            "claims.email == 'a@b.example'"
        ));
        assert!(!pinned(
            "https://accounts.google.com",
            "claims.sub.startsWith('1')"
        ));
    }

    #[test]
    fn every_rule_must_pin() {
        let github = shared_issuer(GITHUB).unwrap();
        let exprs = compile(&[
            "claims.ref == 'x'",
            "claims.repository == 'o/a'",
            "true",
            "claims.repository_id == '1'",
        ]);
        let [unpinned, pin, open, pinned_when] = exprs.as_slice() else {
            panic!("four");
        };
        let rules = [vec![pinned_when, open], vec![open, pin], vec![open, open]];
        assert!(github.is_pinned(&[unpinned], &rules[..2]));
        assert!(!github.is_pinned(&[unpinned], &rules));
        assert!(!github.is_pinned(&[unpinned], &[]));
        assert!(!github.is_pinned(&[], &[]));
        assert!(github.is_pinned(&[pin], &rules));
    }
}
