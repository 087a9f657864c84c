//! A bench: the worker over memory ports, and cart events as the write side makes them.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use nexus_domain::Event;
use nexus_event_store::{FIRST_PREVIOUS_HASH, event_hash};
use nexus_notification_service::{NotificationSettings, NotificationWorker};
use nexus_ports::{EventEnvelope, EventRecord, Measurement, MetricSink, StreamName, Version, canonical_json};
use nexus_ports_testing::{MemoryOutbox, MemoryQueue, TestPlatform};
use tokio::sync::oneshot;

pub struct Bench {
    pub test: TestPlatform,
    pub queue: MemoryQueue,
    pub dead_letters: MemoryQueue,
    pub outbox: MemoryOutbox,
    pub counts: Arc<Counts>,
    pub worker: Arc<NotificationWorker>,
}

/// How often each metric was recorded, by name and values of its dimensions.
#[derive(Default)]
pub struct Counts(Mutex<BTreeMap<String, u32>>);

impl Counts {
    pub fn of(&self, name: &str) -> u32 {
        self.0.lock().unwrap().get(name).copied().unwrap_or_default()
    }
}

impl MetricSink for Counts {
    fn record(&self, measurement: Measurement<'_>) {
        let values = measurement.dimensions.iter().map(|(_, value)| *value);
        let name = std::iter::once(measurement.name).chain(values).collect::<Vec<_>>().join(" ");
        *self.0.lock().unwrap().entry(name).or_default() += 1;
    }
}

impl Bench {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, NotificationSettings::default())
    }

    pub fn with(seed: u64, settings: NotificationSettings) -> Self {
        let test = TestPlatform::new(seed);
        let dead_letters = MemoryQueue::new(&test.platform, "dead");
        let queue = MemoryQueue::new(&test.platform, "live").with_dead_letters(&dead_letters, 5);
        let (outbox, counts) = (MemoryOutbox::default(), Arc::new(Counts::default()));
        let worker = Arc::new(NotificationWorker::new(
            test.platform.clone(),
            Arc::new(queue.clone()),
            Arc::new(outbox.clone()),
            counts.clone(),
            settings,
        ));
        Self { test, queue, dead_letters, outbox, counts, worker }
    }

    pub fn put(&self, event: &EventRecord) -> String {
        self.queue.put(serde_json::to_string(event).unwrap())
    }

    /// Starts the worker; the sender stops it, the receiver tells that it has ended.
    pub fn start(&self) -> (oneshot::Sender<()>, oneshot::Receiver<()>) {
        let (stop, stopped) = oneshot::channel();
        let (ended, end) = oneshot::channel();
        let worker = self.worker.clone();
        self.test.platform.spawn("notification-worker", async move {
            worker
                .run_until(async {
                    // A sender that was dropped stops the worker as well.
                    let _ = stopped.await;
                })
                .await;
            let _ = ended.send(());
        });
        (stop, end)
    }

    pub async fn after(&self, seconds: u64) {
        self.test.platform.sleep(std::time::Duration::from_secs(seconds)).await;
    }
}

/// A cart that is filled, emptied by one and abandoned: three events.
pub fn cart(id: &str) -> Vec<EventRecord> {
    let (cart_id, customer_id) = (id.to_owned(), "c-1".to_owned());
    let facts = [
        Event::ItemAddedToCart {
            cart_id: cart_id.clone(),
            customer_id: customer_id.clone(),
            sku: "TEA".to_owned(),
            quantity: 2,
            unit_price_cents: 250,
        },
        Event::ItemRemovedFromCart { cart_id: cart_id.clone(), sku: "TEA".to_owned() },
        Event::CartAbandoned { cart_id, customer_id, total_cents: 500 },
    ];
    records(&facts)
}

/// Chains events into records as the event store does.
pub fn records(facts: &[Event]) -> Vec<EventRecord> {
    let mut previous_hash = FIRST_PREVIOUS_HASH.to_owned();
    let mut records = Vec::new();
    for (index, fact) in facts.iter().enumerate() {
        let stream: StreamName = fact.aggregate().to_string().parse().unwrap();
        let command_id = format!("{stream}-{index}");
        let mut record = EventRecord {
            event_id: format!("event-{command_id}"),
            stream,
            version: Version(index as u64 + 1),
            event_type: fact.event_type().to_owned(),
            schema_version: fact.schema_version(),
            payload: canonical_json(&fact.payload()),
            recorded_at_ms: 1_767_225_600_000,
            envelope: EventEnvelope {
                causation_id: command_id.clone(),
                correlation_id: command_id.clone(),
                command_id,
                trace_context: None,
            },
            previous_hash,
            hash: String::new(),
        };
        record.hash = event_hash(&record);
        previous_hash = record.hash.clone();
        records.push(record);
    }
    records
}
