//! No message is lost on its way through queue and dead-letter queues.

use std::collections::BTreeMap;

use crate::{
    CheckInput, MessageStep, MessageStepKind, Needs, Violation,
    bus::{effects, letter_of, purged_by_operator, quarantined, queue_steps, topic_messages},
    checks::Check,
    finding::Examination,
};

pub(crate) const CONSERVATION: Check = Check {
    name: "dead-letter-conservation",
    needs: Needs::GroundTruth,
    describe: "Whatever the notification queue took, or the topic put into its subscription's dead-letter queue instead, ends with its effect or in quarantine, or still lies in one of the queues; nothing expires, is purged or dropped unseen, and after the drain the dead-letter queues are empty.",
    run: conservation,
};

pub(crate) const RECEIVE_COUNT: Check = Check {
    name: "receive-count-bounded",
    needs: Needs::GroundTruth,
    describe: "No message of the notification queue is handed out more often than its redrive policy says; then it is a dead letter.",
    run: receive_count,
};

/// Copies of one letter.
#[derive(Default)]
struct Letter<'i> {
    in_queue: i64,
    in_dead_letters: i64,
    last: Option<&'i MessageStep>,
}

fn conservation(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let effects = effects(input);
    let quarantined = quarantined(input);
    let thrown_away = purged_by_operator(input);
    let is_settled = |letter: &str, by_ns: u64| {
        let is_by = |moment: Option<&u64>| moment.is_some_and(|at_ns| *at_ns <= by_ns);
        is_by(effects.get(letter)) || is_by(quarantined.get(letter))
    };
    let lost_unseen = |letter: &str, step: &MessageStep, examination: &mut Examination| {
        let is_excused =
            step.step == MessageStepKind::Purged && step.call_sequence == 0 && thrown_away.contains(letter);
        examination.expect(is_excused || is_settled(letter, step.at_ns), || {
            let what = format!("A message was lost from `{}` unseen: {:?}.", step.place, step.step);
            Violation::new(what).key(letter).at(step.at_ns).evidence(told(step))
        });
    };
    let mut letters: BTreeMap<String, Letter<'_>> = BTreeMap::new();
    let mut carried: BTreeMap<(&str, &str), (String, bool)> = BTreeMap::new();
    for step in queue_steps(input) {
        let id = (step.place.as_str(), step.message_id.as_str());
        let letter = match step.step {
            MessageStepKind::Accepted => letter_of(&step.body),
            _ => match carried.get(&id) {
                Some((letter, _)) => letter.clone(),
                None => continue,
            },
        };
        let is_there = match step.step {
            MessageStepKind::Accepted => true,
            // A delete that did not stick brings the message back.
            MessageStepKind::Received | MessageStepKind::Reappeared => true,
            MessageStepKind::Deleted | MessageStepKind::DeadLettered | MessageStepKind::Moved => false,
            MessageStepKind::Expired | MessageStepKind::Purged => {
                lost_unseen(&letter, step, examination);
                false
            }
            _ => continue,
        };
        let was_there = carried.insert(id, (letter.clone(), is_there)).is_some_and(|(_, was_there)| was_there);
        let counted = letters.entry(letter).or_default();
        let change = i64::from(is_there) - i64::from(was_there);
        if settings.is_dead_letter_queue(&step.place) {
            counted.in_dead_letters += change;
        } else {
            counted.in_queue += change;
        }
        counted.last = Some(step);
    }
    for (letter, counted) in &letters {
        let is_settled = is_settled(letter, u64::MAX);
        let problem = if counted.in_dead_letters > 0 && settings.is_drained() {
            Some("A letter is still in a dead-letter queue after the drain")
        } else if is_settled || thrown_away.contains(letter) {
            None
        } else if counted.in_queue == 0 && counted.in_dead_letters == 0 {
            Some("A message is gone without effect and without quarantine")
        } else if settings.is_drained() {
            Some("A message still waits in its queue after the drain, without effect")
        } else {
            None
        };
        examination.expect(problem.is_none(), || {
            let violation = Violation::new(format!("{}.", problem.unwrap_or_default())).key(letter);
            match counted.last {
                Some(step) => violation.at(step.at_ns).evidence(told(step)),
                None => violation,
            }
        });
    }
    dropped(input, &is_settled, examination);
}

/// A topic that gives up on the notification queue has lost the message, unless it came by another copy.
fn dropped(input: &CheckInput, is_settled: &dyn Fn(&str, u64) -> bool, examination: &mut Examination) {
    let dropped: Vec<&MessageStep> = input
        .truth
        .messages
        .iter()
        .filter(|step| step.service == "sns" && step.step == MessageStepKind::Dropped)
        .collect();
    if dropped.is_empty() {
        return;
    }
    let bodies: BTreeMap<&str, &str> =
        topic_messages(input).map(|step| (step.message_id.as_str(), &*step.body)).collect();
    for step in dropped {
        let letter =
            bodies.get(step.message_id.as_str()).map_or_else(|| step.message_id.clone(), |body| letter_of(body));
        examination.expect(is_settled(&letter, u64::MAX), || {
            let what = format!("The topic gave up on `{}`, and the message came by no other way.", step.place);
            Violation::new(what).key(&letter).at(step.at_ns).evidence(told(step))
        });
    }
}

fn receive_count(input: &CheckInput, examination: &mut Examination) {
    let settings = &input.settings;
    let received = queue_steps(input)
        .filter(|step| step.step == MessageStepKind::Received && step.place == settings.notification_queue);
    for step in received {
        examination.expect(step.receive_count <= settings.max_receive_count, || {
            let what = format!(
                "A message was handed out {} times; {} are allowed.",
                step.receive_count, settings.max_receive_count
            );
            Violation::new(what).key(&step.message_id).at(step.at_ns).evidence(told(step))
        });
    }
}

fn told(step: &MessageStep) -> String {
    format!(
        "message {} in {} at {} ns: {:?}, received {} times, call {}, {}",
        step.message_id, step.place, step.at_ns, step.step, step.receive_count, step.call_sequence, step.note
    )
}
