//! Switches for behaviour of AWS that its documentation leaves open. A verdict lists the ones in use.

use serde::{Deserialize, Serialize};

/// Each field is one fact that is remembered by experts or modelled, not documented; the defaults are the likeliest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assumptions {
    /// `<>` holds when the attribute is missing, as DynamoDB-compatible servers' tests have it.
    pub missing_attribute_is_not_equal: bool,
    /// Seconds of unused provisioned capacity that a table keeps for bursts.
    pub burst_seconds: u32,
    /// Share of calls in the long tail of the latency model (section "Latency" of the fact sheet: 0.01 % to 0.1 %).
    pub latency_tail_share: f64,
    /// Share of eventual reads that see an older state.
    pub stale_read_share: f64,
    /// How old that state is at most, in milliseconds.
    pub stale_read_max_ms: u64,
    /// Rows of a global secondary index appear this late: median in milliseconds.
    pub index_lag_p50_ms: f64,
    /// … and the 99th percentile.
    pub index_lag_p99_ms: f64,
    /// Stream records become readable this late: median in milliseconds.
    pub stream_lag_p50_ms: f64,
    /// … and the 99th percentile.
    pub stream_lag_p99_ms: f64,
    /// A request member that the operation does not know is refused with SerializationException (the real service is
    /// reported to skip it; refusing finds misspelt members).
    pub unknown_members_refused: bool,
    /// More than two callers reading one stream shard within a second are throttled.
    pub stream_readers_limited: bool,
    /// How long TransactWriteItems remembers a completed ClientRequestToken, in seconds.
    pub token_window_seconds: u64,
    /// Expired items are deleted this long after their time-to-live at the earliest and twice as long at the latest, in seconds.
    pub ttl_delay_seconds: u64,
    /// A function's report of failed items that names a sequence number outside its batch fails the whole batch; else such
    /// a name is skipped.
    pub lambda_unknown_sequence_fails_batch: bool,
    /// What an asynchronous event waits before its function is invoked: median in milliseconds.
    pub lambda_async_p50_ms: f64,
    /// … and the 99th percentile.
    pub lambda_async_p99_ms: f64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            missing_attribute_is_not_equal: true,
            burst_seconds: 300,
            latency_tail_share: 0.0005,
            stale_read_share: 0.05,
            stale_read_max_ms: 100,
            index_lag_p50_ms: 10.0,
            index_lag_p99_ms: 500.0,
            stream_lag_p50_ms: 50.0,
            stream_lag_p99_ms: 350.0,
            unknown_members_refused: true,
            stream_readers_limited: true,
            token_window_seconds: 600,
            ttl_delay_seconds: 4 * 3600,
            lambda_unknown_sequence_fails_batch: true,
            lambda_async_p50_ms: 5.0,
            lambda_async_p99_ms: 25.0,
        }
    }
}

impl Assumptions {
    /// Every assumption with its value, in declaration order, like `burst_seconds=300`.
    pub fn names_in_use(&self) -> Vec<String> {
        vec![
            format!("missing_attribute_is_not_equal={}", self.missing_attribute_is_not_equal),
            format!("burst_seconds={}", self.burst_seconds),
            format!("latency_tail_share={}", self.latency_tail_share),
            format!("stale_read_share={}", self.stale_read_share),
            format!("stale_read_max_ms={}", self.stale_read_max_ms),
            format!("index_lag_p50_ms={}", self.index_lag_p50_ms),
            format!("index_lag_p99_ms={}", self.index_lag_p99_ms),
            format!("stream_lag_p50_ms={}", self.stream_lag_p50_ms),
            format!("stream_lag_p99_ms={}", self.stream_lag_p99_ms),
            format!("unknown_members_refused={}", self.unknown_members_refused),
            format!("stream_readers_limited={}", self.stream_readers_limited),
            format!("token_window_seconds={}", self.token_window_seconds),
            format!("ttl_delay_seconds={}", self.ttl_delay_seconds),
            format!("lambda_unknown_sequence_fails_batch={}", self.lambda_unknown_sequence_fails_batch),
            format!("lambda_async_p50_ms={}", self.lambda_async_p50_ms),
            format!("lambda_async_p99_ms={}", self.lambda_async_p99_ms),
        ]
    }

    /// Without lag or staleness: every read sees the newest state. For tests of what is not about time.
    pub fn immediate() -> Self {
        Self {
            latency_tail_share: 0.0,
            stale_read_share: 0.0,
            index_lag_p50_ms: 0.0,
            index_lag_p99_ms: 0.0,
            stream_lag_p50_ms: 0.0,
            stream_lag_p99_ms: 0.0,
            lambda_async_p50_ms: 0.0,
            lambda_async_p99_ms: 0.0,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_assumption_has_a_name_and_survives_serialisation() {
        let assumptions = Assumptions::default();
        let json = serde_json::to_value(&assumptions).unwrap();
        let fields: Vec<&String> = json.as_object().unwrap().keys().collect();
        let mut names: Vec<String> =
            assumptions.names_in_use().iter().map(|line| line.split('=').next().unwrap().to_owned()).collect();
        names.sort();
        assert_eq!(fields.into_iter().cloned().collect::<Vec<_>>(), names);
        assert_eq!(serde_json::from_value::<Assumptions>(json).unwrap(), assumptions);
        assert!(serde_json::from_str::<Assumptions>(r#"{"burst_secs":1}"#).is_err());
    }
}
