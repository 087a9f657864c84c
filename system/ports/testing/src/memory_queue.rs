//! A naive standard queue: visibility, receive counts, redrive to a dead-letter queue, and a script of what becomes of
//! each call.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nexus_ports::{
    BoxFuture, CallFailure, EntryFailure, EntryOutcomes, MessageQueue, Monotonic, NotSent, Platform, QueueDraft,
    QueueMessage, Rejected, Throttled, UnknownOutcome,
};

/// How often a long poll looks. Without messages a test's paused clock jumps over all of it.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// What becomes of one call. Without a script every call gets [`CallFate::Answered`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallFate {
    Answered,
    /// Takes effect (a receive hides its messages and counts); the answer is lost.
    AnswerLost,
    /// No effect and no answer.
    RequestLost,
    /// Takes effect and is never answered.
    AppliedThenHangs,
    /// The first entry of a batch takes effect but is reported as in doubt; the others are answered. For calls without
    /// entries as [`CallFate::AnswerLost`].
    FirstEntryInDoubt,
    /// All entries of a batch are reported as throttled and have no effect. For calls without entries as
    /// [`CallFate::Throttled`].
    EntriesThrottled,
    Throttled,
    NotSent,
    /// As a receive of a queue with too many messages in flight.
    Rejected,
}

/// What happened in the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueStep {
    Sent { message_id: String, body: String },
    Received { message_id: String, receive_count: u32 },
    Deleted { message_id: String, body: String },
    DeadLettered { message_id: String, body: String, receive_count: u32 },
}

/// A queue in memory, on a platform's monotonic clock. Clones share it.
#[derive(Clone)]
pub struct MemoryQueue {
    platform: Platform,
    name: &'static str,
    dead_letters: Option<(Arc<MemoryQueue>, u32)>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    messages: Vec<Stored>,
    sent: u64,
    received: u64,
    steps: Vec<QueueStep>,
    receive_fates: VecDeque<CallFate>,
    delete_fates: VecDeque<CallFate>,
    visibility_fates: VecDeque<CallFate>,
    send_fates: VecDeque<CallFate>,
    visibility_changes: Vec<(String, u32)>,
}

struct Stored {
    message_id: String,
    body: String,
    attributes: Vec<(String, String)>,
    receive_count: u32,
    sent_at_ms: u64,
    hidden_until: Monotonic,
    /// Of the last receive; older ones no longer delete.
    receipt_handle: String,
}

impl MemoryQueue {
    pub fn new(platform: &Platform, name: &'static str) -> Self {
        Self { platform: platform.clone(), name, dead_letters: None, state: Arc::default() }
    }

    /// Moves a message away when it would be received more often than this.
    pub fn with_dead_letters(mut self, queue: &MemoryQueue, receive_count_max: u32) -> Self {
        self.dead_letters = Some((Arc::new(queue.clone()), receive_count_max));
        self
    }

    /// Puts a message into the queue.
    pub fn put(&self, body: impl Into<String>) -> String {
        let draft = QueueDraft { body: body.into(), attributes: Vec::new() };
        let sent_at_ms = self.platform.unix_time().as_millis();
        self.with(|state| state.accept(self.name, &draft, sent_at_ms, 0))
    }

    pub fn script_receives(&self, fates: impl IntoIterator<Item = CallFate>) {
        self.with(|state| state.receive_fates.extend(fates));
    }

    pub fn script_deletes(&self, fates: impl IntoIterator<Item = CallFate>) {
        self.with(|state| state.delete_fates.extend(fates));
    }

    pub fn script_visibility(&self, fates: impl IntoIterator<Item = CallFate>) {
        self.with(|state| state.visibility_fates.extend(fates));
    }

    pub fn script_sends(&self, fates: impl IntoIterator<Item = CallFate>) {
        self.with(|state| state.send_fates.extend(fates));
    }

    /// Forgets fates that were scripted and not yet met.
    pub fn drop_scripts(&self) {
        self.with(|state| {
            state.receive_fates.clear();
            state.delete_fates.clear();
            state.visibility_fates.clear();
            state.send_fates.clear();
        });
    }

    /// Bodies of all messages that are there, hidden ones included.
    pub fn bodies(&self) -> Vec<String> {
        self.with(|state| state.messages.iter().map(|message| message.body.clone()).collect())
    }

    pub fn steps(&self) -> Vec<QueueStep> {
        self.with(|state| state.steps.clone())
    }

    /// Every change of visibility that took effect: message id and seconds.
    pub fn visibility_changes(&self) -> Vec<(String, u32)> {
        self.with(|state| state.visibility_changes.clone())
    }

    /// Shows every message at once, as if its visibility had passed, so that the next receive may deliver it twice.
    pub fn show_all(&self) {
        let now = self.platform.monotonic();
        self.with(|state| state.messages.iter_mut().for_each(|message| message.hidden_until = now));
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Hands out what is visible, and moves away what was received too often.
    fn take(&self, count_max: u32, visibility_seconds: u32) -> Vec<QueueMessage> {
        let now = self.platform.monotonic();
        let hidden_until = Monotonic(now.0 + Duration::from_secs(visibility_seconds.into()));
        let receive_count_max = self.dead_letters.as_ref().map(|(_, max)| *max);
        let (taken, dead) = self.with(|state| state.take(now, hidden_until, count_max as usize, receive_count_max));
        if let Some((queue, _)) = &self.dead_letters {
            for letter in dead {
                let draft = QueueDraft { body: letter.body, attributes: letter.attributes };
                // A standard queue's letters keep the time at which they were first sent.
                queue.with(|state| state.accept(queue.name, &draft, letter.sent_at_ms, letter.receive_count));
            }
        }
        taken
    }

    async fn poll(&self, count_max: u32, wait_seconds: u32, visibility_seconds: u32) -> Vec<QueueMessage> {
        let begun = self.platform.monotonic();
        loop {
            let taken = self.take(count_max, visibility_seconds);
            let waited = self.platform.monotonic().since(begun);
            if !taken.is_empty() || waited >= Duration::from_secs(wait_seconds.into()) {
                return taken;
            }
            self.platform.sleep(LOOK_EVERY).await;
        }
    }

    /// Lets a call on a batch meet its fate.
    async fn batch<E>(
        &self,
        fate: CallFate,
        entries: &[E],
        apply: impl Fn(&mut State, &E),
    ) -> Result<EntryOutcomes<()>, CallFailure> {
        let apply_all = || self.with(|state| entries.iter().for_each(|entry| apply(state, entry)));
        match fate {
            CallFate::Answered => {
                apply_all();
                Ok(entries.iter().map(|_| Ok(())).collect())
            }
            CallFate::FirstEntryInDoubt => {
                apply_all();
                let in_doubt = EntryFailure::Unknown(UnknownOutcome { reason: reason() });
                Ok(std::iter::once(Err(in_doubt)).chain(entries.iter().skip(1).map(|_| Ok(()))).collect())
            }
            CallFate::EntriesThrottled => {
                Ok(entries.iter().map(|_| Err(EntryFailure::Throttled(Throttled { code: reason() }))).collect())
            }
            CallFate::AnswerLost => {
                apply_all();
                Err(unknown())
            }
            CallFate::AppliedThenHangs => {
                apply_all();
                std::future::pending().await
            }
            fate => Err(without_effect(fate)),
        }
    }
}

fn reason() -> String {
    "scripted".to_owned()
}

fn unknown() -> CallFailure {
    CallFailure::Unknown(UnknownOutcome { reason: reason() })
}

fn without_effect(fate: CallFate) -> CallFailure {
    match fate {
        CallFate::Throttled | CallFate::EntriesThrottled => CallFailure::Throttled(Throttled { code: reason() }),
        CallFate::NotSent => CallFailure::NotSent(NotSent { reason: reason() }),
        CallFate::Rejected => CallFailure::Rejected(Rejected { code: "OverLimit".to_owned(), message: reason() }),
        _ => unknown(),
    }
}

fn next_fate(fates: &mut VecDeque<CallFate>) -> CallFate {
    fates.pop_front().unwrap_or(CallFate::Answered)
}

impl State {
    fn accept(&mut self, name: &str, draft: &QueueDraft, sent_at_ms: u64, receive_count: u32) -> String {
        self.sent += 1;
        let message_id = format!("{name}-{}", self.sent);
        self.steps.push(QueueStep::Sent { message_id: message_id.clone(), body: draft.body.clone() });
        self.messages.push(Stored {
            message_id: message_id.clone(),
            body: draft.body.clone(),
            attributes: draft.attributes.clone(),
            receive_count,
            sent_at_ms,
            hidden_until: Monotonic(Duration::ZERO),
            receipt_handle: String::new(),
        });
        message_id
    }

    fn take(
        &mut self,
        now: Monotonic,
        hidden_until: Monotonic,
        count_max: usize,
        receive_count_max: Option<u32>,
    ) -> (Vec<QueueMessage>, Vec<Stored>) {
        let is_dead = |message: &Stored| {
            message.hidden_until <= now && receive_count_max.is_some_and(|max| message.receive_count >= max)
        };
        let (dead, living): (Vec<_>, Vec<_>) = std::mem::take(&mut self.messages).into_iter().partition(is_dead);
        self.messages = living;
        for letter in &dead {
            self.steps.push(QueueStep::DeadLettered {
                message_id: letter.message_id.clone(),
                body: letter.body.clone(),
                receive_count: letter.receive_count,
            });
        }
        let visible = self.messages.iter_mut().filter(|message| message.hidden_until <= now).take(count_max);
        let mut taken = Vec::new();
        for message in visible {
            self.received += 1;
            message.receive_count += 1;
            message.hidden_until = hidden_until;
            message.receipt_handle = format!("{}#{}", message.message_id, self.received);
            taken.push(QueueMessage {
                message_id: message.message_id.clone(),
                receipt_handle: message.receipt_handle.clone(),
                body: message.body.clone(),
                attributes: message.attributes.clone(),
                receive_count: message.receive_count,
                sent_at_ms: message.sent_at_ms,
            });
        }
        self.steps.extend(taken.iter().map(|message| QueueStep::Received {
            message_id: message.message_id.clone(),
            receive_count: message.receive_count,
        }));
        (taken, dead)
    }

    /// An old handle is accepted and does nothing, as a standard queue does.
    fn delete(&mut self, receipt_handle: &str) {
        if let Some(index) = self.messages.iter().position(|message| message.receipt_handle == receipt_handle) {
            let message = self.messages.remove(index);
            self.steps.push(QueueStep::Deleted { message_id: message.message_id, body: message.body });
        }
    }

    fn set_visibility(&mut self, now: Monotonic, receipt_handle: &str, seconds: u32) -> bool {
        let found = self.messages.iter_mut().find(|message| message.receipt_handle == receipt_handle);
        let Some(message) = found else { return false };
        if message.hidden_until <= now {
            return false;
        }
        message.hidden_until = Monotonic(now.0 + Duration::from_secs(seconds.into()));
        self.visibility_changes.push((message.message_id.clone(), seconds));
        true
    }
}

impl MessageQueue for MemoryQueue {
    fn receive(
        &self,
        count_max: u32,
        wait_seconds: u32,
        visibility_seconds: u32,
    ) -> BoxFuture<'_, Result<Vec<QueueMessage>, CallFailure>> {
        Box::pin(async move {
            match self.with(|state| next_fate(&mut state.receive_fates)) {
                CallFate::Answered => Ok(self.poll(count_max, wait_seconds, visibility_seconds).await),
                CallFate::AnswerLost | CallFate::FirstEntryInDoubt => {
                    self.take(count_max, visibility_seconds);
                    Err(unknown())
                }
                CallFate::AppliedThenHangs => {
                    self.take(count_max, visibility_seconds);
                    std::future::pending().await
                }
                fate => Err(without_effect(fate)),
            }
        })
    }

    fn delete<'a>(&'a self, receipt_handles: &'a [String]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        Box::pin(async move {
            let fate = self.with(|state| next_fate(&mut state.delete_fates));
            self.batch(fate, receipt_handles, |state, handle| state.delete(handle)).await
        })
    }

    fn set_visibility<'a>(
        &'a self,
        receipt_handle: &'a str,
        visibility_seconds: u32,
    ) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(async move {
            let now = self.platform.monotonic();
            let fate = self.with(|state| next_fate(&mut state.visibility_fates));
            let is_applied = matches!(
                fate,
                CallFate::Answered | CallFate::AnswerLost | CallFate::FirstEntryInDoubt | CallFate::AppliedThenHangs
            );
            let is_hidden =
                is_applied && self.with(|state| state.set_visibility(now, receipt_handle, visibility_seconds));
            match fate {
                CallFate::Answered if is_hidden => Ok(()),
                CallFate::Answered => Err(CallFailure::Rejected(Rejected {
                    code: "MessageNotInflight".to_owned(),
                    message: "the receipt handle is old, or the message is visible".to_owned(),
                })),
                CallFate::AnswerLost | CallFate::FirstEntryInDoubt => Err(unknown()),
                CallFate::AppliedThenHangs => std::future::pending().await,
                fate => Err(without_effect(fate)),
            }
        })
    }

    fn send<'a>(&'a self, messages: &'a [QueueDraft]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        Box::pin(async move {
            let sent_at_ms = self.platform.unix_time().as_millis();
            let fate = self.with(|state| next_fate(&mut state.send_fates));
            let accept = |state: &mut State, draft: &QueueDraft| {
                state.accept(self.name, draft, sent_at_ms, 0);
            };
            self.batch(fate, messages, accept).await
        })
    }
}
