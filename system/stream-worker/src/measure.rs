//! The worker's numbers.

use nexus_ports::{Measurement, MetricSink, MetricUnit, Platform};

pub(crate) const LEASES_HELD: &str = "LeasesHeld";
pub(crate) const LEASES_LOST: &str = "LeasesLost";
pub(crate) const MILLIS_BEHIND: &str = "MillisBehind";
pub(crate) const RECORDS_READ: &str = "RecordsRead";
pub(crate) const CHECKPOINT_FAILURES: &str = "CheckpointFailures";
pub(crate) const FEED_FAILURES: &str = "FeedFailures";
pub(crate) const GAPS_FOUND: &str = "GapsFound";
pub(crate) const HANDLER_PANICS: &str = "HandlerPanics";

/// Shards come and go, so the group is the only dimension: one per shard would be a metric each, for ever.
pub(crate) fn record(
    platform: &Platform,
    metrics: &dyn MetricSink,
    group: &str,
    name: &'static str,
    unit: MetricUnit,
    value: f64,
) {
    let at_ms = platform.unix_time().as_millis();
    metrics.record(Measurement { name, unit, value, dimensions: &[("Group", group)], at_ms });
}
