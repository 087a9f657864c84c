//! A queue whose messages cost the host that receives them computing time: without it a slow host would not be slower.

use std::{sync::Arc, time::Duration};

use nexus_engine::Compute;
use nexus_ports::{BoxFuture, CallFailure, EntryOutcomes, MessageQueue, QueueDraft, QueueMessage};

/// Charges each received message before it is handed on.
pub(crate) struct CostlyQueue<Q> {
    pub(crate) queue: Q,
    pub(crate) compute: Arc<Compute>,
    /// Computing time of one message at full speed.
    pub(crate) cost: Duration,
}

impl<Q: MessageQueue> MessageQueue for CostlyQueue<Q> {
    fn receive(
        &self,
        count_max: u32,
        wait_seconds: u32,
        visibility_seconds: u32,
    ) -> BoxFuture<'_, Result<Vec<QueueMessage>, CallFailure>> {
        Box::pin(async move {
            let messages = self.queue.receive(count_max, wait_seconds, visibility_seconds).await?;
            self.compute.work(self.cost * u32::try_from(messages.len()).unwrap_or(u32::MAX)).await;
            Ok(messages)
        })
    }

    fn delete<'a>(&'a self, receipt_handles: &'a [String]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        self.queue.delete(receipt_handles)
    }

    fn set_visibility<'a>(
        &'a self,
        receipt_handle: &'a str,
        visibility_seconds: u32,
    ) -> BoxFuture<'a, Result<(), CallFailure>> {
        self.queue.set_visibility(receipt_handle, visibility_seconds)
    }

    fn send<'a>(&'a self, messages: &'a [QueueDraft]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        self.queue.send(messages)
    }
}
