//! One invocation: what is handed to an environment, and what comes back.

use std::time::Duration;

use serde_json::{Value, json};

use super::{codec::invalid_request_content, desk::Desk, errors, members};
use crate::service::{Answer, ServiceError};

/// Who hears of an invocation's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Invoker {
    /// A call of Invoke that waits.
    Call {
        sequence: u64,
    },
    /// An asynchronous event.
    Event {
        id: u64,
    },
    Nobody,
}

#[derive(Clone, Debug)]
pub struct Invocation {
    pub request_id: String,
    pub function: String,
    pub payload: String,
    pub invoker: Invoker,
    /// `mapping/shard`, `mapping`, or empty: for the journal.
    pub source_key: String,
    /// The batch's range: for the journal.
    pub source_note: String,
    /// The answer may list failed items.
    pub reports_failures: bool,
    pub trace_id: String,
    pub client_context: Option<String>,
    /// The name of the environment that has it.
    pub environment: Option<String>,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    Success {
        payload: String,
    },
    Error {
        payload: String,
        kind: Option<String>,
    },
    TimedOut {
        after: Duration,
    },
    TooLarge {
        bytes: usize,
    },
    /// The environment's process ended without an answer.
    Exited,
}

impl Invocation {
    /// Reads the input of Invoke.
    pub fn from_request(desk: &mut Desk<'_, '_>, function: &str, request: &Value) -> Result<Self, ServiceError> {
        let kind = members::one_of(request, "InvocationType", &["Event", "RequestResponse", "DryRun"])?;
        let payload = members::string(request, "Payload")?.unwrap_or_default();
        let limit = if kind == Some("Event") { super::MAX_ASYNCHRONOUS_BYTES } else { super::MAX_SYNCHRONOUS_BYTES };
        if payload.len() > limit {
            return Err(errors::too_large(limit));
        }
        if !payload.is_empty() {
            serde_json::from_str::<serde::de::IgnoredAny>(payload).map_err(invalid_request_content)?;
        }
        let text = |name: &str| members::string(request, name).map(|text| text.map(str::to_owned));
        let source_key = text("SourceKey")?.unwrap_or_default();
        let request_id = desk.uuid("lambda-request", &format!("{function}/{source_key}"));
        Ok(Self {
            trace_id: text("TraceId")?.unwrap_or_else(|| trace_id(desk, &request_id)),
            request_id,
            function: function.to_owned(),
            payload: if payload.is_empty() { "{}".to_owned() } else { payload.to_owned() },
            invoker: Invoker::Call { sequence: desk.context.call_sequence },
            source_key,
            source_note: text("SourceNote")?.unwrap_or_default(),
            reports_failures: members::boolean(request, "ReportsItemFailures")?.unwrap_or(false),
            client_context: text("ClientContext")?,
            environment: None,
        })
    }

    /// A try of an asynchronous event; all tries share the request id.
    pub fn of_event(function: &str, payload: &str, request_id: &str, id: u64) -> Self {
        Self {
            request_id: request_id.to_owned(),
            function: function.to_owned(),
            payload: payload.to_owned(),
            invoker: Invoker::Event { id },
            source_key: String::new(),
            source_note: String::new(),
            reports_failures: false,
            trace_id: trace_of(request_id, 0),
            client_context: None,
            environment: None,
        }
    }

    /// The same event once more, for nobody.
    pub fn twin(&self, desk: &mut Desk<'_, '_>) -> Self {
        let request_id = desk.uuid("lambda-twin", &format!("{}/{}", self.function, self.source_key));
        let source_note = format!("{} duplicate of {}", self.source_note, self.request_id).trim().to_owned();
        Self { request_id, source_note, invoker: Invoker::Nobody, environment: None, ..self.clone() }
    }

    /// Turns a batch of a standard queue around; the order of streams and FIFO queues is promised and stays.
    pub fn reverse_queue_records(&mut self) {
        let Ok(mut event) = serde_json::from_str::<Value>(&self.payload) else { return };
        let Some(records) = event.get_mut("Records").and_then(Value::as_array_mut) else { return };
        let is_standard_queue = records
            .iter()
            .all(|record| record["eventSource"] == "aws:sqs" && record["attributes"].get("MessageGroupId").is_none());
        if is_standard_queue {
            records.reverse();
            self.payload = event.to_string();
        }
    }

    /// What the environment receives.
    pub fn handed_over(&self, desk: &Desk<'_, '_>, timeout: Duration) -> Answer {
        let deadline_ms = desk.now().plus(timeout).as_millis();
        let mut headers = vec![
            ("lambda-runtime-aws-request-id".to_owned(), self.request_id.clone()),
            ("lambda-runtime-deadline-ms".to_owned(), deadline_ms.to_string()),
            ("lambda-runtime-invoked-function-arn".to_owned(), desk.function_arn(&self.function)),
            ("lambda-runtime-trace-id".to_owned(), self.trace_id.clone()),
        ];
        if let Some(context) = &self.client_context {
            headers.push(("lambda-runtime-client-context".to_owned(), context.clone()));
        }
        Answer { body: json!({"Payload": self.payload}), headers }
    }
}

impl Ended {
    pub fn is_error(&self) -> bool {
        !matches!(self, Ended::Success { .. })
    }

    /// What Invoke answers: errors of a function are successes of the call.
    pub fn to_answer(&self, request_id: &str) -> Value {
        let failed = |payload: String| json!({"StatusCode": 200, "FunctionError": "Unhandled", "Payload": payload, "RequestId": request_id});
        match self {
            Ended::Success { payload } => {
                json!({"StatusCode": 200, "Payload": payload, "RequestId": request_id})
            }
            Ended::Error { payload, kind } if payload.is_empty() => {
                let kind = kind.as_deref().unwrap_or("Runtime.Unknown");
                failed(json!({"errorType": kind, "errorMessage": ""}).to_string())
            }
            Ended::Error { payload, .. } => failed(payload.clone()),
            Ended::TimedOut { after } => failed(
                json!({
                    "errorType": "Sandbox.Timedout",
                    "errorMessage":
                        format!("RequestId: {request_id} Error: Task timed out after {:.2} seconds", after.as_secs_f64()),
                })
                .to_string(),
            ),
            Ended::TooLarge { bytes } => failed(
                json!({
                    "errorType": "Function.ResponseSizeTooLarge",
                    "errorMessage": format!(
                        "Response payload size ({bytes} bytes) exceeded maximum allowed payload size ({} bytes).",
                        super::MAX_SYNCHRONOUS_BYTES
                    ),
                })
                .to_string(),
            ),
            Ended::Exited => failed(
                json!({
                    "errorType": "Runtime.ExitError",
                    "errorMessage": format!("RequestId: {request_id} Error: Runtime exited without providing a reason"),
                })
                .to_string(),
            ),
        }
    }
}

fn trace_id(desk: &Desk<'_, '_>, request_id: &str) -> String {
    trace_of(request_id, desk.now().0 / 1_000_000_000)
}

/// A trace of its own for an invocation that brought none.
fn trace_of(request_id: &str, seconds: u64) -> String {
    let (high, low) =
        (crate::entropy::hash_text(request_id), crate::entropy::mix(crate::entropy::hash_text(request_id)));
    format!("Root=1-{:08x}-{:016x}{:08x};Parent={:016x};Sampled=0", seconds as u32, high, low as u32, low)
}
