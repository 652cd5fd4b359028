//! The claims that known providers put into their tokens, and of which type each is.

use super::cel::{Compared, Comparison};
use crate::config::Connector;
use crate::oauth::cut;

/// The type of a claim's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClaimType {
    Text,
    Number,
    Boolean,
    List,
    Object,
}

/// A provider whose tokens are known.
#[derive(Debug)]
pub(super) struct Provider {
    /// What people call it.
    pub(super) name: &'static str,
    texts: &'static [&'static str],
    /// Beginnings of the names of further texts.
    text_prefixes: &'static [&'static str],
    numbers: &'static [&'static str],
    booleans: &'static [&'static str],
    lists: &'static [&'static str],
    objects: &'static [&'static str],
}

const NOTHING: Provider = Provider {
    name: "",
    texts: &[],
    text_prefixes: &[],
    numbers: &[],
    booleans: &[],
    lists: &[],
    objects: &[],
};

/// In the tokens of all of them (RFC 7519 §4.1); `aud` may be a text or a list.
const COMMON: Provider = Provider {
    texts: &["iss", "sub", "jti"],
    numbers: &["exp", "iat", "nbf"],
    ..NOTHING
};

const GITHUB: Provider = Provider {
    name: "GitHub Actions",
    texts: &[
        "actor",
        "actor_id",
        "base_ref",
        "check_run_id",
        "enterprise",
        "enterprise_id",
        "environment",
        "environment_node_id",
        "event_name",
        "head_ref",
        "job_workflow_ref",
        "job_workflow_sha",
        "ref",
        "ref_protected",
        "ref_type",
        "repository",
        "repository_id",
        "repository_owner",
        "repository_owner_id",
        "repository_visibility",
        "run_attempt",
        "run_id",
        "run_number",
        "runner_environment",
        "sha",
        "workflow",
        "workflow_ref",
        "workflow_sha",
    ],
    text_prefixes: &["repo_property_"],
    ..NOTHING
};

const GITLAB: Provider = Provider {
    name: "GitLab",
    texts: &[
        "ci_config_ref_uri",
        "ci_config_sha",
        "deployment_tier",
        "environment",
        "environment_action",
        "environment_protected",
        "job_id",
        "job_namespace_id",
        "job_namespace_path",
        "job_project_id",
        "job_project_path",
        "job_source",
        "namespace_id",
        "namespace_path",
        "pipeline_id",
        "pipeline_source",
        "project_id",
        "project_path",
        "project_visibility",
        "ref",
        "ref_path",
        "ref_protected",
        "ref_type",
        "runner_environment",
        "sha",
        "user_access_level",
        "user_email",
        "user_id",
        "user_login",
    ],
    numbers: &["runner_id"],
    lists: &["groups_direct", "user_identities"],
    objects: &["job_config"],
    ..NOTHING
};

/// Claims that only a GitLab token has, or that are texts in the tokens of each provider that has them.
const GITLAB_MARKS: &[&str] = &[
    "ci_config_ref_uri",
    "namespace_id",
    "namespace_path",
    "pipeline_source",
    "project_path",
    "ref_protected",
];

const BUILDKITE: Provider = Provider {
    name: "Buildkite",
    texts: &[
        "agent_id",
        "build_branch",
        "build_commit",
        "build_id",
        "build_source",
        "build_tag",
        "cluster_id",
        "job_id",
        "organization_id",
        "organization_slug",
        "pipeline_id",
        "pipeline_slug",
        "queue_id",
        "runner_environment",
        "step_key",
    ],
    text_prefixes: &["agent_tag:"],
    numbers: &["build_number"],
    ..NOTHING
};

const CIRCLECI: Provider = Provider {
    name: "CircleCI",
    texts: &[
        "oidc.circleci.com/job-id",
        "oidc.circleci.com/org-id",
        "oidc.circleci.com/pipeline-definition-id",
        "oidc.circleci.com/pipeline-id",
        "oidc.circleci.com/project-id",
        "oidc.circleci.com/vcs-origin",
        "oidc.circleci.com/vcs-ref",
        "oidc.circleci.com/workflow-id",
    ],
    booleans: &["oidc.circleci.com/ssh-rerun"],
    lists: &["oidc.circleci.com/context-ids"],
    ..NOTHING
};

const TERRAFORM: Provider = Provider {
    name: "HCP Terraform",
    text_prefixes: &["terraform_"],
    ..NOTHING
};

const GOOGLE: Provider = Provider {
    name: "Google",
    texts: &["azp", "email", "hd"],
    booleans: &["email_verified"],
    ..NOTHING
};

const AZURE_DEVOPS: Provider = Provider {
    name: "Azure DevOps",
    texts: &[
        "def_id", "org_id", "prj_id", "rpo_id", "rpo_ref", "rpo_uri", "rpo_ver", "run_id",
    ],
    ..NOTHING
};

const BITBUCKET: Provider = Provider {
    name: "Bitbucket",
    texts: &[
        "branchName",
        "deploymentEnvironmentUuid",
        "pipelineUuid",
        "repositoryUuid",
        "stepUuid",
        "workspaceUuid",
    ],
    ..NOTHING
};

/// The provider whose tokens a connector accepts, by its issuer, by where its keys are, or else by the claims that its
/// expressions read.
pub(super) fn provider<'a>(
    connector: &Connector,
    mut reads: impl Iterator<Item = &'a str>,
) -> Option<&'static Provider> {
    let (host, path) = place(&connector.issuer);
    let found = match host.as_str() {
        "token.actions.githubusercontent.com" => &GITHUB,
        _ if path.ends_with("/_services/token") => &GITHUB,
        host if host.starts_with("token.actions.") && host.ends_with(".ghe.com") => &GITHUB,
        "agent.buildkite.com" => &BUILDKITE,
        "oidc.circleci.com" => &CIRCLECI,
        "app.terraform.io" | "app.eu.terraform.io" => &TERRAFORM,
        "accounts.google.com" => &GOOGLE,
        "vstoken.dev.azure.com" => &AZURE_DEVOPS,
        "api.bitbucket.org" => &BITBUCKET,
        host if host.split('.').any(|label| label.starts_with("gitlab")) => &GITLAB,
        _ => {
            let keys = connector.jwks_uri.as_deref().unwrap_or_default();
            let by_keys = place(keys).1.ends_with("/oauth/discovery/keys");
            if !by_keys && !reads.any(|claim| GITLAB_MARKS.contains(&claim)) {
                return None;
            }
            &GITLAB
        }
    };
    Some(found)
}

/// Host and path of a URL, whose scheme may be missing; the host in lower case and without its port.
fn place(url: &str) -> (String, &str) {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    let host = authority.split(':').next().unwrap_or_default();
    (host.to_ascii_lowercase(), path.trim_end_matches('/'))
}

impl Provider {
    /// The type of a claim, where it is known.
    pub(super) fn type_of(&self, claim: &str) -> Option<ClaimType> {
        let begins = |prefix: &&&str| claim.starts_with(**prefix);
        let own = || {
            let found = [
                (self.texts, ClaimType::Text),
                (self.numbers, ClaimType::Number),
                (self.booleans, ClaimType::Boolean),
                (self.lists, ClaimType::List),
                (self.objects, ClaimType::Object),
            ];
            let found = found.into_iter().find(|(names, _)| names.contains(&claim));
            found.map(|(_, kind)| kind)
        };
        let by_prefix = || {
            let known = self.text_prefixes.iter().find(begins);
            known.map(|_| ClaimType::Text)
        };
        let common = || match claim {
            _ if COMMON.texts.contains(&claim) => Some(ClaimType::Text),
            _ if COMMON.numbers.contains(&claim) => Some(ClaimType::Number),
            _ => None,
        };
        own().or_else(by_prefix).or_else(common)
    }

    /// Why a comparison can never be true of this provider's tokens, and what to write; `None` where it can.
    pub(super) fn objects_to(&self, comparison: &Comparison) -> Option<String> {
        let kind = self.type_of(&comparison.claim)?;
        let fits = match &comparison.with {
            Compared::Text(_) => kind == ClaimType::Text,
            Compared::Number(_) => kind == ClaimType::Number,
            Compared::Boolean(_) | Compared::Truth => kind == ClaimType::Boolean,
        };
        if fits {
            return None;
        }
        let claim = shown_claim(&comparison.claim);
        let value = match &comparison.with {
            Compared::Text(text) => format!("'{}'", cut(text)),
            Compared::Number(number) => number.clone(),
            Compared::Boolean(flag) => flag.to_string(),
            Compared::Truth => "true".to_owned(),
        };
        let bare = value.trim_matches('\'');
        let (sends, instead) = match kind {
            ClaimType::Text => ("a string", format!("{claim} == '{bare}'")),
            ClaimType::Number if bare.parse::<f64>().is_ok() => {
                ("a number", format!("{claim} == {bare}"))
            }
            ClaimType::Number => ("a number", format!("{claim} == 1")),
            ClaimType::Boolean => ("a boolean", format!("{claim} == true")),
            ClaimType::List => ("a list", format!("'{bare}' in {claim}")),
            ClaimType::Object => ("an object", format!("{claim}.name == '{bare}'")),
        };
        Some(format!(
            "{} sends {claim} as {sends}, which never equals {value}: compare it as in {instead}",
            self.name
        ))
    }
}

/// A claim as an expression names it.
fn shown_claim(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.chars().all(is_bare) {
        format!("claims.{name}")
    } else {
        format!("claims['{}']", cut(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_claim_has_one_type() {
        for provider in [
            &GITHUB,
            &GITLAB,
            &BUILDKITE,
            &CIRCLECI,
            &TERRAFORM,
            &GOOGLE,
            &AZURE_DEVOPS,
            &BITBUCKET,
        ] {
            let lists = [
                provider.texts,
                provider.numbers,
                provider.booleans,
                provider.lists,
                provider.objects,
            ];
            let mut all: Vec<_> = lists.concat();
            let count = all.len();
            all.sort_unstable();
            all.dedup();
            assert_eq!(all.len(), count, "{}", provider.name);
        }
    }

    #[test]
    fn the_place_of_a_url_is_read_leniently() {
        for (url, host, path) in [
            ("https://GitLab.Internal:8443/x/", "gitlab.internal", "/x"),
            ("accounts.google.com", "accounts.google.com", ""),
            ("", "", ""),
        ] {
            assert_eq!(place(url), (host.to_owned(), path), "{url}");
        }
    }
}
