//! One dead-letter queue, worked off: receive, decide, move on, and only then delete.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use nexus_ports::{CallFailure, EntryFailure, QueueMessage};

use crate::{
    DeadLetterSource, DlqAccount,
    attempts::attempt,
    plan::{Doomed, Redrive, Waiting, plan, quarantined},
    processor::Shared,
};

/// What SQS receives, sends or deletes at once.
const BATCH_MAX: u32 = 10;
/// Bytes sent at once, unless a single letter is larger: what every SQS endpoint takes.
const SEND_BYTES_MAX: usize = 256 * 1024;
/// SQS hides a message for at most 12 hours.
const VISIBILITY_SECONDS_MAX: u64 = 12 * 3_600;

/// One run over one source.
pub(crate) struct LetterRun<'a> {
    shared: &'a Shared,
    source: &'a DeadLetterSource,
    is_stopping: &'a AtomicBool,
    /// By message id: what this run did with a letter, so that a second receipt repeats no effect.
    fates: BTreeMap<String, Fate>,
    /// Ids of letters that moved on and whose deletion is not confirmed.
    undeleted: BTreeSet<String>,
    /// All attempts to send a batch failed as a whole. For the rest of the run no further letter is sent, so that an outage
    /// is not made worse; letters are still received, since those near their end must be rescued.
    home_is_down: bool,
    /// The same for the quarantine.
    quarantine_is_down: bool,
    account: DlqAccount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// Its next place has it; only the deletion can be missing.
    MovedOn,
    Left,
}

/// How the attempts to send one letter home ended.
enum SendEnd {
    Accepted,
    /// The home queue will never take this very letter.
    Refused(String),
    /// Not known to be accepted.
    Failed,
}

impl<'a> LetterRun<'a> {
    pub(crate) fn new(shared: &'a Shared, source: &'a DeadLetterSource, is_stopping: &'a AtomicBool) -> Self {
        Self {
            shared,
            source,
            is_stopping,
            fates: BTreeMap::new(),
            undeleted: BTreeSet::new(),
            home_is_down: false,
            quarantine_is_down: false,
            account: DlqAccount::default(),
        }
    }

    pub(crate) async fn run(mut self) -> DlqAccount {
        let settings = &self.shared.settings;
        let mut idle_receives = 0;
        while idle_receives < settings.idle_receives_to_stop
            && self.fates.len() < settings.letters_per_run_max
            && !self.is_stopping.load(Ordering::Relaxed)
        {
            let Ok(messages) = self.receive().await else {
                self.account.unreachable += 1;
                break;
            };
            let (fresh, moved_on_before) = self.split(messages);
            self.delete(moved_on_before).await;
            idle_receives = if fresh.is_empty() { idle_receives + 1 } else { 0 };
            self.work_off(fresh).await;
        }
        self.account.undeleted = self.undeleted.len() as u64;
        self.account
    }

    async fn receive(&self) -> Result<Vec<QueueMessage>, CallFailure> {
        let settings = &self.shared.settings;
        let timeout = settings.call_timeout + Duration::from_secs(settings.receive_wait_seconds.into());
        attempt(&self.shared.platform, settings, timeout, &self.source.name, || {
            self.source.dead_letters.receive(BATCH_MAX, settings.receive_wait_seconds, settings.visibility_seconds)
        })
        .await
    }

    /// Letters that are new to this run, and those that it has moved on before but finds again.
    fn split(&mut self, messages: Vec<QueueMessage>) -> (Vec<QueueMessage>, Vec<QueueMessage>) {
        let (mut fresh, mut moved_on_before) = (Vec::new(), Vec::new());
        for message in messages {
            match self.fates.get(&message.message_id) {
                None => {
                    // Until something better happens to it; also tells a repetition within one batch.
                    self.fates.insert(message.message_id.clone(), Fate::Left);
                    self.account.received += 1;
                    fresh.push(message);
                }
                Some(fate) => {
                    self.account.duplicates += 1;
                    if *fate == Fate::MovedOn {
                        moved_on_before.push(message);
                    }
                }
            }
        }
        (fresh, moved_on_before)
    }

    async fn work_off(&mut self, fresh: Vec<QueueMessage>) {
        if fresh.is_empty() {
            return;
        }
        let plan = plan(self.source.classify.as_ref(), &self.shared.settings, self.shared.unix_ms(), fresh);
        let mut moved_on = Vec::new();
        for doomed in plan.quarantines {
            moved_on.extend(self.quarantine(doomed).await);
        }
        for (redrive, end) in self.send_home(plan.redrives).await {
            moved_on.extend(self.after_send(redrive.message, end).await);
        }
        self.confirm(moved_on).await;
        for waiting in plan.waiting {
            self.leave_for(waiting).await;
        }
    }

    /// Books a letter after its sends; gives it back if it may be deleted.
    async fn after_send(&mut self, message: QueueMessage, end: SendEnd) -> Option<QueueMessage> {
        match end {
            SendEnd::Accepted => {
                self.account.redriven += 1;
                Some(message)
            }
            SendEnd::Refused(reason) => {
                let reason = format!("its home queue refused it: {reason}");
                self.quarantine(Doomed { message, reason }).await
            }
            SendEnd::Failed if self.shared.settings.is_near_its_end(message.sent_at_ms, self.shared.unix_ms()) => {
                let reason = "it could not be redriven and would soon have expired".to_owned();
                self.quarantine(Doomed { message, reason }).await
            }
            SendEnd::Failed => {
                self.account.left += 1;
                None
            }
        }
    }

    async fn quarantine(&mut self, doomed: Doomed) -> Option<QueueMessage> {
        let letter = quarantined(&self.source.name, &doomed.message, &doomed.reason, self.shared.unix_ms());
        let ended = if self.quarantine_is_down { None } else { Some(self.shared.keep(&letter).await) };
        match ended {
            Some(Ok(())) => {
                self.account.quarantined += 1;
                Some(doomed.message)
            }
            ended => {
                // What was rejected may be this letter's own fault.
                self.quarantine_is_down |= matches!(ended, Some(Err(failure)) if failure.may_pass());
                self.account.left += 1;
                None
            }
        }
    }

    /// Lets a letter come back when its pause is over. Best effort: otherwise it comes with its visibility.
    async fn leave_for(&mut self, waiting: Waiting) {
        self.account.left += 1;
        let seconds = waiting.time_left.as_secs().saturating_add(1).min(VISIBILITY_SECONDS_MAX);
        let seconds = u32::try_from(seconds).unwrap_or(u32::MAX);
        let call = self.source.dead_letters.set_visibility(&waiting.message.receipt_handle, seconds);
        let _ = self.shared.platform.timeout(self.shared.settings.call_timeout, call).await;
    }

    async fn send_home(&mut self, redrives: Vec<Redrive>) -> Vec<(Redrive, SendEnd)> {
        let mut ends = Vec::with_capacity(redrives.len());
        for batch in batches(redrives) {
            if self.home_is_down {
                ends.extend(batch.into_iter().map(|redrive| (redrive, SendEnd::Failed)));
                continue;
            }
            let first = ends.len();
            self.send_batch(batch, &mut ends).await;
            self.home_is_down = ends[first..].iter().all(|(_, end)| matches!(end, SendEnd::Failed));
        }
        ends
    }

    /// Sends until every letter is accepted or refused, or the attempts are used up. A send without an answer is
    /// repeated: what arrives twice is recognised by its event id.
    async fn send_batch(&self, mut pending: Vec<Redrive>, ends: &mut Vec<(Redrive, SendEnd)>) {
        let Shared { platform, settings, .. } = self.shared;
        for attempts_made in 0..settings.attempts_max {
            if pending.is_empty() {
                return;
            }
            if attempts_made > 0 {
                platform.sleep(settings.pause(platform, attempts_made, &self.source.name)).await;
            }
            self.await_turn(pending.len()).await;
            let drafts: Vec<_> = pending.iter().map(|redrive| redrive.draft.clone()).collect();
            match platform.timeout(settings.call_timeout, self.source.home.send(&drafts)).await {
                Ok(Ok(outcomes)) => {
                    let mut outcomes = outcomes.into_iter();
                    let mut again = Vec::new();
                    for redrive in pending {
                        match outcomes.next() {
                            Some(Ok(())) => ends.push((redrive, SendEnd::Accepted)),
                            Some(Err(EntryFailure::Rejected(why))) => {
                                ends.push((redrive, SendEnd::Refused(why.to_string())));
                            }
                            Some(Err(EntryFailure::Throttled(_) | EntryFailure::Unknown(_))) | None => {
                                again.push(redrive);
                            }
                        }
                    }
                    pending = again;
                }
                // The whole call was rejected: the queue or the permission is at fault, not the letters.
                Ok(Err(failure)) if !failure.may_pass() => break,
                Ok(Err(_)) | Err(_) => {}
            }
        }
        ends.extend(pending.into_iter().map(|redrive| (redrive, SendEnd::Failed)));
    }

    async fn await_turn(&self, letters: usize) {
        let now = self.shared.platform.monotonic();
        let wait = self.shared.rate.lock().unwrap_or_else(PoisonError::into_inner).reserve(now, letters);
        if !wait.is_zero() {
            self.shared.platform.sleep(wait).await;
        }
    }

    /// Takes letters out of the dead-letter queue that have their next place for certain.
    async fn confirm(&mut self, moved_on: Vec<QueueMessage>) {
        for message in &moved_on {
            self.fates.insert(message.message_id.clone(), Fate::MovedOn);
        }
        self.delete(moved_on).await;
    }

    async fn delete(&mut self, mut messages: Vec<QueueMessage>) {
        let Shared { platform, settings, .. } = self.shared;
        self.undeleted.extend(messages.iter().map(|message| message.message_id.clone()));
        for attempts_made in 0..settings.attempts_max {
            if messages.is_empty() {
                return;
            }
            if attempts_made > 0 {
                platform.sleep(settings.pause(platform, attempts_made, &self.source.name)).await;
            }
            let handles: Vec<_> = messages.iter().map(|message| message.receipt_handle.clone()).collect();
            match platform.timeout(settings.call_timeout, self.source.dead_letters.delete(&handles)).await {
                Ok(Ok(outcomes)) => {
                    let mut outcomes = outcomes.into_iter();
                    messages.retain(|message| match outcomes.next() {
                        Some(Ok(())) => {
                            self.undeleted.remove(&message.message_id);
                            false
                        }
                        // The handle is spent: the letter was hidden for too short a time, and comes again.
                        Some(Err(EntryFailure::Rejected(_))) => false,
                        Some(Err(EntryFailure::Throttled(_) | EntryFailure::Unknown(_))) | None => true,
                    });
                }
                Ok(Err(failure)) if !failure.may_pass() => return,
                Ok(Err(_)) | Err(_) => {}
            }
        }
    }
}

/// Batches that a queue takes, in the same order. A letter that is too large for any batch goes alone.
fn batches(redrives: Vec<Redrive>) -> Vec<Vec<Redrive>> {
    let mut batches: Vec<Vec<Redrive>> = Vec::new();
    let mut bytes = 0;
    for redrive in redrives {
        let size = redrive.size_bytes();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH_MAX as usize && bytes + size <= SEND_BYTES_MAX => {
                bytes += size;
                batch.push(redrive);
            }
            _ => {
                bytes = size;
                batches.push(vec![redrive]);
            }
        }
    }
    batches
}
