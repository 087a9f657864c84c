//! The read model: at the end the fold of what is stored, and on the way never back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    CheckInput, Needs, Violation,
    bus::{Parking, writes_of},
    checks::Check,
    finding::Examination,
    item::{StoredEvent, events_written, final_images, final_streams, number, text},
    read_model::naive_view,
};

pub(crate) const READ_MODEL_IS_THE_FOLD: Check = Check {
    name: "read-model-is-the-fold",
    needs: Needs::GroundTruth,
    describe: "At the end each view is the fold of its aggregate's stored events up to the last one, or up to the one from which on the aggregate is parked; no other views are there.",
    run: read_model_is_the_fold,
};

pub(crate) const VIEW_POSITIONS: Check = Check {
    name: "view-positions-never-regress",
    needs: Needs::GroundTruth,
    describe: "Every write of a view raises its version, to one that was committed before.",
    run: view_positions,
};

fn read_model_is_the_fold(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let parking = Parking::of(input);
    let committed_ns: BTreeMap<(String, u64), u64> =
        events_written(input).into_iter().map(|(write, event)| ((event.stream, event.version), write.at_ns)).collect();
    let views: BTreeMap<String, &Value> =
        final_images(input, &settings.views_table).filter_map(|image| Some((text(image, "pk").ok()?, image))).collect();
    let streams = final_streams(input);
    let mut expected_streams: BTreeSet<&str> = BTreeSet::new();
    for (stream, events) in &streams {
        if !events.first().is_some_and(|first| settings.is_core(&first.event_type)) {
            continue;
        }
        expected_streams.insert(stream);
        let waits_from =
            [&settings.router_group, &settings.projection_group].map(|consumer| parking.waits_from(consumer, stream));
        let waits_from = waits_from.into_iter().flatten().min();
        let view = views.get(stream.as_str()).copied();
        let version = view.and_then(|view| number(view, "version").ok()).unwrap_or(0);
        let last = events.last().map_or(0, |last| last.version);
        let is_behind = version < last && waits_from.is_none_or(|first| version + 1 < first);
        if is_behind {
            let missing = (stream.clone(), version + 1);
            let due_ns = settings.delivery_due_ns(committed_ns.get(&missing).copied().unwrap_or(0));
            if !settings.is_missing_for_good(due_ns) {
                examination.undecided(format!("the record ends before version {} of {stream} is due", version + 1));
                continue;
            }
        }
        let problem = if is_behind {
            Some(format!("ends at version {version} although {last} is stored"))
        } else {
            view.and_then(|view| content_problem(view, events, version))
        };
        examination.expect(problem.is_none(), || {
            let violation = Violation::new(format!("The view of {stream} {}.", problem.unwrap_or_default()))
                .key(format!("{}/{stream}", settings.views_table));
            match view {
                Some(view) => violation.evidence(view.to_string()),
                None => violation.evidence("there is no view"),
            }
        });
    }
    for (stream, view) in views.iter().filter(|(stream, _)| !expected_streams.contains(stream.as_str())) {
        examination.examine();
        let what = format!("There is a view of {stream}, of which no core event is stored.");
        examination.violation(Violation::new(what).key(stream).evidence(view.to_string()));
    }
}

fn content_problem(view: &Value, events: &[StoredEvent], version: u64) -> Option<String> {
    let folded = events.iter().take_while(|event| event.version <= version).count();
    if events.get(folded.checked_sub(1)?).is_none_or(|last| last.version != version) {
        return Some(format!("has version {version}, which is not stored"));
    }
    let body = text(view, "body").ok().and_then(|body| serde_json::from_str::<Value>(&body).ok());
    let Some(body) = body else { return Some("has a body that is no JSON".to_owned()) };
    match naive_view(&events[..folded]) {
        None => Some(format!("exists although no view follows from its events up to version {version}")),
        Some(expected) if expected != body => Some(format!("is not the fold of its events, which is {expected}")),
        Some(_) => None,
    }
}

fn view_positions(input: &CheckInput, examination: &mut Examination) {
    let mut committed_ns: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for (write, event) in events_written(input) {
        committed_ns.entry((event.stream, event.version)).or_insert(write.at_ns);
    }
    let mut newest: BTreeMap<&str, u64> = BTreeMap::new();
    for write in writes_of(input, &input.settings.views_table) {
        let before = newest.get(write.key.as_str()).copied().unwrap_or(0);
        let written = write.new_image.as_ref().and_then(|image| {
            let body: Value = serde_json::from_str(&text(image, "body").ok()?).ok()?;
            Some((text(image, "pk").ok()?, number(image, "version").ok()?, body["version"].as_u64()))
        });
        let problem = match &written {
            None if write.new_image.is_none() => Some(format!("was removed at version {before}")),
            None => Some("cannot be read".to_owned()),
            Some((_, version, _)) if *version <= before => Some(format!("went from version {before} to {version}")),
            Some((_, version, in_body)) if *in_body != Some(*version) => {
                Some(format!("says version {version}, and {in_body:?} in its body"))
            }
            Some((stream, version, _)) => match committed_ns.get(&(stream.clone(), *version)) {
                None => Some(format!("has version {version}, which was never stored")),
                Some(at_ns) if *at_ns > write.at_ns => Some(format!("has version {version}, which was not stored yet")),
                Some(_) => None,
            },
        };
        if let Some((_, version, _)) = written {
            newest.insert(&write.key, version);
        }
        examination.expect(problem.is_none(), || {
            Violation::new(format!("A view {}.", problem.unwrap_or_default()))
                .key(&write.key)
                .at(write.at_ns)
                .evidence(format!("call {}", write.call_sequence))
        });
    }
}
