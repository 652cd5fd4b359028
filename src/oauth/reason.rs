//! Why a request was refused: one stable code for the audit log, and what the wire says for it.

/// The `error` member of a refusal (RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 8707 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The server refuses (RFC 6749 §4.1.2.1); the simple exchange uses it.
    AccessDenied,
    /// Client authentication failed (RFC 6749 §5.2).
    InvalidClient,
    /// The request, or a token in it, cannot be accepted (RFC 6749 §5.2, RFC 8693 §2.2.2).
    InvalidRequest,
    /// A scope is unknown or not allowed (RFC 6749 §5.2).
    InvalidScope,
    /// An audience or resource is not allowed (RFC 8693 §2.2.2).
    InvalidTarget,
    /// A defect in Remint (RFC 6749 §4.1.2.1).
    ServerError,
    /// Try again later (RFC 6749 §4.1.2.1).
    TemporarilyUnavailable,
    /// The client may not do this (RFC 6749 §5.2).
    UnauthorizedClient,
    /// The grant is not enabled (RFC 6749 §5.2).
    UnsupportedGrantType,
}

impl ErrorCode {
    /// The code as it stands in the `error` member.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessDenied => "access_denied",
            Self::InvalidClient => "invalid_client",
            Self::InvalidRequest => "invalid_request",
            Self::InvalidScope => "invalid_scope",
            Self::InvalidTarget => "invalid_target",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
        }
    }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The cause of a refusal. [`Reason::code`] is stable: dashboards and alerts are built on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Reason { $($(#[$doc])* $name,)* }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code in audit events and in the `reason` member of an error.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }
        }
    };
}

reasons! {
    /// The actor may not act for the subject.
    ActorRefused = "actor_refused",
    /// The asked signing algorithm cannot be had.
    AlgUnavailable = "alg_unavailable",
    /// The subject token's `alg` is not accepted from its issuer.
    AlgRefused = "alg_refused",
    /// The subject token's `aud` is not one that the connector accepts.
    AudienceMismatch = "audience_mismatch",
    /// A condition speaks of `request.audience`, and the request asks for none.
    AudienceRequired = "audience_required",
    /// The body was not complete in time.
    BodyTimeout = "body_timeout",
    /// The body is larger than 64 KiB.
    BodyTooLarge = "body_too_large",
    /// A claim of the new token could not be computed, or there is no usable `sub`.
    ClaimFailed = "claim_failed",
    /// The client is unknown, or its secret is wrong.
    ClientInvalid = "client_invalid",
    /// No client authenticated where one must.
    ClientRequired = "client_required",
    /// An `allow` condition does not hold.
    ConditionFalse = "condition_false",
    /// The client may not use the connector.
    ConnectorRefused = "connector_refused",
    /// Several connectors share the issuer, so `connector_id` is required.
    ConnectorRequired = "connector_required",
    /// No connector has the `connector_id`.
    ConnectorUnknown = "connector_unknown",
    /// The `Content-Type` is neither a form nor JSON.
    ContentTypeUnsupported = "content_type_unsupported",
    /// The client may not use the grant.
    GrantRefused = "grant_refused",
    /// The `grant_type` is not enabled.
    GrantUnsupported = "grant_unsupported",
    /// The head of the request is not HTTP, or does not name one valid host.
    HeadMalformed = "head_malformed",
    /// The head of the request was not complete in time.
    HeadTimeout = "head_timeout",
    /// The head of the request is too large.
    HeadTooLarge = "head_too_large",
    /// A defect in Remint.
    Internal = "internal",
    /// The connector asked for trusts another issuer than the token's.
    IssuerMismatch = "issuer_mismatch",
    /// No connector trusts the token's issuer.
    IssuerUnknown = "issuer_unknown",
    /// The issuer does not publish the token's key.
    KeyUnknown = "key_unknown",
    /// Too many requests wait for the issuer's keys, or they were asked for too recently.
    KeysBusy = "keys_unavailable",
    /// The issuer did not answer in time.
    KeysTimedOut = "keys_unavailable",
    /// The issuer's keys cannot be had.
    KeysUnavailable = "keys_unavailable",
    /// The path does not take this method.
    MethodNotAllowed = "method_not_allowed",
    /// No rule of the connector holds.
    NoRule = "no_rule",
    /// There is nothing at this path.
    NotFound = "not_found",
    /// Too much of the same work waits already.
    Overloaded = "overloaded",
    /// A parameter's value is malformed.
    ParameterMalformed = "parameter_malformed",
    /// A required parameter is absent.
    ParameterMissing = "parameter_missing",
    /// A parameter stands more than once (RFC 6749 §3.2).
    ParameterRepeated = "parameter_repeated",
    /// The address or the client asks too often.
    RateLimited = "rate_limited",
    /// It cannot be known whether the token was used before.
    ReplayStoreUnavailable = "replay_store_unavailable",
    /// The token was used before, and can be used once.
    Replayed = "replayed",
    /// A scope is unknown or not allowed.
    ScopeRefused = "scope_refused",
    /// No key of the issuer made the signature.
    SignatureInvalid = "signature_invalid",
    /// An audience or resource is not among the targets.
    TargetRefused = "target_refused",
    /// The token's `exp` is past.
    TokenExpired = "token_expired",
    /// The token's `exp` lies too long after its `iat`.
    TokenLivesTooLong = "token_lives_too_long",
    /// The token is not a well-formed JWT.
    TokenMalformed = "token_malformed",
    /// The token's `nbf` or `iat` lies in the future.
    TokenNotYetValid = "token_not_yet_valid",
    /// The new token would be larger than 16 KiB.
    TokenTooLarge = "token_too_large",
    /// The token was issued too long ago.
    TokenTooOld = "token_too_old",
    /// The header's `typ` is not one that the connector accepts.
    TypeRefused = "type_refused",
    /// Too many requests wait for the issuer's userinfo.
    UserinfoBusy = "userinfo_unavailable",
    /// The issuer does not vouch for the opaque token.
    UserinfoRefused = "userinfo_refused",
    /// The issuer gave no userinfo in time.
    UserinfoTimedOut = "userinfo_unavailable",
    /// The issuer gave no usable userinfo.
    UserinfoUnavailable = "userinfo_unavailable",
}

impl Reason {
    /// Whether it is a limit of size, time or rate that was passed, or a body that nobody reads: by design many come.
    pub fn is_limit(self) -> bool {
        matches!(
            self,
            Self::BodyTimeout
                | Self::BodyTooLarge
                | Self::ContentTypeUnsupported
                | Self::Overloaded
                | Self::RateLimited
        )
    }

    /// Status and `error` in replies to OAuth forms and on every path but the simple exchange.
    pub fn oauth(self) -> (u16, ErrorCode) {
        match self {
            Self::BodyTimeout | Self::HeadTimeout => (408, ErrorCode::InvalidRequest),
            Self::BodyTooLarge => (413, ErrorCode::InvalidRequest),
            Self::ClientInvalid | Self::ClientRequired => (401, ErrorCode::InvalidClient),
            Self::ConnectorRefused | Self::GrantRefused => (400, ErrorCode::UnauthorizedClient),
            Self::ContentTypeUnsupported => (415, ErrorCode::InvalidRequest),
            Self::GrantUnsupported => (400, ErrorCode::UnsupportedGrantType),
            Self::HeadTooLarge => (431, ErrorCode::InvalidRequest),
            Self::Internal => (500, ErrorCode::ServerError),
            Self::KeysBusy
            | Self::KeysTimedOut
            | Self::KeysUnavailable
            | Self::Overloaded
            | Self::ReplayStoreUnavailable
            | Self::UserinfoBusy
            | Self::UserinfoTimedOut
            | Self::UserinfoUnavailable => (503, ErrorCode::TemporarilyUnavailable),
            Self::MethodNotAllowed => (405, ErrorCode::InvalidRequest),
            Self::NotFound => (404, ErrorCode::InvalidRequest),
            Self::RateLimited => (429, ErrorCode::TemporarilyUnavailable),
            Self::ScopeRefused => (400, ErrorCode::InvalidScope),
            Self::AudienceRequired | Self::TargetRefused => (400, ErrorCode::InvalidTarget),
            _ => (400, ErrorCode::InvalidRequest),
        }
    }

    /// Status and `error` in replies to the simple exchange, whose callers look at the status.
    pub fn simple(self) -> (u16, ErrorCode) {
        match self {
            Self::KeysTimedOut | Self::UserinfoTimedOut => (504, ErrorCode::TemporarilyUnavailable),
            Self::KeysUnavailable | Self::UserinfoUnavailable => {
                (502, ErrorCode::TemporarilyUnavailable)
            }
            Self::ParameterMalformed | Self::ParameterMissing | Self::ParameterRepeated => {
                self.oauth()
            }
            _ => match self.oauth() {
                (400, _) => (403, ErrorCode::AccessDenied),
                other => other,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        // The three causes of `keys_unavailable`, and of `userinfo_unavailable`, differ only in their status.
        assert_eq!(codes.len(), Reason::ALL.len() - 4);
    }

    #[test]
    fn refusals_of_clients_have_their_own_status() {
        use ErrorCode::{AccessDenied, InvalidClient, TemporarilyUnavailable, UnauthorizedClient};
        let denied = (403, AccessDenied);
        let table = [
            (
                Reason::ClientInvalid,
                (401, InvalidClient),
                (401, InvalidClient),
            ),
            (
                Reason::ClientRequired,
                (401, InvalidClient),
                (401, InvalidClient),
            ),
            (Reason::GrantRefused, (400, UnauthorizedClient), denied),
            (Reason::ConnectorRefused, (400, UnauthorizedClient), denied),
            (
                Reason::Overloaded,
                (503, TemporarilyUnavailable),
                (503, TemporarilyUnavailable),
            ),
        ];
        for (reason, oauth, simple) in table {
            assert_eq!(
                (reason.oauth(), reason.simple()),
                (oauth, simple),
                "{reason:?}"
            );
        }
    }
}
