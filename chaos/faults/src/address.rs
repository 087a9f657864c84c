//! The logical address of a call: robust against other calls coming, going or changing order.

use std::fmt;

use nexus_cloud::{Call, Service};
use serde::{Deserialize, Serialize};

/// Which calls a fault means. Every given part must match; `nth` counts this fault's own matches from 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallAddress {
    /// The calling host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    pub service: Service,
    /// `PutItem`, `TransactWriteItems` …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<String>,
    /// Matches if any key of the call equals it, or starts with it and goes on with `/`: `nexus-events/order-o-1` means
    /// every version of that stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Only calls that arrive in this part of the trial count, in milliseconds since its start.
    pub from_ms: u64,
    pub until_ms: u64,
    /// The first match that is hit, from 1.
    pub nth: u32,
    /// How many matches in a row are hit, from `nth` on.
    pub count: u32,
}

impl CallAddress {
    /// Whether the call is one that this address counts. `at_ms` is its arrival since the trial's start.
    pub fn matches(&self, call: &Call, at_ms: u64) -> bool {
        call.service == self.service
            && (self.from_ms..self.until_ms).contains(&at_ms)
            && self.host.as_ref().is_none_or(|host| *host == call.caller)
            && self.operation.as_ref().is_none_or(|operation| *operation == call.operation)
            && self.key.as_ref().is_none_or(|key| call.keys.iter().any(|candidate| key_matches(key, candidate)))
    }

    /// Whether the `match_number`-th match (from 1) is hit.
    pub fn hits(&self, match_number: u32) -> bool {
        match_number >= self.nth && match_number - self.nth < self.count
    }
}

fn key_matches(wanted: &str, candidate: &str) -> bool {
    candidate.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Display for CallAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = "*";
        write!(
            f,
            "{} -> {}/{} [{}] #{}",
            self.host.as_deref().unwrap_or(any),
            self.service,
            self.operation.as_deref().unwrap_or(any),
            self.key.as_deref().unwrap_or(any),
            self.nth
        )?;
        if self.count > 1 {
            write!(f, "..{}", self.nth.saturating_add(self.count - 1))?;
        }
        write!(f, " in {}..{} ms", self.from_ms, self.until_ms)
    }
}

#[cfg(test)]
mod tests {
    use nexus_cloud::UnixNanos;

    use super::*;

    fn call(caller: &str, operation: &str, keys: &[&str]) -> Call {
        Call {
            sequence: 1,
            at: UnixNanos(0),
            caller: caller.into(),
            service: Service::Dynamodb,
            operation: operation.into(),
            keys: keys.iter().map(|key| key.to_string()).collect(),
            is_write: true,
            is_transaction: false,
            is_eventual_read: false,
            client_token: None,
            invocation_id: None,
            attempt: None,
        }
    }

    fn address() -> CallAddress {
        CallAddress {
            host: Some("orders-1".into()),
            service: Service::Dynamodb,
            operation: Some("TransactWriteItems".into()),
            key: Some("nexus-events/order-o-1".into()),
            from_ms: 100,
            until_ms: 200,
            nth: 2,
            count: 2,
        }
    }

    #[test]
    fn every_given_part_must_match() {
        let matching = call("orders-1", "TransactWriteItems", &["nexus-idempotency/k", "nexus-events/order-o-1/3"]);
        let cases = [
            (matching.clone(), 150, true),
            (matching.clone(), 100, true),
            (matching.clone(), 200, false),
            (matching.clone(), 99, false),
            (call("orders-2", "TransactWriteItems", &["nexus-events/order-o-1/3"]), 150, false),
            (call("orders-1", "PutItem", &["nexus-events/order-o-1/3"]), 150, false),
            (call("orders-1", "TransactWriteItems", &["nexus-events/order-o-11/3"]), 150, false),
            (call("orders-1", "TransactWriteItems", &["nexus-events/order-o-1"]), 150, true),
            (call("orders-1", "TransactWriteItems", &[]), 150, false),
        ];
        for (call, at_ms, expected) in cases {
            assert_eq!(address().matches(&call, at_ms), expected, "{call:?} at {at_ms}");
        }
    }

    #[test]
    fn nth_and_count_choose_a_run_of_matches() {
        let hits: Vec<u32> = (1..6).filter(|number| address().hits(*number)).collect();
        assert_eq!(hits, [2, 3]);
    }
}
