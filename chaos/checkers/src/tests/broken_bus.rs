//! Ways in which the bus can lose, repeat, reorder or strand events, and runs that only look so.
#![forbid(unsafe_code)]

use serde_json::json;

use super::{
    Breakage, Change, assert_each_is_noticed, breakage,
    bus_scene::{DEAD, QUEUE, SHARD, STRANGE, UNDELIVERED, body},
    finding,
    scene::Scene,
};
use crate::{Finding, MessageStepKind, SchemaVersionStep};

#[test]
fn each_is_noticed() {
    assert_each_is_noticed(&breakages());
}

pub(crate) fn breakages() -> Vec<Breakage> {
    [delivery(), effects(), views(), leases(), dead_letters(), poison(), calls(), metrics()]
        .into_iter()
        .flatten()
        .collect()
}

fn core_step(scene: &Scene) -> usize {
    scene.step_at(&format!("nexus-core/{SHARD}"), MessageStepKind::Accepted)
}

/// Takes the event's record out of the core stream.
fn lose_record(scene: &mut Scene, stream: &str, version: u64) {
    let lost = body(&scene.event(stream, version));
    scene.input.truth.messages.retain(|step| step.service != "kinesis" || *step.body != *lost);
}

fn last_write(scene: &Scene, table: &str) -> usize {
    scene.input.truth.writes.iter().rposition(|write| write.table == table).expect("a write of the table")
}

fn delivery() -> Vec<Breakage> {
    vec![
        breakage("every-core-event-on-the-stream", "never came to the core stream", |scene| {
            lose_record(scene, "order-o-1", 3);
        }),
        breakage("every-core-event-on-the-stream", "ns after the bound", |scene| {
            let position = core_step(scene);
            scene.input.truth.messages[position].at_ns += scene.input.settings.delivery_bound_ns * 2;
        }),
        breakage("bus-carries-what-storage-holds", "something that is no event", |scene| {
            scene.input.settings.poison_events.clear();
        }),
        breakage("bus-carries-what-storage-holds", "an event that storage never had", |scene| {
            let mut event = scene.event("order-o-1", 1);
            event.version = 9;
            scene.route(&event, 1);
        }),
        breakage("bus-carries-what-storage-holds", "other content", |scene| {
            let mut event = scene.event("order-o-1", 1);
            event.hash = "0".repeat(64);
            scene.route(&event, 1);
        }),
        breakage("bus-carries-what-storage-holds", "before it was committed", |scene| {
            let position = core_step(scene);
            scene.input.truth.messages[position].at_ns = 1;
        }),
        breakage("bus-carries-what-storage-holds", "on the other way", |scene| {
            let event = scene.event("cart-cart-1", 1);
            scene.route(&event, 1);
        }),
        breakage("bus-carries-what-storage-holds", "under a key that is not", |scene| {
            let position = core_step(scene);
            scene.input.truth.messages[position].key = "order-o-2".to_owned();
        }),
        breakage("order-per-aggregate", "while 1 was its newest", |scene| lose_record(scene, "order-o-1", 2)),
        breakage("order-per-aggregate", "while 0 was its newest", |scene| {
            let first = core_step(scene);
            let record = scene.input.truth.messages.remove(first);
            scene.input.truth.messages.push(record);
        }),
        breakage("every-background-event-at-each-subscriber", "never came to the outbox", |scene| {
            let position = last_write(scene, "nexus-outbox");
            scene.input.truth.writes.remove(position);
        }),
    ]
}

fn effects() -> Vec<Breakage> {
    vec![
        breakage("effects-once", "written over", |scene| {
            let event = scene.event("cart-cart-1", 1);
            scene.record_effect(&event);
        }),
        breakage("effects-once", "recorded 2 times", |scene| {
            let write = scene.input.truth.writes[last_write(scene, "nexus-outbox")].clone();
            scene.input.truth.writes.push(write);
        }),
        breakage("effects-once", "there at the end: false", |scene| {
            scene.input.truth.final_items.remove("nexus-outbox");
        }),
        breakage("effects-once", "for an event that does not exist", |scene| {
            let mut event = scene.event("cart-cart-1", 1);
            event.event_id.push('x');
            scene.record_effect(&event);
        }),
        breakage("effects-once", "not for the outbox", |scene| {
            let event = scene.event("order-o-1", 1);
            scene.record_effect(&event);
        }),
        breakage("effects-once", "before its event was committed", |scene| {
            let position = last_write(scene, "nexus-outbox");
            scene.input.truth.writes[position].at_ns = 1;
        }),
        breakage("effects-once", "was removed", |scene| {
            let key = scene.input.truth.writes[last_write(scene, "nexus-outbox")].key.clone();
            scene.replace(1, "nexus-outbox", key, None);
        }),
        breakage("delete-never-ahead", "before its effect was recorded", |scene| {
            let position = last_write(scene, "nexus-outbox");
            scene.input.truth.writes[position].at_ns += 1_000_000_000;
        }),
        // The letter was deleted, but neither sent home nor kept.
        breakage("delete-never-ahead", "deleted from `nexus-notifications-dlq`", |scene| {
            let again = |step: &crate::MessageStep| step.message_id.ends_with("-again");
            scene.input.truth.messages.retain(|step| !again(step));
            let event = scene.event("cart-cart-1", 1).event_id;
            scene.input.truth.writes.retain(|write| write.key != format!("nexus-outbox/{event}"));
        }),
    ]
}

fn views() -> Vec<Breakage> {
    vec![
        breakage("read-model-is-the-fold", "ends at version 2 although 3 is stored", |scene| {
            let position = scene.input.truth.writes.iter().rposition(|write| write.key == "nexus-views/order-o-1");
            scene.input.truth.writes.remove(position.unwrap());
            scene.finish_views();
        }),
        breakage("read-model-is-the-fold", "is not the fold", |scene| {
            let view = scene.final_item("nexus-views", "order-o-1", None);
            let text = view["body"]["S"].as_str().unwrap().replace("shipped", "paid");
            view["body"]["S"] = json!(text);
        }),
        breakage("read-model-is-the-fold", "of which no core event is stored", |scene| {
            let mut view = scene.final_item("nexus-views", "order-o-1", None).clone();
            view["pk"]["S"] = json!("order-o-9");
            scene.input.truth.final_items.get_mut("nexus-views").unwrap().push(view.into());
        }),
        breakage("view-positions-never-regress", "went from version 3 to 2", |scene| {
            let event = scene.event("order-o-1", 2);
            scene.project(&event);
        }),
        breakage("view-positions-never-regress", "went from version 3 to 3", |scene| {
            let event = scene.event("order-o-1", 3);
            scene.project(&event);
        }),
        breakage("view-positions-never-regress", "was removed", |scene| {
            scene.replace(1, "nexus-views", "nexus-views/order-o-1".to_owned(), None);
        }),
        breakage("view-positions-never-regress", "not stored yet", |scene| {
            let position = last_write(scene, "nexus-views");
            scene.input.truth.writes[position].at_ns = 1;
        }),
    ]
}

fn leases() -> Vec<Breakage> {
    vec![
        breakage("parents-first", "worked on before a shard that it came from", |scene| {
            scene.lease("router", "shard-2", "router-2", 1, 1, Some("9".repeat(21)));
            scene.last_written()["parents"] = json!({"L": [{"S": "shard-1"}]});
        }),
        // One record that nobody routed lies behind the router's checkpoint.
        breakage("checkpoint-never-ahead", "`router` tells a record as done", |scene| {
            lose_record(scene, "order-o-1", 3);
        }),
        breakage("checkpoint-never-ahead", "`router` tells a record as done", |scene| {
            let position = core_step(scene);
            scene.input.truth.messages[position].at_ns = u64::MAX / 2;
        }),
        breakage("checkpoint-never-ahead", "`projection` tells a record as done", |scene| {
            let position = last_write(scene, "nexus-views");
            scene.input.truth.writes.remove(position);
        }),
        breakage("checkpoint-never-ahead", "`projection` tells a record as done", |scene| {
            scene.input.truth.writes.retain(|write| !write.key.ends_with(STRANGE));
        }),
        breakage("fencing", "from counter 2 to 2", |scene| {
            scene.lease("router", "shard-1", "router-1", 1, 2, Some("9".repeat(21)));
        }),
        breakage("fencing", "without a new epoch", |scene| {
            scene.lease("router", "shard-1", "router-2", 1, 3, Some("9".repeat(21)));
        }),
        breakage("fencing", "from epoch 2 back to 1", |scene| {
            scene.lease("router", "shard-1", "router-2", 2, 3, Some("9".repeat(21)));
            scene.lease("router", "shard-1", "router-1", 1, 4, Some("9".repeat(21)));
        }),
        breakage("fencing", "leapt from epoch 1 to 3", |scene| {
            scene.lease("router", "shard-1", "router-2", 3, 3, Some("9".repeat(21)));
        }),
        breakage("fencing", "router-2 instead of router-1", |scene| {
            scene.lease("router", "shard-1", "router-1", 1, 3, Some("9".repeat(21)));
            scene.input.truth.calls.last_mut().unwrap().caller = "router-2".to_owned();
        }),
        breakage("progress-never-regresses", "back to Untouched", |scene| {
            scene.lease("router", "shard-1", "router-1", 1, 3, None);
        }),
        breakage("progress-never-regresses", "back to After(\"3\")", |scene| {
            scene.lease("router", "shard-1", "router-1", 1, 3, Some("3".to_owned()));
        }),
    ]
}

fn dead_letters() -> Vec<Breakage> {
    vec![
        breakage("dead-letter-conservation", "without effect and without quarantine", |scene| {
            let event = scene.event("cart-cart-2", 1).event_id;
            scene.input.truth.writes.retain(|write| write.key != format!("nexus-outbox/{event}"));
        }),
        breakage("dead-letter-conservation", "still in a dead-letter queue", |scene| {
            let position = scene.step_at(DEAD, MessageStepKind::Deleted);
            scene.input.truth.messages.remove(position);
        }),
        breakage("dead-letter-conservation", "lost from `nexus-notifications-dlq` unseen: Expired", |scene| {
            let position = scene.step_at(DEAD, MessageStepKind::Deleted);
            scene.input.truth.messages[position].step = MessageStepKind::Expired;
        }),
        breakage("dead-letter-conservation", "lost from `nexus-notifications-dlq` unseen: Purged", |scene| {
            let position = scene.step_at(DEAD, MessageStepKind::Deleted);
            scene.input.truth.messages[position].step = MessageStepKind::Purged;
        }),
        // An operator is excused for what lay in the queue, and a call of the system's own is no operator.
        breakage("dead-letter-conservation", "lost from `nexus-notifications-dlq` unseen: Purged", |scene| {
            let position = scene.step_at(DEAD, MessageStepKind::Deleted);
            scene.input.truth.messages[position].step = MessageStepKind::Purged;
            scene.input.settings.operator_purges = true;
        }),
        breakage("every-background-event-at-each-subscriber", "never came", |scene| {
            let event = scene.event("cart-cart-2", 1).event_id;
            scene.input.truth.writes.retain(|write| write.key != format!("nexus-outbox/{event}"));
            scene.input.settings.operator_purges = true;
        }),
        breakage("dead-letter-conservation", "still waits in its queue", |scene| {
            let event = scene.event("cart-cart-2", 1);
            let mut waiting = event.clone();
            waiting.event_id.push('x');
            scene.step(0, "sqs", QUEUE, MessageStepKind::Accepted, "waits", &body(&waiting));
        }),
        breakage("dead-letter-conservation", "still in a dead-letter queue", |scene| {
            let event = scene.event("cart-cart-2", 1);
            scene.step(0, "sqs", UNDELIVERED, MessageStepKind::Accepted, "undelivered", &body(&event));
        }),
        breakage("dead-letter-conservation", "lost from `nexus-background-dlq` unseen: Expired", |scene| {
            let mut event = scene.event("cart-cart-2", 1);
            event.event_id.push('x');
            scene.step(0, "sqs", UNDELIVERED, MessageStepKind::Accepted, "undelivered", &body(&event));
            scene.step(0, "sqs", UNDELIVERED, MessageStepKind::Expired, "undelivered", "");
        }),
        breakage("delete-never-ahead", "deleted from `nexus-background-dlq`", |scene| {
            let mut event = scene.event("cart-cart-2", 1);
            event.event_id.push('x');
            scene.step(0, "sqs", UNDELIVERED, MessageStepKind::Accepted, "undelivered", &body(&event));
            scene.delete("dlq-1", UNDELIVERED, "undelivered");
        }),
        breakage("dead-letter-conservation", "came by no other way", |scene| {
            let event = scene.event("cart-cart-2", 1);
            let id = scene.input.truth.messages[scene.step_at("nexus-background", MessageStepKind::Accepted)].clone();
            scene.input.truth.writes.retain(|write| write.table != "nexus-outbox");
            scene.step(
                0,
                "sns",
                "nexus-background/notifications",
                MessageStepKind::Dropped,
                &id.message_id,
                &event.event_id,
            );
        }),
        breakage("receive-count-bounded", "handed out 6 times", |scene| {
            let position = scene.step_at(QUEUE, MessageStepKind::Accepted);
            let id = scene.input.truth.messages[position].message_id.clone();
            scene.receive(QUEUE, &id);
        }),
    ]
}

/// Parks an aggregate for its own first event, as it is stored.
fn park_sound(scene: &mut Scene, consumer: &str) {
    let event = scene.event("order-o-1", 1);
    scene.park(consumer, "order-o-1", (Some(1), Some(1)), "poison");
    scene.last_written()["body"] = json!({"S": body(&event)});
}

fn poison() -> Vec<Breakage> {
    vec![
        breakage("poison-parked-once", "neither parked nor quarantined", |scene| {
            scene.input.truth.writes.retain(|write| !write.key.ends_with(STRANGE));
        }),
        breakage("poison-parked-once", "neither parked nor quarantined", |scene| {
            scene.input.settings.poison_events.push("cart-cart-2/1".to_owned());
        }),
        breakage("poison-parked-once", "neither parked nor quarantined", |scene| {
            scene.input.settings.poison_events.push("rogue-1/1".to_owned());
        }),
        breakage("poison-parked-once", "without the body", |scene| {
            scene.park("router", "order-o-1", (Some(1), Some(1)), "poison");
            scene.last_written()["body"] = json!({"S": ""});
        }),
        breakage("poison-parked-once", "without a word", |scene| {
            scene.park("router", "order-o-1", (Some(1), Some(1)), "poison");
            scene.last_written()["detail"] = json!({"S": ""});
        }),
        breakage("poison-parked-once", "quarantined without its body", |scene| scene.quarantine("letter", "")),
        breakage("poison-parked-once", "changed or removed", |scene| {
            scene.quarantine("letter", "a");
            scene.quarantine("letter", "b");
        }),
        breakage("parked-for-cause", "with which nothing is wrong", |scene| {
            park_sound(scene, "router");
        }),
        breakage("parked-for-cause", "with which nothing is wrong", |scene| {
            scene.input.settings.registered_schemas.clear();
            park_sound(scene, "projection");
        }),
        breakage("parked-released", "keeps order-o-1 parked", |scene| {
            scene.park("projection", "order-o-1", (Some(2), Some(3)), "attempts-exhausted");
        }),
    ]
}

fn calls() -> Vec<Breakage> {
    vec![
        breakage("routing-attempts-bounded", "was put 4 times in one pass", |scene| {
            for _ in 0..4 {
                scene.bus_call("router-1", "kinesis", "PutRecords", vec!["nexus-core/order-o-1".to_owned()]);
            }
        }),
        // To read the events again is no repair by itself, and one that was begun before is none of a later attempt.
        breakage("routing-attempts-bounded", "was put 4 times in one pass", |scene| {
            scene.bus_call("router-1", "dynamodb", "Scan", Vec::new());
            for _ in 0..4 {
                scene.bus_call("router-1", "kinesis", "PutRecords", vec!["nexus-core/order-o-1".to_owned()]);
                scene.bus_call("router-1", "dynamodb", "Query", vec!["nexus-events/order-o-1".to_owned()]);
            }
        }),
        // Three attempts that lost their answers, and then one more.
        breakage("routing-attempts-bounded", "was put 4 times in one pass", |scene| {
            let event = scene.event("order-o-1", 1);
            for _ in 0..4 {
                scene.route(&event, 1);
                scene.last_call("PutRecords").delivered = false;
            }
        }),
        breakage("bus-quiescence", "still moves", |scene| {
            let quiet_from_ns = scene.input.settings.drain_ended_at_ns + scene.input.settings.quiescence_bound_ns;
            scene.input.truth.messages.last_mut().unwrap().at_ns = quiet_from_ns + 1;
        }),
        breakage("bus-quiescence", "still writes", |scene| {
            let quiet_from_ns = scene.input.settings.drain_ended_at_ns + scene.input.settings.quiescence_bound_ns;
            let position = last_write(scene, "nexus-views");
            scene.input.truth.writes[position].at_ns = quiet_from_ns + 1;
        }),
        breakage("bus-quiescence", "is left in `nexus-notifications`", |scene| {
            let position = scene.step_at(QUEUE, MessageStepKind::Deleted);
            scene.input.truth.messages.remove(position);
        }),
        breakage("bus-quiescence", "`projection` is not done with shard", |scene| {
            let position = last_write(scene, "nexus-leases");
            scene.input.truth.writes.remove(position);
        }),
        breakage("lint-ignored-failed-entries", "nobody sent it again", |scene| {
            scene.bus_call("router-1", "kinesis", "PutRecords", vec!["nexus-core/order-o-1".to_owned()]);
        }),
        breakage("lint-checkpoint-before-processing", "cannot have read", |scene| {
            scene.input.truth.calls.retain(|call| call.operation != "GetRecords");
        }),
        breakage("lint-checkpoint-before-processing", "cannot have read", |scene| {
            scene.last_call("GetRecords").caller = "another".to_owned();
        }),
        breakage("lint-ack-before-effect", "had written nothing", |scene| {
            scene.step(0, "sqs", QUEUE, MessageStepKind::Accepted, "idle", "{}");
            scene.receive(QUEUE, "idle");
            scene.delete("notification-1", QUEUE, "idle");
        }),
    ]
}

const METRICS: &str = "metrics-tell-the-truth";

fn metrics() -> Vec<Breakage> {
    vec![
        breakage(METRICS, "a metric that nobody knows", |scene| scene.tell("router-1", "EventTotals", &[], 1, 1.0)),
        breakage(METRICS, "dimensions that nobody knows", |scene| {
            scene.tell("router-1", "TotalEvents", &[("destination", "elsewhere")], 1, 1.0);
        }),
        breakage(METRICS, "adds up to -1", |scene| scene.tell("router-1", "GapsRepaired", &[], 1, -1.0)),
        breakage(METRICS, "panicked", |scene| {
            scene.tell("router-1", "HandlerPanics", &[("Group", "router")], 1, 1.0);
        }),
        breakage(METRICS, "events put on the way to `core`; there were", |scene| {
            scene.told("router-1", "TotalEvents").sum += 2.0;
        }),
        breakage(METRICS, "versions by which it brought views forward; there were", |scene| {
            scene.told("projection-1", "ProjectionLatency").measurements += 1;
        }),
        breakage(METRICS, "effects found recorded; there were 0", |scene| {
            scene.tell("notification-1", "NotificationDuplicates", &[], 1, 1.0);
        }),
        breakage(METRICS, "letters put or found in quarantine; there were 0", |scene| {
            scene.tell("dlq-1", "LettersQuarantined", &[("source", DEAD)], 1, 1.0);
        }),
        breakage(METRICS, "times of its cause", |scene| scene.told("router-1", "RoutingLatency").measurements -= 1),
        breakage(METRICS, "of only 0 effects recorded, though nothing went wrong", |scene| {
            scene.input.settings.is_undisturbed = true;
            scene.told("notification-1", "NotificationsRecorded").sum = 0.0;
            scene.told("notification-1", "NotificationLatency").measurements = 0;
        }),
        breakage(METRICS, "1 EventsParked although nothing went wrong", |scene| {
            scene.input.settings.is_undisturbed = true;
        }),
        breakage(METRICS, "records read; its feed has", |scene| {
            scene.input.settings.is_undisturbed = true;
            scene.told("projection-1", "RecordsRead").sum -= 1.0;
        }),
        breakage(METRICS, "from commit to acceptance it was", |scene| {
            scene.input.settings.is_undisturbed = true;
            // The record that a fault put is no deed of the router.
            scene.input.truth.messages.retain(|step| step.key != STRANGE);
            scene.told("router-1", "RoutingLatency").sum = 1e9;
        }),
    ]
}

#[test]
fn what_only_looks_wrong_passes() {
    let sound: &[(&str, &str, Change)] = &[
        (METRICS, "a crash takes what was not yet told", |scene| {
            scene.told("notification-1", "NotificationsRecorded").sum = 0.0;
            scene.told("notification-1", "NotificationLatency").measurements = 0;
        }),
        (METRICS, "work is dropped with the lease", |scene| {
            scene.input.settings.is_undisturbed = true;
            scene.input.told.retain(|told| told.name != "EventsParked" && told.name != "LettersRedriven");
            scene.told("router-1", "TotalEvents").sum -= 1.0;
            scene.told("router-1", "RoutingLatency").measurements -= 1;
            scene.tell("router-1", "LeasesLost", &[("Group", "router")], 1, 1.0);
            // As the events of this run that go by the topic really waited.
            scene
                .input
                .told
                .iter_mut()
                .filter(|told| told.name == "RoutingLatency")
                .for_each(|told| told.sum = 2_200.0);
        }),
        (
            "stream-faithful",
            "a record may be readable before the last ones of the shard that its own came from",
            |scene| {
                let stream = &mut scene.input.truth.stream;
                let second = stream.iter().position(|record| record.key == "nexus-events/order-o-1/2").unwrap();
                let mut record = stream.remove(second);
                record.shard = "shard-2".to_owned();
                stream.insert(0, record);
            },
        ),
        ("every-core-event-on-the-stream", "what is parked waits", |scene| {
            lose_record(scene, "order-o-1", 3);
            scene.park("router", "order-o-1", (Some(3), Some(3)), "poison");
        }),
        ("bus-carries-what-storage-holds", "an event may come twice", |scene| {
            let event = scene.event("order-o-1", 1);
            scene.route(&event, 2);
        }),
        ("order-per-aggregate", "an earlier event may come again", |scene| {
            let event = scene.event("order-o-1", 1);
            scene.route(&event, 1);
        }),
        ("every-background-event-at-each-subscriber", "what is quarantined is kept", |scene| {
            let event = scene.event("cart-cart-2", 1);
            scene.input.truth.writes.retain(|write| write.key != format!("nexus-outbox/{}", event.event_id));
            scene.quarantine(&event.event_id, &body(&event));
        }),
        ("delete-never-ahead", "a quarantined letter may go", |scene| {
            scene.step(0, "sqs", DEAD, MessageStepKind::Accepted, "dead", "garbage");
            scene.receive(DEAD, "dead");
            scene.quarantine("dead", "garbage");
            scene.delete("dlq-1", DEAD, "dead");
        }),
        ("read-model-is-the-fold", "a parked aggregate's view stays behind", |scene| {
            let position = scene.input.truth.writes.iter().rposition(|write| write.key == "nexus-views/order-o-1");
            scene.input.truth.writes.remove(position.unwrap());
            scene.finish_views();
            scene.park("projection", "order-o-1", (Some(3), Some(3)), "poison");
        }),
        ("checkpoint-never-ahead", "what was parked before counts as done", |scene| {
            lose_record(scene, "order-o-1", 3);
            scene.park("router", "order-o-1", (Some(3), Some(3)), "poison");
            let at_ns = scene.input.truth.messages[core_step(scene)].at_ns;
            scene.input.truth.writes.last_mut().unwrap().at_ns = at_ns;
        }),
        ("fencing", "a lease is taken over under a new epoch", |scene| {
            scene.lease("router", "shard-1", "router-2", 2, 3, Some("9".repeat(21)));
        }),
        ("parents-first", "a child is worked on once its parent is finished", |scene| {
            scene.lease("router", "shard-1", "router-1", 1, 3, None);
            scene.last_written()["progress"] = json!({"S": "finished"});
            scene.lease("router", "shard-2", "router-2", 1, 1, Some("9".repeat(21)));
            scene.last_written()["parents"] = json!({"L": [{"S": "shard-1"}]});
        }),
        ("dead-letter-conservation", "an expired letter whose event had its effect", |scene| {
            let event = scene.event("cart-cart-2", 1);
            scene.step(0, "sqs", DEAD, MessageStepKind::Accepted, "old", &body(&event));
            scene.step(0, "sqs", DEAD, MessageStepKind::Expired, "old", "");
        }),
        ("dead-letter-conservation", "an operator purged it", |scene| {
            let position = scene.step_at(DEAD, MessageStepKind::Deleted);
            let step = &mut scene.input.truth.messages[position];
            (step.step, step.call_sequence) = (MessageStepKind::Purged, 0);
            scene.input.settings.operator_purges = true;
        }),
        ("every-background-event-at-each-subscriber", "an operator purged it", |scene| {
            let event = scene.event("cart-cart-1", 1).event_id;
            scene.input.truth.writes.retain(|write| write.key != format!("nexus-outbox/{event}"));
            let position = scene.step_at(DEAD, MessageStepKind::Deleted);
            let step = &mut scene.input.truth.messages[position];
            (step.step, step.call_sequence) = (MessageStepKind::Purged, 0);
            scene.input.settings.operator_purges = true;
        }),
        ("poison-parked-once", "what came from nowhere is parked by its place", |scene| {
            scene.input.settings.poison_events.push("rogue-1/1".to_owned());
            scene.park("router", "rogue-1", (Some(1), Some(1)), "poison");
        }),
        ("parked-released", "a poisoned place stays parked", |scene| {
            scene.input.settings.poison_events.push("rogue-1/1".to_owned());
            scene.park("router", "rogue-1", (Some(1), Some(2)), "poison");
        }),
        ("parked-released", "a poisoned event stays parked, whatever its key", |scene| {
            scene.input.settings.poison_events.push("no event".to_owned());
            scene.park("router", "rogue-1", (Some(1), Some(2)), "poison");
        }),
        ("parked-for-cause", "the registry took the schema back for a while", |scene| {
            park_sound(scene, "router");
            let event = scene.event("order-o-1", 1);
            let name = format!("{}/{}", event.event_type, event.schema_version);
            let own = |step: &SchemaVersionStep| step.version_id == name;
            let known = scene.input.truth.schema_versions.iter().find(|step| own(step)).cloned();
            let known = known.expect("registered");
            for status in ["DELETING", "AVAILABLE"] {
                let step = SchemaVersionStep { at_ns: 5, status: status.to_owned(), ..known.clone() };
                scene.input.truth.schema_versions.push(step);
            }
        }),
        ("parked-for-cause", "a release did not know the type", |scene| {
            park_sound(scene, "router");
            let forgotten = scene.event("order-o-1", 1).event_type;
            scene.input.settings.event_types_forgotten.push(forgotten);
        }),
        ("parked-for-cause", "the event was planted", |scene| {
            scene.input.settings.poison_events.push("order-o-1/1".to_owned());
            park_sound(scene, "router");
        }),
        ("routing-attempts-bounded", "another owner attempts anew", |scene| {
            for epoch in 2..5 {
                scene.bus_call("router-1", "kinesis", "PutRecords", vec!["nexus-core/order-o-1".to_owned()]);
                scene.lease("router", "shard-1", "router-1", epoch, epoch + 1, Some("9".repeat(21)));
            }
        }),
        ("routing-attempts-bounded", "a repair reads the events and attempts them anew", |scene| {
            for _ in 0..3 {
                for _ in 0..2 {
                    scene.bus_call("router-1", "kinesis", "PutRecords", vec!["nexus-core/order-o-1".to_owned()]);
                }
                scene.bus_call("router-1", "dynamodb", "Scan", Vec::new());
                scene.bus_call("router-1", "dynamodb", "Query", vec!["nexus-events/order-o-1".to_owned()]);
            }
        }),
        ("poison-parked-once", "an operator purged it", |scene| {
            scene.step(0, "sqs", QUEUE, MessageStepKind::Accepted, "rogue-7", "no event");
            scene.step(0, "sqs", QUEUE, MessageStepKind::Purged, "rogue-7", "no event");
            scene.input.settings.poison_events.push("rogue-7".to_owned());
            scene.input.settings.operator_purges = true;
        }),
        ("bus-quiescence", "poison is claimed again and again", |scene| {
            scene.park("projection", STRANGE, (None, None), "poison");
            let settings = &scene.input.settings;
            let quiet_from_ns = settings.drain_ended_at_ns + settings.quiescence_bound_ns;
            scene.input.truth.writes.last_mut().unwrap().at_ns = quiet_from_ns + 1;
        }),
        ("lint-ack-before-effect", "an event source mapping deletes for its function", |scene| {
            scene.step(0, "sqs", QUEUE, MessageStepKind::Accepted, "idle", "{}");
            scene.receive(QUEUE, "idle");
            scene.delete("lambda", QUEUE, "idle");
        }),
        ("lint-ignored-failed-entries", "what was left out of a topic's batch may be parked", |scene| {
            scene.bus_call("router-1", "sns", "PublishBatch", vec!["nexus-background".to_owned()]);
            scene.park("router", "cart-cart-9", (Some(1), Some(1)), "attempts-exhausted");
        }),
        ("lint-ignored-failed-entries", "what was left out is sent again", |scene| {
            scene.bus_call("router-1", "kinesis", "PutRecords", vec!["nexus-core/order-o-1".to_owned()]);
            let event = scene.event("order-o-1", 3);
            scene.route(&event, 1);
        }),
    ];
    for (checker, why, change) in sound {
        let mut scene = Scene::sound();
        change(&mut scene);
        let found = finding(&scene.input, checker);
        assert!(matches!(found, Finding::Held { examined } if examined > 0), "{checker}, {why}: {found:#?}");
    }
}

#[test]
fn what_is_not_due_yet_stays_undecided() {
    let open: &[(&str, Change)] = &[
        ("every-core-event-on-the-stream", |scene| lose_record(scene, "order-o-1", 3)),
        ("every-background-event-at-each-subscriber", |scene| {
            scene.input.truth.writes.remove(last_write(scene, "nexus-outbox"));
        }),
        ("read-model-is-the-fold", |scene| drop(scene.input.truth.final_items.remove("nexus-views"))),
        ("parked-released", |scene| scene.park("router", "order-o-1", (Some(1), Some(1)), "attempts-exhausted")),
    ];
    for (checker, change) in open {
        let mut scene = Scene::sound();
        change(&mut scene);
        scene.input.settings.ended_at_ns = scene.now_ns;
        scene.input.settings.drain_ended_at_ns = scene.now_ns;
        let found = finding(&scene.input, checker);
        assert!(matches!(&found, Finding::Undecided { reason } if reason.contains("the record ends")), "{found:#?}");
    }
}
