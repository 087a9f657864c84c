//! One batch of messages: worked on side by side, kept hidden meanwhile, then deleted.

use std::{
    collections::BTreeSet,
    pin::pin,
    sync::{Mutex, PoisonError},
};

use futures_util::{
    StreamExt,
    future::{Either, select},
    stream,
};
use nexus_ports::{
    BoxFuture, EntryFailure, Measurement, MetricUnit, Notification, QueueMessage, UnknownOutcome, WriteFailure,
};

use crate::{
    NotificationWorker,
    message::{Verdict, handle_message},
    worker::BatchEnd,
};

pub(crate) struct Batch<'a> {
    worker: &'a NotificationWorker,
    messages: &'a [QueueMessage],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Receipt handles of messages that must stay hidden: in work, or waiting for their deletion.
    held: BTreeSet<String>,
    /// Receipt handles of messages that have had their effect.
    done: BTreeSet<String>,
    has_outbox_failed: bool,
}

/// How the work on one message ended.
enum MessageEnd {
    /// The effect is durable.
    Done,
    /// It may succeed another time.
    Failed,
    Poison,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(worker: &'a NotificationWorker, messages: &'a [QueueMessage]) -> Self {
        let held = messages.iter().map(|message| message.receipt_handle.clone()).collect();
        Self { worker, messages, state: Mutex::new(State { held, ..State::default() }) }
    }

    pub(crate) fn done_handles(&self) -> BTreeSet<String> {
        self.with(|state| state.done.clone())
    }

    /// Has the effects, with a heartbeat beside it.
    pub(crate) async fn work(&self) {
        self.beside_heartbeat(self.work_all()).await;
    }

    /// Has the effects and deletes what had one, with a heartbeat beside it.
    pub(crate) async fn work_and_delete(&self) -> BatchEnd {
        self.beside_heartbeat(async {
            self.work_all().await;
            self.delete_done().await;
        })
        .await;
        self.with(|state| {
            if state.has_outbox_failed && state.done.is_empty() { BatchEnd::OutboxFailed } else { BatchEnd::Worked }
        })
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn beside_heartbeat(&self, work: impl Future<Output = ()> + Send) {
        // The heartbeat ends with the work: it is a part of the same future.
        match select(pin!(work), pin!(self.keep_hidden())).await {
            Either::Left(((), _)) => {}
            Either::Right((never, _)) => match never {},
        }
    }

    /// Hides the held messages anew, again and again. A call that fails is harmless: at worst the message is delivered
    /// once more.
    async fn keep_hidden(&self) -> std::convert::Infallible {
        let settings = &self.worker.settings;
        loop {
            self.worker.platform.sleep(settings.heartbeat_every).await;
            let held = self.with(|state| state.held.clone());
            let calls = held.into_iter().map(|handle| async move {
                // It may have been let go since.
                if self.with(|state| state.held.contains(&handle)) {
                    self.set_visibility(&handle, settings.visibility_seconds).await;
                }
            });
            stream::iter(calls).buffer_unordered(settings.messages_at_once.max(1)).collect::<()>().await;
        }
    }

    async fn set_visibility(&self, receipt_handle: &str, seconds: u32) {
        let call = self.worker.queue.set_visibility(receipt_handle, seconds);
        let answered = self.worker.platform.timeout(self.worker.settings.call_timeout, call).await;
        if !matches!(answered, Ok(Ok(()))) {
            self.worker.count("VisibilityFailures", &[]);
        }
    }

    async fn work_all(&self) {
        let mut work: Vec<BoxFuture<'_, ()>> = Vec::with_capacity(self.messages.len());
        for message in self.messages {
            work.push(Box::pin(self.work_on(message)));
        }
        stream::iter(work).buffer_unordered(self.worker.settings.messages_at_once.max(1)).collect::<()>().await;
    }

    async fn work_on(&self, message: &QueueMessage) {
        let settings = &self.worker.settings;
        let shows_again_after = match self.effect(message).await {
            MessageEnd::Done => {
                self.with(|state| state.done.insert(message.receipt_handle.clone()));
                return;
            }
            MessageEnd::Failed => {
                self.with(|state| state.has_outbox_failed = true);
                settings.redelivery_seconds(message.receive_count)
            }
            MessageEnd::Poison => settings.poison_redelivery_seconds,
        };
        // First out of the heartbeat's hands, or it would hide the message for longer again.
        self.with(|state| state.held.remove(&message.receipt_handle));
        self.set_visibility(&message.receipt_handle, shows_again_after).await;
    }

    async fn effect(&self, message: &QueueMessage) -> MessageEnd {
        match handle_message(message, self.worker.platform.unix_time()) {
            Verdict::Notify(notification) => self.record(&notification, message).await,
            Verdict::Poison(poison) => {
                self.worker.count("PoisonMessages", &[("reason", poison.code())]);
                MessageEnd::Poison
            }
        }
    }

    /// Attempts until the notification is known to be recorded. To attempt again after an unknown outcome is safe: the
    /// record is conditional on there being none.
    async fn record(&self, notification: &Notification, message: &QueueMessage) -> MessageEnd {
        let NotificationWorker { platform, outbox, settings, .. } = self.worker;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match platform.timeout(settings.call_timeout, outbox.record(notification)).await {
                Ok(Ok(())) => {
                    self.count_recorded(message);
                    return MessageEnd::Done;
                }
                Ok(Err(failure)) => failure,
                Err(timed_out) => WriteFailure::Unknown(UnknownOutcome { reason: timed_out.to_string() }),
            };
            let (kind, is_final) = match failure {
                WriteFailure::Refused(_already_recorded) => {
                    self.worker.count("NotificationDuplicates", &[]);
                    return MessageEnd::Done;
                }
                WriteFailure::Rejected(_) => ("rejected", true),
                WriteFailure::Contended(_) => ("contended", false),
                WriteFailure::Throttled(_) => ("throttled", false),
                WriteFailure::NotSent(_) => ("not-sent", false),
                WriteFailure::Unknown(_) => ("unknown", false),
            };
            self.worker.count("OutboxFailures", &[("kind", kind)]);
            if is_final || attempts >= settings.attempts_max {
                return MessageEnd::Failed;
            }
            platform.sleep(settings.backoff(platform, attempts, &notification.event_id)).await;
        }
    }

    fn count_recorded(&self, message: &QueueMessage) {
        self.worker.count("NotificationsRecorded", &[]);
        let now_ms = self.worker.platform.unix_time().as_millis();
        self.worker.metrics.record(Measurement {
            name: "NotificationLatency",
            unit: MetricUnit::Milliseconds,
            value: now_ms.saturating_sub(message.sent_at_ms) as f64,
            dimensions: &[],
            at_ms: now_ms,
        });
    }

    /// Deletes what had its effect. What cannot be deleted comes again and meets the record that is there.
    async fn delete_done(&self) {
        let NotificationWorker { platform, settings, .. } = self.worker;
        let mut open: Vec<String> = self.done_handles().into_iter().collect();
        let mut attempts = 0;
        while !open.is_empty() {
            attempts += 1;
            let mut left = Vec::new();
            for chunk in open.chunks(10) {
                left.extend(self.delete(chunk).await);
            }
            open = left;
            if open.is_empty() {
                return;
            }
            if attempts >= settings.attempts_max {
                self.worker.count("DeleteFailures", &[]);
                return;
            }
            platform.sleep(settings.backoff(platform, attempts, &open[0])).await;
        }
    }

    /// Which of these should be tried again.
    async fn delete(&self, receipt_handles: &[String]) -> Vec<String> {
        let NotificationWorker { platform, queue, settings, .. } = self.worker;
        let outcomes = match platform.timeout(settings.call_timeout, queue.delete(receipt_handles)).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(failure)) if !failure.may_pass() => {
                self.worker.count("DeleteFailures", &[]);
                return Vec::new();
            }
            Ok(Err(_)) | Err(_) => return receipt_handles.to_vec(),
        };
        let is_open = |index: usize| match outcomes.get(index) {
            Some(Ok(())) => false,
            // Received again elsewhere: whoever has it now will delete it.
            Some(Err(EntryFailure::Rejected(_))) => false,
            // Worth another attempt; so is one of which nothing was said.
            Some(Err(EntryFailure::Throttled(_) | EntryFailure::Unknown(_))) | None => true,
        };
        receipt_handles
            .iter()
            .enumerate()
            .filter(|(index, _)| is_open(*index))
            .map(|(_, handle)| handle.clone())
            .collect()
    }
}
