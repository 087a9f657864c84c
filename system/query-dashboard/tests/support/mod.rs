//! A bench: the projection over memory ports, and events as the write side makes them.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::{collections::BTreeMap, sync::Arc};

use nexus_domain::{Event, OrderLine, RefundDue};
use nexus_event_store::{FIRST_PREVIOUS_HASH, event_hash};
use nexus_ports::{
    EventEnvelope, EventRecord, FeedHandler, FeedRecord, NoMetrics, ParkedAggregate, SequenceNumber, ShardHandler,
    StreamName, Version, canonical_json,
};
use nexus_ports_testing::{MemoryEventStorage, MemoryParkingLot, MemoryReadModel, TestPlatform};
use nexus_query_dashboard::{Projection, ProjectionSettings};
use serde_json::{Value, json};

pub struct Bench {
    pub test: TestPlatform,
    pub views: MemoryReadModel,
    pub parking: MemoryParkingLot,
    pub storage: MemoryEventStorage,
    pub projection: Projection,
}

impl Bench {
    pub fn new(seed: u64) -> Self {
        Self::with(seed, ProjectionSettings::default())
    }

    pub fn with(seed: u64, settings: ProjectionSettings) -> Self {
        let test = TestPlatform::new(seed);
        let (views, parking) = (MemoryReadModel::default(), MemoryParkingLot::default());
        let storage = MemoryEventStorage::default();
        let projection = project(&test, &views, &parking, &storage, settings);
        Self { test, views, parking, storage, projection }
    }

    /// Another projection over the same stores, as on another host.
    pub fn beside(&self, seed: u64) -> Projection {
        let settings = ProjectionSettings::default();
        project(&TestPlatform::new(seed), &self.views, &self.parking, &self.storage, settings)
    }

    pub fn shard(&self) -> Box<dyn ShardHandler> {
        self.projection.begin_shard("shard-0", 1, "")
    }

    pub fn store(&self, events: &[EventRecord]) {
        self.storage.tamper(|stored| {
            stored.extend(events.iter().map(|event| ((event.stream.clone(), event.version), event.clone())));
        });
    }

    pub fn parked(&self, key: &str) -> Option<ParkedAggregate> {
        self.parking.entry("projection", key)
    }

    pub fn view_version(&self, stream: &str) -> u64 {
        self.views.view(&stream.parse().unwrap()).map_or(0, |view| view.version.0)
    }
}

fn project(
    test: &TestPlatform,
    views: &MemoryReadModel,
    parking: &MemoryParkingLot,
    storage: &MemoryEventStorage,
    settings: ProjectionSettings,
) -> Projection {
    Projection::new(
        test.platform.clone(),
        Arc::new(views.clone()),
        Arc::new(parking.clone()),
        Arc::new(storage.clone()),
        Arc::new(NoMetrics),
        settings,
    )
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
            recorded_at_ms: 1_767_225_600_000 + index as u64,
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

/// A payment that is given back cent by cent: a stream of any length.
pub fn payment(id: &str, events: usize) -> Vec<EventRecord> {
    let (payment_id, order_id) = (id.to_owned(), "o-1".to_owned());
    let refund = |_| Event::PaymentRefunded { payment_id: id.to_owned(), order_id: "o-1".to_owned(), amount_cents: 1 };
    let processed = Event::PaymentProcessed { payment_id, order_id, amount_cents: 4, method: "card".to_owned() };
    let facts: Vec<_> = std::iter::once(processed).chain((1..events).map(refund)).take(events).collect();
    records(&facts)
}

/// An order that is placed, paid, and shipped or cancelled.
pub fn order(id: &str, is_cancelled: bool) -> Vec<EventRecord> {
    let order_id = id.to_owned();
    let line = OrderLine { sku: "TEA".to_owned(), quantity: 2, unit_price_cents: 250 };
    let end = if is_cancelled {
        let refund_due = Some(RefundDue { payment_id: "p-1".to_owned(), amount_cents: 500 });
        Event::OrderCancelled { order_id: order_id.clone(), reason: "too late".to_owned(), refund_due }
    } else {
        let (carrier, tracking_number) = ("dhl".to_owned(), "T1".to_owned());
        Event::OrderShipped { order_id: order_id.clone(), carrier, tracking_number }
    };
    let placed = Event::OrderPlaced {
        order_id: order_id.clone(),
        customer_id: "c-1".to_owned(),
        currency: "EUR".to_owned(),
        lines: vec![line],
        total_cents: 500,
    };
    let paid = Event::PaymentConfirmed { order_id, payment_id: "p-1".to_owned(), amount_cents: 500 };
    records(&[placed, paid, end])
}

pub fn feed_record(number: usize, partition_key: &str, body: impl Into<Vec<u8>>) -> FeedRecord {
    FeedRecord {
        sequence_number: SequenceNumber::try_from(number.to_string()).unwrap(),
        partition_key: partition_key.to_owned(),
        body: body.into(),
        arrived_at_ms: None,
    }
}

pub fn feed_event(number: usize, event: &EventRecord) -> FeedRecord {
    feed_record(number, event.stream.as_str(), serde_json::to_vec(event).unwrap())
}

/// Numbers records from 1 on.
pub fn feed<'a>(events: impl IntoIterator<Item = &'a EventRecord>) -> Vec<FeedRecord> {
    events.into_iter().enumerate().map(|(index, event)| feed_event(index + 1, event)).collect()
}

pub fn through(number: usize) -> Option<SequenceNumber> {
    Some(SequenceNumber::try_from(number.to_string()).unwrap())
}

/// What the views must hold in the end, folded from the payloads by other means than the system's.
pub fn expected_views(events: &[EventRecord]) -> BTreeMap<String, Value> {
    let mut views: BTreeMap<String, Value> = BTreeMap::new();
    for event in events {
        let payload: Value = serde_json::from_str(&event.payload).unwrap();
        let view = views.entry(event.stream.to_string()).or_insert_with(|| json!({}));
        match event.event_type.as_str() {
            "OrderPlaced" => {
                *view = payload.clone();
                view["kind"] = json!("order");
                view["status"] = json!("placed");
                view["payments"] = json!([]);
                view["shipment"] = Value::Null;
                view["cancellation"] = Value::Null;
            }
            "PaymentConfirmed" => {
                let entry = json!({"payment_id": payload["payment_id"], "amount_cents": payload["amount_cents"]});
                view["payments"].as_array_mut().unwrap().push(entry);
                view["status"] = json!("paid");
            }
            "OrderShipped" => {
                view["shipment"] =
                    json!({"carrier": payload["carrier"], "tracking_number": payload["tracking_number"]});
                view["status"] = json!("shipped");
            }
            "OrderCancelled" => {
                view["cancellation"] = json!({"reason": payload["reason"], "refund_due": payload["refund_due"]});
                view["status"] = json!("cancelled");
            }
            "PaymentProcessed" => {
                *view = json!({
                    "kind": "payment", "payment_id": payload["payment_id"], "order_id": payload["order_id"],
                    "method": payload["method"], "processed_cents": payload["amount_cents"], "refunded_cents": 0,
                    "status": "processed",
                });
            }
            "PaymentRefunded" => {
                let sum = view["refunded_cents"].as_u64().unwrap() + payload["amount_cents"].as_u64().unwrap();
                view["refunded_cents"] = json!(sum);
                let is_whole = sum >= view["processed_cents"].as_u64().unwrap();
                view["status"] = json!(if is_whole { "refunded" } else { "partly-refunded" });
            }
            other => panic!("no view is made from {other}"),
        }
        view["stream"] = json!(event.stream);
        view["version"] = json!(event.version);
    }
    views
}
