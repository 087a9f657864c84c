//! Whether clients get answers, and answers that can be understood.

use std::collections::BTreeMap;

use super::Check;
use crate::{
    Attempt, CheckInput, Needs, Request, Response, SentCommand, Violation, answer::Answer, finding::Examination,
};

pub(crate) const WELL_FORMED: Check = Check {
    name: "answers-well-formed",
    needs: Needs::ObservationOnly,
    describe: "Every answer has the form that the HTTP face promises, says for a command which outcome it had, and an acceptance is of the aggregate and the event that the command asked for.",
    run: well_formed,
};

pub(crate) const CONVERGENCE: Check = Check {
    name: "convergence",
    needs: Needs::ObservationOnly,
    describe: "Every operation has a definite answer within the bound after its start or the heal. That a stream was found to be corrupt is one: an operator is needed.",
    run: convergence,
};

fn well_formed(input: &CheckInput, examination: &mut Examination) {
    for attempt in &input.observation.attempts {
        if matches!(attempt.response, Response::Unknown { .. }) {
            continue;
        }
        let problem = match (Answer::of(attempt), &attempt.request) {
            (Answer::Malformed { problem }, _) => Some(problem),
            (Answer::Accepted(_), Request::Command(_)) if attempt.idempotency_key.is_none() => {
                Some("a command without a key was accepted".to_owned())
            }
            (Answer::Accepted(accepted), Request::Command(body)) => match SentCommand::read(body) {
                None => Some("what is no command was accepted".to_owned()),
                Some(command) if command.aggregate() != accepted.aggregate => {
                    Some(format!("{} was changed instead of {}", accepted.aggregate, command.aggregate()))
                }
                Some(_) => None,
            },
            _ => None,
        };
        examination.expect(problem.is_none(), || {
            let violation = Violation::new(format!("An answer cannot be right: {}.", problem.unwrap_or_default()))
                .operations([attempt.operation])
                .evidence(format!("{:?}", attempt.response));
            Violation { at_ns: attempt.completed_ns, ..violation }
        });
    }
}

fn convergence(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let mut operations: BTreeMap<u32, Vec<&Attempt>> = BTreeMap::new();
    for attempt in &input.observation.attempts {
        operations.entry(attempt.operation).or_default().push(attempt);
    }
    for (operation, attempts) in operations {
        let started_ns = attempts.iter().map(|attempt| attempt.invoked_ns).min().unwrap_or(0);
        let due_ns = started_ns.max(settings.healed_at_ns).saturating_add(settings.convergence_bound_ns);
        let settled_ns = attempts
            .iter()
            .filter(|attempt| Answer::of(attempt).is_final() || attempt.response.tells_of_corruption())
            .filter_map(|attempt| attempt.completed_ns)
            .min();
        let is_late = settled_ns.is_none_or(|at_ns| at_ns > due_ns);
        if settled_ns.is_none() && due_ns > settings.ended_at_ns {
            examination.undecided(format!("the record ends before operation {operation} is due"));
            continue;
        }
        examination.expect(!is_late, || {
            Violation::new("An operation had no definite answer within the bound.")
                .operations([operation])
                .at(due_ns)
                .evidence(format!("started at {started_ns} ns, due at {due_ns} ns, {} attempts", attempts.len()))
                .evidence(match settled_ns {
                    Some(at_ns) => format!("answered at {at_ns} ns"),
                    None => "never answered for good".to_owned(),
                })
        });
    }
}
