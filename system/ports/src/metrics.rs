//! Numbers that operators watch.

/// Takes measurements. It never fails and never waits: a lost metric must not cost an order.
pub trait MetricSink: Send + Sync {
    fn record(&self, measurement: Measurement<'_>);
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement<'a> {
    /// `RoutingLatency`, `TotalEvents`, `ValidationFailures` …
    pub name: &'static str,
    pub unit: MetricUnit,
    pub value: f64,
    /// Few and of few values: each combination is a metric of its own, and is paid for.
    pub dimensions: &'a [(&'static str, &'a str)],
    pub at_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricUnit {
    /// Things that happened: several measurements may be added up.
    Count,
    /// Things that are there at the moment: never added up.
    Gauge,
    Milliseconds,
}

/// Takes everything and keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMetrics;

impl MetricSink for NoMetrics {
    fn record(&self, _: Measurement<'_>) {}
}
