//! Who works off messages of a queue, without knowing who received them: a long-running worker or a Lambda function.

use crate::{BoxFuture, QueueMessage};

/// Works off batches of messages. Deleting what was worked off is the business of whoever received the messages.
pub trait QueueBatchHandler: Send + Sync {
    /// Returns the ids of the messages that were not worked off and must come again. All others have had their durable
    /// effect. The same message may come more than once.
    fn handle_batch<'a>(&'a self, messages: Vec<QueueMessage>) -> BoxFuture<'a, Vec<String>>;
}
