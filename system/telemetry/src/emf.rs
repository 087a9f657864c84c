//! The sink that gathers measurements and writes them out now and then.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_ports::{Measurement, MetricSink, MetricUnit, Platform, TaskHandle};

use crate::{LineSink, document::documents, window::Window};

/// Values held before they are written without waiting for a flush, so that a burst cannot fill the memory.
const VALUES_HELD_MAX: usize = 10_000;
/// Measurements that the format could not express.
const DROPPED: &str = "MeasurementsDropped";

/// Metrics as lines of the CloudWatch embedded metric format. Cheap to clone; clones gather together.
///
/// All metrics have the dimension `service`, beside their own. Counts are added up between flushes; other values are
/// written one by one, at most 100 for each metric and line.
#[derive(Clone)]
pub struct EmfMetrics {
    shared: Arc<Shared>,
}

struct Shared {
    platform: Platform,
    sink: Arc<dyn LineSink>,
    namespace: String,
    service: String,
    window: Mutex<Window>,
}

impl EmfMetrics {
    pub fn new(
        platform: Platform,
        sink: Arc<dyn LineSink>,
        namespace: impl Into<String>,
        service: impl Into<String>,
    ) -> Self {
        let (namespace, service) = (namespace.into(), service.into());
        Self { shared: Arc::new(Shared { platform, sink, namespace, service, window: Mutex::default() }) }
    }

    /// Starts a task that flushes regularly, until the handle is dropped. A Lambda function, which is frozen between its
    /// invocations, calls [`EmfMetrics::flush`] at the end of each instead.
    pub fn start_flushing(&self, every: Duration) -> FlushHandle {
        let metrics = self.clone();
        let task = self.shared.platform.spawn("metrics-flush", async move {
            loop {
                metrics.shared.platform.sleep(every).await;
                metrics.flush();
            }
        });
        FlushHandle { metrics: self.clone(), task }
    }

    /// Writes everything gathered so far.
    pub fn flush(&self) {
        self.write(std::mem::take(&mut *self.shared.window.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn write(&self, mut window: Window) {
        let Shared { platform, sink, namespace, service, .. } = &*self.shared;
        if window.dropped > 0 {
            let dropped = std::mem::take(&mut window.dropped) as f64;
            let at_ms = platform.unix_time().as_millis();
            let unit = MetricUnit::Count;
            window.add(&Measurement { name: DROPPED, unit, value: dropped, dimensions: &[], at_ms });
        }
        for (key, group) in &window.groups {
            for document in documents(namespace, service, key, group) {
                sink.line(&document);
            }
        }
    }
}

impl MetricSink for EmfMetrics {
    fn record(&self, measurement: Measurement<'_>) {
        let full = {
            let mut window = self.shared.window.lock().unwrap_or_else(PoisonError::into_inner);
            window.add(&measurement);
            (window.values >= VALUES_HELD_MAX).then(|| std::mem::take(&mut *window))
        };
        if let Some(window) = full {
            self.write(window);
        }
    }
}

/// Keeps the regular flush going. Dropping it ends the task and writes what is left.
#[must_use = "dropping the handle ends the regular flush"]
pub struct FlushHandle {
    metrics: EmfMetrics,
    task: TaskHandle,
}

impl Drop for FlushHandle {
    fn drop(&mut self) {
        self.task.abort();
        self.metrics.flush();
    }
}
