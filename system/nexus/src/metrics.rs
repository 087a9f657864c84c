//! Metrics of one process: lines on standard output that CloudWatch Logs turns into metrics.

use std::{sync::Arc, time::Duration};

use nexus_ports::{MetricSink, Platform};
use nexus_telemetry::{EmfMetrics, FlushHandle};

use crate::output::StandardOutput;

const NAMESPACE: &str = "Nexus";
const FLUSH_EVERY: Duration = Duration::from_secs(10);
/// How long an end waits for lines that standard output has not taken.
const LAST_LINES_PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Metrics {
    gathered: EmfMetrics,
    output: Arc<StandardOutput>,
}

impl Metrics {
    /// `service` becomes a dimension of every metric.
    pub(crate) fn new(platform: &Platform, service: &str) -> Self {
        let output = Arc::new(StandardOutput::start());
        Self { gathered: EmfMetrics::new(platform.clone(), output.clone(), NAMESPACE, service), output }
    }

    pub(crate) fn sink(&self) -> Arc<dyn MetricSink> {
        Arc::new(self.gathered.clone())
    }

    /// Writes regularly until the handle is dropped, and what is left then.
    pub(crate) fn start_flushing(&self) -> RegularFlush {
        RegularFlush { handle: Some(self.gathered.start_flushing(FLUSH_EVERY)), output: self.output.clone() }
    }

    /// Writes everything gathered, and waits a moment until it is out: a function is frozen right after its answer.
    pub(crate) fn flush(&self, patience: Duration) {
        self.gathered.flush();
        self.output.wait_until_written(patience);
    }
}

#[must_use = "dropping it ends the regular flush"]
pub(crate) struct RegularFlush {
    handle: Option<FlushHandle>,
    output: Arc<StandardOutput>,
}

impl Drop for RegularFlush {
    fn drop(&mut self) {
        drop(self.handle.take());
        self.output.wait_until_written(LAST_LINES_PATIENCE);
    }
}
