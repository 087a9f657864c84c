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
    /// Stream records become readable this late: median in milliseconds. With the 99th percentile it is chosen so that lag, a
    /// reader that looks four times a second, and an invocation together give what was measured from DynamoDB Streams to
    /// Lambda (213 ms at the median, 341 at the 90th and 552 at the 99th percentile).
    pub stream_lag_p50_ms: f64,
    /// … and the 99th percentile.
    pub stream_lag_p99_ms: f64,
    /// … and the longest.
    pub stream_lag_max_ms: f64,
    /// Share of the transactions with several items in one stream whose records become readable apart and in any order: a
    /// stream promises order for each item and none within a transaction.
    pub stream_torn_share: f64,
    /// How long at most the last of such records follows the first, in milliseconds.
    pub stream_torn_max_ms: f64,
    /// A request member that the operation does not know is refused with SerializationException (the real service is
    /// reported to skip it; refusing finds misspelt members).
    pub unknown_members_refused: bool,
    /// More than two callers reading one stream shard within a second are throttled.
    pub stream_readers_limited: bool,
    /// How long TransactWriteItems remembers a completed ClientRequestToken, in seconds.
    pub token_window_seconds: u64,
    /// Expired items are deleted this long after their time-to-live at the earliest and twice as long at the latest, in seconds.
    pub ttl_delay_seconds: u64,
    /// Records of a Kinesis stream become readable this late: median in milliseconds.
    pub kinesis_lag_p50_ms: f64,
    /// … and the 99th percentile (the documentation promises "typically less than a second").
    pub kinesis_lag_p99_ms: f64,
    /// Share of reads of a Kinesis shard that give nothing although there is something.
    pub kinesis_empty_page_share: f64,
    /// How far ApproximateArrivalTimestamp is off at most, in milliseconds, so that it is not monotonic.
    pub kinesis_arrival_jitter_ms: u64,
    /// A sent message becomes visible to receivers this late: median in milliseconds.
    pub sqs_delivery_p50_ms: f64,
    /// … and the 99th percentile.
    pub sqs_delivery_p99_ms: f64,
    /// Share of a standard queue's messages that lose their turn.
    pub sqs_reorder_share: f64,
    /// They fall behind messages that were sent up to this much later, in milliseconds.
    pub sqs_reorder_max_ms: f64,
    /// Share of a standard queue's receives after which the message stays visible to others.
    pub sqs_duplicate_share: f64,
    /// Share of short polls of standard queues that find nothing although something is there.
    pub sqs_short_poll_empty_share: f64,
    /// Share of deletes with the handle of an earlier receive that delete from a standard queue nevertheless.
    pub sqs_stale_delete_share: f64,
    /// A standard topic's message sets out for a queue this late: median in milliseconds.
    pub sns_delivery_p50_ms: f64,
    /// … and the 99th percentile.
    pub sns_delivery_p99_ms: f64,
    /// The same for a FIFO topic: measured from publish to receive 40 and 497 ms.
    pub sns_fifo_delivery_p50_ms: f64,
    /// … and the 99th percentile.
    pub sns_fifo_delivery_p99_ms: f64,
    /// The same for a function: measured from publish to invocation 73 and 225 ms.
    pub sns_lambda_delivery_p50_ms: f64,
    /// … and the 99th percentile.
    pub sns_lambda_delivery_p99_ms: f64,
    /// A changed filter policy is in force after this long at most, in seconds (documented bound: 15 minutes).
    pub sns_filter_lag_seconds: u64,
    /// A function's report of failed items that names a sequence number outside its batch fails the whole batch; else such
    /// a name is skipped.
    pub lambda_unknown_sequence_fails_batch: bool,
    /// What an asynchronous event waits before its function is invoked: median in milliseconds.
    pub lambda_async_p50_ms: f64,
    pub lambda_async_p99_ms: f64,
    /// Whether the schema registry holds versions of JSON schemas to their compatibility mode. Sources conflict: the guide
    /// defines the modes for all formats, a client library's open report (2022) has even an added optional property refused
    /// under FULL, and its maintainers' proposal of 2025 says that only Avro and Protobuf are held to a mode. When not, every
    /// sound version becomes AVAILABLE, and DISABLED alone still refuses.
    pub glue_json_compatibility_enforced: bool,
    /// A second or later version of a schema stays PENDING this long: median in milliseconds. Modelled: no measurement is
    /// public; AWS's own serialisers ask up to ten times, three seconds apart.
    pub glue_pending_p50_ms: f64,
    /// … and the 99th percentile.
    pub glue_pending_p99_ms: f64,
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
            stream_lag_max_ms: 5_000.0,
            stream_torn_share: 0.3,
            stream_torn_max_ms: 1_500.0,
            unknown_members_refused: true,
            stream_readers_limited: true,
            token_window_seconds: 600,
            ttl_delay_seconds: 4 * 3600,
            kinesis_lag_p50_ms: 30.0,
            kinesis_lag_p99_ms: 400.0,
            kinesis_empty_page_share: 0.02,
            kinesis_arrival_jitter_ms: 5,
            sqs_delivery_p50_ms: 3.0,
            sqs_delivery_p99_ms: 60.0,
            sqs_reorder_share: 0.01,
            sqs_reorder_max_ms: 500.0,
            sqs_duplicate_share: 0.0005,
            sqs_short_poll_empty_share: 0.02,
            sqs_stale_delete_share: 0.1,
            sns_delivery_p50_ms: 20.0,
            sns_delivery_p99_ms: 160.0,
            sns_fifo_delivery_p50_ms: 30.0,
            sns_fifo_delivery_p99_ms: 430.0,
            sns_lambda_delivery_p50_ms: 65.0,
            sns_lambda_delivery_p99_ms: 205.0,
            sns_filter_lag_seconds: 15,
            lambda_unknown_sequence_fails_batch: true,
            lambda_async_p50_ms: 5.0,
            lambda_async_p99_ms: 25.0,
            glue_json_compatibility_enforced: true,
            glue_pending_p50_ms: 300.0,
            glue_pending_p99_ms: 4_000.0,
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
            format!("stream_lag_max_ms={}", self.stream_lag_max_ms),
            format!("stream_torn_share={}", self.stream_torn_share),
            format!("stream_torn_max_ms={}", self.stream_torn_max_ms),
            format!("unknown_members_refused={}", self.unknown_members_refused),
            format!("stream_readers_limited={}", self.stream_readers_limited),
            format!("token_window_seconds={}", self.token_window_seconds),
            format!("ttl_delay_seconds={}", self.ttl_delay_seconds),
            format!("kinesis_lag_p50_ms={}", self.kinesis_lag_p50_ms),
            format!("kinesis_lag_p99_ms={}", self.kinesis_lag_p99_ms),
            format!("kinesis_empty_page_share={}", self.kinesis_empty_page_share),
            format!("kinesis_arrival_jitter_ms={}", self.kinesis_arrival_jitter_ms),
            format!("sqs_delivery_p50_ms={}", self.sqs_delivery_p50_ms),
            format!("sqs_delivery_p99_ms={}", self.sqs_delivery_p99_ms),
            format!("sqs_reorder_share={}", self.sqs_reorder_share),
            format!("sqs_reorder_max_ms={}", self.sqs_reorder_max_ms),
            format!("sqs_duplicate_share={}", self.sqs_duplicate_share),
            format!("sqs_short_poll_empty_share={}", self.sqs_short_poll_empty_share),
            format!("sqs_stale_delete_share={}", self.sqs_stale_delete_share),
            format!("sns_delivery_p50_ms={}", self.sns_delivery_p50_ms),
            format!("sns_delivery_p99_ms={}", self.sns_delivery_p99_ms),
            format!("sns_fifo_delivery_p50_ms={}", self.sns_fifo_delivery_p50_ms),
            format!("sns_fifo_delivery_p99_ms={}", self.sns_fifo_delivery_p99_ms),
            format!("sns_lambda_delivery_p50_ms={}", self.sns_lambda_delivery_p50_ms),
            format!("sns_lambda_delivery_p99_ms={}", self.sns_lambda_delivery_p99_ms),
            format!("sns_filter_lag_seconds={}", self.sns_filter_lag_seconds),
            format!("lambda_unknown_sequence_fails_batch={}", self.lambda_unknown_sequence_fails_batch),
            format!("lambda_async_p50_ms={}", self.lambda_async_p50_ms),
            format!("lambda_async_p99_ms={}", self.lambda_async_p99_ms),
            format!("glue_json_compatibility_enforced={}", self.glue_json_compatibility_enforced),
            format!("glue_pending_p50_ms={}", self.glue_pending_p50_ms),
            format!("glue_pending_p99_ms={}", self.glue_pending_p99_ms),
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
            stream_torn_share: 0.0,
            kinesis_lag_p50_ms: 0.0,
            kinesis_lag_p99_ms: 0.0,
            kinesis_empty_page_share: 0.0,
            kinesis_arrival_jitter_ms: 0,
            sqs_delivery_p50_ms: 0.0,
            sqs_delivery_p99_ms: 0.0,
            sqs_reorder_share: 0.0,
            sqs_duplicate_share: 0.0,
            sqs_short_poll_empty_share: 0.0,
            sqs_stale_delete_share: 0.0,
            sns_delivery_p50_ms: 0.0,
            sns_delivery_p99_ms: 0.0,
            sns_fifo_delivery_p50_ms: 0.0,
            sns_fifo_delivery_p99_ms: 0.0,
            sns_lambda_delivery_p50_ms: 0.0,
            sns_lambda_delivery_p99_ms: 0.0,
            sns_filter_lag_seconds: 0,
            lambda_async_p50_ms: 0.0,
            lambda_async_p99_ms: 0.0,
            glue_pending_p50_ms: 0.0,
            glue_pending_p99_ms: 0.0,
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
