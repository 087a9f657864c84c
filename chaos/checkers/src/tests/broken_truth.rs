//! Ways in which storage and its stream can be wrong.
#![forbid(unsafe_code)]

use serde_json::json;

use super::{
    Breakage, assert_each_is_noticed, breakage,
    scene::{ANSWERS, EVENTS, Scene, confirm_and_ship, image_of, place, ship},
};
use crate::{SchemaVersionStep, StorageWrite, canonical::event_hash, item::StoredEvent};

const PLACED: &str = "nexus-events/order-o-1/1";
const SHIPPED_AT_ONCE: &str = "nexus-events/order-o-3/3";
const CONFIRMED: &str = "nexus-events/order-o-1/2";

#[test]
fn each_is_noticed() {
    assert_each_is_noticed(&breakages());
}

pub(crate) fn breakages() -> Vec<Breakage> {
    [immutability(), durability(), idempotency(), stream(), governance()].into_iter().flatten().collect()
}

fn immutability() -> Vec<Breakage> {
    vec![
        breakage("immutability", "was overwritten", |scene| {
            let mut again = scene.input.truth.writes[scene.write_at(PLACED)].clone();
            again.old_image = again.new_image.clone();
            scene.input.truth.writes.push(again);
        }),
        breakage("immutability", "was deleted", |scene| {
            let mut deletion = scene.input.truth.writes[scene.write_at(PLACED)].clone();
            deletion.old_image = deletion.new_image.take();
            scene.input.truth.writes.push(deletion);
        }),
        breakage("immutability", "otherwise than it was first written", |scene| {
            scene.final_item(EVENTS, "order-o-1", Some("1"))["payload"] = json!({"S": "{}"});
        }),
        breakage("immutability", "no longer in storage", |scene| {
            scene.input.truth.final_items.get_mut(EVENTS).unwrap().remove(0);
        }),
        breakage("immutability", "no call has written", |scene| {
            let mut foreign = scene.final_item(EVENTS, "order-o-1", Some("1")).clone();
            foreign["sk"] = json!({"N": "99"});
            scene.input.truth.final_items.get_mut(EVENTS).unwrap().push(foreign.into());
        }),
        breakage("hash-chain", "does not match its hash", |scene| {
            let text = scene.final_item(EVENTS, "order-o-1", Some("1"))["payload"]["S"].as_str().unwrap().to_owned();
            let tampered = text.replace("1000", "1");
            scene.rewrite(PLACED, "payload", json!({"S": tampered}));
        }),
        // Whoever recomputes the hash of a changed event still breaks the chain after it.
        breakage("hash-chain", "does not continue the hash", |scene| {
            scene.rewrite(PLACED, "recorded_at_ms", json!({"N": "77"}));
            let image = scene.final_item(EVENTS, "order-o-1", Some("1")).clone();
            let hash = event_hash(&StoredEvent::read(&image).unwrap());
            scene.rewrite(PLACED, "hash", json!({"S": hash}));
        }),
        breakage("gap-free-versions", "Version 3 was written where 2 was next", |scene| scene.forget(CONFIRMED)),
        breakage("gap-free-versions", "has version 3 where 2 is due", |scene| scene.forget(CONFIRMED)),
        breakage("gap-free-versions", "Version 2 was written where 3 was next", |scene| {
            let again = scene.input.truth.writes[scene.write_at(CONFIRMED)].clone();
            let position = scene.write_at(CONFIRMED);
            scene.input.truth.writes.insert(position, StorageWrite { call_sequence: 999, ..again });
        }),
    ]
}

fn durability() -> Vec<Breakage> {
    vec![
        breakage("acknowledged-durable", "nothing lies there", |scene| scene.forget(CONFIRMED)),
        breakage("acknowledged-durable", "instead lies", |scene| {
            scene.rewrite(CONFIRMED, "event_id", json!({"S": "another"}));
        }),
        breakage("acknowledged-durable", "instead lies", |scene| {
            scene.rewrite(CONFIRMED, "command_id", json!({"S": "another"}));
        }),
        breakage("refused-absent", "told as refused (policy-denied)", |scene| {
            scene.carry_out("denied", "customer", ship("o-1"));
            scene.input.observation.attempts.pop();
            scene.reject("denied", "customer", ship("o-1"), 403, "policy-denied");
        }),
        breakage("refused-absent", "told as refused (order-already-placed)", |scene| {
            scene.carry_out("twice", "customer", place("o-1"));
            scene.input.observation.attempts.pop();
            scene.reject("twice", "customer", place("o-1"), 409, "order-already-placed");
        }),
        breakage("refused-absent", "told as refused (schema-violation)", |scene| {
            scene.carry_out("ill-formed", "customer", place("o-5"));
            scene.input.observation.attempts.pop();
            scene.reject("ill-formed", "customer", place("o-5"), 422, "schema-violation");
        }),
        breakage("refused-absent", "told as not applied", |scene| {
            scene
                .input
                .observation
                .attempts
                .retain(|attempt| attempt.idempotency_key.as_deref() != Some("add-2") || attempt.attempt == 1);
        }),
        breakage("refused-absent", "told as refused (idempotency-key-reused)", |scene| {
            let mut other = confirm_and_ship("o-3");
            other["payment_id"] = json!("p-2");
            scene.carry_out("at-once", "system", other.clone());
            scene.input.observation.attempts.pop();
            scene.reject("at-once", "system", other, 422, "idempotency-key-reused");
        }),
        breakage("no-phantom", "no client sent", |scene| {
            scene.rewrite(CONFIRMED, "command_id", json!({"S": "unheard-of"}));
        }),
        breakage("no-phantom", "does not say what the command", |scene| {
            scene.rewrite(CONFIRMED, "command_id", json!({"S": "ship"}));
        }),
        breakage("whole-decisions", "PaymentConfirmed, OrderShipped", |scene| scene.forget(SHIPPED_AT_ONCE)),
        breakage("whole-decisions", "PaymentConfirmed, OrderShipped", |scene| {
            scene.rewrite(SHIPPED_AT_ONCE, "sk", json!({"N": "9"}));
        }),
        breakage("whole-decisions", "ItemRemovedFromCart, ItemAddedToCart", |scene| {
            let position = scene.write_at("nexus-events/cart-cart-1/3");
            let mut again = scene.input.truth.writes[position].clone();
            image_of(&mut again.new_image)["sk"] = json!({"N": "4"});
            scene.input.truth.writes.push(again);
        }),
        breakage("no-phantom", "before its command was sent", |scene| {
            let position = scene.write_at(CONFIRMED);
            scene.input.truth.writes[position].at_ns = 1;
        }),
    ]
}

fn idempotency() -> Vec<Breakage> {
    const RECORD: &str = "nexus-idempotency/confirm";
    vec![
        breakage("idempotency-records", "by more than one call", |scene| {
            let mut second = scene.input.truth.writes[scene.write_at(CONFIRMED)].clone();
            second.key = format!("{EVENTS}/order-o-1/9");
            image_of(&mut second.new_image)["sk"] = json!({"N": "9"});
            second.call_sequence = 999;
            scene.input.truth.writes.push(second);
        }),
        breakage("idempotency-records", "have no idempotency record", |scene| scene.forget(RECORD)),
        breakage("idempotency-records", "was overwritten", |scene| {
            let mut again = scene.input.truth.writes[scene.write_at(RECORD)].clone();
            again.old_image = again.new_image.clone();
            scene.input.truth.writes.push(again);
        }),
        breakage("idempotency-records", "was deleted", |scene| {
            let mut deletion = scene.input.truth.writes[scene.write_at(RECORD)].clone();
            deletion.old_image = deletion.new_image.take();
            scene.input.truth.writes.push(deletion);
        }),
        breakage("idempotency-records", "yet its command has events", |scene| {
            scene.rewrite(RECORD, "outcome", json!({"S": "refused"}));
        }),
        breakage("idempotency-records", "yet its command has no events", |scene| scene.forget(CONFIRMED)),
        breakage("idempotency-records", "names other events", |scene| {
            scene.rewrite(RECORD, "event_ids", json!({"L": [{"S": "another"}]}));
        }),
        breakage("idempotency-records", "names other versions", |scene| {
            scene.rewrite(RECORD, "last_version", json!({"N": "7"}));
        }),
        breakage("idempotency-records", "names another stream", |scene| {
            scene.rewrite(RECORD, "stream", json!({"S": "order-o-2"}));
        }),
        breakage("idempotency-records", "nobody sent under its key", |scene| {
            scene.rewrite(RECORD, "payload_digest", json!({"S": "00"}));
        }),
        breakage("lint-atomic-record", "without its idempotency record in the same call", |scene| {
            let position = scene.write_at(RECORD);
            assert_eq!(scene.input.truth.writes[position].table, ANSWERS);
            scene.input.truth.writes[position].call_sequence = 999;
        }),
    ]
}

fn stream() -> Vec<Breakage> {
    vec![
        breakage("stream-complete", "never appeared", |scene| drop(scene.input.truth.stream.remove(0))),
        breakage("stream-complete", "appeared 2 times", |scene| {
            let again = scene.input.truth.stream[0].clone();
            scene.input.truth.stream.push(again);
        }),
        breakage("stream-complete", "after the bound", |scene| {
            scene.input.truth.stream[0].at_ns += 300_000_000_000;
        }),
        breakage("stream-faithful", "storage never had", |scene| {
            let mut foreign = scene.input.truth.stream[0].clone();
            foreign.key = format!("{EVENTS}/order-o-7/1");
            scene.input.truth.stream.push(foreign);
        }),
        breakage("stream-faithful", "before it was committed", |scene| scene.input.truth.stream[0].at_ns = 1),
        breakage("stream-faithful", "other bytes", |scene| {
            image_of(&mut scene.input.truth.stream[0].new_image)["payload"] = json!({"S": "{}"});
        }),
        breakage("stream-faithful", "tells MODIFY", |scene| {
            scene.input.truth.stream[0].event_name = "MODIFY".to_owned();
        }),
        // Of one transaction any may come first, but not after what another transaction added to them.
        breakage("stream-faithful", "carried version 1 after version 3", |scene| {
            let first = scene.input.truth.stream.iter().position(|record| record.key == "nexus-events/order-o-3/1");
            let mut placed = scene.input.truth.stream.remove(first.unwrap());
            placed.sequence_number = "9".repeat(20);
            scene.input.truth.stream.push(placed);
        }),
        breakage("stream-faithful", "carried version 1 after version 2", |scene| {
            let first = scene.input.truth.stream.iter().position(|record| record.key == PLACED).unwrap();
            let second = scene.input.truth.stream.iter().position(|record| record.key == CONFIRMED).unwrap();
            let stream = &mut scene.input.truth.stream;
            let numbers = (stream[first].sequence_number.clone(), stream[second].sequence_number.clone());
            (stream[second].sequence_number, stream[first].sequence_number) = numbers;
        }),
        breakage("stream-faithful", "out of the order of its shard", |scene| scene.input.truth.stream.swap(0, 1)),
    ]
}

fn governance() -> Vec<Breakage> {
    let too_dear = |scene: &mut Scene| {
        let mut body = place("o-5");
        body["lines"][0]["unit_price_cents"] = json!(9_000_000);
        scene.carry_out("dear", "customer", body);
    };
    vec![
        breakage("schema-available", "while the registry had no usable version", |scene| {
            scene.schema_version("OrderShipped").status = "PENDING".to_owned();
        }),
        breakage("schema-available", "while the registry had no usable version", |scene| {
            scene.schema_version("OrderShipped").at_ns = u64::MAX;
        }),
        breakage("schema-available", "while the registry had no usable version", |scene| {
            let gone = SchemaVersionStep {
                status: "DELETED".to_owned(),
                at_ns: 1,
                ..scene.schema_version("OrderPlaced").clone()
            };
            scene.input.truth.schema_versions.push(gone);
            scene.input.settings.registry_trust_ns = 1;
        }),
        breakage("schema-confirmed", "although the registry had not told it", |scene| {
            scene.last_call("GetSchemaByDefinition").caller = "service-2".to_owned();
        }),
        breakage("schema-confirmed", "although the registry had not told it", |scene| {
            scene.last_call("GetSchemaByDefinition").delivered = false;
        }),
        breakage("schema-confirmed", "although the registry had not told it", |scene| {
            scene.last_call("GetSchemaByDefinition").finished_ns = Some(u64::MAX);
        }),
        breakage("policy", "no sender's role permits: OrderShipped", |scene| {
            scene.carry_out("forbidden", "customer", ship("o-1"));
        }),
        breakage("policy", "no sender's role permits: OrderPlaced", too_dear),
        breakage("policy", "no sender's role permits", |scene| scene.carry_out("who", "nobody", place("o-5"))),
        breakage("schema", "`payload` is missing or of another type", |scene| {
            scene.rewrite(PLACED, "payload", json!({"N": "1"}));
        }),
        breakage("schema", "OrderPlaced version 3 is unknown", |scene| {
            scene.rewrite(PLACED, "schema_version", json!({"N": "3"}));
        }),
        breakage("schema", "an object is missing", |scene| scene.rewrite(PLACED, "payload", json!({"S": "not JSON"}))),
        breakage("schema", "`currency` cannot be", |scene| {
            let mut body = place("o-5");
            body["currency"] = json!("euro");
            scene.carry_out("shape", "customer", body);
        }),
        breakage("schema", "`lines` cannot be", |scene| {
            let mut body = place("o-5");
            body["lines"][0]["sku"] = json!("lower case");
            scene.carry_out("shape", "customer", body);
        }),
        breakage("schema", "`surprise` is not a field", |scene| {
            let mut body = ship("o-1");
            body["surprise"] = json!(1);
            scene.carry_out("shape", "warehouse", body);
        }),
        breakage("schema", "`carrier` is missing", |scene| {
            scene.rewrite(
                "nexus-events/order-o-1/3",
                "payload",
                json!({"S": r#"{"order_id":"o-1","tracking_number":"T-100"}"#}),
            );
        }),
        breakage("schema", "`outcome` is missing", |scene| {
            scene.rewrite("nexus-idempotency/confirm", "outcome", json!({"S": "maybe"}));
        }),
    ]
}
