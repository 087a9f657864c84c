//! The event store: load, append, and the answers kept under idempotency keys.

use std::{sync::Arc, time::Duration};

use nexus_ports::{
    AppendRefused, AppendTransaction, EventRecord, EventStorage, IdempotencyRecord, NotSent, Platform, ReadConsistency,
    ReadFailure, RecordRefused, RecordedOutcome, StreamName, Throttled, UnknownOutcome, Version, VersionRange,
    WriteFailure, canonical_json,
};
use serde_json::Value;

use crate::{
    AlreadyAnswered, AppendError, CommandContext, CommandOrigin, Deadline, EventStoreSettings, InvalidAppend,
    LoadError, LoadedStream, NewEvent, NotDone, OutcomeUnknown, RecordError, StoreContended, StoreThrottled,
    StoreUnavailable, StreamHead,
    event_hash::event_hash,
    resolve::{Judgement, conflict, judge},
};

/// DynamoDB takes 100 items in one transaction; one of them is the idempotency record.
const EVENTS_PER_APPEND_MAX: usize = 99;

/// Streams of events over [`EventStorage`]. Cheap to clone.
#[derive(Clone)]
pub struct EventStore {
    platform: Platform,
    storage: Arc<dyn EventStorage>,
    settings: EventStoreSettings,
}

/// An append that is in storage for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    pub events: Vec<EventRecord>,
    pub record: IdempotencyRecord,
    /// Attempts made, the successful one included.
    pub attempts: u32,
    /// Known by finding our own write in storage, rather than by storage's answer.
    pub recognised: bool,
}

/// How the attempts of one conditional write ended.
enum WriteEnd<R> {
    Applied { attempts: u32 },
    Refused { found: R, attempts: u32 },
    InDoubt(OutcomeUnknown),
    NotDone(NotDone),
}

impl EventStore {
    pub fn new(platform: Platform, storage: Arc<dyn EventStorage>, settings: EventStoreSettings) -> Self {
        Self { platform, storage, settings }
    }

    /// Begins one execution of a command: mints what stays the same over all its attempts.
    pub fn begin(&self, origin: CommandOrigin) -> CommandContext {
        CommandContext::begin(&self.platform, origin)
    }

    /// Reads a whole stream, strongly, and verifies it.
    ///
    /// # Errors
    /// [`LoadError::Corrupt`] if it has a gap or its hashes do not chain: nothing may be decided on it.
    pub async fn load(&self, stream: &StreamName, deadline: Deadline) -> Result<LoadedStream, LoadError> {
        self.load_with(stream, ReadConsistency::Strong, deadline).await
    }

    /// Reads a whole stream for a view: verified too, but the newest events may be missing. Its head must never be
    /// appended to.
    ///
    /// # Errors
    /// As [`EventStore::load`].
    pub async fn view(&self, stream: &StreamName, deadline: Deadline) -> Result<LoadedStream, LoadError> {
        self.load_with(stream, ReadConsistency::Eventual, deadline).await
    }

    async fn load_with(
        &self,
        stream: &StreamName,
        consistency: ReadConsistency,
        deadline: Deadline,
    ) -> Result<LoadedStream, LoadError> {
        let mut head = StreamHead::empty(stream.clone());
        let mut events = Vec::new();
        loop {
            let after = head.version;
            let page =
                self.read(stream.as_str(), deadline, || self.storage.read_events(stream, after, consistency)).await?;
            for event in &page.events {
                head.advance(event)?;
            }
            let page_is_empty = page.events.is_empty();
            events.extend(page.events);
            if !page.has_more || page_is_empty {
                return Ok(LoadedStream { head, events });
            }
        }
    }

    /// The answer kept under an idempotency key, read strongly.
    pub async fn answer_of(&self, key: &str, deadline: Deadline) -> Result<Option<IdempotencyRecord>, LoadError> {
        self.read(key, deadline, || self.storage.read_idempotency_record(key)).await
    }

    /// Appends events after `head` together with the command's answer, atomically.
    ///
    /// `answer` makes the answer from the events as they will be stored. All attempts send the same transaction
    /// under the same token. A refusal is judged by the identity of what stands in the way, so that our own write,
    /// applied although its answer was lost, is a success, also when the token's window has passed.
    ///
    /// # Errors
    /// See [`AppendError`]; [`AppendError::Unknown`] alone leaves open whether the events are in storage.
    pub async fn append(
        &self,
        head: &StreamHead,
        command: &CommandContext,
        events: Vec<NewEvent>,
        answer: impl FnOnce(&[EventRecord]) -> Value,
        deadline: Deadline,
    ) -> Result<Appended, AppendError> {
        let transaction = self.transaction(head, command, events, answer)?;
        let write = self.attempt_write(command.key(), deadline, || self.storage.append(&transaction)).await;
        match write {
            WriteEnd::Applied { attempts } => Ok(appended(transaction, attempts, false)),
            WriteEnd::Refused { found, attempts } => match judge(&transaction, &found) {
                Judgement::Own => Ok(appended(transaction, attempts, true)),
                Judgement::Never(error) => Err(error),
                Judgement::Open => {
                    let reason = "refused, but what stood in the way could not be seen".to_owned();
                    self.settle_doubt(transaction, OutcomeUnknown { attempts, reason }, deadline).await
                }
            },
            WriteEnd::InDoubt(unknown) => self.settle_doubt(transaction, unknown, deadline).await,
            WriteEnd::NotDone(not_done) => Err(not_done.into()),
        }
    }

    /// Keeps a refusal as the command's answer, so that a late execution under the same key cannot take effect.
    /// Returns the record as stored.
    ///
    /// # Errors
    /// [`RecordError::AlreadyAnswered`] with the answer that was there first.
    pub async fn record_refusal(
        &self,
        stream: &StreamName,
        command: &CommandContext,
        answer: &Value,
        deadline: Deadline,
    ) -> Result<IdempotencyRecord, RecordError> {
        let record = IdempotencyRecord {
            key: command.key().to_owned(),
            payload_digest: command.payload_digest().to_owned(),
            outcome: RecordedOutcome::Refused,
            answer: canonical_json(answer),
            stream: stream.clone(),
            versions: None,
            event_ids: Vec::new(),
            recorded_at_ms: command.started_at_ms(),
        };
        let write = self.attempt_write(command.key(), deadline, || self.storage.record_answer(&record)).await;
        let unknown = match write {
            WriteEnd::Applied { .. } => return Ok(record),
            WriteEnd::NotDone(not_done) => return Err(not_done.into()),
            WriteEnd::Refused { found: RecordRefused { record: Some(standing) }, .. } => {
                return recorded_or_answered(record, standing);
            }
            WriteEnd::Refused { attempts, .. } => {
                OutcomeUnknown { attempts, reason: "the key was taken, by a record that could not be seen".to_owned() }
            }
            WriteEnd::InDoubt(unknown) => unknown,
        };
        match self.answer_of(&record.key, deadline).await {
            Ok(Some(standing)) => recorded_or_answered(record, standing),
            Ok(None) => Err(unknown.into()),
            Err(unread) => Err(doubt_unsettled(unknown, &unread).into()),
        }
    }

    /// Attempts a conditional write until it is applied, refused or rejected, the attempts are used up, or time is.
    async fn attempt_write<R, Write>(&self, key: &str, deadline: Deadline, write: impl Fn() -> Write) -> WriteEnd<R>
    where
        R: std::error::Error + Send,
        Write: Future<Output = Result<(), WriteFailure<R>>> + Send,
    {
        let deadline = deadline.earlier_by(self.settle_reserve(deadline));
        let mut in_doubt = None;
        let mut not_done = None;
        let mut attempts = 0;
        while attempts < self.settings.attempts_max {
            self.pause(attempts, key, deadline).await;
            let Some(remaining) = deadline.remaining(&self.platform) else { break };
            attempts += 1;
            let failure = match self.platform.timeout(remaining, write()).await {
                Ok(Ok(())) => return WriteEnd::Applied { attempts },
                Ok(Err(failure)) => failure,
                Err(timed_out) => WriteFailure::Unknown(UnknownOutcome { reason: timed_out.to_string() }),
            };
            match failure {
                WriteFailure::Refused(found) => return WriteEnd::Refused { found, attempts },
                WriteFailure::Unknown(unknown) => in_doubt = Some(unknown.reason),
                WriteFailure::Rejected(rejected) => {
                    not_done = Some(NotDone::Rejected(rejected));
                    break;
                }
                WriteFailure::Contended(_) => not_done = Some(StoreContended { attempts }.into()),
                WriteFailure::Throttled(Throttled { code }) => {
                    not_done = Some(StoreThrottled { attempts, code }.into());
                }
                WriteFailure::NotSent(NotSent { reason }) => {
                    not_done = Some(StoreUnavailable { attempts, reason }.into());
                }
            }
        }
        match (in_doubt, not_done) {
            // A later definite failure says nothing about the earlier attempt that is in doubt.
            (Some(reason), _) => WriteEnd::InDoubt(OutcomeUnknown { attempts, reason }),
            (None, Some(not_done)) => WriteEnd::NotDone(not_done),
            (None, None) => WriteEnd::NotDone(no_time_left(attempts).into()),
        }
    }

    /// No more than a quarter of the time that is left, so that a short deadline still has time for an attempt.
    fn settle_reserve(&self, deadline: Deadline) -> Duration {
        let left = deadline.remaining(&self.platform).unwrap_or_default();
        self.settings.settle_reserve.min(left / 4)
    }

    /// Waits for a random part of the shortest pause, after a conflict: those who lost one race would else meet again
    /// in the next.
    pub async fn pause_after_conflict(&self, command: &CommandContext, deadline: Deadline) {
        self.pause(1, command.key(), deadline).await;
    }

    /// Waits before another attempt, no longer than the deadline is away.
    async fn pause(&self, attempts_made: u32, key: &str, deadline: Deadline) {
        if attempts_made > 0 {
            let pause = self.settings.pause(&self.platform, attempts_made, key);
            self.platform.sleep(pause.min(deadline.remaining(&self.platform).unwrap_or_default())).await;
        }
    }

    fn transaction(
        &self,
        head: &StreamHead,
        command: &CommandContext,
        events: Vec<NewEvent>,
        answer: impl FnOnce(&[EventRecord]) -> Value,
    ) -> Result<AppendTransaction, InvalidAppend> {
        if events.is_empty() || events.len() > EVENTS_PER_APPEND_MAX {
            return Err(InvalidAppend { count: events.len(), max: EVENTS_PER_APPEND_MAX });
        }
        let recorded_at_ms = self.platform.unix_time().as_millis();
        let mut tail = head.clone();
        let mut records = Vec::with_capacity(events.len());
        for (index, event) in events.into_iter().enumerate() {
            let record = chained(&tail, command, index, event, recorded_at_ms);
            tail.version = record.version;
            tail.hash.clone_from(&record.hash);
            records.push(record);
        }
        let record = IdempotencyRecord {
            key: command.key().to_owned(),
            payload_digest: command.payload_digest().to_owned(),
            outcome: RecordedOutcome::Accepted,
            answer: canonical_json(&answer(&records)),
            stream: head.stream.clone(),
            versions: Some(VersionRange { first: head.version.next(), last: tail.version }),
            event_ids: records.iter().map(|event| event.event_id.clone()).collect(),
            recorded_at_ms,
        };
        // The last hash covers the command, the ids and the whole chain: one transaction, one token. An append that
        // was decided again therefore never meets a token that storage knows with other parameters.
        let token = tail.hash[..36].to_owned();
        Ok(AppendTransaction { events: records, record, token })
    }

    /// Looks with strong reads whether the transaction is in storage or can never be. An empty place proves nothing:
    /// an attempt may still be on its way.
    async fn settle_doubt(
        &self,
        transaction: AppendTransaction,
        unknown: OutcomeUnknown,
        deadline: Deadline,
    ) -> Result<Appended, AppendError> {
        match self.look(&transaction, deadline).await {
            Ok(found) => match judge(&transaction, &found) {
                Judgement::Own => Ok(appended(transaction, unknown.attempts, true)),
                Judgement::Never(error) => Err(error),
                Judgement::Open => match found.events.first() {
                    // Another execution under our key holds the place; its answer is read when the caller loads again.
                    Some(rival) => Err(conflict(rival)),
                    None => Err(unknown.into()),
                },
            },
            Err(unread) => Err(doubt_unsettled(unknown, &unread).into()),
        }
    }

    async fn look(&self, transaction: &AppendTransaction, deadline: Deadline) -> Result<AppendRefused, LoadError> {
        let record = self.answer_of(&transaction.record.key, deadline).await?;
        if record.is_some() {
            return Ok(AppendRefused { events: Vec::new(), record });
        }
        let stream = &transaction.record.stream;
        let before = Version(transaction.events[0].version.0 - 1);
        let read = || self.storage.read_events(stream, before, ReadConsistency::Strong);
        let page = self.read(stream.as_str(), deadline, read).await?;
        let last = transaction.events.last().map_or(before, |event| event.version);
        let events = page.events.into_iter().filter(|event| event.version <= last).collect();
        Ok(AppendRefused { events, record: None })
    }

    /// Attempts a read until it is answered, the attempts are used up, or time is.
    async fn read<T, Read>(&self, key: &str, deadline: Deadline, read: impl Fn() -> Read) -> Result<T, LoadError>
    where
        Read: Future<Output = Result<T, ReadFailure>> + Send,
    {
        let mut last: Option<LoadError> = None;
        let mut attempts = 0;
        while attempts < self.settings.attempts_max {
            self.pause(attempts, key, deadline).await;
            let Some(remaining) = deadline.remaining(&self.platform) else { break };
            attempts += 1;
            last = Some(match self.platform.timeout(remaining, read()).await {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(ReadFailure::Rejected(rejected))) => return Err(rejected.into()),
                Ok(Err(ReadFailure::Unreadable(unreadable))) => return Err(unreadable.into()),
                Ok(Err(ReadFailure::Throttled(Throttled { code }))) => StoreThrottled { attempts, code }.into(),
                Ok(Err(
                    ReadFailure::NotSent(NotSent { reason }) | ReadFailure::NoAnswer(UnknownOutcome { reason }),
                )) => StoreUnavailable { attempts, reason }.into(),
                Err(timed_out) => StoreUnavailable { attempts, reason: timed_out.to_string() }.into(),
            });
        }
        Err(last.unwrap_or_else(|| no_time_left(attempts).into()))
    }
}

fn no_time_left(attempts: u32) -> StoreUnavailable {
    StoreUnavailable { attempts, reason: "the deadline had passed".to_owned() }
}

fn chained(
    tail: &StreamHead,
    command: &CommandContext,
    index: usize,
    event: NewEvent,
    recorded_at_ms: u64,
) -> EventRecord {
    let mut record = EventRecord {
        stream: tail.stream.clone(),
        version: tail.version.next(),
        event_id: command.event_id(index),
        event_type: event.event_type,
        schema_version: event.schema_version,
        payload: canonical_json(&event.payload),
        recorded_at_ms,
        envelope: command.envelope(),
        previous_hash: tail.hash.clone(),
        hash: String::new(),
    };
    record.hash = event_hash(&record);
    record
}

fn appended(transaction: AppendTransaction, attempts: u32, recognised: bool) -> Appended {
    Appended { events: transaction.events, record: transaction.record, attempts, recognised }
}

fn recorded_or_answered(
    ours: IdempotencyRecord,
    standing: IdempotencyRecord,
) -> Result<IdempotencyRecord, RecordError> {
    if standing == ours { Ok(ours) } else { Err(AlreadyAnswered { record: Box::new(standing) }.into()) }
}

fn doubt_unsettled(unknown: OutcomeUnknown, unread: &LoadError) -> OutcomeUnknown {
    OutcomeUnknown { reason: format!("{}; and the look-up failed: {unread}", unknown.reason), ..unknown }
}
