//! The notification worker: receives, has the effect, then deletes.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt, StreamExt,
    future::{Either, select},
    stream::FuturesUnordered,
};
use nexus_ports::{
    BoxFuture, CallFailure, Measurement, MessageQueue, MetricSink, MetricUnit, Outbox, Platform, QueueBatchHandler,
    QueueMessage, UnknownOutcome,
};

use crate::{NotificationSettings, batch::Batch};

/// Turns messages into notifications, each once: the outbox's record under the event's id is the effect, and a message is
/// deleted only after it. Duplicates, redeliveries and redrives meet the record that is there already.
pub struct NotificationWorker {
    pub(crate) platform: Platform,
    pub(crate) queue: Arc<dyn MessageQueue>,
    pub(crate) outbox: Arc<dyn Outbox>,
    pub(crate) metrics: Arc<dyn MetricSink>,
    pub(crate) settings: NotificationSettings,
}

/// How the work on a batch went, for the pace of the next receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BatchEnd {
    /// At least one message had its effect, or none had to.
    Worked,
    /// The outbox took none: receiving more would only use up their receives.
    OutboxFailed,
}

/// What happened first while receiving and working.
enum Turn {
    Received(Result<Vec<QueueMessage>, CallFailure>),
    Worked(BatchEnd),
    Stopped,
}

impl NotificationWorker {
    pub fn new(
        platform: Platform,
        queue: Arc<dyn MessageQueue>,
        outbox: Arc<dyn Outbox>,
        metrics: Arc<dyn MetricSink>,
        settings: NotificationSettings,
    ) -> Self {
        Self { platform, queue, outbox, metrics, settings }
    }

    /// Works for ever. Everything happens inside this future: dropping it leaves no task behind.
    pub async fn run(&self) {
        self.run_until(std::future::pending()).await;
    }

    /// Works until `stop` resolves; then no further message is received and those at hand are finished.
    pub async fn run_until(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop.fuse());
        let stopping = AtomicBool::new(false);
        let mut batches: FuturesUnordered<BoxFuture<'_, BatchEnd>> = FuturesUnordered::new();
        let mut pace = Pace::default();
        let mut receiving: Option<BoxFuture<'_, Result<Vec<QueueMessage>, CallFailure>>> = None;
        loop {
            if receiving.is_none() && batches.len() < self.batches_allowed(&pace) {
                receiving = Some(Box::pin(self.receive_after(pace, &stopping)));
            }
            match self.turn(stop.as_mut(), &mut receiving, &mut batches).await {
                Turn::Received(received) => {
                    receiving = None;
                    if let Some(batch) = self.begin(received, &mut pace) {
                        batches.push(batch);
                    }
                }
                Turn::Worked(BatchEnd::Worked) => pace.outbox_failures = 0,
                Turn::Worked(BatchEnd::OutboxFailed) => pace.outbox_failures = pace.outbox_failures.saturating_add(1),
                Turn::Stopped => break,
            }
        }
        stopping.store(true, Ordering::Relaxed);
        if let Some(receiving) = receiving
            && let Ok(Ok(messages)) = self.platform.timeout(self.settings.stop_patience, receiving).await
        {
            batches.push(Box::pin(self.work_and_delete(messages)));
        }
        while batches.next().await.is_some() {}
    }

    /// Works on messages without deleting them, for whoever deletes what is not reported: ids of those that must come
    /// again.
    pub async fn handle_batch(&self, messages: Vec<QueueMessage>) -> Vec<String> {
        let batch = Batch::new(self, &messages);
        batch.work().await;
        let done = batch.done_handles();
        messages
            .iter()
            .filter(|message| !done.contains(&message.receipt_handle))
            .map(|message| message.message_id.clone())
            .collect()
    }

    /// While the outbox fails, one batch is enough to see when it works again.
    fn batches_allowed(&self, pace: &Pace) -> usize {
        if pace.outbox_failures > 0 { 1 } else { self.settings.batches_at_once.max(1) }
    }

    async fn turn<'w>(
        &'w self,
        stop: impl Future<Output = ()> + Send + Unpin,
        receiving: &mut Option<BoxFuture<'w, Result<Vec<QueueMessage>, CallFailure>>>,
        batches: &mut FuturesUnordered<BoxFuture<'w, BatchEnd>>,
    ) -> Turn {
        let received = async {
            match receiving {
                Some(receiving) => Turn::Received(receiving.await),
                None => std::future::pending().await,
            }
        };
        let worked = async {
            match batches.next().await {
                Some(end) => Turn::Worked(end),
                None => std::future::pending().await,
            }
        };
        // A stop goes before everything else, and what is finished before what is new.
        let (worked, received) = (pin!(worked), pin!(received));
        let working = select(worked, received);
        match select(stop, working).await {
            Either::Left(((), _)) => Turn::Stopped,
            Either::Right((Either::Left((turn, _)) | Either::Right((turn, _)), _)) => turn,
        }
    }

    /// Receives, after the pause that failures call for; nothing if the stop came before the call began.
    async fn receive_after(&self, pace: Pace, stopping: &AtomicBool) -> Result<Vec<QueueMessage>, CallFailure> {
        let failures = pace.receive_failures.max(pace.outbox_failures);
        if failures > 0 {
            self.platform.sleep(self.settings.backoff(&self.platform, failures, "receive")).await;
        }
        if stopping.load(Ordering::Relaxed) {
            return Ok(Vec::new());
        }
        let count_max = if pace.outbox_failures > 0 { 1 } else { self.settings.batch_max };
        let NotificationSettings { wait_seconds, visibility_seconds, call_timeout, .. } = self.settings;
        let patience = Duration::from_secs(wait_seconds.into()) + call_timeout;
        let receive = self.queue.receive(count_max, wait_seconds, visibility_seconds);
        match self.platform.timeout(patience, receive).await {
            Ok(received) => received,
            // Messages may have been given and stay hidden; they come again by themselves.
            Err(timed_out) => Err(CallFailure::Unknown(UnknownOutcome { reason: timed_out.to_string() })),
        }
    }

    fn begin(
        &self,
        received: Result<Vec<QueueMessage>, CallFailure>,
        pace: &mut Pace,
    ) -> Option<BoxFuture<'_, BatchEnd>> {
        match received {
            Ok(messages) => {
                pace.receive_failures = 0;
                let is_empty = messages.is_empty();
                (!is_empty).then(|| -> BoxFuture<'_, BatchEnd> { Box::pin(self.work_and_delete(messages)) })
            }
            Err(failure) => {
                pace.receive_failures = pace.receive_failures.saturating_add(1);
                let kind = match failure {
                    CallFailure::Throttled(_) => "throttled",
                    CallFailure::NotSent(_) => "not-sent",
                    CallFailure::Rejected(_) => "rejected",
                    CallFailure::Unknown(_) => "unknown",
                };
                self.count("ReceiveFailures", &[("kind", kind)]);
                None
            }
        }
    }

    async fn work_and_delete(&self, messages: Vec<QueueMessage>) -> BatchEnd {
        Batch::new(self, &messages).work_and_delete().await
    }

    pub(crate) fn count(&self, name: &'static str, dimensions: &[(&'static str, &str)]) {
        let at_ms = self.platform.unix_time().as_millis();
        self.metrics.record(Measurement { name, unit: MetricUnit::Count, value: 1.0, dimensions, at_ms });
    }
}

impl QueueBatchHandler for NotificationWorker {
    fn handle_batch<'a>(&'a self, messages: Vec<QueueMessage>) -> BoxFuture<'a, Vec<String>> {
        Box::pin(self.handle_batch(messages))
    }
}

/// Failures in a row, which slow down receiving.
#[derive(Clone, Copy, Default)]
struct Pace {
    receive_failures: u32,
    outbox_failures: u32,
}
