//! The wire vocabulary of OAuth 2.0 (RFC 6749, 8414, 8693): no I/O, no cryptography.

mod describe;
pub mod form;
pub mod metadata;
mod reason;
mod redact;
mod refusal;
mod response;
mod token_type;

pub use describe::{cut, description_bytes};
pub use form::Form;
pub use reason::{ErrorCode, Reason};
pub use redact::redact;
pub use refusal::Refusal;
pub use response::TokenResponse;
pub use token_type::TokenType;

/// `grant_type` of a token exchange (RFC 8693 §2.1).
pub const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// `grant_type` of a token for the client itself (RFC 6749 §4.4.2).
pub const CLIENT_CREDENTIALS: &str = "client_credentials";
