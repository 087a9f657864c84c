//! Reading a queue: pollers that receive, invoke and delete, each one batch at a time.
//!
//! Five pollers wait in long polls; while all are busy more are added (300 a minute), and those that find nothing leave
//! again. What failed is left alone: it reappears when its visibility time-out passes. A FIFO queue itself keeps a group
//! that is in flight from others, so pollers need no order of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    desk::{Desk, MappingPurpose, PollerStep},
    profile::{self, Profile, Verdict},
    records::{self, QueueItem},
    response::{self, Report},
};
use crate::{interface::UnixNanos, service::InternalAnswer};

const MOST_PER_CALL: usize = 10;
const LONG_POLL: Duration = Duration::from_secs(20);
const MAX_PAYLOAD_BYTES: usize = super::MAX_SYNCHRONOUS_BYTES - 1_024;
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);
const TRIES_TO_DELETE: u32 = 3;
/// An empty answer after less than this was no long poll.
const SHORT_POLL: Duration = Duration::from_millis(500);
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
const MAX_BACKOFF: Duration = Duration::from_secs(5);
/// A batch is not handed over with less than this left before its messages reappear.
const VISIBILITY_RESERVE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum PollerState {
    #[default]
    Idle,
    Receiving,
    Invoking,
    /// Waits before the next try of whatever failed.
    Resting,
    Deleting,
}

#[derive(Debug, Default)]
struct Poller {
    state: PollerState,
    /// Received and not yet decided: gathered while the batching window is open, then handed over.
    batch: Vec<QueueItem>,
    batch_bytes: usize,
    /// When the first of the batch was received.
    since: UnixNanos,
    /// When the last receive was sent.
    asked_at: UnixNanos,
    is_handed_over: bool,
    failures: u32,
    /// Receipt handles of what is done with.
    to_delete: Vec<String>,
    delete_tries: u32,
}

#[derive(Debug)]
pub struct QueueReader {
    pollers: BTreeMap<u32, Poller>,
    last_poller: u32,
    visibility: Duration,
    last_scaled: UnixNanos,
    pub problem: Option<String>,
}

impl QueueReader {
    pub fn new() -> Self {
        Self {
            pollers: BTreeMap::new(),
            last_poller: 0,
            visibility: DEFAULT_VISIBILITY,
            last_scaled: UnixNanos(0),
            problem: None,
        }
    }

    /// Begins, or begins again: what was in hand reappears in the queue.
    pub fn start(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        self.pollers.clear();
        let request = json!({"QueueUrl": profile.source.queue_url(), "AttributeNames": ["VisibilityTimeout"]});
        profile.ask(desk, "GetQueueAttributes", request, MappingPurpose::QueueKnown);
    }

    pub fn queue_known(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, answer: InternalAnswer) {
        match answer {
            InternalAnswer::Success(answer) => {
                let seconds = answer["Attributes"]["VisibilityTimeout"].as_str().and_then(|text| text.parse().ok());
                self.visibility = seconds.map_or(DEFAULT_VISIBILITY, Duration::from_secs);
                self.problem = None;
            }
            // The queue can be read without knowing this; the default is what it most likely has.
            InternalAnswer::Error { code, .. } => self.problem = Some(format!("PROBLEM: {code}")),
            InternalAnswer::NoAnswer => {}
        }
        self.last_scaled = desk.now();
        let most = profile.settings.maximum_concurrency.unwrap_or(u32::MAX);
        while self.pollers.len() < profile.config.queue_pollers.min(most) as usize {
            self.add_poller(desk, profile);
        }
    }

    fn add_poller(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        self.last_poller += 1;
        let number = self.last_poller;
        self.pollers.insert(number, Poller::default());
        self.poll(desk, profile, number);
    }

    pub fn in_flight(&self) -> usize {
        self.pollers.values().filter(|poller| poller.is_handed_over || !poller.to_delete.is_empty()).count()
    }

    pub fn inspect(&self) -> Value {
        let count = |state: PollerState| self.pollers.values().filter(|poller| poller.state == state).count();
        json!({
            "pollers": self.pollers.len(),
            "receiving": count(PollerState::Receiving),
            "in_flight": count(PollerState::Invoking),
            "gathered": self.pollers.values().map(|poller| poller.batch.len()).sum::<usize>(),
        })
    }

    pub fn stop(&mut self) {
        self.pollers.retain(|_, poller| poller.is_handed_over || !poller.to_delete.is_empty());
    }
}

/// Receiving.
impl QueueReader {
    pub fn poll(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32) {
        let now = desk.now();
        let Some(poller) = self.pollers.get_mut(&number) else { return };
        poller.state = PollerState::Receiving;
        poller.asked_at = now;
        let wanted = profile.settings.batch_size.saturating_sub(poller.batch.len()).clamp(1, MOST_PER_CALL);
        let wait = if poller.batch.is_empty() {
            LONG_POLL
        } else {
            profile.settings.window.saturating_sub(now.since(poller.since)).min(LONG_POLL)
        };
        let request = json!({
            "QueueUrl": profile.source.queue_url(),
            "MaxNumberOfMessages": wanted,
            // Whole seconds: a window may end a little late, never early.
            "WaitTimeSeconds": wait.as_millis().div_ceil(1_000) as u64,
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        let purpose = MappingPurpose::Poller { poller: number, step: PollerStep::Received };
        profile.ask(desk, "ReceiveMessage", request, purpose);
    }

    pub fn received(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32, answer: InternalAnswer) {
        let now = desk.now();
        let Some(poller) = self.pollers.get_mut(&number) else { return };
        poller.state = PollerState::Idle;
        let messages = match answer {
            InternalAnswer::Success(mut answer) => match answer.get_mut("Messages").map(Value::take) {
                Some(Value::Array(messages)) => messages,
                _ => Vec::new(),
            },
            InternalAnswer::Error { code, .. } => {
                self.problem = Some(format!("PROBLEM: {code}"));
                return self.rest(desk, profile, number, FIRST_BACKOFF, MAX_BACKOFF);
            }
            InternalAnswer::NoAnswer => return self.rest(desk, profile, number, FIRST_BACKOFF, MAX_BACKOFF),
        };
        poller.failures = 0;
        let found_nothing = messages.is_empty();
        if poller.batch.is_empty() {
            poller.since = now;
        }
        for message in messages {
            let event = records::queue_event(&profile.source, desk.context.region, &message);
            let item = records::queue_item(&event);
            if profile.settings.filters.pass(profile.source.kind, &event) {
                poller.batch_bytes += item.event.len() + 1;
                poller.batch.push(item);
            } else {
                poller.to_delete.push(item.receipt_handle);
            }
        }
        let was_brief = now.since(poller.asked_at) < SHORT_POLL;
        let has_nothing = poller.batch.is_empty() && poller.to_delete.is_empty();
        if found_nothing && self.leaves(profile, number) {
            return;
        }
        if found_nothing && has_nothing && was_brief {
            // A long poll that ended at once is no reason to ask without pause.
            return self.rest(desk, profile, number, FIRST_BACKOFF, FIRST_BACKOFF);
        }
        self.scale_up(desk, profile);
        self.after_receive(desk, profile, number);
    }

    fn after_receive(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32) {
        let Some(poller) = self.pollers.get_mut(&number) else { return };
        let is_due = desk.context.now.since(poller.since) >= profile.settings.window
            || poller.batch.len() >= profile.settings.batch_size
            // Ten more of the largest messages might not fit.
            || poller.batch_bytes * 2 >= MAX_PAYLOAD_BYTES;
        if !poller.batch.is_empty() && is_due {
            self.hand_over(desk, profile, number);
        } else if poller.batch.is_empty() && !poller.to_delete.is_empty() {
            self.delete(desk, profile, number);
        } else {
            self.poll(desk, profile, number);
        }
    }

    /// A poller beyond the first ones goes when there is nothing for it.
    fn leaves(&mut self, profile: &Profile, number: u32) -> bool {
        let is_spare = self.pollers.len() > profile.config.queue_pollers as usize;
        let is_empty =
            self.pollers.get(&number).is_some_and(|poller| poller.batch.is_empty() && poller.to_delete.is_empty());
        if is_spare && is_empty {
            self.pollers.remove(&number);
            return true;
        }
        false
    }

    /// If nobody is left to receive, one more poller comes, at most so many a minute.
    fn scale_up(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile) {
        let now = desk.now();
        let most = profile.settings.maximum_concurrency.unwrap_or(profile.config.queue_pollers_most);
        let pause = Duration::from_secs(60) / profile.config.queue_pollers_added_per_minute.max(1);
        let all_busy = self.pollers.values().all(|poller| poller.state != PollerState::Receiving);
        if all_busy && (self.pollers.len() as u32) < most && now.since(self.last_scaled) >= pause {
            self.last_scaled = now;
            self.add_poller(desk, profile);
        }
    }
}

/// Handing over.
impl QueueReader {
    fn hand_over(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32) {
        let Some(poller) = self.pollers.get_mut(&number) else { return };
        poller.state = PollerState::Invoking;
        poller.is_handed_over = true;
        let payload = records::payload(poller.batch.iter().map(|item| item.event.as_str()));
        let ids: Vec<&str> = poller.batch.iter().map(|item| item.message_id.as_str()).collect();
        let note = ids.join(",");
        let purpose = MappingPurpose::Poller { poller: number, step: PollerStep::Invoked };
        profile.invoke(desk, payload, &profile.key, note, purpose);
    }

    /// The function's answer. Returns what became of it, in the words of `LastProcessingResult`.
    pub fn invoked(
        &mut self,
        desk: &mut Desk<'_, '_>,
        profile: &Profile,
        number: u32,
        answer: InternalAnswer,
    ) -> Option<String> {
        let visibility = self.visibility;
        let poller = self.pollers.get_mut(&number).filter(|poller| poller.state == PollerState::Invoking)?;
        poller.state = PollerState::Idle;
        let result = match profile::verdict(answer) {
            Verdict::Answered { payload, .. } => {
                let report = if profile.settings.reports_failures { response::read(&payload) } else { Report::Success };
                let is_success = poller.settle(&report);
                if is_success { "OK" } else { "PROBLEM: Function reported failed messages" }.to_owned()
            }
            Verdict::FunctionError { .. } => {
                poller.forget_batch();
                "PROBLEM: Function call failed".to_owned()
            }
            Verdict::NotInvoked { reason } => {
                let left = visibility.saturating_sub(desk.context.now.since(poller.since));
                if left > VISIBILITY_RESERVE {
                    let first = Duration::from_millis(profile.config.throttle_backoff_ms);
                    let most = Duration::from_millis(profile.config.backoff_max_ms).min(left);
                    self.rest(desk, profile, number, first, most);
                    return Some(format!("PROBLEM: Function was not invoked: {reason}"));
                }
                poller.forget_batch();
                format!("PROBLEM: Function was not invoked: {reason}")
            }
            // What was done is done: the messages come again, and the function may see them twice.
            Verdict::Unknown => {
                poller.forget_batch();
                "PROBLEM: internal Lambda error. Please contact Lambda customer support.".to_owned()
            }
        };
        self.go_on(desk, profile, number);
        Some(result)
    }

    fn go_on(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32) {
        let Some(poller) = self.pollers.get(&number) else { return };
        if !poller.to_delete.is_empty() {
            self.delete(desk, profile, number);
        } else if profile.is_paused {
            self.pollers.remove(&number);
        } else {
            self.poll(desk, profile, number);
        }
    }

    fn rest(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32, first: Duration, most: Duration) {
        let Some(poller) = self.pollers.get_mut(&number) else { return };
        poller.state = PollerState::Resting;
        poller.failures += 1;
        let wait = desk.backoff(&format!("{}/poller", profile.key), poller.failures - 1, first, most);
        profile.wake_after(desk, wait, MappingPurpose::Poller { poller: number, step: PollerStep::Retry });
    }

    pub fn retry(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32) {
        let Some(poller) = self.pollers.get(&number).filter(|poller| poller.state == PollerState::Resting) else {
            return;
        };
        if poller.is_handed_over {
            self.hand_over(desk, profile, number);
        } else {
            self.go_on(desk, profile, number);
        }
    }
}

impl Poller {
    /// Sorts the batch by what the function reported; true if all of it succeeded.
    fn settle(&mut self, report: &Report) -> bool {
        let failed: &[String] = match report {
            Report::Success => &[],
            Report::Partial(identifiers) => identifiers,
            Report::TotalFailure => {
                self.forget_batch();
                return false;
            }
        };
        let failed: BTreeSet<&str> = failed.iter().map(String::as_str).collect();
        let known: BTreeSet<&str> = self.batch.iter().map(|item| item.message_id.as_str()).collect();
        if !failed.is_subset(&known) {
            // An identifier that is none of the batch's makes the whole answer worthless.
            self.forget_batch();
            return false;
        }
        let done = self.batch.drain(..).filter(|item| !failed.contains(item.message_id.as_str()));
        self.to_delete.extend(done.map(|item| item.receipt_handle));
        self.forget_batch();
        failed.is_empty()
    }

    /// The messages reappear when their time-out passes.
    fn forget_batch(&mut self) {
        self.batch.clear();
        self.batch_bytes = 0;
        self.is_handed_over = false;
        self.failures = 0;
    }
}

/// Deleting.
impl QueueReader {
    fn delete(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32) {
        let Some(poller) = self.pollers.get_mut(&number) else { return };
        poller.state = PollerState::Deleting;
        let entries: Vec<Value> = poller
            .to_delete
            .iter()
            .take(MOST_PER_CALL)
            .enumerate()
            .map(|(index, handle)| json!({"Id": index.to_string(), "ReceiptHandle": handle}))
            .collect();
        let request = json!({"QueueUrl": profile.source.queue_url(), "Entries": entries});
        let purpose = MappingPurpose::Poller { poller: number, step: PollerStep::Deleted };
        profile.ask(desk, "DeleteMessageBatch", request, purpose);
    }

    /// Entries that failed are tried again a few times. What could not be deleted reappears, and is worked on once more.
    pub fn deleted(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, number: u32, answer: InternalAnswer) {
        let Some(poller) = self.pollers.get_mut(&number).filter(|poller| poller.state == PollerState::Deleting) else {
            return;
        };
        let asked = poller.to_delete.len().min(MOST_PER_CALL);
        let failed: Vec<usize> = match answer {
            InternalAnswer::Success(answer) => {
                let failed = answer["Failed"].as_array().cloned().unwrap_or_default();
                failed.iter().filter_map(|entry| entry["Id"].as_str()?.parse().ok()).collect()
            }
            InternalAnswer::Error { .. } | InternalAnswer::NoAnswer => (0..asked).collect(),
        };
        let chunk: Vec<String> = poller.to_delete.drain(..asked).collect();
        poller.delete_tries += 1;
        if failed.is_empty() || poller.delete_tries >= TRIES_TO_DELETE {
            poller.delete_tries = 0;
        } else {
            let again = chunk.into_iter().enumerate().filter(|(index, _)| failed.contains(index));
            poller.to_delete.splice(0..0, again.map(|(_, handle)| handle));
        }
        poller.state = PollerState::Idle;
        self.go_on(desk, profile, number);
    }
}
