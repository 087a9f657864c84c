//! A stored event that somebody forged is found out by whoever reads it, and nothing else is called forged.

use std::collections::BTreeMap;

use super::Check;
use crate::{Attempt, CheckInput, Needs, Request, SentCommand, Violation, answer::Answer, finding::Examination};

pub(crate) const TAMPERING_DETECTED: Check = Check {
    name: "tampering-detected",
    needs: Needs::GroundTruth,
    describe: "Once a stored event is forged or removed, nobody decides on its stream or shows it by a strong read: it is called corrupt. No other stream ever is.",
    run: tampering_detected,
};

fn tampering_detected(input: &CheckInput, examination: &mut Examination) {
    let mut forged_ns: BTreeMap<&str, u64> = BTreeMap::new();
    for event in &input.settings.tampered {
        let at_ns = forged_ns.entry(&event.stream).or_insert(event.at_ns);
        *at_ns = event.at_ns.min(*at_ns);
    }
    for attempt in &input.observation.attempts {
        let Some(stream) = stream_of(&attempt.request) else { continue };
        let forged_ns = forged_ns.get(stream.as_str()).copied();
        let problem = if attempt.response.tells_of_corruption() {
            let is_rightly =
                forged_ns.is_some_and(|at_ns| attempt.completed_ns.is_some_and(|answered| at_ns <= answered));
            (!is_rightly).then(|| format!("`{stream}` was called corrupt, and nobody had forged anything in it."))
        } else {
            let is_later = forged_ns.is_some_and(|at_ns| at_ns < attempt.invoked_ns);
            let deed = is_later.then(|| relied_on_it(attempt)).flatten();
            deed.map(|deed| format!("`{stream}` was {deed} after an event of it was forged."))
        };
        examination.expect(problem.is_none(), || {
            let violation = Violation::new(problem.unwrap_or_default())
                .key(&stream)
                .operations([attempt.operation])
                .evidence(format!("asked at {} ns: {:?}", attempt.invoked_ns, attempt.response));
            match forged_ns {
                Some(at_ns) => violation.at(at_ns),
                None => violation,
            }
        });
    }
}

fn stream_of(request: &Request) -> Option<String> {
    match request {
        Request::Command(body) => SentCommand::read(body).map(|command| command.aggregate()),
        Request::ReadOrder { order_id, .. } => Some(format!("order-{order_id}")),
    }
}

/// What the answer did with the stream, if it did what needs its events. An answer that was kept before needs none, and an
/// eventual read may come from before.
fn relied_on_it(attempt: &Attempt) -> Option<&'static str> {
    match (Answer::of(attempt), &attempt.request) {
        (Answer::Accepted(accepted), _) if !accepted.is_replayed => Some("decided on"),
        (Answer::Read(_), Request::ReadOrder { eventual: false, .. }) => Some("shown"),
        (Answer::NotFound, Request::ReadOrder { eventual: false, .. }) => Some("called unknown"),
        _ => None,
    }
}
