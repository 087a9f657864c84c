//! Each background event has its effect once, and a message is deleted only after the effect.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    CheckInput, MessageStepKind, Needs, Violation,
    bus::{effects, letter_of, quarantined, queue_steps, writes_of},
    checks::Check,
    finding::Examination,
    item::{StoredEvent, events_written, final_images, number, text},
};

pub(crate) const EFFECTS_ONCE: Check = Check {
    name: "effects-once",
    needs: Needs::GroundTruth,
    describe: "The outbox gets one record for an event, after its commit, never changes or loses it, and gets none for events that do not exist or are not for it.",
    run: effects_once,
};

pub(crate) const DELETE_NEVER_AHEAD: Check = Check {
    name: "delete-never-ahead",
    needs: Needs::GroundTruth,
    describe: "A message is deleted only after its effect is recorded, or after it was quarantined or sent home.",
    run: delete_never_ahead,
};

fn effects_once(input: &CheckInput, examination: &mut Examination) {
    let mut committed: BTreeMap<String, (u64, StoredEvent)> = BTreeMap::new();
    for (write, event) in events_written(input) {
        committed.entry(event.event_id.clone()).or_insert((write.at_ns, event));
    }
    let mut recorded: BTreeMap<String, u64> = BTreeMap::new();
    for write in writes_of(input, &input.settings.outbox_table) {
        let problem = match &write.new_image {
            None => Some("A record of the outbox was removed".to_owned()),
            Some(_) if write.old_image.is_some() => Some("A record of the outbox was written over".to_owned()),
            Some(image) => match text(image, "pk") {
                Err(unreadable) => Some(format!("A record of the outbox cannot be read: {unreadable}")),
                Ok(id) => {
                    *recorded.entry(id.clone()).or_default() += 1;
                    record_problem(input, image, committed.get(&id), write.at_ns)
                }
            },
        };
        examination.expect(problem.is_none(), || {
            Violation::new(format!("{}.", problem.unwrap_or_default())).key(&write.key).at(write.at_ns)
        });
    }
    let at_end = final_images(input, &input.settings.outbox_table).filter_map(|image| text(image, "pk").ok());
    let at_end: BTreeSet<String> = at_end.collect();
    for (id, times) in recorded {
        let is_there = at_end.contains(&id);
        examination.expect(times == 1 && is_there, || {
            let what = format!("An effect was recorded {times} times and is there at the end: {is_there}.");
            Violation::new(what).key(id)
        });
    }
}

fn record_problem(
    input: &CheckInput,
    image: &Value,
    source: Option<&(u64, StoredEvent)>,
    at_ns: u64,
) -> Option<String> {
    let Some((committed_ns, event)) = source else {
        return Some("An effect was recorded for an event that does not exist".to_owned());
    };
    let is_same = text(image, "stream").is_ok_and(|stream| stream == event.stream)
        && number(image, "version").is_ok_and(|version| version == event.version);
    if *committed_ns > at_ns {
        Some("An effect was recorded before its event was committed".to_owned())
    } else if input.settings.is_core(&event.event_type) {
        Some(format!("An effect was recorded for {}, which is not for the outbox", event.label()))
    } else if !is_same {
        Some(format!("An effect tells another place than {}", event.label()))
    } else {
        None
    }
}

fn delete_never_ahead(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let effects = effects(input);
    let quarantined = quarantined(input);
    // What each message carries, and when each letter last came to its home queue.
    let mut letters: BTreeMap<(&str, &str), (String, u64)> = BTreeMap::new();
    let mut last_home_ns: BTreeMap<String, u64> = BTreeMap::new();
    for step in queue_steps(input) {
        let id = (step.place.as_str(), step.message_id.as_str());
        match step.step {
            MessageStepKind::Accepted => {
                let letter = letter_of(&step.body);
                if step.place == settings.notification_queue {
                    last_home_ns.insert(letter.clone(), step.at_ns);
                }
                letters.insert(id, (letter, step.at_ns));
            }
            MessageStepKind::Deleted => {
                let Some((letter, accepted_ns)) = letters.get(&id) else { continue };
                let is_by = |moment: Option<&u64>| moment.is_some_and(|at_ns| *at_ns <= step.at_ns);
                let is_home_again = settings.is_dead_letter_queue(&step.place)
                    && last_home_ns.get(letter).is_some_and(|home_ns| home_ns >= accepted_ns);
                let is_safe = is_by(effects.get(letter)) || is_by(quarantined.get(letter)) || is_home_again;
                examination.expect(is_safe, || {
                    let what = format!("A message was deleted from `{}` before its effect was recorded.", step.place);
                    Violation::new(what)
                        .key(letter)
                        .at(step.at_ns)
                        .evidence(format!("message {}, call {}", step.message_id, step.call_sequence))
                        .evidence(
                            effects.get(letter).map_or("no effect ever".to_owned(), |at| format!("effect at {at} ns")),
                        )
                });
            }
            _ => {}
        }
    }
}
