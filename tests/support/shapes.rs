//! Claims as real CI systems write them.

use serde_json::{Value, json};

use super::now;

/// What the tokens of these tests are made for: the `aud` that every connector here accepts unless a test says otherwise.
pub(crate) const AUDIENCE: &str = "https://sts.example.com";

/// The claims with some replaced; a `null` takes one away.
pub(crate) fn with(mut claims: Value, changes: Value) -> Value {
    let Value::Object(changes) = changes else {
        panic!("changes are an object");
    };
    let members = claims.as_object_mut().unwrap();
    for (name, value) in changes {
        if value.is_null() {
            members.shift_remove(&name);
        } else {
            members.insert(name, value);
        }
    }
    claims
}

/// A job of a private GitLab, one hour long.
pub(crate) fn gitlab(issuer: &str) -> Value {
    let now = now();
    json!({
        "namespace_id": "72", "namespace_path": "acme",
        "project_id": "20", "project_path": "acme/shop", "project_visibility": "private",
        "user_id": "1", "user_login": "ada", "user_email": "ada@example.com", "user_access_level": "owner",
        "groups_direct": ["acme/builders"],
        "pipeline_id": "574", "pipeline_source": "push", "job_id": "302",
        "ref": "main", "ref_type": "branch", "ref_path": "refs/heads/main", "ref_protected": "true",
        "environment": "production", "environment_protected": "true",
        "runner_id": 1, "runner_environment": "self-hosted",
        "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "ci_config_ref_uri": "gitlab.example.com/acme/shop//.gitlab-ci.yml@refs/heads/main",
        "jti": "235b3a54-b797-45c7-ae9a-f72d7bc6ef5b",
        "iss": issuer, "iat": now, "nbf": now - 5, "exp": now + 3600,
        "sub": "project_path:acme/shop:ref_type:branch:ref:main", "aud": AUDIENCE,
    })
}

/// A GitHub Actions job, five minutes long and valid from ten minutes ago.
pub(crate) fn github(issuer: &str) -> Value {
    let now = now();
    json!({
        "jti": "6ac3e5a6-2d0e-4c6c-8a0b-5f3dfb2b1b60",
        "sub": "repo:acme@123456/shop@456789:ref:refs/heads/main", "aud": AUDIENCE,
        "ref": "refs/heads/main", "sha": "714a629c0b401fdce83e847fc9589983fc6f46bc",
        "repository": "acme/shop", "repository_owner": "acme", "repository_owner_id": "123456",
        "run_id": "29679449", "run_number": "10", "run_attempt": "1",
        "repository_visibility": "private", "repository_id": "456789",
        "actor_id": "1", "actor": "ada", "workflow": "ci", "head_ref": "", "base_ref": "",
        "event_name": "push", "ref_protected": "true", "ref_type": "branch",
        "workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/heads/main",
        "job_workflow_ref": "acme/shop/.github/workflows/ci.yml@refs/heads/main",
        "runner_environment": "github-hosted", "iss": issuer,
        "nbf": now - 600, "exp": now + 300, "iat": now,
    })
}

/// A pod's projected service account token: `aud` is a list.
pub(crate) fn kubernetes(issuer: &str) -> Value {
    let now = now();
    json!({
        "aud": [AUDIENCE], "exp": now + 3600, "iat": now, "nbf": now, "iss": issuer,
        "jti": "0ed2cb8e-8e86-4ea9-a1a4-2ba4a3b1e5d1",
        "kubernetes.io": {
            "namespace": "shop",
            "node": {"name": "n1", "uid": "646e7c5e-32d6-4d42-9dbd-e504e6cbe6b1"},
            "pod": {"name": "web-0", "uid": "5e0bd49b-f040-43b0-99b7-22765a53f7f3"},
            "serviceaccount": {"name": "web", "uid": "14ee3fa4-a7e2-420f-9f9a-dbc4507c3798"},
            "warnafter": now + 3607,
        },
        "sub": "system:serviceaccount:shop:web",
    })
}
