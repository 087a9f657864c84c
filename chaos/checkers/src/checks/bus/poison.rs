//! What cannot be worked on is set aside once, with its body, and everything else is set free again.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    CheckInput, MessageStep, MessageStepKind, Needs, Violation,
    bus::{
        Parking, Poison, Standing, carried_event, core_records, letter_of, place_of, purged_by_operator, queue_steps,
        topic_messages, writes_of,
    },
    checks::{Check, registry::Availability},
    finding::Examination,
    item::{StoredEvent, events_written, text},
};

pub(crate) const PARKED_ONCE: Check = Check {
    name: "poison-parked-once",
    needs: Needs::GroundTruth,
    describe: "Whatever a fault made unprocessable is parked or quarantined with its body; a quarantined letter is written once and never without a body, and so is a parked one, with words on what is wrong.",
    run: parked_once,
};

pub(crate) const PARKED_FOR_CAUSE: Check = Check {
    name: "parked-for-cause",
    needs: Needs::GroundTruth,
    describe: "An aggregate is parked as poison only for what is poison, or for an event whose schema the registry did not have AVAILABLE: a registry that is silent makes nothing poison.",
    run: parked_for_cause,
};

pub(crate) const RELEASED: Check = Check {
    name: "parked-released",
    needs: Needs::GroundTruth,
    describe: "After the drain nothing stays parked but aggregates that a fault made unprocessable.",
    run: released,
};

fn parked_once(input: &CheckInput, examination: &mut Examination) {
    let parking = Parking::of(input);
    let mut kept_bodies: BTreeMap<String, String> = BTreeMap::new();
    for write in writes_of(input, &input.settings.quarantine_table) {
        let kept =
            write.new_image.as_ref().and_then(|image| Some((text(image, "pk").ok()?, text(image, "body").ok()?)));
        let problem = match &kept {
            _ if write.old_image.is_some() => Some("A quarantined letter was changed or removed"),
            None => Some("A quarantined letter cannot be read"),
            Some((_, body)) if body.is_empty() => Some("A letter was quarantined without its body"),
            Some(_) => None,
        };
        examination.expect(problem.is_none(), || {
            Violation::new(format!("{}.", problem.unwrap_or_default())).key(&write.key).at(write.at_ns)
        });
        if let Some((id, body)) = kept {
            kept_bodies.insert(letter_of(&body), body.clone());
            kept_bodies.entry(id).or_insert(body);
        }
    }
    for (consumer, key, standings) in parking.all() {
        for standing in standings.iter().filter(|standing| standing.is_new) {
            examination.expect(!standing.body.is_empty(), || {
                let what = format!("An aggregate was parked by `{consumer}` without the body that it is parked for.");
                Violation::new(what).key(key).at(standing.from_ns)
            });
            examination.expect(!standing.detail.is_empty(), || {
                let what = format!("An aggregate was parked by `{consumer}` without a word on what is wrong with it.");
                Violation::new(what).key(key).at(standing.from_ns)
            });
        }
    }
    let thrown_away = purged_by_operator(input);
    for victim in victims(input) {
        let is_parked = parking_of(input, &parking, &victim);
        let letter = letter_of(&victim.body);
        let is_kept = kept_bodies.contains_key(&letter) || kept_bodies.contains_key(victim.name);
        examination.expect(is_parked || is_kept || thrown_away.contains(&letter), || {
            Violation::new("What a fault made unprocessable was neither parked nor quarantined.")
                .key(victim.name)
                .key(&victim.key)
                .at(victim.at_ns)
                .evidence(victim.body.clone())
        });
    }
}

fn parked_for_cause(input: &CheckInput, examination: &mut Examination) {
    let (parking, poison, availability) = (Parking::of(input), Poison::of(input), Availability::of(input));
    let stored: BTreeMap<String, StoredEvent> =
        events_written(input).into_iter().map(|(_, event)| (event.event_id.clone(), event)).collect();
    for (consumer, key, standings) in parking.all() {
        for standing in standings.iter().filter(|standing| standing.is_new && standing.reason == "poison") {
            let blameless = carried_event(&standing.body).filter(|event| {
                event.stream == key
                    && !poison.keys.contains(key)
                    && !poison.has_event(event)
                    && !input.settings.event_types_forgotten.contains(&event.event_type)
                    && stored.get(&event.event_id) == Some(event)
                    && !availability.may_be_doubted(&event.event_type, event.schema_version, standing.from_ns)
            });
            examination.expect(blameless.is_none(), || {
                let what = format!("`{consumer}` parked {key} as poison for an event with which nothing is wrong.");
                Violation::new(what)
                    .key(format!("{}/{consumer}/{key}", input.settings.parked_table))
                    .at(standing.from_ns)
                    .evidence(standing.body.clone())
            });
        }
    }
}

/// Something that a fault made unprocessable.
struct Victim<'i> {
    name: &'i str,
    key: String,
    body: String,
    version: Option<u64>,
    at_ns: u64,
}

fn victims(input: &CheckInput) -> Vec<Victim<'_>> {
    let poison = Poison::of(input);
    let mut found: BTreeMap<&str, Victim<'_>> = BTreeMap::new();
    if poison.names().next().is_none() {
        return Vec::new();
    }
    let events: Vec<(u64, StoredEvent)> =
        events_written(input).into_iter().map(|(write, event)| (write.at_ns, event)).collect();
    let records: BTreeMap<&str, &MessageStep> = core_records(input)
        .chain(topic_messages(input))
        .chain(queue_steps(input).filter(|step| step.step == MessageStepKind::Accepted))
        .map(|step| (step.message_id.as_str(), step))
        .collect();
    let by_id: BTreeMap<&str, &(u64, StoredEvent)> =
        events.iter().map(|event| (event.1.event_id.as_str(), event)).collect();
    let by_place: BTreeMap<String, &(u64, StoredEvent)> =
        events.iter().map(|event| (format!("{}/{}", event.1.stream, event.1.version), event)).collect();
    for name in poison.names() {
        let event = by_id.get(name).or_else(|| by_place.get(name)).copied();
        let of_event = event.map(|(at_ns, event)| Victim {
            name,
            key: event.stream.clone(),
            body: event.event_id.clone(),
            version: Some(event.version),
            at_ns: *at_ns,
        });
        let of_message = records.get(name).map(|step| Victim {
            name,
            key: step.key.clone(),
            body: step.body.to_string(),
            version: carried_event(&step.body).map(|event| event.version),
            at_ns: step.at_ns,
        });
        // What was written behind the system's back may be left out of the history, and then is told by its place.
        let of_place = || {
            place_of(name).map(|(stream, version)| Victim {
                name,
                key: stream.to_owned(),
                body: name.to_owned(),
                version: Some(version),
                at_ns: 0,
            })
        };
        // A fault that never fired has no victim, and is told as inconclusive elsewhere.
        found.extend(of_event.or(of_message).or_else(of_place).map(|victim| (name, victim)));
    }
    found.into_values().collect()
}

fn parking_of(input: &CheckInput, parking: &Parking, victim: &Victim<'_>) -> bool {
    [&input.settings.router_group, &input.settings.projection_group].into_iter().any(|consumer| {
        let is_covered =
            victim.version.is_some_and(|version| parking.covered_ns(consumer, &victim.key, version).is_some());
        is_covered || parking.stood_between(consumer, &victim.key, victim.at_ns, u64::MAX)
    })
}

fn released(input: &CheckInput, examination: &mut Examination) {
    let parking = Parking::of(input);
    let poison = Poison::of(input);
    // A record that is no event poisons its aggregate as well, whoever put it there.
    let strange: BTreeSet<&str> = core_records(input)
        .filter(|record| carried_event(&record.body).is_none_or(|event| event.stream != record.key))
        .map(|record| record.key.as_str())
        .collect();
    for (consumer, key, standings) in parking.all() {
        let still = standings.last().filter(|last| last.until_ns.is_none());
        let is_poison = |standing: &Standing| poison.has(&letter_of(&standing.body));
        let is_excused = poison.keys.contains(key) || strange.contains(key) || still.is_some_and(is_poison);
        if still.is_some() && !is_excused && !input.settings.is_drained() {
            examination.undecided(format!("the record ends before the drain, and `{consumer}` keeps {key} parked"));
            continue;
        }
        examination.expect(still.is_none() || is_excused, || {
            let violation =
                Violation::new(format!("`{consumer}` keeps {key} parked although nothing is wrong with it."));
            match still {
                Some(still) => violation
                    .key(format!("{}/{consumer}/{key}", input.settings.parked_table))
                    .at(still.from_ns)
                    .evidence(format!("{}: {}", still.reason, still.body)),
                None => violation,
            }
        });
    }
}
