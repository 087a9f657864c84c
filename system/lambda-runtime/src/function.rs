//! What a function is, to the runtime.

use std::time::Duration;

use nexus_ports::{BoxFuture, Monotonic, Platform};
use serde_json::Value;

/// Works off one invocation at a time.
pub trait LambdaFunction: Send + Sync {
    /// The future is dropped, and an error reported, shortly before the invocation's deadline.
    ///
    /// # Errors
    /// Whoever invoked the function learns that it failed; an event source mapping then invokes it again with the whole
    /// batch.
    fn invoke<'a>(&'a self, payload: Value, context: InvocationContext) -> BoxFuture<'a, Result<Value, FunctionError>>;
}

/// What Lambda tells of an invocation beside its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvocationContext {
    pub request_id: String,
    /// When Lambda ends the invocation, by its wall clock.
    pub deadline_ms: u64,
    /// The same moment on this host's monotonic clock, or a later one where the wall clock cannot be right: see
    /// [`RuntimeSettings::time_left_min`](crate::RuntimeSettings::time_left_min).
    pub deadline: Monotonic,
    pub invoked_function_arn: String,
    /// X-Ray's trace header, if the invocation is traced.
    pub trace_id: Option<String>,
}

impl InvocationContext {
    /// Time left until `margin` before the deadline; `None` when there is none.
    pub fn remaining(&self, platform: &Platform, margin: Duration) -> Option<Duration> {
        let end = self.deadline.0.saturating_sub(margin);
        end.checked_sub(platform.monotonic().0).filter(|left| !left.is_zero())
    }
}

/// Why an invocation failed, as it is reported to Lambda.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{error_type}: {message}")]
pub struct FunctionError {
    /// Category and reason, for instance `Function.MalformedEvent`.
    pub error_type: String,
    pub message: String,
}

impl FunctionError {
    pub fn new(error_type: impl Into<String>, message: impl Into<String>) -> Self {
        Self { error_type: error_type.into(), message: message.into() }
    }
}
