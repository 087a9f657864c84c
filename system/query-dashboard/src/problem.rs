//! Every way in which no view is shown, as `application/problem+json` (RFC 9457).

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use http::{HeaderValue, StatusCode, header};
use nexus_ports::{InvalidStreamName, Rejected, StreamName, UnreadableRecord};
use serde_json::json;

/// Why no view was shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ViewFailure {
    #[error(transparent)]
    InvalidStream(#[from] InvalidStreamName),
    /// There may be one later: views follow the events that they are made of.
    #[error("there is no view of `{stream}` (yet)")]
    NotFound { stream: StreamName },
    #[error("the read model did not answer in {attempts} attempts: {reason}")]
    Unavailable { attempts: u32, reason: String },
    #[error(transparent)]
    Rejected(Rejected),
    #[error(transparent)]
    Unreadable(UnreadableRecord),
    #[error("there is nothing at this path")]
    PathNotFound,
    #[error("this path does not take this method")]
    MethodNotAllowed,
}

impl ViewFailure {
    fn kind(&self) -> (StatusCode, &'static str, &'static str) {
        match self {
            Self::InvalidStream(_) => (StatusCode::BAD_REQUEST, "invalid-stream", "This is not the name of a stream"),
            Self::NotFound { .. } => (StatusCode::NOT_FOUND, "view-not-found", "There is no such view"),
            Self::Unavailable { .. } => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The read model is not reachable")
            }
            Self::Rejected(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "storage-rejected", "The read model does not take the request")
            }
            Self::Unreadable(_) => {
                (StatusCode::INTERNAL_SERVER_ERROR, "unreadable-view", "The stored view cannot be read")
            }
            Self::PathNotFound => (StatusCode::NOT_FOUND, "path-not-found", "There is no such path"),
            Self::MethodNotAllowed => {
                (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not take this method")
            }
        }
    }
}

impl IntoResponse for ViewFailure {
    fn into_response(self) -> Response {
        let (status, code, title) = self.kind();
        let body = json!({
            "type": format!("urn:nexus:problem:{code}"),
            "title": title,
            "status": status.as_u16(),
            "detail": self.to_string(),
            "code": code,
        });
        let mut response = Response::new(Body::from(body.to_string()));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
