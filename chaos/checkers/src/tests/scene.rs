//! A small run, told step by step, with both histories kept consistent.
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Value, json};

use crate::{
    Attempt, AwsCall, CheckInput, RegisteredSchema, Request, Response, SchemaVersionStep, StorageWrite, StreamRecord,
    canonical::{HASH_BEFORE_FIRST, canonical_json, event_hash, payload_digest},
    command::SentCommand,
    item::StoredEvent,
};

pub(crate) const EVENTS: &str = "nexus-events";
pub(crate) const ANSWERS: &str = "nexus-idempotency";
pub(crate) const STEP_NS: u64 = 10_000_000;

#[derive(Default)]
pub(crate) struct Scene {
    pub input: CheckInput,
    pub now_ns: u64,
    operations: u32,
    calls: u64,
    heads: BTreeMap<String, (u64, String)>,
    accepted: BTreeMap<String, Value>,
}

pub(crate) fn place(order: &str) -> Value {
    json!({"type": "PlaceOrder", "order_id": order, "customer_id": "c-1", "currency": "EUR",
        "lines": [{"sku": "SKU-1", "quantity": 2, "unit_price_cents": 500}]})
}

pub(crate) fn confirm(order: &str) -> Value {
    json!({"type": "ConfirmPayment", "order_id": order, "payment_id": "p-1", "amount_cents": 1000})
}

pub(crate) fn ship(order: &str) -> Value {
    json!({"type": "ShipOrder", "order_id": order, "carrier": "Post", "tracking_number": "T-100"})
}

pub(crate) fn cancel(order: &str) -> Value {
    json!({"type": "CancelOrder", "order_id": order, "reason": "changed my mind"})
}

fn process(payment: &str) -> Value {
    json!({"type": "ProcessPayment", "payment_id": payment, "order_id": "o-1", "amount_cents": 1000, "method": "card"})
}

fn add_to_cart(cart: &str) -> Value {
    json!({"type": "AddItemToCart", "cart_id": cart, "customer_id": "c-1", "sku": "SKU-1", "quantity": 1,
        "unit_price_cents": 500})
}

fn replace_in_cart(cart: &str) -> Value {
    json!({"type": "ReplaceItemInCart", "cart_id": cart, "sku": "SKU-1", "new_sku": "SKU-2", "quantity": 3,
        "unit_price_cents": 700})
}

pub(crate) fn confirm_and_ship(order: &str) -> Value {
    json!({"type": "ConfirmPaymentAndShip", "order_id": order, "payment_id": "p-1", "amount_cents": 1000,
        "carrier": "Download", "tracking_number": "T-200"})
}

/// What one of a command's events says.
fn payload_of(body: &Value, event_type: &str) -> Value {
    let fields = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), body[*name].clone())).collect();
    match (body["type"].as_str(), event_type) {
        (Some("ConfirmPaymentAndShip"), "PaymentConfirmed") => fields(&["order_id", "payment_id", "amount_cents"]),
        (Some("ConfirmPaymentAndShip"), _) => fields(&["order_id", "carrier", "tracking_number"]),
        (Some("ReplaceItemInCart"), "ItemRemovedFromCart") => fields(&["cart_id", "sku"]),
        (Some("ReplaceItemInCart"), _) => {
            let mut added: Value = fields(&["cart_id", "quantity", "unit_price_cents"]);
            added["sku"] = body["new_sku"].clone();
            added["customer_id"] = json!("c-1");
            added
        }
        _ => {
            let mut payload = body.clone();
            payload.as_object_mut().expect("an object").remove("type");
            if event_type == "OrderPlaced" {
                payload["total_cents"] = json!(1000);
            }
            payload
        }
    }
}

impl Scene {
    /// A run without any fault of the system, with every kind of answer in it.
    pub(crate) fn sound() -> Self {
        let mut scene = Self { now_ns: STEP_NS, ..Self::default() };
        scene.carry_out("place", "customer", place("o-1"));
        scene.replay("place", "customer", place("o-1"));
        scene.carry_out("process", "payments", process("p-1"));
        scene.carry_out("confirm", "payments", confirm("o-1"));
        scene.lose_answer("ship", "warehouse", ship("o-1"));
        scene.replay("ship", "warehouse", ship("o-1"));
        scene.refuse("cancel", "customer", cancel("o-1"), "order-already-shipped");
        scene.refuse("cancel", "customer", cancel("o-1"), "order-already-shipped");
        scene.reject("forbidden", "customer", ship("o-1"), 403, "policy-denied");
        scene.reject("place", "customer", place("o-9"), 422, "idempotency-key-reused");
        scene.read("o-1", 200, json!({"status": "shipped", "version": 3, "total_cents": 1000, "customer_id": "c-1"}));
        scene.read("o-2", 404, json!({"code": "order-not-found", "outcome": "refused"}));
        scene.view("o-1", 200, json!({"status": "paid", "version": 2, "total_cents": 1000, "customer_id": "c-1"}));
        scene.view("o-2", 404, json!({"code": "order-not-found", "outcome": "refused"}));
        scene.carry_out("add", "customer", add_to_cart("cart-1"));
        scene.not_applied("add-2", "customer", add_to_cart("cart-2"));
        scene.carry_out("replace", "customer", replace_in_cart("cart-1"));
        scene.carry_out("place-3", "customer", place("o-3"));
        scene.carry_out("at-once", "system", confirm_and_ship("o-3"));
        scene.tear_the_last_transaction();
        scene.batch(&["other/a", "other/b"]);
        scene.update_with_read("counter/x");
        scene.update_with_read("counter/x");
        scene.carry_events();
        scene.finish();
        scene
    }

    /// A command is carried out and acknowledged.
    pub(crate) fn carry_out(&mut self, key: &str, role: &str, body: Value) {
        let begun_ns = self.begin_execution(key, &body);
        self.commit(key, &body, true);
        let answer = self.accepted[key].clone();
        self.answer(key, role, body, begun_ns, 200, answer);
    }

    /// A command takes effect, but neither the service nor the client hears of it.
    pub(crate) fn lose_answer(&mut self, key: &str, role: &str, body: Value) {
        let begun_ns = self.begin_execution(key, &body);
        self.commit(key, &body, false);
        self.push_attempt(key, role, body, begun_ns, None, Response::Unknown { reason: "time-out".to_owned() });
    }

    /// The answer kept under the key is given again.
    pub(crate) fn replay(&mut self, key: &str, role: &str, body: Value) {
        let begun_ns = self.now_ns;
        self.call("GetItem", vec![format!("{ANSWERS}/{key}")], false);
        let mut answer = self.accepted[key].clone();
        answer["replayed"] = json!(true);
        self.answer(key, role, body, begun_ns, 200, answer);
    }

    /// The domain refuses; the refusal is recorded the first time.
    pub(crate) fn refuse(&mut self, key: &str, role: &str, body: Value, code: &str) {
        let begun_ns = self.begin_execution(key, &body);
        let is_recorded = self.final_answer(key).is_some();
        if !is_recorded {
            let call = self.call("PutItem", vec![format!("{ANSWERS}/{key}")], true);
            let stream = SentCommand::read(&body).expect("a command").aggregate();
            let image = json!({"pk": {"S": key}, "payload_digest": {"S": payload_digest(&body)}, "outcome": {"S": "refused"},
                "answer": {"S": "{}"}, "stream": {"S": stream}, "event_ids": {"L": []}, "recorded_at_ms": {"N": "1"}});
            self.write(call, ANSWERS, format!("{ANSWERS}/{key}"), image);
        }
        let problem = json!({"code": code, "outcome": "refused", "refusal": code});
        self.answer(key, role, body, begun_ns, 409, problem);
    }

    /// Refused without a look at the aggregate.
    pub(crate) fn reject(&mut self, key: &str, role: &str, body: Value, status: u16, code: &str) {
        let begun_ns = self.now_ns;
        self.answer(key, role, body, begun_ns, status, json!({"code": code, "outcome": "refused"}));
    }

    /// A client is told to come again, does, and is served.
    fn not_applied(&mut self, key: &str, role: &str, body: Value) {
        let begun_ns = self.now_ns;
        let problem = json!({"code": "throttled", "outcome": "not-applied"});
        self.answer(key, role, body.clone(), begun_ns, 503, problem);
        self.carry_out(key, role, body);
    }

    pub(crate) fn read(&mut self, order: &str, status: u16, body: Value) {
        self.look(order, false, status, body);
    }

    /// A read for which the past is good enough.
    pub(crate) fn view(&mut self, order: &str, status: u16, body: Value) {
        self.look(order, true, status, body);
    }

    fn look(&mut self, order: &str, eventual: bool, status: u16, body: Value) {
        let begun_ns = self.now_ns;
        self.call("Query", vec![format!("{EVENTS}/order-{order}")], false);
        if let Some(call) = self.input.truth.calls.last_mut() {
            call.is_eventual_read = eventual;
        }
        self.now_ns += STEP_NS;
        self.operations += 1;
        let request = Request::ReadOrder { order_id: order.to_owned(), eventual };
        self.input.observation.attempts.push(Attempt {
            operation: self.operations,
            attempt: 1,
            customer: 1,
            idempotency_key: None,
            role: "customer".to_owned(),
            request,
            invoked_ns: begun_ns,
            completed_ns: Some(self.now_ns),
            response: Response::Answered { status, body },
        });
        self.now_ns += STEP_NS;
    }

    fn batch(&mut self, keys: &[&str]) {
        let call = self.call("BatchWriteItem", keys.iter().map(|key| (*key).to_owned()).collect(), true);
        for key in keys {
            self.write(call, "other", (*key).to_owned(), json!({"pk": {"S": key}}));
        }
    }

    fn update_with_read(&mut self, key: &str) {
        self.call("GetItem", vec![key.to_owned()], false);
        let call = self.call("PutItem", vec![key.to_owned()], true);
        let before = self.input.truth.writes.iter().rfind(|write| write.key == key);
        let old_image = before.and_then(|write| write.new_image.clone());
        self.write(call, "counter", key.to_owned(), json!({"pk": {"S": "x"}, "n": {"N": call.to_string()}}));
        self.input.truth.writes.last_mut().expect("the write").old_image = old_image;
    }

    fn finish(&mut self) {
        for write in &self.input.truth.writes {
            let is_kept = [EVENTS, ANSWERS, "nexus-outbox"].contains(&write.table.as_str());
            let (Some(image), true) = (&write.new_image, is_kept) else { continue };
            self.input.truth.final_items.entry(write.table.clone()).or_default().push(image.clone());
        }
        self.finish_views();
        self.register_schemas();
        let settings = &mut self.input.settings;
        settings.service_hosts = vec!["service-1".to_owned()];
        settings.healed_at_ns = self.now_ns;
        settings.drain_ended_at_ns = self.now_ns + 1;
        settings.ended_at_ns = self.now_ns + 600_000_000_000;
    }

    /// A registry has every schema from the start, and told so before anything was stored.
    fn register_schemas(&mut self) {
        for write in self.input.truth.writes.iter().filter(|write| write.table == EVENTS) {
            let Some(image) = &write.new_image else { continue };
            let text = |name: &str, kind: &str| image[name][kind].as_str().expect("an event").to_owned();
            let (event_type, version) = (text("event_type", "S"), text("schema_version", "N"));
            let (name, definition) = (format!("{event_type}/{version}"), format!("{event_type} {version}"));
            let key = format!("nexus/{event_type}");
            let registered = RegisteredSchema { key: key.clone(), definition: definition.clone() };
            if self.input.settings.registered_schemas.insert(name.clone(), registered).is_some() {
                continue;
            }
            self.input.truth.schema_versions.push(SchemaVersionStep {
                at_ns: 0,
                schema: event_type,
                version_id: name,
                status: "AVAILABLE".to_owned(),
                definition,
            });
            self.calls += 1;
            self.input.truth.calls.push(AwsCall {
                sequence: self.calls,
                at_ns: 1,
                caller: "service-1".to_owned(),
                service: "glue".to_owned(),
                operation: "GetSchemaByDefinition".to_owned(),
                keys: vec![key],
                is_write: false,
                is_transaction: false,
                is_eventual_read: false,
                client_token: None,
                status: 200,
                error: None,
                cancellation_codes: Vec::new(),
                applied: false,
                delivered: true,
                finished_ns: Some(2),
            });
        }
    }

    /// The reads before a decision.
    fn begin_execution(&mut self, key: &str, body: &Value) -> u64 {
        let begun_ns = self.now_ns;
        let stream = SentCommand::read(body).expect("a command").aggregate();
        self.call("GetItem", vec![format!("{ANSWERS}/{key}")], false);
        self.call("Query", vec![format!("{EVENTS}/{stream}")], false);
        begun_ns
    }

    /// One transaction: events, record and stream records.
    fn commit(&mut self, key: &str, body: &Value, is_delivered: bool) {
        let command = SentCommand::read(body).expect("a command");
        let events = self.next_events(key, body, &command);
        let (first, last) = (events.first().expect("an event"), events.last().expect("an event"));
        let keys = events.iter().map(|event| format!("{EVENTS}/{}/{}", event.stream, event.version));
        let keys: Vec<String> = keys.chain([format!("{ANSWERS}/{key}")]).collect();
        let call = self.call("TransactWriteItems", keys.clone(), true);
        let sent = self.input.truth.calls.last_mut().expect("the call");
        sent.is_transaction = true;
        sent.client_token = Some(format!("token-{key}-{}", first.version));
        sent.delivered = is_delivered;
        let told: Vec<Value> = events
            .iter()
            .map(|event| json!({"event_id": event.event_id, "event_type": event.event_type, "version": event.version}))
            .collect();
        let answer = json!({"aggregate": last.stream, "version": last.version, "replayed": false, "events": told});
        let ids: Vec<Value> = events.iter().map(|event| json!({"S": event.event_id})).collect();
        let record = json!({"pk": {"S": key}, "payload_digest": {"S": payload_digest(body)}, "outcome": {"S": "accepted"},
            "answer": {"S": answer.to_string()}, "stream": {"S": last.stream}, "event_ids": {"L": ids},
            "first_version": {"N": first.version.to_string()}, "last_version": {"N": last.version.to_string()},
            "recorded_at_ms": {"N": "1"}});
        self.accepted.insert(key.to_owned(), answer);
        self.heads.insert(last.stream.clone(), (last.version, last.hash.clone()));
        for (event, event_key) in events.iter().zip(&keys) {
            self.write(call, EVENTS, event_key.clone(), image(event));
        }
        self.write(call, ANSWERS, format!("{ANSWERS}/{key}"), record);
        for (position, (event, event_key)) in events.iter().zip(&keys).enumerate() {
            self.input.truth.stream.push(StreamRecord {
                at_ns: self.now_ns + 5,
                table: EVENTS.to_owned(),
                shard: "shard-1".to_owned(),
                sequence_number: format!("{:020}", call * 10 + position as u64),
                event_name: "INSERT".to_owned(),
                key: event_key.clone(),
                new_image: Some(image(event).into()),
            });
        }
    }

    /// The stream carries the later of the last two events first, and the earlier a little later.
    fn tear_the_last_transaction(&mut self) {
        let records = &mut self.input.truth.stream;
        let last = records.len() - 1;
        let numbers = (records[last - 1].sequence_number.clone(), records[last].sequence_number.clone());
        records.swap(last - 1, last);
        (records[last - 1].sequence_number, records[last].sequence_number) = numbers;
        records[last].at_ns += 1;
    }

    /// The events of a command, chained.
    fn next_events(&self, key: &str, body: &Value, command: &SentCommand) -> Vec<StoredEvent> {
        let stream = command.aggregate();
        let head = self.heads.get(&stream).cloned();
        let (mut version, mut previous_hash) = head.unwrap_or_else(|| (0, HASH_BEFORE_FIRST.to_owned()));
        let mut events = Vec::new();
        for event_type in command.event_types() {
            version += 1;
            let mut event = StoredEvent {
                schema_version: if *event_type == "OrderPlaced" { 2 } else { 1 },
                event_id: format!("event-{stream}-{version}"),
                stream: stream.clone(),
                version,
                event_type: (*event_type).to_owned(),
                payload: canonical_json(&payload_of(body, event_type)),
                recorded_at_ms: self.now_ns / 1_000_000,
                command_id: key.to_owned(),
                causation_id: key.to_owned(),
                correlation_id: key.to_owned(),
                trace_context: None,
                previous_hash,
                hash: String::new(),
            };
            event.hash = event_hash(&event);
            previous_hash = event.hash.clone();
            events.push(event);
        }
        events
    }

    pub(crate) fn call(&mut self, operation: &str, keys: Vec<String>, is_write: bool) -> u64 {
        self.calls += 1;
        self.now_ns += STEP_NS;
        self.input.truth.calls.push(AwsCall {
            sequence: self.calls,
            at_ns: self.now_ns,
            caller: "service-1".to_owned(),
            service: "dynamodb".to_owned(),
            operation: operation.to_owned(),
            keys,
            is_write,
            is_transaction: false,
            is_eventual_read: false,
            client_token: None,
            status: 200,
            error: None,
            cancellation_codes: Vec::new(),
            applied: is_write,
            delivered: true,
            finished_ns: Some(self.now_ns + 2),
        });
        self.calls
    }

    pub(super) fn write(&mut self, call_sequence: u64, table: &str, key: String, image: Value) {
        self.input.truth.writes.push(StorageWrite {
            call_sequence,
            at_ns: self.now_ns + 1,
            table: table.to_owned(),
            key,
            old_image: None,
            new_image: Some(image.into()),
        });
    }

    fn final_answer(&self, key: &str) -> Option<&StorageWrite> {
        self.input.truth.writes.iter().find(|write| write.key == format!("{ANSWERS}/{key}"))
    }

    fn answer(&mut self, key: &str, role: &str, body: Value, begun_ns: u64, status: u16, answer: Value) {
        self.now_ns += STEP_NS;
        let response = Response::Answered { status, body: answer };
        self.push_attempt(key, role, body, begun_ns, Some(self.now_ns), response);
    }

    fn push_attempt(
        &mut self,
        key: &str,
        role: &str,
        body: Value,
        invoked_ns: u64,
        completed_ns: Option<u64>,
        response: Response,
    ) {
        // Attempts under one key belong to one operation, except where another command reuses the key.
        let request = Request::Command(body);
        let earlier = self
            .input
            .observation
            .attempts
            .iter()
            .rfind(|attempt| attempt.idempotency_key.as_deref() == Some(key) && attempt.request == request);
        let (operation, attempt) = match earlier {
            Some(earlier) => (earlier.operation, earlier.attempt + 1),
            None => {
                self.operations += 1;
                (self.operations, 1)
            }
        };
        self.input.observation.attempts.push(Attempt {
            operation,
            attempt,
            customer: 1,
            idempotency_key: Some(key.to_owned()),
            role: role.to_owned(),
            request,
            invoked_ns,
            completed_ns,
            response,
        });
        self.now_ns += STEP_NS;
    }

    /// The first attempt under a key.
    pub(crate) fn attempt(&mut self, key: &str) -> &mut Attempt {
        let is_it = |attempt: &&mut Attempt| attempt.idempotency_key.as_deref() == Some(key);
        self.input.observation.attempts.iter_mut().find(is_it).expect("an attempt under the key")
    }

    /// The body of the answer to the last attempt under a key.
    pub(crate) fn last_answer(&mut self, key: &str) -> &mut Value {
        let is_it = |attempt: &&mut Attempt| attempt.idempotency_key.as_deref() == Some(key);
        let attempt = self.input.observation.attempts.iter_mut().rfind(is_it).expect("an attempt under the key");
        match &mut attempt.response {
            Response::Answered { body, .. } => body,
            Response::Unknown { reason } => panic!("unanswered: {reason}"),
        }
    }

    /// The position of the write that put this key's item.
    pub(crate) fn write_at(&self, key: &str) -> usize {
        self.input.truth.writes.iter().position(|write| write.key == key).expect("a write of the key")
    }

    /// The transaction that wrote under a key.
    pub(crate) fn transaction(&mut self, key: &str) -> &mut AwsCall {
        let name = format!("{ANSWERS}/{key}");
        let is_it = |call: &&mut AwsCall| call.is_transaction && call.keys.contains(&name);
        self.input.truth.calls.iter_mut().find(is_it).expect("a transaction under the key")
    }

    /// The item at the end, by table and partition key, and sort key where there is one.
    pub(crate) fn final_item(&mut self, table: &str, partition: &str, sort: Option<&str>) -> &mut Value {
        let items = self.input.truth.final_items.get_mut(table).expect("the table");
        let is_it =
            |image: &&mut Value| image["pk"]["S"] == partition && sort.is_none_or(|sort| image["sk"]["N"] == sort);
        items.iter_mut().map(Arc::make_mut).find(is_it).expect("the item")
    }

    /// What the last write left behind.
    pub(crate) fn last_written(&mut self) -> &mut Value {
        image_of(&mut self.input.truth.writes.last_mut().expect("a write").new_image)
    }

    /// Changes an attribute of an item wherever it is kept, as if it had been written so.
    pub(crate) fn rewrite(&mut self, key: &str, attribute: &str, value: Value) {
        let position = self.write_at(key);
        let original = self.input.truth.writes[position].new_image.clone().expect("an image");
        let mut changed = original.clone();
        Arc::make_mut(&mut changed)[attribute] = value;
        let truth = &mut self.input.truth;
        let finals = truth.final_items.values_mut().flatten();
        let streamed = truth.stream.iter_mut().filter_map(|record| record.new_image.as_mut());
        let written = truth.writes.iter_mut().filter_map(|write| write.new_image.as_mut());
        for image in finals.chain(streamed).chain(written).filter(|image| **image == original) {
            *image = changed.clone();
        }
    }

    /// Removes an event from every place but the clients' answers.
    pub(crate) fn forget(&mut self, key: &str) {
        let position = self.write_at(key);
        let image = self.input.truth.writes.remove(position).new_image;
        self.input.truth.stream.retain(|record| record.new_image != image);
        for items in self.input.truth.final_items.values_mut() {
            items.retain(|item| Some(item) != image.as_ref());
        }
    }
}

fn image(event: &StoredEvent) -> Value {
    json!({"pk": {"S": event.stream}, "sk": {"N": event.version.to_string()}, "event_id": {"S": event.event_id},
        "event_type": {"S": event.event_type}, "schema_version": {"N": event.schema_version.to_string()},
        "payload": {"S": event.payload}, "recorded_at_ms": {"N": event.recorded_at_ms.to_string()},
        "command_id": {"S": event.command_id}, "causation_id": {"S": event.causation_id},
        "correlation_id": {"S": event.correlation_id}, "previous_hash": {"S": event.previous_hash},
        "hash": {"S": event.hash}})
}

/// An image to change, for itself alone.
pub(crate) fn image_of(image: &mut Option<Arc<Value>>) -> &mut Value {
    Arc::make_mut(image.as_mut().expect("an image"))
}
