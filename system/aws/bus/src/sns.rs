//! [`MessageTopic`] on SNS.

use aws_sdk_sns::{
    Client,
    error::BuildError,
    types::{MessageAttributeValue, PublishBatchRequestEntry},
};
use nexus_aws::{AwsConfig, ClientParts, failures::call_failure, sdk_config};
use nexus_ports::{BoxFuture, CallFailure, EntryOutcomes, MessageTopic, Platform, TopicMessage};

use crate::entries::{Outcomes, entry_id, unsendable};

/// An SNS topic that messages are published to by `PublishBatch`.
#[derive(Clone, Debug)]
pub struct SnsTopic {
    client: Client,
    topic_arn: String,
}

impl SnsTopic {
    pub fn new(platform: &Platform, config: &AwsConfig, topic_arn: impl Into<String>) -> Self {
        let client = Client::from_conf(sdk_config!(aws_sdk_sns, ClientParts::new(platform, config)));
        Self { client, topic_arn: topic_arn.into() }
    }

    async fn publish_batch(&self, messages: &[TopicMessage]) -> Result<EntryOutcomes<()>, CallFailure> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let entries = messages.iter().enumerate().map(|(index, message)| request_entry(index, message));
        let entries = entries.collect::<Result<Vec<_>, _>>().map_err(unsendable)?;
        let call = self.client.publish_batch().topic_arn(&self.topic_arn);
        let call = call.set_publish_batch_request_entries(Some(entries));
        let answer = call.send().await.map_err(|error| call_failure(&error))?;
        let mut outcomes = Outcomes::unmentioned(messages.len());
        for entry in answer.successful() {
            outcomes.succeeded(entry.id().unwrap_or_default());
        }
        for entry in answer.failed() {
            outcomes.failed(entry.id(), entry.code(), entry.sender_fault(), entry.message());
        }
        Ok(outcomes.into_inner())
    }
}

impl MessageTopic for SnsTopic {
    fn publish<'a>(&'a self, messages: &'a [TopicMessage]) -> BoxFuture<'a, Result<EntryOutcomes<()>, CallFailure>> {
        Box::pin(self.publish_batch(messages))
    }
}

fn request_entry(index: usize, message: &TopicMessage) -> Result<PublishBatchRequestEntry, BuildError> {
    let mut entry = PublishBatchRequestEntry::builder().id(entry_id(index)).message(&message.body);
    for (name, value) in &message.attributes {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build()?;
        entry = entry.message_attributes(name, attribute);
    }
    entry.build()
}
