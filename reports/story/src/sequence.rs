//! The causal chain as a sequence of arrows and notes: what both diagrams draw.

use crate::{
    escape::shortened,
    model::{MessageOutcome, Step, StepKind, Story},
    text::time,
};

/// Characters of a label: more would run into the neighbouring lanes.
const LABEL_MAX: usize = 64;

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Fault,
    Violation,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    Arrow { step: u32, from: usize, to: usize, label: String, outcome: MessageOutcome, is_answer: bool },
    Note { step: Option<u32>, over: Vec<usize>, label: String, tone: Tone },
}

/// The lanes that take part, in the story's order, and what happens between them.
pub(crate) fn of_chain(story: &Story) -> (Vec<usize>, Vec<Item>) {
    let mut timed: Vec<(u64, u32, Item)> = Vec::new();
    for step in story.chain.iter().filter_map(|link| story.step(link.step)) {
        let mut own = items_of(story, step);
        timed.append(&mut own);
    }
    // An answer comes after what happened inside its call, so times decide, then the steps' order.
    timed.sort_by_key(|(at_us, step, _)| (*at_us, *step));
    let mut items: Vec<Item> = timed.into_iter().map(|(_, _, item)| item).collect();
    let mut lanes: Vec<usize> = items.iter().flat_map(lanes_of).collect();
    lanes.sort_unstable();
    lanes.dedup();
    if let (Some(violation), Some(first), Some(last)) = (story.violations.first(), lanes.first(), lanes.last()) {
        let label = shortened(&format!("{}: {}", violation.checker, violation.what), 2 * LABEL_MAX);
        let over = if first == last { vec![*first] } else { vec![*first, *last] };
        items.push(Item::Note { step: None, over, label, tone: Tone::Violation });
    }
    (lanes, items)
}

fn lanes_of(item: &Item) -> Vec<usize> {
    match item {
        Item::Arrow { from, to, .. } => vec![*from, *to],
        Item::Note { over, .. } => over.clone(),
    }
}

fn items_of(story: &Story, step: &Step) -> Vec<(u64, u32, Item)> {
    let mut items = Vec::new();
    for message in story.messages.iter().filter(|message| message.step == step.number && message.from != message.to) {
        let at_us = message.sent_us.or(message.arrived_us).unwrap_or(step.at_us);
        let prefix = if message.is_answer { String::new() } else { format!("{} ", time(at_us)) };
        let item = Item::Arrow {
            step: step.number,
            from: message.from,
            to: message.to,
            label: shortened(&format!("{prefix}{}", message.label), LABEL_MAX),
            outcome: message.outcome,
            is_answer: message.is_answer,
        };
        items.push((at_us, step.number, item));
    }
    if !items.is_empty() {
        return items;
    }
    let is_fault = matches!(step.kind, StepKind::Fault | StepKind::Host);
    let over = match story.faults.iter().find(|fault| fault.points.iter().any(|point| point.step == step.number)) {
        Some(fault) if fault.hosts.len() == 2 => fault.hosts.clone(),
        _ => vec![step.host],
    };
    let label = shortened(&format!("{} {}", time(step.at_us), step.text), LABEL_MAX);
    let tone = if is_fault { Tone::Fault } else { Tone::Plain };
    vec![(step.at_us, step.number, Item::Note { step: Some(step.number), over, label, tone })]
}
