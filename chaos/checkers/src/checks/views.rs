//! Eventually consistent views: late they may be, wrong they may not.

use std::collections::BTreeMap;

use super::Check;
use crate::{
    Attempt, CheckInput, Needs, Request, Violation,
    answer::Answer,
    finding::Examination,
    item::{StoredEvent, events_written},
};

pub(crate) const EVENTUAL_VIEWS: Check = Check {
    name: "eventual-views",
    needs: Needs::GroundTruth,
    describe: "An eventually consistent view of an order shows a state that the order really had before the answer, never one that it had not.",
    run: views,
};

fn views(input: &CheckInput, examination: &mut Examination) {
    let mut streams: BTreeMap<String, Vec<(u64, StoredEvent)>> = BTreeMap::new();
    for (write, event) in events_written(input) {
        streams.entry(event.stream.clone()).or_default().push((write.at_ns, event));
    }
    for attempt in &input.observation.attempts {
        let (Request::ReadOrder { order_id, eventual: true }, Some(completed_ns)) =
            (&attempt.request, attempt.completed_ns)
        else {
            continue;
        };
        // Before the first event every order was absent, so absence is always a past state.
        let Answer::Read(view) = Answer::of(attempt) else { continue };
        let events = streams.get(&format!("order-{order_id}")).map_or(&[][..], Vec::as_slice);
        let last = events.iter().find(|(at_ns, event)| event.version == view.version && *at_ns <= completed_ns);
        let problem = match last {
            None => Some(format!("version {} of an order that did not have it yet", view.version)),
            Some((_, event)) if status_after(&event.event_type) != Some(view.status.as_str()) => Some(format!(
                "status `{}` at version {}, whose event is {}",
                view.status, view.version, event.event_type
            )),
            Some(_) => None,
        };
        examination.expect(problem.is_none(), || shown_wrongly(attempt, order_id, problem.unwrap_or_default()));
    }
}

fn shown_wrongly(attempt: &Attempt, order_id: &str, problem: String) -> Violation {
    let violation = Violation::new(format!("A view of order `{order_id}` showed {problem}."))
        .operations([attempt.operation])
        .key(format!("order-{order_id}"))
        .evidence(format!("{:?}", attempt.response));
    match attempt.completed_ns {
        Some(completed_ns) => violation.at(completed_ns),
        None => violation,
    }
}

/// The status that an order has once this event has happened.
fn status_after(event_type: &str) -> Option<&'static str> {
    match event_type {
        "OrderPlaced" => Some("placed"),
        "PaymentConfirmed" => Some("paid"),
        "OrderShipped" => Some("shipped"),
        "OrderCancelled" => Some("cancelled"),
        _ => None,
    }
}
