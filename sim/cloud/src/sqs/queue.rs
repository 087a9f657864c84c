//! One queue: its messages, where each of them is, and what time does to them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use super::{
    attributes::QueueAttributes,
    lineup::Lineup,
    message::{Draft, Message, Place},
    moves::MoveTask,
    quirks::Quirks,
    throughput::Throughput,
};
use crate::{
    interface::{MessageStep, MessageStepKind, Service, UnixNanos},
    service::ServiceContext,
};

/// How long a FIFO queue remembers a deduplication id, and the answer to a receive attempt.
pub const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(300);

/// A receive that waits for messages.
#[derive(Debug)]
pub struct Poll {
    pub request: ReceiveRequest,
    pub quirks: Quirks,
}

/// What a receiver asked for.
#[derive(Clone, Debug)]
pub struct ReceiveRequest {
    pub count_max: usize,
    pub visibility: Duration,
    pub wait: Duration,
    pub attempt_id: Option<String>,
    /// Names of system attributes to show, `All` among them for all.
    pub system_attributes: Vec<String>,
    /// Names and prefixes (`x.*`) of message attributes to show.
    pub message_attributes: Vec<String>,
}

/// What an earlier receive with an attempt id gave.
#[derive(Debug)]
pub struct Attempt {
    pub at: UnixNanos,
    /// Ordinals and receipts.
    pub messages: Vec<(u64, u64)>,
}

#[derive(Debug)]
pub struct Queue {
    pub name: String,
    pub arn: String,
    pub attributes: QueueAttributes,
    pub tags: BTreeMap<String, String>,
    pub created_at: UnixNanos,
    pub modified_at: UnixNanos,
    pub purged_at: Option<UnixNanos>,
    pub messages: BTreeMap<u64, Message>,
    pub lineup: Lineup,
    pub in_flight: usize,
    pub delayed: usize,
    /// When a delay or a visibility time-out ends.
    deadlines: BTreeSet<(UnixNanos, u64)>,
    /// From when each message's retention counts.
    by_age: BTreeSet<(UnixNanos, u64)>,
    /// The earliest time that the queue asked to be woken at.
    pub armed: Option<UnixNanos>,
    /// Waiting receives by their call's sequence.
    pub polls: BTreeMap<u64, Poll>,
    remembered: BTreeMap<(String, String), (String, Option<String>)>,
    remembered_until: VecDeque<(UnixNanos, (String, String))>,
    pub attempts: BTreeMap<String, Attempt>,
    pub attempts_by_age: VecDeque<(UnixNanos, String)>,
    pub throughput: Throughput,
    pub moves: Vec<MoveTask>,
}

impl Queue {
    pub fn new(name: String, arn: String, attributes: QueueAttributes, now: UnixNanos) -> Self {
        Self {
            lineup: Lineup::new(attributes.fifo),
            name,
            arn,
            attributes,
            tags: BTreeMap::new(),
            created_at: now,
            modified_at: now,
            purged_at: None,
            messages: BTreeMap::new(),
            in_flight: 0,
            delayed: 0,
            deadlines: BTreeSet::new(),
            by_age: BTreeSet::new(),
            armed: None,
            polls: BTreeMap::new(),
            remembered: BTreeMap::new(),
            remembered_until: VecDeque::new(),
            attempts: BTreeMap::new(),
            attempts_by_age: VecDeque::new(),
            throughput: Throughput::default(),
            moves: Vec::new(),
        }
    }

    pub fn fifo(&self) -> bool {
        self.attributes.fifo
    }

    pub fn visible(&self) -> usize {
        self.messages.len() - self.in_flight - self.delayed
    }

    /// Notes a step of a message that is told by its fields.
    pub fn note(
        &self,
        context: &mut ServiceContext<'_>,
        call_sequence: u64,
        step: MessageStepKind,
        message: &Message,
        note: String,
    ) {
        let body = if step == MessageStepKind::Accepted { message.draft.body.as_str() } else { "" };
        context.note(MessageStep {
            at: context.now,
            call_sequence,
            service: Service::Sqs,
            place: self.name.clone(),
            step,
            message_id: message.id.clone(),
            key: message.group().to_owned(),
            body: body.into(),
            receive_count: message.receive_count,
            note,
        });
    }

    /// A message enters; its place says whether it is visible yet.
    pub fn insert(&mut self, message: Message) {
        if let Place::Delayed { until } = message.place {
            self.delayed += 1;
            self.deadlines.insert((until, message.ordinal));
        }
        self.by_age.insert((message.enqueued_at, message.ordinal));
        self.lineup.arrive(&message, message.place == Place::Visible);
        self.messages.insert(message.ordinal, message);
    }

    /// A message leaves.
    pub fn remove(&mut self, ordinal: u64) -> Option<Message> {
        let message = self.messages.remove(&ordinal)?;
        let was_in_flight = self.leave_place(&message);
        self.by_age.remove(&(message.enqueued_at, ordinal));
        self.lineup.leave(&message, was_in_flight);
        Some(message)
    }

    /// Takes back the counts and deadlines of a message's place; true if it was in flight.
    fn leave_place(&mut self, message: &Message) -> bool {
        match message.place {
            Place::Visible => false,
            Place::Delayed { until } => {
                self.delayed -= 1;
                self.deadlines.remove(&(until, message.ordinal));
                false
            }
            Place::InFlight { until } => {
                self.in_flight -= 1;
                self.deadlines.remove(&(until, message.ordinal));
                true
            }
        }
    }

    /// Hides a visible message, or one in flight for another time.
    pub fn hide(&mut self, ordinal: u64, until: UnixNanos) {
        let Some(mut message) = self.messages.remove(&ordinal) else { return };
        if !self.leave_place(&message) {
            self.lineup.take(&message);
        }
        message.place = Place::InFlight { until };
        self.in_flight += 1;
        self.deadlines.insert((until, ordinal));
        self.messages.insert(ordinal, message);
    }

    /// Shows a message that was in flight or delayed.
    pub fn show(&mut self, ordinal: u64) {
        let Some(mut message) = self.messages.remove(&ordinal) else { return };
        if self.leave_place(&message) {
            self.lineup.give_back(&message);
        } else {
            self.lineup.show(&message);
        }
        message.place = Place::Visible;
        self.messages.insert(ordinal, message);
    }

    /// The next time at which something happens to a message by itself.
    pub fn next_deadline(&self) -> Option<UnixNanos> {
        let expiry = self.by_age.first().map(|(since, _)| since.plus(self.attributes.retention));
        let deadline = self.deadlines.first().map(|(until, _)| *until);
        [expiry, deadline].into_iter().flatten().min()
    }

    /// What time did up to now: delays and visibility time-outs end, messages expire.
    pub fn pass_time(&mut self, context: &mut ServiceContext<'_>) {
        while let Some((_, ordinal)) = self.deadlines.first().copied().filter(|(until, _)| *until <= context.now) {
            let was_in_flight =
                self.messages.get(&ordinal).is_some_and(|message| matches!(message.place, Place::InFlight { .. }));
            self.show(ordinal);
            if let (true, Some(message)) = (was_in_flight, self.messages.get(&ordinal)) {
                self.note(context, 0, MessageStepKind::Reappeared, message, String::new());
            }
        }
        let retention = self.attributes.retention;
        while let Some((_, ordinal)) =
            self.by_age.first().copied().filter(|(since, _)| since.plus(retention) <= context.now)
        {
            if let Some(message) = self.remove(ordinal) {
                self.note(context, 0, MessageStepKind::Expired, &message, String::new());
            }
        }
    }

    /// Everything goes; the note says why.
    pub fn purge(&mut self, context: &mut ServiceContext<'_>, note: &str) {
        let messages = std::mem::take(&mut self.messages);
        for message in messages.values() {
            self.note(context, context.call_sequence, MessageStepKind::Purged, message, note.to_owned());
        }
        self.lineup.clear();
        self.deadlines.clear();
        self.by_age.clear();
        self.in_flight = 0;
        self.delayed = 0;
    }

    fn deduplication_key(&self, draft: &Draft) -> Option<(String, String)> {
        let scope = if self.attributes.deduplication_per_group { draft.group.clone()? } else { String::new() };
        Some((scope, draft.deduplication_id.clone()?))
    }

    /// The id and sequence number of an earlier message with the same deduplication id, deleted or not.
    pub fn earlier(&mut self, draft: &Draft, now: UnixNanos) -> Option<(String, Option<String>)> {
        while let Some((until, _)) = self.remembered_until.front()
            && *until <= now
        {
            let Some((_, key)) = self.remembered_until.pop_front() else { break };
            self.remembered.remove(&key);
        }
        self.remembered.get(&self.deduplication_key(draft)?).cloned()
    }

    pub fn remember(&mut self, message: &Message, now: UnixNanos) {
        let Some(key) = self.deduplication_key(&message.draft) else { return };
        let until = now.plus(DEDUPLICATION_WINDOW);
        if self.remembered.insert(key.clone(), (message.id.clone(), message.sequence_number.clone())).is_none() {
            self.remembered_until.push_back((until, key));
        }
    }
}
