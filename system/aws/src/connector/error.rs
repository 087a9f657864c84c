//! Connector errors, with the one distinction that matters to a writer: did the request leave?

use aws_smithy_runtime_api::{box_error::BoxError, client::result::ConnectorError};

/// No connection came about, or it was closed before the request's first byte: the request has no effect.
#[derive(Debug, thiserror::Error)]
#[error("no connection")]
pub struct ConnectionNeverMade(#[source] BoxError);

pub(super) fn never_made(source: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::io(Box::new(ConnectionNeverMade(source.into()))).never_connected()
}

/// The request may have arrived: its outcome is unknown.
pub(super) fn broken(source: impl Into<BoxError>) -> ConnectorError {
    ConnectorError::io(source.into())
}

/// The request cannot be sent at all.
pub(super) fn unusable(reason: &'static str) -> ConnectorError {
    ConnectorError::user(reason.into())
}
