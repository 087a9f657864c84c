//! Steps out of what customers saw.

use std::collections::BTreeMap;

use nexus_checkers::{Attempt, Request, Response};
use nexus_reports_story::{MessageOutcome, StepKind};
use nexus_scenario::host_names;

use super::{
    draft::{Draft, DraftMessage, Drafts, Nature},
    words,
};
use crate::{
    customers::{is_definite, service_of},
    play::{EPOCH_UNIX_NS, Played},
    trial::Trial,
};

/// The host that customers are on.
pub const CUSTOMERS: &str = "customers";

pub fn add(drafts: &mut Drafts, trial: &Trial, played: &Played) {
    let services = host_names(trial.topology.command_services);
    // Where an event was stored under a key, the key's aggregate is known for certain.
    let mut stored: BTreeMap<String, String> = BTreeMap::new();
    for draft in drafts.iter() {
        if let (Nature::Write { key, .. }, Some(aggregate)) = (&draft.nature, &draft.aggregate)
            && key.starts_with("nexus-events/")
        {
            stored.extend(draft.tokens.iter().map(|token| (token.clone(), aggregate.clone())));
        }
    }
    for attempt in &played.observation.attempts {
        let service = service_of(&services, attempt.operation, attempt.attempt).to_owned();
        let known = attempt.idempotency_key.as_ref().and_then(|key| stored.get(key)).cloned();
        let aggregate = known.or_else(|| match &attempt.request {
            Request::Command(body) => words::aggregate_of_command(body),
            Request::ReadOrder { order_id, .. } => Some(format!("order-{order_id}")),
        });
        drafts.push(request(attempt, &service, aggregate.clone()));
        drafts.extend_answer(attempt, &service, aggregate);
    }
}

fn us(ns: u64) -> u64 {
    ns.saturating_sub(EPOCH_UNIX_NS) / 1_000
}

fn asked(attempt: &Attempt) -> String {
    match &attempt.request {
        Request::Command(body) => words::command(body),
        Request::ReadOrder { order_id, eventual: false } => format!("read {order_id}"),
        Request::ReadOrder { order_id, eventual: true } => format!("read {order_id} (eventual)"),
    }
}

fn request(attempt: &Attempt, service: &str, aggregate: Option<String>) -> Draft {
    let key = attempt.idempotency_key.as_ref().map_or(String::new(), |key| format!(", key {key}"));
    let text = format!(
        "operation {} attempt {}: {}{key}, as {} {}",
        attempt.operation,
        attempt.attempt,
        asked(attempt),
        attempt.role,
        attempt.customer
    );
    let mut draft = base(attempt, us(attempt.invoked_ns), text, aggregate);
    draft.nature = Nature::Request { attempt: attempt.attempt, service: service.to_owned() };
    draft.messages.push(DraftMessage {
        from: CUSTOMERS.to_owned(),
        to: service.to_owned(),
        sent_us: Some(us(attempt.invoked_ns)),
        arrived_us: None,
        outcome: MessageOutcome::Delivered,
        is_answer: false,
        label: format!("operation {} attempt {}: {}", attempt.operation, attempt.attempt, asked(attempt)),
    });
    draft
}

fn base(attempt: &Attempt, at_us: u64, text: String, aggregate: Option<String>) -> Draft {
    let mut draft = Draft::new(at_us, CUSTOMERS, StepKind::Customer, text);
    draft.operation = Some(attempt.operation);
    draft.aggregate = aggregate;
    draft.tokens = attempt.idempotency_key.iter().cloned().collect();
    draft.tokens.push(format!("operation {}", attempt.operation));
    draft
}

impl Drafts {
    fn extend_answer(&mut self, attempt: &Attempt, service: &str, aggregate: Option<String>) {
        let Some(completed_ns) = attempt.completed_ns else { return };
        let (told, outcome) = match &attempt.response {
            Response::Answered { status, body } => {
                let code = body["code"].as_str().or(body["outcome"].as_str()).unwrap_or("");
                let outcome = if *status < 400 { MessageOutcome::Delivered } else { MessageOutcome::Refused };
                (format!("{status} {code}").trim_end().to_owned(), outcome)
            }
            Response::Unknown { reason } => (format!("unknown: {reason}"), MessageOutcome::Lost),
        };
        let definite = if is_definite(&attempt.response) { "" } else { ", to be tried again" };
        let text =
            format!("operation {} attempt {} was answered: {told}{definite}", attempt.operation, attempt.attempt);
        let mut draft = base(attempt, us(completed_ns), text, aggregate);
        draft.nature = Nature::Answer { attempt: attempt.attempt, service: service.to_owned() };
        draft.messages.push(DraftMessage {
            from: service.to_owned(),
            to: CUSTOMERS.to_owned(),
            sent_us: None,
            arrived_us: Some(us(completed_ns)),
            outcome,
            is_answer: true,
            label: told,
        });
        self.push(draft);
    }
}
