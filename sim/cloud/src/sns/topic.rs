//! Topics and subscriptions as they are held.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    errors::invalid,
    filter::{Filter, Scope},
};
use crate::{
    interface::UnixNanos,
    service::ServiceError,
    sqs::{arn_name, is_queue_arn, throughput::Throughput},
};

/// How long a FIFO topic remembers a deduplication id.
const DEDUPLICATION_WINDOW: Duration = Duration::from_secs(300);

pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 262_144;
const HIGHEST_MAX_MESSAGE_BYTES: usize = 1_048_576;

#[derive(Debug)]
pub struct Topic {
    pub name: String,
    pub arn: String,
    pub fifo: bool,
    pub content_based_deduplication: bool,
    /// Identifiers are remembered per group, not per topic.
    pub deduplication_per_group: bool,
    pub max_message_bytes: usize,
    /// Attributes that are kept and shown, but have no effect here.
    pub others: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// ARNs.
    pub subscriptions: BTreeSet<String>,
    pub deleted_subscriptions: usize,
    pub accepted: u64,
    pub throughput: Throughput,
    remembered: BTreeMap<(String, String), (String, String)>,
    remembered_until: VecDeque<(UnixNanos, (String, String))>,
}

const KEPT_ATTRIBUTES: &[&str] = &[
    "DisplayName",
    "Policy",
    "DeliveryPolicy",
    "KmsMasterKeyId",
    "SignatureVersion",
    "TracingConfig",
    "ArchivePolicy",
];

/// Logging of deliveries, which this simulation's journal does by itself.
const FEEDBACK_SUFFIXES: &[&str] = &["SuccessFeedbackRoleArn", "SuccessFeedbackSampleRate", "FailureFeedbackRoleArn"];

pub fn flag(name: &str, value: &str) -> Result<bool, ServiceError> {
    match value.to_ascii_lowercase().as_str() {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(invalid(format!("Attributes Reason: {name}: Invalid value [{value}]. Must be true or false."))),
    }
}

impl Topic {
    pub fn new(name: &str, arn: String, fifo: bool) -> Self {
        Self {
            name: name.to_owned(),
            arn,
            fifo,
            content_based_deduplication: false,
            deduplication_per_group: false,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            others: BTreeMap::new(),
            tags: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            deleted_subscriptions: 0,
            accepted: 0,
            throughput: Throughput::default(),
            remembered: BTreeMap::new(),
            remembered_until: VecDeque::new(),
        }
    }

    pub fn set(&mut self, name: &str, value: &str) -> Result<(), ServiceError> {
        match name {
            "FifoTopic" if flag(name, value)? == self.fifo => {}
            "ContentBasedDeduplication" if self.fifo => self.content_based_deduplication = flag(name, value)?,
            "FifoThroughputScope" if self.fifo => {
                self.deduplication_per_group = match value {
                    "Topic" => false,
                    "MessageGroup" => true,
                    _ => return Err(invalid("Attributes Reason: FifoThroughputScope must be Topic or MessageGroup")),
                }
            }
            "MaximumMessageSize" => {
                let bytes = value.parse().ok().filter(|bytes| (1_024..=HIGHEST_MAX_MESSAGE_BYTES).contains(bytes));
                self.max_message_bytes = bytes.ok_or_else(|| {
                    invalid("Attributes Reason: MaximumMessageSize must be between 1024 and 1048576 bytes")
                })?;
            }
            "Policy" | "DeliveryPolicy" | "ArchivePolicy"
                if !value.is_empty() && serde_json::from_str::<Value>(value).is_err() =>
            {
                return Err(invalid(format!("{name} failed to parse JSON")));
            }
            name if KEPT_ATTRIBUTES.contains(&name) || FEEDBACK_SUFFIXES.iter().any(|it| name.ends_with(it)) => {
                self.others.insert(name.to_owned(), value.to_owned());
            }
            _ => return Err(invalid("AttributeName")),
        }
        Ok(())
    }

    /// What has a value by being set; two topics that show the same here were created the same.
    pub fn settings(&self) -> BTreeMap<String, String> {
        let mut shown = self.others.clone();
        shown.entry("DisplayName".to_owned()).or_default();
        if self.max_message_bytes != DEFAULT_MAX_MESSAGE_BYTES {
            shown.insert("MaximumMessageSize".to_owned(), self.max_message_bytes.to_string());
        }
        if self.fifo {
            let scope = if self.deduplication_per_group { "MessageGroup" } else { "Topic" };
            shown.insert("FifoTopic".to_owned(), "true".to_owned());
            shown.insert("ContentBasedDeduplication".to_owned(), self.content_based_deduplication.to_string());
            shown.insert("FifoThroughputScope".to_owned(), scope.to_owned());
        }
        shown
    }

    fn key(&self, group: &str, id: &str) -> (String, String) {
        let scope = if self.deduplication_per_group { group } else { "" };
        (scope.to_owned(), id.to_owned())
    }

    /// Message id and sequence number of an earlier message with this deduplication id.
    pub fn earlier(&mut self, group: &str, id: &str, now: UnixNanos) -> Option<(String, String)> {
        while let Some((until, _)) = self.remembered_until.front()
            && *until <= now
        {
            let Some((_, key)) = self.remembered_until.pop_front() else { break };
            self.remembered.remove(&key);
        }
        self.remembered.get(&self.key(group, id)).cloned()
    }

    pub fn remember(&mut self, group: &str, id: &str, message: (String, String), now: UnixNanos) {
        let key = self.key(group, id);
        if self.remembered.insert(key.clone(), message).is_none() {
            self.remembered_until.push_back((now.plus(DEDUPLICATION_WINDOW), key));
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Sqs,
    Lambda,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Sqs => "sqs",
            Protocol::Lambda => "lambda",
        }
    }
}

#[derive(Debug)]
pub struct Subscription {
    pub arn: String,
    pub topic: String,
    pub topic_arn: String,
    pub protocol: Protocol,
    /// ARN of a queue or a function.
    pub endpoint: String,
    pub raw: bool,
    pub scope: Scope,
    /// As it was set, and shown.
    pub filter_text: Option<String>,
    /// The policy in force.
    filter: Option<Filter>,
    /// One that comes into force later.
    next_filter: Option<(UnixNanos, Option<Filter>)>,
    /// ARN of the queue for what cannot be delivered, and the policy's text.
    pub dead_letters: Option<(String, String)>,
    pub others: BTreeMap<String, String>,
}

impl Subscription {
    pub fn new(arn: String, topic: &Topic, protocol: Protocol, endpoint: &str) -> Self {
        Self {
            arn,
            topic: topic.name.clone(),
            topic_arn: topic.arn.clone(),
            protocol,
            endpoint: endpoint.to_owned(),
            raw: false,
            scope: Scope::default(),
            filter_text: None,
            filter: None,
            next_filter: None,
            dead_letters: None,
            others: BTreeMap::new(),
        }
    }

    /// The queue's or function's name.
    pub fn endpoint_name(&self) -> &str {
        let name = arn_name(&self.endpoint).unwrap_or_default();
        name.strip_prefix("function:").unwrap_or(name)
    }

    pub fn place(&self) -> String {
        format!("{}/{}", self.topic, self.endpoint_name())
    }

    /// Sets an attribute; a filter comes into force at `from`.
    pub fn set(&mut self, name: &str, value: &str, now: UnixNanos, from: UnixNanos) -> Result<(), ServiceError> {
        // What is in force by now stays so until the new filter is.
        self.filter(now);
        match name {
            "RawMessageDelivery" if self.protocol == Protocol::Lambda && flag(name, value)? => {
                return Err(invalid(
                    "Attributes Reason: RawMessageDelivery: Invalid value [true]. Delivery protocol [lambda] does not support raw message delivery.",
                ));
            }
            "RawMessageDelivery" => self.raw = flag(name, value)?,
            "FilterPolicy" => {
                let filter = Filter::parse(value, self.scope)?;
                self.filter_text = filter.is_some().then(|| value.to_owned());
                self.next_filter = Some((from, filter));
            }
            "FilterPolicyScope" => {
                let scope = match value {
                    "MessageAttributes" => Scope::MessageAttributes,
                    "MessageBody" => Scope::MessageBody,
                    _ => {
                        return Err(invalid(format!(
                            "Attributes Reason: FilterPolicyScope: Invalid value [{value}]. Please use either MessageBody or MessageAttributes"
                        )));
                    }
                };
                let filter = Filter::parse(self.filter_text.as_deref().unwrap_or_default(), scope)?;
                self.scope = scope;
                self.next_filter = Some((from, filter));
            }
            "RedrivePolicy" if value.is_empty() || value == "{}" => self.dead_letters = None,
            "RedrivePolicy" => self.dead_letters = Some((dead_letter_target(value)?, value.to_owned())),
            "DeliveryPolicy" | "SubscriptionRoleArn" | "ReplayPolicy" => {
                self.others.insert(name.to_owned(), value.to_owned());
            }
            _ => return Err(invalid("AttributeName")),
        }
        Ok(())
    }

    /// The filter in force.
    pub fn filter(&mut self, now: UnixNanos) -> Option<&Filter> {
        if let Some((_, filter)) = self.next_filter.take_if(|(from, _)| *from <= now) {
            self.filter = filter;
        }
        self.filter.as_ref()
    }

    pub fn show(&self) -> BTreeMap<String, String> {
        let mut shown = self.others.clone();
        shown.insert("RawMessageDelivery".to_owned(), self.raw.to_string());
        if let Some(text) = &self.filter_text {
            let scope = match self.scope {
                Scope::MessageAttributes => "MessageAttributes",
                Scope::MessageBody => "MessageBody",
            };
            shown.insert("FilterPolicy".to_owned(), text.clone());
            shown.insert("FilterPolicyScope".to_owned(), scope.to_owned());
        }
        if let Some((_, text)) = &self.dead_letters {
            shown.insert("RedrivePolicy".to_owned(), text.clone());
        }
        shown
    }

    /// As lists show it.
    pub fn summary(&self, account_id: &str) -> Value {
        json!({
            "SubscriptionArn": self.arn, "Owner": account_id, "Protocol": self.protocol.name(),
            "Endpoint": self.endpoint, "TopicArn": self.topic_arn,
        })
    }
}

fn dead_letter_target(text: &str) -> Result<String, ServiceError> {
    let bad = || invalid("Attributes Reason: RedrivePolicy: deadLetterTargetArn is an invalid arn");
    let policy: Value = serde_json::from_str(text).map_err(|_| invalid("RedrivePolicy: failed to parse JSON."))?;
    let arn = policy["deadLetterTargetArn"].as_str().filter(|arn| is_queue_arn(arn)).ok_or_else(bad)?;
    Ok(arn.to_owned())
}
