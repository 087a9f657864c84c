//! A queue's batch handler behind an event source mapping.

use std::{collections::BTreeSet, sync::Arc};

use nexus_ports::{BoxFuture, QueueBatchHandler, QueueMessage};
use serde_json::Value;

use crate::{FunctionError, InvocationContext, LambdaFunction, batch_item_failures, queue_event};

/// Hosts a [`QueueBatchHandler`]: the mapping receives and deletes, the handler works.
pub struct QueueFunction {
    handler: Arc<dyn QueueBatchHandler>,
}

impl QueueFunction {
    pub fn new(handler: Arc<dyn QueueBatchHandler>) -> Self {
        Self { handler }
    }

    async fn failed_of(&self, messages: Vec<QueueMessage>) -> Result<BTreeSet<String>, FunctionError> {
        let known: BTreeSet<_> = messages.iter().map(|message| message.message_id.clone()).collect();
        let failed: BTreeSet<_> = self.handler.handle_batch(messages).await.into_iter().collect();
        match failed.difference(&known).next() {
            None => Ok(failed),
            // Lambda would take the whole batch as failed as well; this way the reason is told.
            Some(stranger) => {
                let message = format!("the handler reported `{stranger}`, which is not in the batch");
                Err(FunctionError::new("Function.UnknownMessage", message))
            }
        }
    }

    /// One after another, and nothing after the first failure: a later message must not overtake it.
    async fn failed_in_order(&self, messages: Vec<QueueMessage>) -> Result<Vec<String>, FunctionError> {
        let mut messages = messages.into_iter();
        while let Some(message) = messages.next() {
            let id = message.message_id.clone();
            if !self.failed_of(vec![message]).await?.is_empty() {
                let rest = messages.map(|message| message.message_id);
                return Ok(std::iter::once(id).chain(rest).collect());
            }
        }
        Ok(Vec::new())
    }
}

impl LambdaFunction for QueueFunction {
    fn invoke<'a>(&'a self, payload: Value, _: InvocationContext) -> BoxFuture<'a, Result<Value, FunctionError>> {
        Box::pin(async move {
            let event = queue_event(&payload)
                .map_err(|error| FunctionError::new("Function.MalformedEvent", error.to_string()))?;
            let failed = if event.is_fifo {
                self.failed_in_order(event.messages).await?
            } else if event.messages.is_empty() {
                Vec::new()
            } else {
                self.failed_of(event.messages).await?.into_iter().collect()
            };
            Ok(batch_item_failures(&failed))
        })
    }
}
