//! Failures as `application/problem+json` (RFC 9457).

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use nexus_governance::{Denial, SchemaRejection, Violation};
use serde::Serialize;

use crate::CommandFailure;

/// Whether the command took effect, for a client that decides what to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// No, and asking again will not help.
    Refused,
    /// No, but it may when asked again.
    NotApplied,
    /// It may have: ask again with the same key.
    Unknown,
}

/// The body of an answer that is not a success.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// `urn:nexus:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: &'static str,
    pub status: u16,
    pub detail: String,
    pub code: String,
    pub outcome: Outcome,
    /// Code of the domain's refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refusal: Option<String>,
    /// The policy rules that deny the command.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Denial>,
    /// Where an event would not fit its schema.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub violations: Vec<Violation>,
}

impl From<&CommandFailure> for Problem {
    fn from(failure: &CommandFailure) -> Self {
        let (status, code, title, outcome) = kind(failure);
        let mut problem = Self {
            kind: format!("urn:nexus:problem:{code}"),
            title,
            status: status.as_u16(),
            detail: failure.to_string(),
            code: code.to_owned(),
            outcome,
            refusal: None,
            rules: Vec::new(),
            violations: Vec::new(),
        };
        match failure {
            CommandFailure::Refused { code, .. } => problem.refusal = Some(code.clone()),
            CommandFailure::PolicyDenied { denials } => problem.rules.clone_from(denials),
            CommandFailure::SchemaViolation { rejection: SchemaRejection::Violations(violations), .. } => {
                problem.violations.clone_from(violations);
            }
            _ => {}
        }
        problem
    }
}

fn kind(failure: &CommandFailure) -> (StatusCode, &str, &'static str, Outcome) {
    use CommandFailure as F;
    use Outcome::{NotApplied, Refused, Unknown};
    match failure {
        F::MalformedCommand(_) | F::InvalidAggregateId(_) => {
            (StatusCode::BAD_REQUEST, "malformed-command", "The request is not a command", Refused)
        }
        F::MissingIdempotencyKey => {
            (StatusCode::BAD_REQUEST, "missing-idempotency-key", "An idempotency key is required", Refused)
        }
        F::MissingRole => (StatusCode::BAD_REQUEST, "missing-role", "A role is required", Refused),
        F::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "The body is too large", Refused),
        F::BodyTooSlow => (StatusCode::REQUEST_TIMEOUT, "body-too-slow", "The body came too slowly", NotApplied),
        F::PolicyDenied { .. } => (StatusCode::FORBIDDEN, "policy-denied", "Policies deny the command", Refused),
        F::SchemaViolation { .. } => {
            (StatusCode::UNPROCESSABLE_ENTITY, "schema-violation", "An event would not fit its schema", Refused)
        }
        F::SchemaNotUsable(_) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "schema-not-usable",
            "The schema registry does not let an event pass",
            NotApplied,
        ),
        F::SchemaPending(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "schema-pending",
            "The schema registry has not judged an event's schema yet",
            NotApplied,
        ),
        F::RegistryUnavailable { .. } => {
            (StatusCode::SERVICE_UNAVAILABLE, "registry-unavailable", "The schema registry does not answer", NotApplied)
        }
        F::Refused { code, .. } => (StatusCode::CONFLICT, code, "The domain refuses the command", Refused),
        F::IdempotencyKeyReused { .. } => (
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The idempotency key belongs to another command",
            Refused,
        ),
        F::Conflict { .. } | F::Contended(_) => {
            (StatusCode::CONFLICT, "conflict", "Others changed the aggregate meanwhile", NotApplied)
        }
        F::Throttled(_) => (StatusCode::SERVICE_UNAVAILABLE, "throttled", "Storage is at its limit", NotApplied),
        F::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Storage is not reachable", NotApplied),
        F::OutcomeUnknown(_) => {
            (StatusCode::GATEWAY_TIMEOUT, "outcome-unknown", "The command may have been applied", Unknown)
        }
        F::CorruptStream(_) => (StatusCode::INTERNAL_SERVER_ERROR, "corrupt-stream", "A stream is corrupt", NotApplied),
        F::UnreadableEvent { .. } | F::PayloadNotJson { .. } | F::UnreadableRecord(_) | F::UnreadableAnswer { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "unreadable-record", "A stored record cannot be read", NotApplied)
        }
        F::StorageRejected(_) | F::InvalidAppend(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "storage-rejected", "Storage does not take the request", NotApplied)
        }
        F::OrderNotFound { .. } => (StatusCode::NOT_FOUND, "order-not-found", "There is no such order", Refused),
        F::UnknownQuery { .. } => (StatusCode::BAD_REQUEST, "unknown-query", "The query is not understood", Refused),
        F::PathNotFound => (StatusCode::NOT_FOUND, "path-not-found", "There is no such path", Refused),
        F::MethodNotAllowed => {
            (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not take this method", Refused)
        }
    }
}

impl IntoResponse for CommandFailure {
    fn into_response(self) -> Response {
        let problem = Problem::from(&self);
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // A problem is made of strings and numbers, which always have a JSON form.
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
