//! How the small run's events go over the bus: what was committed is routed, projected and notified.
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use super::scene::{EVENTS, Scene};
use crate::{AwsCall, MessageStep, MessageStepKind, SchemaVersionStep, StorageWrite, ToldMetric, item::StoredEvent};

pub(crate) const SHARD: &str = "shardId-000000000000";
pub(crate) const QUEUE: &str = "nexus-notifications";
pub(crate) const DEAD: &str = "nexus-notifications-dlq";
pub(crate) const UNDELIVERED: &str = "nexus-background-dlq";
/// Partition key of a record that is no event.
pub(crate) const STRANGE: &str = "strange-1";

/// The event as streams and queues carry it.
pub(crate) fn body(event: &StoredEvent) -> String {
    json!({"stream": event.stream, "version": event.version, "event_id": event.event_id,
        "event_type": event.event_type, "schema_version": event.schema_version, "payload": event.payload,
        "recorded_at_ms": event.recorded_at_ms, "previous_hash": event.previous_hash, "hash": event.hash,
        "envelope": {"command_id": event.command_id, "causation_id": event.causation_id,
            "correlation_id": event.correlation_id, "trace_context": event.trace_context}})
    .to_string()
}

impl Scene {
    /// Everything that was committed reaches its consumers, with a poison record, a dead letter and a release on the way.
    pub(super) fn carry_events(&mut self) {
        let events: Vec<StoredEvent> = self.committed();
        self.lease("router", "shard-1", "router-1", 1, 1, None);
        self.lease("projection", SHARD, "projection-1", 1, 1, None);
        let (core, background): (Vec<_>, Vec<_>) =
            events.into_iter().partition(|event| self.input.settings.is_core(&event.event_type));
        self.park("router", "payment-p-1", (Some(1), Some(1)), "attempts-exhausted");
        for event in &core {
            self.route(event, 1);
            self.project(event);
        }
        self.unpark("router", "payment-p-1");
        self.put_strange();
        for (position, event) in background.iter().enumerate() {
            self.notify(event, position == 0);
        }
        let last_routed = self.input.truth.stream.last().map(|record| record.sequence_number.clone());
        self.read_records("router-1");
        self.lease("router", "shard-1", "router-1", 1, 2, last_routed);
        let last_projected = self.last_record();
        self.read_records("projection-1");
        self.lease("projection", SHARD, "projection-1", 1, 2, Some(last_projected));
        self.tell_of_events(core.len(), background.len());
    }

    /// What the hosts measure of all this.
    fn tell_of_events(&mut self, core: usize, background: usize) {
        let destination = |name: &'static str| vec![("destination", name)];
        let deeds = [
            ("router-1", "TotalEvents", destination("core"), core),
            ("router-1", "RoutingLatency", destination("core"), core),
            ("router-1", "TotalEvents", destination("background"), background),
            ("router-1", "RoutingLatency", destination("background"), background),
            ("router-1", "RecordsRead", vec![("Group", "router")], core + background),
            ("router-1", "EventsParked", vec![("reason", "attempts-exhausted")], 1),
            ("projection-1", "ProjectionLatency", vec![], core),
            ("projection-1", "RecordsRead", vec![("Group", "projection")], core + 1),
            ("notification-1", "NotificationsRecorded", vec![], background),
            ("notification-1", "NotificationLatency", vec![], background),
            ("dlq-1", "LettersRedriven", vec![("source", DEAD)], 1),
        ];
        for (host, name, dimensions, count) in deeds {
            self.tell(host, name, &dimensions, count as u64, count as f64);
        }
    }

    pub(super) fn tell(&mut self, host: &str, name: &str, dimensions: &[(&str, &str)], measurements: u64, sum: f64) {
        let dimensions = dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (host, name) = (host.to_owned(), name.to_owned());
        self.input.told.push(ToldMetric { host, name, dimensions, measurements, sum });
    }

    /// A host's metric by its name.
    pub(super) fn told(&mut self, host: &str, name: &str) -> &mut ToldMetric {
        let mut told = self.input.told.iter_mut();
        told.find(|told| told.host == host && told.name == name).expect("the metric")
    }

    fn committed(&self) -> Vec<StoredEvent> {
        let images = self.input.truth.writes.iter().filter(|write| write.table == EVENTS);
        images.filter_map(|write| StoredEvent::read(write.new_image.as_ref()?).ok()).collect()
    }

    fn last_record(&self) -> String {
        let last = self.input.truth.messages.iter().rfind(|step| step.service == "kinesis");
        last.expect("a record").message_id.clone()
    }

    /// A call of one of the bus's services.
    pub(super) fn bus_call(&mut self, caller: &str, service: &str, operation: &str, keys: Vec<String>) -> u64 {
        let sequence = self.call(operation, keys, true);
        let call = self.input.truth.calls.last_mut().expect("the call");
        (call.caller, call.service) = (caller.to_owned(), service.to_owned());
        sequence
    }

    /// A worker asks for records and gets whatever there is.
    pub(super) fn read_records(&mut self, caller: &str) {
        let call = self.bus_call(caller, "kinesis", "GetRecords", vec!["nexus-core".to_owned()]);
        let read = self.input.truth.calls.iter_mut().find(|it| it.sequence == call).expect("the call");
        (read.is_write, read.applied) = (false, false);
    }

    pub(super) fn step(&mut self, call: u64, service: &str, place: &str, step: MessageStepKind, id: &str, body: &str) {
        self.now_ns += 1;
        let before = self.input.truth.messages.iter().filter(|it| it.message_id == id && it.place == place);
        let receives = before.filter(|it| it.step == MessageStepKind::Received).count() as u32;
        self.input.truth.messages.push(MessageStep {
            at_ns: self.now_ns,
            call_sequence: call,
            service: service.to_owned(),
            place: place.to_owned(),
            step,
            message_id: id.to_owned(),
            key: String::new(),
            body: body.into(),
            receive_count: receives + u32::from(step == MessageStepKind::Received),
            note: String::new(),
        });
    }

    /// The router puts an event, some times over.
    pub(super) fn route(&mut self, event: &StoredEvent, times: u32) {
        for _ in 0..times {
            self.put_record(&event.stream, &body(event));
        }
    }

    pub(super) fn put_record(&mut self, key: &str, body: &str) {
        let call = self.bus_call("router-1", "kinesis", "PutRecords", vec![format!("nexus-core/{key}")]);
        let place = format!("nexus-core/{SHARD}");
        self.step(call, "kinesis", &place, MessageStepKind::Accepted, &format!("49{call:054}"), body);
        self.input.truth.messages.last_mut().expect("the step").key = key.to_owned();
    }

    /// A record that is no event, put there by a fault; the projection parks its key.
    fn put_strange(&mut self) {
        self.put_record(STRANGE, "no event");
        let number = self.last_record();
        self.input.settings.poison_events.push(number);
        self.park("projection", STRANGE, (None, None), "poison");
    }

    pub(super) fn project(&mut self, event: &StoredEvent) {
        let events: Vec<StoredEvent> = self
            .committed()
            .into_iter()
            .filter(|it| it.stream == event.stream && it.version <= event.version)
            .collect();
        let view = shown(&events);
        let key = format!("nexus-views/{}", event.stream);
        let call = self.bus_call("projection-1", "dynamodb", "PutItem", vec![key.clone()]);
        let image = json!({"pk": {"S": event.stream}, "version": {"N": event.version.to_string()},
            "body": {"S": view.to_string()}, "written_at_ms": {"N": "1"}});
        self.replace(call, "nexus-views", key, Some(image));
    }

    /// A message's whole way; a dead letter's is longer.
    fn notify(&mut self, event: &StoredEvent, is_dead_first: bool) {
        let call = self.bus_call("router-1", "sns", "PublishBatch", vec!["nexus-background".to_owned()]);
        let (topic_id, id) = (format!("sns-{call}"), format!("sqs-{call}"));
        let body = body(event);
        self.step(call, "sns", "nexus-background", MessageStepKind::Accepted, &topic_id, &body);
        self.step(0, "sns", "nexus-background/notifications", MessageStepKind::Delivered, &topic_id, "");
        self.step(0, "sqs", QUEUE, MessageStepKind::Accepted, &id, &body);
        let mut id = id;
        if is_dead_first {
            for _ in 0..5 {
                self.receive(QUEUE, &id);
                self.step(0, "sqs", QUEUE, MessageStepKind::Reappeared, &id, "");
            }
            self.step(0, "sqs", QUEUE, MessageStepKind::DeadLettered, &id, "");
            self.step(0, "sqs", DEAD, MessageStepKind::Accepted, &id, &body);
            self.receive(DEAD, &id);
            let call = self.bus_call("dlq-1", "sqs", "SendMessageBatch", vec![QUEUE.to_owned()]);
            let new_id = format!("{id}-again");
            self.step(call, "sqs", QUEUE, MessageStepKind::Accepted, &new_id, &body);
            self.delete("dlq-1", DEAD, &id);
            id = new_id;
        }
        self.receive(QUEUE, &id);
        self.record_effect(event);
        self.delete("notification-1", QUEUE, &id);
    }

    pub(super) fn receive(&mut self, place: &str, id: &str) {
        let call = self.bus_call("notification-1", "sqs", "ReceiveMessage", vec![place.to_owned()]);
        self.step(call, "sqs", place, MessageStepKind::Received, id, "");
    }

    pub(super) fn delete(&mut self, caller: &str, place: &str, id: &str) {
        let call = self.bus_call(caller, "sqs", "DeleteMessageBatch", vec![format!("{place}/{id}")]);
        self.step(call, "sqs", place, MessageStepKind::Deleted, id, "");
    }

    pub(super) fn record_effect(&mut self, event: &StoredEvent) {
        let key = format!("nexus-outbox/{}", event.event_id);
        let call = self.bus_call("notification-1", "dynamodb", "PutItem", vec![key.clone()]);
        let image = json!({"pk": {"S": event.event_id}, "stream": {"S": event.stream},
            "version": {"N": event.version.to_string()}, "template": {"S": "cart-changed"}});
        self.replace(call, "nexus-outbox", key, Some(image));
    }

    /// A write of a lease; `after` is what it tells as done.
    pub(super) fn lease(
        &mut self,
        group: &str,
        shard: &str,
        owner: &str,
        epoch: u64,
        counter: u64,
        after: Option<String>,
    ) {
        let key = format!("nexus-leases/{group}/{shard}");
        let call = self.bus_call(owner, "dynamodb", "PutItem", vec![key.clone()]);
        let mut image = json!({"pk": {"S": group}, "sk": {"S": shard}, "owner": {"S": owner}, "memory": {"S": ""},
            "epoch": {"N": epoch.to_string()}, "counter": {"N": counter.to_string()}, "parents": {"L": []},
            "progress": {"S": if after.is_some() { "after" } else { "untouched" }}});
        if let Some(after) = after {
            image["sequence_number"] = json!({"S": after});
        }
        self.replace(call, "nexus-leases", key, Some(image));
    }

    pub(super) fn park(&mut self, consumer: &str, aggregate: &str, versions: (Option<u64>, Option<u64>), reason: &str) {
        let mut image = json!({"pk": {"S": consumer}, "sk": {"S": aggregate}, "body": {"S": "no event"},
            "detail": {"S": "it is no JSON"}, "reason": {"S": reason}, "attempts": {"N": "3"}, "counter": {"N": "1"}});
        for (name, version) in [("first_version", versions.0), ("last_version", versions.1)] {
            if let Some(version) = version {
                image[name] = json!({"N": version.to_string()});
            }
        }
        self.change_parked(consumer, aggregate, Some(image));
    }

    pub(super) fn unpark(&mut self, consumer: &str, aggregate: &str) {
        self.change_parked(consumer, aggregate, None);
    }

    fn change_parked(&mut self, consumer: &str, aggregate: &str, image: Option<Value>) {
        let key = format!("nexus-parked/{consumer}/{aggregate}");
        let call = self.bus_call("router-1", "dynamodb", "PutItem", vec![key.clone()]);
        self.replace(call, "nexus-parked", key, image);
    }

    pub(super) fn quarantine(&mut self, id: &str, body: &str) {
        let key = format!("nexus-quarantine/{id}");
        let call = self.bus_call("dlq-1", "dynamodb", "PutItem", vec![key.clone()]);
        self.replace(call, "nexus-quarantine", key, Some(json!({"pk": {"S": id}, "body": {"S": body}})));
    }

    /// A write over whatever is there.
    pub(super) fn replace(&mut self, call: u64, table: &str, key: String, image: Option<Value>) {
        let old_image =
            self.input.truth.writes.iter().rfind(|write| write.key == key).and_then(|it| it.new_image.clone());
        self.write(call, table, key, Value::Null);
        let write = self.input.truth.writes.last_mut().expect("the write");
        (write.old_image, write.new_image) = (old_image, image.map(Arc::new));
    }

    pub(super) fn finish_views(&mut self) {
        let mut last: BTreeMap<&str, &StorageWrite> = BTreeMap::new();
        for write in self.input.truth.writes.iter().filter(|write| write.table == "nexus-views") {
            last.insert(&write.key, write);
        }
        let images: Vec<Arc<Value>> = last.values().filter_map(|write| write.new_image.clone()).collect();
        self.input.truth.final_items.insert("nexus-views".to_owned(), images);
    }

    /// An event of the run by its stream and version.
    pub(super) fn event(&self, stream: &str, version: u64) -> StoredEvent {
        let is_it = |event: &StoredEvent| event.stream == stream && event.version == version;
        self.committed().into_iter().find(is_it).expect("the event")
    }

    /// The position of a step.
    pub(super) fn step_at(&self, place: &str, step: MessageStepKind) -> usize {
        let is_it = |it: &MessageStep| it.place == place && it.step == step;
        self.input.truth.messages.iter().position(is_it).expect("the step")
    }

    /// The version that a type's schema has in the registry.
    pub(super) fn schema_version(&mut self, event_type: &str) -> &mut SchemaVersionStep {
        let mut versions = self.input.truth.schema_versions.iter_mut();
        versions.find(|version| version.schema == event_type).expect("the schema")
    }

    /// The last call of an operation.
    pub(super) fn last_call(&mut self, operation: &str) -> &mut AwsCall {
        self.input.truth.calls.iter_mut().rfind(|call| call.operation == operation).expect("the call")
    }
}

/// The view that this small run's streams have, written down by hand.
fn shown(events: &[StoredEvent]) -> Value {
    let last = events.last().expect("an event");
    if last.stream == "payment-p-1" {
        return json!({"kind": "payment", "stream": "payment-p-1", "version": 1, "payment_id": "p-1",
            "status": "processed", "order_id": "o-1", "method": "card", "processed_cents": 1000, "refunded_cents": 0});
    }
    let payment = json!({"payment_id": "p-1", "amount_cents": 1000});
    let order_id = last.stream.trim_start_matches("order-");
    let shipment = match order_id {
        "o-3" => json!({"carrier": "Download", "tracking_number": "T-200"}),
        _ => json!({"carrier": "Post", "tracking_number": "T-100"}),
    };
    let status = ["placed", "paid", "shipped"][events.len() - 1];
    json!({"kind": "order", "stream": last.stream, "version": last.version, "order_id": order_id, "status": status,
        "customer_id": "c-1", "currency": "EUR", "total_cents": 1000,
        "lines": [{"sku": "SKU-1", "quantity": 2, "unit_price_cents": 500}],
        "payments": if events.len() > 1 { json!([payment]) } else { json!([]) },
        "shipment": if events.len() > 2 { shipment } else { Value::Null }, "cancellation": null})
}
