//! A router over memory, and a way to drive its handlers.

#![allow(dead_code, reason = "each test file uses its own part")]

pub mod events;

use std::{
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use nexus_event_router::{Router, RouterSettings};
use nexus_governance::{SchemaGate, SchemaValidator};
use nexus_ports::{EventRecord, FeedRecord, Handled, Measurement, MetricSink, ShardHandler};
use nexus_ports_testing::{MemoryEventStorage, MemoryParkingLot, MemoryStream, MemoryTopic, TestPlatform};

/// Compiled once: that takes longer than most tests.
static VALIDATOR: LazyLock<Arc<SchemaValidator>> =
    LazyLock::new(|| Arc::new(SchemaValidator::from_catalogue().unwrap()));

#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Vec<(String, f64)>>>);

impl Metrics {
    /// Values of the metric, each with its dimensions' values behind its name.
    pub fn of(&self, name: &str) -> Vec<f64> {
        let all = self.0.lock().unwrap();
        all.iter().filter(|(measured, _)| measured == name).map(|(_, value)| *value).collect()
    }
}

impl MetricSink for Metrics {
    fn record(&self, measurement: Measurement<'_>) {
        let dimensions = measurement.dimensions.iter().map(|(_, value)| format!(" {value}"));
        let name = std::iter::once(measurement.name.to_owned()).chain(dimensions).collect();
        self.0.lock().unwrap().push((name, measurement.value));
    }
}

pub struct World {
    pub test: TestPlatform,
    pub stream: MemoryStream,
    pub topic: MemoryTopic,
    pub parking: MemoryParkingLot,
    pub store: MemoryEventStorage,
    pub metrics: Metrics,
}

impl World {
    pub fn new(seed: u64) -> Self {
        Self {
            test: TestPlatform::new(seed),
            stream: MemoryStream::default(),
            topic: MemoryTopic::default(),
            parking: MemoryParkingLot::default(),
            store: MemoryEventStorage::default(),
            metrics: Metrics::default(),
        }
    }

    /// A router that remembers nothing: what a process has after its start.
    pub fn router(&self) -> Router {
        self.router_behind(VALIDATOR.clone().into())
    }

    pub fn router_behind(&self, gate: SchemaGate) -> Router {
        Router::new(
            self.test.platform.clone(),
            gate,
            Arc::new(self.stream.clone()),
            Arc::new(self.topic.clone()),
            Arc::new(self.parking.clone()),
            Arc::new(self.store.clone()),
            Arc::new(self.metrics.clone()),
            RouterSettings::default(),
        )
    }

    pub fn save(&self, events: &[EventRecord]) {
        self.store.tamper(|stored| {
            stored.extend(events.iter().map(|event| ((event.stream.clone(), event.version), event.clone())));
        });
    }

    /// Calls the handler until nothing is kept back, at most for so long.
    pub async fn drain(&self, handler: &mut dyn ShardHandler, records: Vec<FeedRecord>, patience: Duration) -> Handled {
        let until = self.test.platform.monotonic().0 + patience;
        let mut handled = handler.handle(records).await;
        while let Some(pause) = handled.call_again_after
            && self.test.platform.monotonic().0 < until
        {
            self.test.platform.sleep(pause.max(Duration::from_millis(1))).await;
            handled = handler.handle(Vec::new()).await;
        }
        handled
    }

    /// What the stream or the topic holds of this aggregate: versions in order.
    pub fn taken(&self, stream: &str) -> Vec<u64> {
        let entries = self.stream.taken().into_iter().map(|entry| entry.data);
        let messages = self.topic.taken().into_iter().map(|message| message.body.into_bytes());
        versions_of(stream, entries.chain(messages))
    }
}

pub fn versions_of(stream: &str, bodies: impl Iterator<Item = Vec<u8>>) -> Vec<u64> {
    let events = bodies.map(|body| serde_json::from_slice::<EventRecord>(&body).unwrap());
    events.filter(|event| event.stream.as_str() == stream).map(|event| event.version.0).collect()
}

pub const LONG: Duration = Duration::from_secs(600);
