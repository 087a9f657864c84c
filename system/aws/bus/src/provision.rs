//! Makes the bus, or finds that it is there already: core stream, background topic, notification queue with its
//! dead-letter queue, and the subscription between topic and queue, which has a dead-letter queue of its own.

mod queues;
mod stream;
mod topic;

use std::{fmt, time::Duration};

use nexus_aws::AwsConfig;
use nexus_ports::{CallFailure, Platform};

/// Names of the bus's parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusNames {
    /// Kinesis stream of core events.
    pub core_stream: String,
    /// SNS topic of all other events.
    pub background_topic: String,
    /// SQS queue that the notification service works off.
    pub notification_queue: String,
    /// Where SQS moves what was received too often.
    pub notification_dead_letters: String,
    /// Where SNS puts what it could not deliver to the notification queue.
    pub background_dead_letters: String,
}

impl Default for BusNames {
    fn default() -> Self {
        Self {
            core_stream: "nexus-core".to_owned(),
            background_topic: "nexus-background".to_owned(),
            notification_queue: "nexus-notifications".to_owned(),
            notification_dead_letters: "nexus-notifications-dlq".to_owned(),
            background_dead_letters: "nexus-background-dlq".to_owned(),
        }
    }
}

/// What the bus should be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusDefinition {
    pub names: BusNames,
    /// Shards of the core stream; `None` makes it an on-demand stream, which scales by itself.
    pub core_shards: Option<u32>,
    /// Receives of a message before it goes to the dead letters.
    pub receives_max: u32,
    /// How long the queue hides a received message, where the receiver asks for no other time (Lambda does not).
    pub visibility_seconds: u32,
    /// How long dead letters are kept. 14 days are the most that SQS takes.
    pub dead_letter_retention_seconds: u32,
}

impl Default for BusDefinition {
    fn default() -> Self {
        Self {
            names: BusNames::default(),
            core_shards: None,
            receives_max: 5,
            visibility_seconds: 30,
            dead_letter_retention_seconds: 14 * 24 * 3_600,
        }
    }
}

/// How the services of the bus are reached.
#[derive(Clone, Debug)]
pub struct BusEndpoints {
    pub kinesis: AwsConfig,
    pub sns: AwsConfig,
    pub sqs: AwsConfig,
}

/// What a part of the bus is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BusPart {
    Stream,
    Topic,
    Queue,
    /// Lets the topic send to the queue.
    QueuePolicy,
    Subscription,
}

impl fmt::Display for BusPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BusPart::Stream => "stream",
            BusPart::Topic => "topic",
            BusPart::Queue => "queue",
            BusPart::QueuePolicy => "policy of queue",
            BusPart::Subscription => "subscription of queue",
        })
    }
}

/// A part of the bus that is there and usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionedPart {
    pub part: BusPart,
    pub name: String,
    /// False where it was there before.
    pub created: bool,
}

/// Why the bus could not be provided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BusProvisionError {
    #[error("{part} `{name}` exists and is different: {difference}; it is left as it is")]
    Different { part: BusPart, name: String, difference: String },
    #[error("stream `{stream}` was not active after {} s", .waited.as_secs())]
    NotActive { stream: String, waited: Duration },
    #[error("{part} `{name}`: {failure}")]
    Failed { part: BusPart, name: String, failure: CallFailure },
}

/// Makes what is missing of the bus and waits until it is usable. Running it again changes nothing.
///
/// # Errors
/// [`BusProvisionError`]; a part that differs is never altered.
pub async fn provision_bus(
    platform: &Platform,
    endpoints: &BusEndpoints,
    definition: &BusDefinition,
) -> Result<Vec<ProvisionedPart>, BusProvisionError> {
    let names = &definition.names;
    let mut parts = vec![stream::provide(platform, &endpoints.kinesis, definition).await?];
    let topics = topic::Topics::new(platform, &endpoints.sns);
    let topic_arn = topics.provide(&names.background_topic, &mut parts).await?;
    let queues = queues::Queues::new(platform, &endpoints.sqs);
    let dead_letters_arn =
        queues.provide_dead_letters(&names.notification_dead_letters, definition, &mut parts).await?.arn;
    let queue_arn = queues.provide_home(definition, &dead_letters_arn, &topic_arn, &mut parts).await?;
    let undelivered_arn = queues.provide_undelivered(definition, &topic_arn, &mut parts).await?;
    parts.push(topics.subscribe(&topic_arn, &queue_arn, &undelivered_arn, &names.notification_queue).await?);
    Ok(parts)
}

fn failed(part: BusPart, name: &str) -> impl Fn(CallFailure) -> BusProvisionError {
    move |failure| BusProvisionError::Failed { part, name: name.to_owned(), failure }
}

fn different(part: BusPart, name: &str, difference: impl Into<String>) -> BusProvisionError {
    BusProvisionError::Different { part, name: name.to_owned(), difference: difference.into() }
}
