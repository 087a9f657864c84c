//! Deleting messages, and changing how long they stay hidden.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Outcome, Sqs, batch,
    errors::{error, handle_invalid, invalid_value, missing},
    input::Input,
    message::{self, Place, Receipt},
    quirks::Quirks,
};
use crate::{
    interface::MessageStepKind,
    service::{ServiceContext, ServiceError},
};

/// A message stays hidden for so long after a receive at most, however often that is extended.
const VISIBILITY_MAX: Duration = Duration::from_secs(43_200);

const EXPIRED: &str = "The receipt handle has expired.";

impl Sqs {
    pub(super) fn delete_message(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        self.check_throughput(&name, "DeleteMessage", context)?;
        let quirks = Quirks::of(context.quirks);
        self.delete_one(context, &name, input, &quirks)
    }

    pub(super) fn delete_message_batch(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        let entries = batch::entries(input, "DeleteMessageBatchRequestEntry")?;
        self.check_throughput(&name, "DeleteMessageBatch", context)?;
        let quirks = Quirks::of(context.quirks);
        batch::each(entries, &quirks, |entry| self.delete_one(context, &name, entry, &quirks))
    }

    fn delete_one(
        &mut self,
        context: &mut ServiceContext<'_>,
        name: &str,
        input: Input<'_>,
        quirks: &Quirks,
    ) -> Outcome {
        let handle = input.required("ReceiptHandle")?;
        let receipt = receipt(name, handle)?;
        let queue = self.queue_mut(name)?;
        let Some(message) = queue.messages.get(&receipt.ordinal) else { return Ok(json!({})) };
        let is_newest = message.receipt == receipt.receipt;
        if queue.fifo() {
            if !is_newest || message.place == Place::Visible {
                return Err(invalid_value(handle, "ReceiptHandle", EXPIRED));
            }
        } else if !is_newest {
            let share = context.assumptions.sqs_stale_delete_share;
            let address = format!("{}/{}", message.id, receipt.receipt);
            let works = message::fraction_once(context.entropy, "sqs-stale-delete", &address) < share;
            if !works {
                return Ok(json!({}));
            }
        }
        queue.note(context, context.call_sequence, MessageStepKind::Deleted, message, String::new());
        if !quirks.delete_does_not_stick {
            queue.remove(receipt.ordinal);
        } else if message.place == Place::Visible {
            // There is no time-out left after which it would come back.
            let note = "its delete did not stick".to_owned();
            queue.note(context, context.call_sequence, MessageStepKind::Reappeared, message, note);
        }
        self.changed.insert(name.to_owned());
        Ok(json!({}))
    }

    pub(super) fn change_message_visibility(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        self.check_throughput(&name, "ChangeMessageVisibility", context)?;
        self.change_one(context, &name, input)
    }

    pub(super) fn change_message_visibility_batch(
        &mut self,
        context: &mut ServiceContext<'_>,
        input: Input<'_>,
    ) -> Outcome {
        let name = self.touch(context, input)?;
        let entries = batch::entries(input, "ChangeMessageVisibilityBatchRequestEntry")?;
        self.check_throughput(&name, "ChangeMessageVisibilityBatch", context)?;
        let quirks = Quirks::of(context.quirks);
        batch::each(entries, &quirks, |entry| self.change_one(context, &name, entry))
    }

    fn change_one(&mut self, context: &mut ServiceContext<'_>, name: &str, input: Input<'_>) -> Outcome {
        let handle = input.required("ReceiptHandle")?;
        let seconds = input.integer_in("VisibilityTimeout", 0, 43_200, "Must be between 0 and 43200.")?;
        let seconds =
            seconds.and_then(|seconds| u64::try_from(seconds).ok()).ok_or_else(|| missing("VisibilityTimeout"))?;
        let receipt = receipt(name, handle)?;
        let queue = self.queue_mut(name)?;
        let gone = || {
            let reason = "Message does not exist or is not available for visibility timeout change.";
            invalid_value(handle, "ReceiptHandle", reason)
        };
        let message = queue.messages.get(&receipt.ordinal).ok_or_else(gone)?;
        if message.receipt != receipt.receipt {
            return Err(if queue.fifo() { invalid_value(handle, "ReceiptHandle", EXPIRED) } else { gone() });
        }
        if message.place == Place::Visible {
            // The copy that this receiver has is hidden; the one that others see is not.
            return if message.duplicated { Ok(Value::Null) } else { Err(not_in_flight()) };
        }
        let until = context.now.plus(Duration::from_secs(seconds));
        if until.since(message.received_at) > VISIBILITY_MAX {
            let reason = "Total VisibilityTimeout for the message is beyond the limit [43200 seconds]";
            return Err(invalid_value(seconds, "VisibilityTimeout", reason));
        }
        if seconds == 0 {
            queue.show(receipt.ordinal);
            if let Some(message) = queue.messages.get(&receipt.ordinal) {
                queue.note(context, context.call_sequence, MessageStepKind::Reappeared, message, String::new());
            }
        } else {
            queue.hide(receipt.ordinal, until);
        }
        self.changed.insert(name.to_owned());
        Ok(json!({}))
    }
}

fn not_in_flight() -> ServiceError {
    error("MessageNotInflight", "The specified message isn't in flight.")
}

/// A handle of this queue.
fn receipt(name: &str, handle: &str) -> Result<Receipt, ServiceError> {
    let receipt = Receipt::decode(handle)?;
    if receipt.queue == name { Ok(receipt) } else { Err(handle_invalid(handle)) }
}
