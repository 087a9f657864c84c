//! A feed handler behind an event source mapping.

use std::{sync::Arc, time::Duration};

use nexus_ports::{BoxFuture, FeedHandler, FeedRecord, Handled, Platform, SequenceNumber, ShardHandler};
use serde_json::Value;

use crate::{FunctionError, InvocationContext, LambdaFunction, batch_item_failures, feed_event};

/// Hosts a [`FeedHandler`]: one invocation is one batch of one shard.
///
/// No lease and no memory is carried from one invocation to the next, since the mapping owns the position and may go on in
/// another environment. What the handler has not made durable when the time is nearly over is reported as failed and
/// comes again.
pub struct FeedFunction {
    platform: Platform,
    handler: Arc<dyn FeedHandler>,
    margin: Duration,
}

impl FeedFunction {
    /// `margin` is kept of the invocation's time to report what is not done. It must be longer than the runtime's own, or
    /// the whole batch fails instead.
    pub fn new(platform: Platform, handler: Arc<dyn FeedHandler>, margin: Duration) -> Self {
        Self { platform, handler, margin }
    }

    /// Handles the batch, and goes on with what is kept back, until all is durable, the handler asks for no more time, or
    /// there is none. Returns how far the shard is durable.
    async fn work_off(
        &self,
        shard: &mut dyn ShardHandler,
        records: Vec<FeedRecord>,
        last: &SequenceNumber,
        context: &InvocationContext,
    ) -> Option<SequenceNumber> {
        let mut durable_through: Option<SequenceNumber> = None;
        let mut records = records;
        while let Some(left) = context.remaining(&self.platform, self.margin) {
            let handling = shard.handle(std::mem::take(&mut records));
            let Ok(handled) = self.platform.timeout(left, handling).await else { break };
            let Handled { durable_through: through, call_again_after, .. } = handled;
            durable_through = durable_through.max(through);
            if durable_through.as_ref() >= Some(last) {
                break;
            }
            let (Some(pause), Some(left)) = (call_again_after, context.remaining(&self.platform, self.margin)) else {
                break;
            };
            self.platform.sleep(pause.min(left)).await;
        }
        durable_through
    }
}

impl LambdaFunction for FeedFunction {
    fn invoke<'a>(&'a self, payload: Value, context: InvocationContext) -> BoxFuture<'a, Result<Value, FunctionError>> {
        Box::pin(async move {
            let event = feed_event(&payload)
                .map_err(|error| FunctionError::new("Function.MalformedEvent", error.to_string()))?;
            let numbers: Vec<_> = event.records.iter().map(|record| record.sequence_number.clone()).collect();
            let Some(last) = numbers.last() else { return Ok(batch_item_failures(&[])) };
            let mut shard = self.handler.begin_shard(&event.shard, 0, "");
            let durable_through = self.work_off(shard.as_mut(), event.records, last, &context).await;
            // The mapping reads again from the lowest number that is reported.
            let first_open = numbers.into_iter().find(|number| Some(number) > durable_through.as_ref());
            let failed: Vec<_> = first_open.map(String::from).into_iter().collect();
            Ok(batch_item_failures(&failed))
        })
    }
}
