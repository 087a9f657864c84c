//! What the answers to clients mean.

use serde_json::Value;

use crate::{Attempt, Request, Response};

/// One answer, read by the documented form of the HTTP face.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted(Accepted),
    /// The domain refused; the refusal is kept under the idempotency key.
    DomainRefused {
        code: String,
    },
    /// Refused without regard to the aggregate's state, and not kept: policy, schema, malformed request, reused key.
    Rejected {
        code: String,
    },
    /// This attempt did nothing.
    NotApplied {
        code: String,
    },
    Read(OrderView),
    NotFound,
    Unknown,
    /// Not an answer that the HTTP face gives; what it says about the outcome is unknown.
    Malformed {
        problem: String,
    },
}

/// An accepted command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Accepted {
    pub aggregate: String,
    pub version: u64,
    pub events: Vec<AcknowledgedEvent>,
    pub is_replayed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AcknowledgedEvent {
    pub event_id: String,
    pub event_type: String,
    pub version: u64,
}

/// What a read showed; parts that were not shown are `None`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderView {
    pub status: String,
    pub version: u64,
    pub customer_id: Option<String>,
    pub total_cents: Option<u64>,
}

impl Answer {
    pub(crate) fn of(attempt: &Attempt) -> Answer {
        let Response::Answered { status, body } = &attempt.response else { return Answer::Unknown };
        match (&attempt.request, status) {
            (Request::Command(_), 200) => {
                accepted(body).map_or_else(|| malformed("an acceptance without its events", body), Answer::Accepted)
            }
            (Request::ReadOrder { .. }, 200) => {
                view(body).map_or_else(|| malformed("an order without status and version", body), Answer::Read)
            }
            (Request::ReadOrder { .. }, 404) => Answer::NotFound,
            (_, 504) => Answer::Unknown,
            _ => problem(*status, body),
        }
    }

    /// Whether this settles what became of the command.
    pub(crate) fn is_final(&self) -> bool {
        !matches!(self, Answer::Unknown | Answer::NotApplied { .. } | Answer::Malformed { .. })
    }
}

fn problem(status: u16, body: &Value) -> Answer {
    let Some(code) = body["code"].as_str().map(str::to_owned) else {
        // A proxy's page, or a service that broke off: nobody knows.
        return if status >= 500 { Answer::Unknown } else { malformed("a problem without a code", body) };
    };
    match body["outcome"].as_str() {
        Some("refused") if status == 409 => Answer::DomainRefused { code },
        Some("refused") => Answer::Rejected { code },
        Some("not-applied") => Answer::NotApplied { code },
        Some("unknown") => Answer::Unknown,
        _ if status >= 500 => Answer::Unknown,
        _ => malformed("a problem that does not say its outcome", body),
    }
}

fn malformed(problem: &str, body: &Value) -> Answer {
    Answer::Malformed { problem: format!("{problem}: {body}") }
}

fn accepted(body: &Value) -> Option<Accepted> {
    let event = |event: &Value| {
        Some(AcknowledgedEvent {
            event_id: event["event_id"].as_str()?.to_owned(),
            event_type: event["event_type"].as_str()?.to_owned(),
            version: event["version"].as_u64()?,
        })
    };
    let events: Vec<_> = body["events"].as_array()?.iter().map(event).collect::<Option<_>>()?;
    (!events.is_empty()).then_some(())?;
    Some(Accepted {
        aggregate: body["aggregate"].as_str()?.to_owned(),
        version: body["version"].as_u64()?,
        events,
        is_replayed: body["replayed"].as_bool()?,
    })
}

fn view(body: &Value) -> Option<OrderView> {
    Some(OrderView {
        status: body["status"].as_str()?.to_owned(),
        version: body["version"].as_u64()?,
        customer_id: body["customer_id"].as_str().map(str::to_owned),
        total_cents: body["total_cents"].as_u64(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn attempt(request: Request, status: u16, body: Value) -> Attempt {
        Attempt {
            operation: 1,
            attempt: 1,
            customer: 1,
            idempotency_key: Some("k".to_owned()),
            role: "customer".to_owned(),
            request,
            invoked_ns: 1,
            completed_ns: Some(2),
            response: Response::Answered { status, body },
        }
    }

    #[test]
    fn answers_are_read_by_status_and_outcome() {
        let problem = |outcome: &str| json!({"code": "x", "outcome": outcome});
        let code = || "x".to_owned();
        let cases = [
            (403, problem("refused"), Answer::Rejected { code: code() }),
            (422, problem("refused"), Answer::Rejected { code: code() }),
            (409, problem("refused"), Answer::DomainRefused { code: code() }),
            (409, problem("not-applied"), Answer::NotApplied { code: code() }),
            (503, problem("not-applied"), Answer::NotApplied { code: code() }),
            (504, problem("unknown"), Answer::Unknown),
            (500, json!("oops"), Answer::Unknown),
            (502, json!({"code": "x"}), Answer::Unknown),
        ];
        for (status, body, expected) in cases {
            let found = Answer::of(&attempt(Request::Command(json!({})), status, body));
            assert_eq!(found, expected, "{status}");
        }
        for (status, body) in [
            (400, json!({})),
            (409, json!({"code": "x"})),
            (200, json!({"aggregate": "order-o-1", "version": 1, "events": [], "replayed": false})),
            (200, json!({"aggregate": "order-o-1"})),
        ] {
            let found = Answer::of(&attempt(Request::Command(json!({})), status, body));
            assert!(matches!(found, Answer::Malformed { .. }), "{status} {found:?}");
        }
    }

    #[test]
    fn reads_show_an_order_or_none() {
        let read = |status, body| {
            Answer::of(&attempt(Request::ReadOrder { order_id: "o-1".to_owned(), eventual: false }, status, body))
        };
        assert_eq!(read(404, json!({"code": "not-found"})), Answer::NotFound);
        let view = OrderView { status: "paid".to_owned(), version: 2, customer_id: None, total_cents: Some(5) };
        assert_eq!(read(200, json!({"status": "paid", "version": 2, "total_cents": 5})), Answer::Read(view));
        assert!(matches!(read(200, json!({"status": "paid"})), Answer::Malformed { .. }));
    }
}
