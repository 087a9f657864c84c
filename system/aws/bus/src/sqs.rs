//! [`MessageQueue`] on SQS.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    config::{Builder, timeout::TimeoutConfig},
    error::BuildError,
    types::{
        DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
        SendMessageBatchRequestEntry,
    },
};
use md5::{Digest, Md5};
use nexus_aws::{AwsConfig, ClientParts, failures::call_failure, sdk_config};
use nexus_ports::{BoxFuture, CallFailure, EntryOutcomes, MessageQueue, Platform, QueueDraft, QueueMessage};

use crate::entries::{Outcomes, entry_id, unsendable, unusable_answer};

/// An SQS queue.
///
/// The SDK compares no hashes, so this does: a body that does not hash to what SQS says was damaged on its way.
#[derive(Clone, Debug)]
pub struct SqsQueue {
    client: Client,
    queue_url: String,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    operation_timeout: Duration,
}

impl SqsQueue {
    pub fn new(platform: &Platform, config: &AwsConfig, queue_url: impl Into<String>) -> Self {
        Self {
            client: Client::from_conf(sdk_config!(aws_sdk_sqs, ClientParts::new(platform, config))),
            queue_url: queue_url.into(),
            connect_timeout: config.connect_timeout,
            attempt_timeout: config.attempt_timeout,
            operation_timeout: config.operation_timeout,
        }
    }

    /// An answer may rightly take as long as the poll, and only then does the usual patience begin.
    fn patience(&self, wait_seconds: u32) -> Builder {
        let poll = Duration::from_secs(wait_seconds.into());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(self.connect_timeout)
            .operation_attempt_timeout(self.attempt_timeout + poll)
            .operation_timeout(self.operation_timeout + poll);
        Builder::new().timeout_config(timeouts.build())
    }

    async fn receive_messages(
        &self,
        count_max: u32,
        wait_seconds: u32,
        visibility_seconds: u32,
    ) -> Result<Vec<QueueMessage>, CallFailure> {
        let call = self
            .client
            .receive_message()
            .queue_url(&self.queue_url)
            .max_number_of_messages(as_i32(count_max))
            .wait_time_seconds(as_i32(wait_seconds))
            .visibility_timeout(as_i32(visibility_seconds))
            .message_system_attribute_names(MessageSystemAttributeName::ApproximateReceiveCount)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .message_attribute_names("All");
        let call = call.customize().config_override(self.patience(wait_seconds));
        let answer = call.send().await.map_err(|error| call_failure(&error))?;
        answer.messages.unwrap_or_default().into_iter().map(queue_message).collect()
    }

    async fn delete_messages(&self, receipt_handles: &[String]) -> Result<EntryOutcomes<()>, CallFailure> {
        if receipt_handles.is_empty() {
            return Ok(Vec::new());
        }
        let entries = receipt_handles.iter().enumerate().map(|(index, handle)| {
            DeleteMessageBatchRequestEntry::builder().id(entry_id(index)).receipt_handle(handle).build()
        });
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(unsendable)?;
        let call = self.client.delete_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        let answer = call.send().await.map_err(|error| call_failure(&error))?;
        let mut outcomes = Outcomes::unmentioned(receipt_handles.len());
        for entry in answer.successful() {
            outcomes.succeeded(entry.id());
        }
        for entry in answer.failed() {
            outcomes.failed(entry.id(), entry.code(), entry.sender_fault(), entry.message());
        }
        Ok(outcomes.into_inner())
    }

    async fn send_messages(&self, messages: &[QueueDraft]) -> Result<EntryOutcomes<()>, CallFailure> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let entries = messages.iter().enumerate().map(|(index, message)| request_entry(index, message));
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(unsendable)?;
        let call = self.client.send_message_batch().queue_url(&self.queue_url).set_entries(Some(entries));
        let answer = call.send().await.map_err(|error| call_failure(&error))?;
        let mut outcomes = Outcomes::unmentioned(messages.len());
        for entry in answer.successful() {
            let sent = entry.id().parse::<usize>().ok().and_then(|index| messages.get(index));
            if sent.is_some_and(|sent| md5_hex(&sent.body) == entry.md5_of_message_body()) {
                outcomes.succeeded(entry.id());
            } else {
                outcomes.unknown(entry.id(), "SQS took a body with another hash than the one that was sent");
            }
        }
        for entry in answer.failed() {
            outcomes.failed(entry.id(), entry.code(), entry.sender_fault(), entry.message());
        }
        Ok(outcomes.into_inner())
    }
}

impl MessageQueue for SqsQueue {
    fn receive(
        &self,
        count_max: u32,
        wait_seconds: u32,
        visibility_seconds: u32,
    ) -> BoxFuture<'_, Result<Vec<QueueMessage>, CallFailure>> {
        Box::pin(self.receive_messages(count_max, wait_seconds, visibility_seconds))
    }

    fn delete<'a>(&'a self, receipt_handles: &'a [String]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        Box::pin(self.delete_messages(receipt_handles))
    }

    fn set_visibility<'a>(
        &'a self,
        receipt_handle: &'a str,
        visibility_seconds: u32,
    ) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(async move {
            let call = self.client.change_message_visibility().queue_url(&self.queue_url);
            let call = call.receipt_handle(receipt_handle).visibility_timeout(as_i32(visibility_seconds));
            call.send().await.map(|_| ()).map_err(|error| call_failure(&error))
        })
    }

    fn send<'a>(&'a self, messages: &'a [QueueDraft]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        Box::pin(self.send_messages(messages))
    }
}

/// What is beyond SQS's own limits is left to SQS to refuse.
fn as_i32(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn md5_hex(text: &str) -> String {
    format!("{:x}", Md5::digest(text))
}

fn request_entry(index: usize, message: &QueueDraft) -> Result<SendMessageBatchRequestEntry, BuildError> {
    let mut entry = SendMessageBatchRequestEntry::builder().id(entry_id(index)).message_body(&message.body);
    for (name, value) in &message.attributes {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
        entry = entry.message_attributes(name, attribute);
    }
    entry.build()
}

/// One message of an answer. Its attributes come in the order of their names, since the SDK's map has none.
fn queue_message(message: Message) -> Result<QueueMessage, CallFailure> {
    let body = message.body.ok_or_else(|| unusable_answer("a message without a body"))?;
    if message.md5_of_body.as_deref() != Some(md5_hex(&body).as_str()) {
        return Err(unusable_answer("a message's body does not have the hash that SQS gave"));
    }
    let system = message.attributes.unwrap_or_default();
    let number = |name: &MessageSystemAttributeName| {
        let value = system.get(name).and_then(|value| value.parse::<u64>().ok());
        value.ok_or_else(|| unusable_answer(format!("a message without a readable {name}")))
    };
    let receive_count = number(&MessageSystemAttributeName::ApproximateReceiveCount)?;
    let sent_at_ms = number(&MessageSystemAttributeName::SentTimestamp)?;
    let attributes = message.message_attributes.unwrap_or_default().into_iter();
    let mut attributes: Vec<(String, String)> =
        attributes.filter_map(|(name, attribute)| Some((name, attribute.string_value?))).collect();
    attributes.sort();
    Ok(QueueMessage {
        message_id: message.message_id.ok_or_else(|| unusable_answer("a message without an id"))?,
        receipt_handle: message.receipt_handle.ok_or_else(|| unusable_answer("a message without a receipt handle"))?,
        body,
        attributes,
        receive_count: u32::try_from(receive_count).unwrap_or(u32::MAX),
        sent_at_ms,
    })
}
