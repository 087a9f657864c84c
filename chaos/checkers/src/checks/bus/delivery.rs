//! Every event reaches its consumers, unchanged, and those of one aggregate in order.

use std::collections::BTreeMap;

use crate::{
    CheckInput, Needs, Violation,
    bus::{Parking, Poison, carried_event, core_records, effects, purged_by_operator, quarantined, topic_messages},
    checks::Check,
    finding::Examination,
    item::{StoredEvent, event_key, events_written},
};

pub(crate) const CORE_EVENTS_STREAMED: Check = Check {
    name: "every-core-event-on-the-stream",
    needs: Needs::GroundTruth,
    describe: "Every committed core event is in the core stream within the bound after its commit or the heal, unless its aggregate is parked.",
    run: core_events_streamed,
};

pub(crate) const STREAM_CARRIES_STORAGE: Check = Check {
    name: "bus-carries-what-storage-holds",
    needs: Needs::GroundTruth,
    describe: "Stream and topic carry no event that storage had not before, byte for byte with its hash, each by its own way and under its own key.",
    run: stream_carries_storage,
};

pub(crate) const ORDER_PER_AGGREGATE: Check = Check {
    name: "order-per-aggregate",
    needs: Needs::GroundTruth,
    describe: "The events of one aggregate first appear in the core stream in ascending order of version, without a gap.",
    run: order_per_aggregate,
};

pub(crate) const BACKGROUND_EVENTS_DELIVERED: Check = Check {
    name: "every-background-event-at-each-subscriber",
    needs: Needs::GroundTruth,
    describe: "Every committed background event has its effect at the notification consumer within the bound, unless it was parked or quarantined.",
    run: background_events_delivered,
};

/// What became of one event at its consumer.
enum Fate {
    /// What was set aside for a time is due once the system has finished its work.
    Arrived {
        at_ns: u64,
        was_set_aside: bool,
    },
    /// It waits where people can see it.
    SetAside,
    Missing,
}

fn core_events_streamed(input: &CheckInput, examination: &mut Examination) {
    let mut arrived: BTreeMap<String, u64> = BTreeMap::new();
    for record in core_records(input) {
        if let Some(event) = carried_event(&record.body) {
            arrived.entry(event.event_id).or_insert(record.at_ns);
        }
    }
    let parking = Parking::of(input);
    for (write, event) in events_written(input).iter().filter(|(_, event)| input.settings.is_core(&event.event_type)) {
        let fate = match arrived.get(&event.event_id) {
            Some(&at_ns) => Fate::Arrived { at_ns, was_set_aside: was_parked(input, &parking, event) },
            None if is_parked(input, &parking, event) => Fate::SetAside,
            None => Fate::Missing,
        };
        judge(input, (write.at_ns, event), fate, "core stream", examination);
    }
}

fn background_events_delivered(input: &CheckInput, examination: &mut Examination) {
    let effects = effects(input);
    let quarantined = quarantined(input);
    let thrown_away = purged_by_operator(input);
    let parking = Parking::of(input);
    for (write, event) in events_written(input).iter().filter(|(_, event)| !input.settings.is_core(&event.event_type)) {
        let fate = match effects.get(&event.event_id) {
            // Its message may have been a dead letter, and then waits for its redrive.
            Some(&at_ns) => Fate::Arrived { at_ns, was_set_aside: true },
            None if thrown_away.contains(&event.event_id) => Fate::SetAside,
            None if quarantined.contains_key(&event.event_id) || is_parked(input, &parking, event) => Fate::SetAside,
            None => Fate::Missing,
        };
        judge(input, (write.at_ns, event), fate, "outbox", examination);
    }
}

/// Whether the aggregate is parked at the end with this version in it.
fn is_parked(input: &CheckInput, parking: &Parking, event: &StoredEvent) -> bool {
    parking.waits_from(&input.settings.router_group, &event.stream).is_some_and(|first| first <= event.version)
}

fn judge(
    input: &CheckInput,
    (committed_ns, event): (u64, &StoredEvent),
    fate: Fate,
    place: &str,
    examination: &mut Examination,
) {
    let settings = &input.settings;
    let due_ns = settings.delivery_due_ns(committed_ns);
    let problem = match fate {
        Fate::Arrived { at_ns, was_set_aside }
            if at_ns > due_ns && (!was_set_aside || at_ns > settings.drain_ended_at_ns) =>
        {
            Some(format!("came to the {place} {} ns after the bound", at_ns - due_ns))
        }
        Fate::Arrived { .. } | Fate::SetAside => None,
        Fate::Missing if settings.is_missing_for_good(due_ns) => Some(format!("never came to the {place}")),
        Fate::Missing => {
            examination.undecided(format!("the record ends before {} is due in the {place}", event.label()));
            return;
        }
    };
    examination.expect(problem.is_none(), || {
        Violation::new(format!("A committed event {}.", problem.unwrap_or_default()))
            .key(event_key(&settings.events_table, event))
            .at(committed_ns)
            .evidence(event.label())
    });
}

fn was_parked(input: &CheckInput, parking: &Parking, event: &StoredEvent) -> bool {
    parking.covered_ns(&input.settings.router_group, &event.stream, event.version).is_some()
}

fn stream_carries_storage(input: &CheckInput, examination: &mut Examination) {
    let poison = Poison::of(input);
    let mut stored: BTreeMap<(String, u64), (u64, StoredEvent)> = BTreeMap::new();
    for (write, event) in events_written(input) {
        stored.entry((event.stream.clone(), event.version)).or_insert((write.at_ns, event));
    }
    let records = core_records(input).map(|step| (step, true));
    let messages = topic_messages(input).map(|step| (step, false));
    for (step, is_core) in records.chain(messages) {
        if poison.has_message(step) {
            continue;
        }
        let event = carried_event(&step.body);
        let source = event.as_ref().and_then(|event| stored.get(&(event.stream.clone(), event.version)));
        let problem = match (&event, source) {
            (None, _) => Some("something that is no event"),
            (Some(_), None) => Some("an event that storage never had"),
            (Some(event), Some((_, stored))) if event != stored => Some("an event with other content than storage has"),
            (Some(_), Some((committed_ns, _))) if *committed_ns > step.at_ns => {
                Some("an event before it was committed")
            }
            (Some(event), _) if input.settings.is_core(&event.event_type) != is_core => {
                Some("an event that belongs on the other way")
            }
            (Some(event), _) if is_core && event.stream != step.key => {
                Some("an event under a key that is not its stream's")
            }
            _ => None,
        };
        examination.expect(problem.is_none(), || {
            Violation::new(format!("`{}` carries {}.", step.place, problem.unwrap_or_default()))
                .key(&step.key)
                .at(step.at_ns)
                .evidence(format!("message {}, call {}: {}", step.message_id, step.call_sequence, step.body))
        });
    }
}

fn order_per_aggregate(input: &CheckInput, examination: &mut Examination) {
    let poison = Poison::of(input);
    let mut newest: BTreeMap<String, u64> = BTreeMap::new();
    for record in core_records(input).filter(|record| !poison.has_message(record)) {
        let Some(event) = carried_event(&record.body) else { continue };
        let newest = newest.entry(event.stream.clone()).or_default();
        let before = *newest;
        examination.expect(event.version <= before + 1, || {
            let what =
                format!("Version {} came to the core stream while {before} was its newest version.", event.version);
            Violation::new(what)
                .key(event_key(&input.settings.events_table, &event))
                .at(record.at_ns)
                .evidence(format!("sequence number {} in {}", record.message_id, record.place))
        });
        *newest = before.max(event.version);
    }
}
