//! Who called, and how a result reaches them: over the wire, or as a value to another service.

use std::time::Duration;

use crate::{
    dynamodb::errors::DynamodbError,
    interface::{RequestId, Service, WireResponse},
    service::{Answer, InternalAnswer, ServiceError},
    wire::Rejection,
};

/// How long one service waits for another that never answers.
pub const WAITED_FOR_AN_ANSWER: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug)]
pub enum Requester {
    Wire(RequestId),
    Service { from: Service, token: u64 },
}

/// The result of an effect, not yet in anybody's protocol.
#[derive(Debug)]
pub enum Outcome {
    Dynamodb(Result<Vec<u8>, DynamodbError>),
    Service(Result<Answer, ServiceError>),
    Rejected(Rejection),
    /// A load balancer with nothing behind it.
    UnavailableHtml,
}

/// What goes back.
#[derive(Debug)]
pub enum Reply {
    Wire(WireResponse),
    Truncated(WireResponse),
    Internal(InternalAnswer),
    Reset,
    Never,
}

impl Outcome {
    pub fn status(&self) -> u16 {
        match self {
            Outcome::Dynamodb(Ok(_)) | Outcome::Service(Ok(_)) => 200,
            Outcome::Dynamodb(Err(error)) | Outcome::Rejected(Rejection::Error(error)) => error.status(),
            Outcome::Service(Err(error)) => error.status,
            Outcome::Rejected(Rejection::Plain { status, .. }) => *status,
            Outcome::UnavailableHtml => 503,
        }
    }

    /// The error's code without namespace; none where there is no error or it has no code.
    pub fn error_code(&self) -> Option<String> {
        match self {
            Outcome::Dynamodb(Err(error)) | Outcome::Rejected(Rejection::Error(error)) => Some(error.code().to_owned()),
            Outcome::Service(Err(error)) => Some(error.code.clone()),
            Outcome::UnavailableHtml => Some("ServiceUnavailable".to_owned()),
            _ => None,
        }
    }

    pub fn cancellation_codes(&self) -> Vec<String> {
        match self {
            Outcome::Dynamodb(Err(error)) => error.cancellation_codes(),
            _ => Vec::new(),
        }
    }

    pub fn into_internal_answer(self) -> InternalAnswer {
        let status = self.status();
        let failed = |code: String, message: String| InternalAnswer::Error { status, code, message };
        match self {
            // Bodies of our own making are JSON; one that is not would be an answer nobody can read.
            Outcome::Dynamodb(Ok(body)) => {
                serde_json::from_slice(&body).map_or(InternalAnswer::NoAnswer, InternalAnswer::Success)
            }
            Outcome::Service(Ok(answer)) => InternalAnswer::Success(answer.body),
            Outcome::Dynamodb(Err(error)) | Outcome::Rejected(Rejection::Error(error)) => {
                failed(error.code().to_owned(), error.to_string())
            }
            Outcome::Service(Err(error)) => failed(error.code, error.message),
            Outcome::Rejected(Rejection::Plain { .. }) => failed("UnknownOperation".to_owned(), String::new()),
            Outcome::UnavailableHtml => failed("ServiceUnavailable".to_owned(), String::new()),
        }
    }
}
