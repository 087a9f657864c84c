//! Simulated SNS: topics that copy messages to queues and functions, with filters, retries and dead-letter queues.
//!
//! A message costs memory while one of its deliveries is under way: its text once, and the request for each subscriber.

mod codec;
mod control;
mod delivery;
mod envelope;
mod errors;
mod filter;
mod publish;
mod topic;

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::{
    delivery::Delivery,
    topic::{Subscription, Topic},
};
use crate::{
    interface::{Call, RefuseBefore, WireRequest},
    latency::Cost,
    service::{
        Answer, CallShape, Decoded, Encoded, Execution, InternalAnswer, ServiceContext, ServiceError, SimulatedService,
    },
    sqs::{Input, arn_name},
};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SnsConfig {
    /// FIFO topics refuse messages above their rate.
    pub enforce_throughput: bool,
    /// Messages a second that a FIFO topic takes, unless its throughput is counted per message group.
    pub fifo_messages_per_second: u32,
}

impl Default for SnsConfig {
    fn default() -> Self {
        Self { enforce_throughput: true, fifo_messages_per_second: 3_000 }
    }
}

type Outcome = Result<Value, ServiceError>;

#[derive(Debug, Default)]
pub struct Sns {
    config: SnsConfig,
    topics: BTreeMap<String, Topic>,
    /// By ARN.
    subscriptions: BTreeMap<String, Subscription>,
    deliveries: BTreeMap<u64, Delivery>,
    next_delivery: u64,
    /// Deliveries of a FIFO topic's group to one subscriber, in order; the first is under way.
    lanes: BTreeMap<(String, String), VecDeque<u64>>,
}

impl Sns {
    pub fn new(config: SnsConfig) -> Self {
        Self { config, ..Self::default() }
    }

    fn dispatch(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: &Value) -> Outcome {
        let input = Input::new(request);
        match operation {
            "Publish" => self.publish(context, input),
            "PublishBatch" => self.publish_batch(context, input),
            "CreateTopic" => self.create_topic(context, input),
            "DeleteTopic" => self.delete_topic(input),
            "ListTopics" => self.list_topics(input),
            "GetTopicAttributes" => self.get_topic_attributes(context, input),
            "SetTopicAttributes" => self.set_topic_attributes(input),
            "Subscribe" => self.subscribe(context, input),
            "Unsubscribe" => self.unsubscribe(input),
            "ListSubscriptions" => self.list_subscriptions(context, input),
            "ListSubscriptionsByTopic" => self.list_subscriptions_by_topic(context, input),
            "GetSubscriptionAttributes" => self.get_subscription_attributes(context, input),
            "SetSubscriptionAttributes" => self.set_subscription_attributes(context, input),
            "TagResource" => self.tag_resource(input),
            "UntagResource" => self.untag_resource(input),
            "ListTagsForResource" => self.list_tags_for_resource(input),
            _ => {
                let message = format!("The action {operation} is not valid for this web service.");
                Err(ServiceError::client("InvalidAction", message))
            }
        }
    }
}

/// `topic`, or `topic/group` for each message of a FIFO topic.
fn keys(input: Input<'_>) -> Vec<String> {
    let text = |name| input.text(name).ok().flatten();
    let arn = ["TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"].into_iter().find_map(text);
    // A subscription's ARN has the topic's name before its own.
    let name = arn.and_then(arn_name).map(|name| name.split(':').next().unwrap_or(name));
    let Some(topic) = name.or_else(|| text("Name")) else { return Vec::new() };
    let key = |group: Option<&str>| group.map_or_else(|| topic.to_owned(), |group| format!("{topic}/{group}"));
    let entries = input.list("PublishBatchRequestEntries").unwrap_or_default();
    if entries.is_empty() {
        return vec![key(text("MessageGroupId"))];
    }
    entries.iter().map(|entry| key(Input::new(entry).text("MessageGroupId").ok().flatten())).collect()
}

impl SimulatedService for Sns {
    fn decode(&self, wire: &WireRequest) -> Result<Decoded, ServiceError> {
        codec::decode(wire)
    }

    fn encode(&self, operation: &str, result: &Result<Answer, ServiceError>, request_id: &str) -> Encoded {
        codec::encode(operation, result, request_id)
    }

    fn shape(&self, operation: &str, request: &Value) -> CallShape {
        let is_write = !(operation.starts_with("Get") || operation.starts_with("List"));
        let class = if operation.starts_with("Publish") { "sns-publish" } else { "control" };
        CallShape { keys: keys(Input::new(request)), is_write, cost: Cost { class, items: 1 } }
    }

    fn execute(&mut self, context: &mut ServiceContext<'_>, operation: &str, request: Value) -> Execution {
        self.dispatch(context, operation, &request).into()
    }

    fn wake(&mut self, context: &mut ServiceContext<'_>, token: u64) {
        self.unreached(context, token);
    }

    fn answered(&mut self, context: &mut ServiceContext<'_>, token: u64, answer: InternalAnswer) {
        self.attempted(context, token, answer);
    }

    fn refusal(&self, refusal: RefuseBefore, _call: &Call) -> ServiceError {
        errors::refusal(refusal)
    }

    fn inspect(&self) -> Value {
        let topics: Map<String, Value> = self
            .topics
            .values()
            .map(|topic| {
                let subscriptions: Vec<Value> = topic
                    .subscriptions
                    .iter()
                    .filter_map(|arn| self.subscriptions.get(arn))
                    .map(|it| json!({"arn": it.arn, "endpoint": it.endpoint, "protocol": it.protocol.name()}))
                    .collect();
                (topic.name.clone(), json!({"accepted": topic.accepted, "subscriptions": subscriptions}))
            })
            .collect();
        json!({"topics": topics, "pending_deliveries": self.pending()})
    }
}
