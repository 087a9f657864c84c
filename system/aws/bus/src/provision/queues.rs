//! The notification queue and the dead-letter queues: its own, and that of its subscription.

use std::collections::BTreeMap;

use aws_sdk_sqs::{Client, types::QueueAttributeName};
use nexus_aws::{AwsConfig, ClientParts, failures::call_failure, sdk_config};
use nexus_ports::{CallFailure, Platform, UnknownOutcome};
use serde_json::{Value, json};

use super::{BusDefinition, BusPart, BusProvisionError, ProvisionedPart, different, failed};
use crate::{
    attempts::attempted,
    entries::unusable_answer,
    lookup::{is_no_such_queue, queue_url},
};

/// What is asked of a queue that stands, and how it is made where it does not.
type Attributes = BTreeMap<&'static str, String>;

const QUEUE_ARN: &str = "QueueArn";
const POLICY: &str = "Policy";
const REDRIVE_POLICY: &str = "RedrivePolicy";
const RETENTION: &str = "MessageRetentionPeriod";
const VISIBILITY: &str = "VisibilityTimeout";

pub(super) struct Queues {
    platform: Platform,
    client: Client,
}

pub(super) struct StandingQueue {
    pub(super) arn: String,
    url: String,
    created: bool,
    attributes: Attributes,
}

impl Queues {
    pub(super) fn new(platform: &Platform, config: &AwsConfig) -> Self {
        let client = Client::from_conf(sdk_config!(aws_sdk_sqs, ClientParts::new(platform, config)));
        Self { platform: platform.clone(), client }
    }

    /// A queue that keeps dead letters as long as is defined.
    pub(super) async fn provide_dead_letters(
        &self,
        name: &str,
        definition: &BusDefinition,
        parts: &mut Vec<ProvisionedPart>,
    ) -> Result<StandingQueue, BusProvisionError> {
        let retention = definition.dead_letter_retention_seconds.to_string();
        let wanted = Attributes::from([(RETENTION, retention.clone())]);
        let queue = self.provide(name, &wanted).await.map_err(failed(BusPart::Queue, name))?;
        let found = queue.attributes.get(RETENTION).cloned().unwrap_or_default();
        if found != retention {
            let difference = format!("it keeps messages for {found} s instead of {retention} s");
            return Err(different(BusPart::Queue, name, difference));
        }
        parts.push(ProvisionedPart { part: BusPart::Queue, name: name.to_owned(), created: queue.created });
        Ok(queue)
    }

    /// The dead-letter queue of the topic's subscription, into which the topic itself may send. Returns its ARN.
    pub(super) async fn provide_undelivered(
        &self,
        definition: &BusDefinition,
        topic_arn: &str,
        parts: &mut Vec<ProvisionedPart>,
    ) -> Result<String, BusProvisionError> {
        let name = &definition.names.background_dead_letters;
        let queue = self.provide_dead_letters(name, definition, parts).await?;
        let created = self.provide_policy(name, &queue, topic_arn).await?;
        parts.push(ProvisionedPart { part: BusPart::QueuePolicy, name: name.clone(), created });
        Ok(queue.arn)
    }

    /// The notification queue. Returns its ARN.
    pub(super) async fn provide_home(
        &self,
        definition: &BusDefinition,
        dead_letters_arn: &str,
        topic_arn: &str,
        parts: &mut Vec<ProvisionedPart>,
    ) -> Result<String, BusProvisionError> {
        let name = &definition.names.notification_queue;
        let redrive =
            json!({"deadLetterTargetArn": dead_letters_arn, "maxReceiveCount": definition.receives_max.to_string()});
        let wanted = Attributes::from([
            (REDRIVE_POLICY, redrive.to_string()),
            (VISIBILITY, definition.visibility_seconds.to_string()),
        ]);
        let queue = self.provide(name, &wanted).await.map_err(failed(BusPart::Queue, name))?;
        let redrive_policy = queue.attributes.get(REDRIVE_POLICY);
        if !is_redrive_policy(redrive_policy, dead_letters_arn, definition.receives_max) {
            let wanted = format!("to {dead_letters_arn} after {} receives", definition.receives_max);
            let found = redrive_policy.map_or("nothing", String::as_str);
            let difference = format!("its dead letters should go {wanted}, its redrive policy says {found}");
            return Err(different(BusPart::Queue, name, difference));
        }
        parts.push(ProvisionedPart { part: BusPart::Queue, name: name.clone(), created: queue.created });
        let created = self.provide_policy(name, &queue, topic_arn).await?;
        parts.push(ProvisionedPart { part: BusPart::QueuePolicy, name: name.clone(), created });
        Ok(queue.arn)
    }

    /// Without leave, SNS's deliveries are refused and in the end dropped, and nobody is told.
    async fn provide_policy(
        &self,
        name: &str,
        queue: &StandingQueue,
        topic_arn: &str,
    ) -> Result<bool, BusProvisionError> {
        match queue.attributes.get(POLICY).filter(|policy| !policy.is_empty()) {
            Some(policy) if lets_topic_send(policy, topic_arn) => Ok(false),
            Some(_) => Err(different(BusPart::QueuePolicy, name, format!("it does not let {topic_arn} send messages"))),
            None => {
                let policy = policy(&queue.arn, topic_arn).to_string();
                let set = attempted(&self.platform, name, async || {
                    let call = self.client.set_queue_attributes().queue_url(&queue.url);
                    let call = call.attributes(QueueAttributeName::Policy, &policy);
                    call.send().await.map(|_| ()).map_err(|error| not_known_yet(call_failure(&error)))
                });
                set.await.map(|()| true).map_err(failed(BusPart::QueuePolicy, name))
            }
        }
    }

    async fn provide(&self, name: &str, wanted: &Attributes) -> Result<StandingQueue, CallFailure> {
        let standing = queue_url(&self.platform, &self.client, name).await?;
        let created = standing.is_none();
        let url = match standing {
            Some(url) => url,
            None => self.create(name, wanted).await?,
        };
        let attributes = self.attributes(&url).await?;
        let arn = attributes.get(QUEUE_ARN).cloned().ok_or_else(|| unusable_answer("a queue without an ARN"))?;
        Ok(StandingQueue { arn, url, created, attributes })
    }

    /// Creating a queue that is there with the same attributes gives its URL, so that an attempt of unknown outcome does
    /// no harm.
    async fn create(&self, name: &str, wanted: &Attributes) -> Result<String, CallFailure> {
        attempted(&self.platform, name, async || {
            let mut call = self.client.create_queue().queue_name(name);
            for (attribute, value) in wanted {
                call = call.attributes(QueueAttributeName::from(*attribute), value);
            }
            let answer = call.send().await.map_err(|error| call_failure(&error))?;
            answer.queue_url.ok_or_else(|| unusable_answer("an answer without the URL of the queue"))
        })
        .await
    }

    async fn attributes(&self, url: &str) -> Result<Attributes, CallFailure> {
        let names = [QUEUE_ARN, POLICY, REDRIVE_POLICY, RETENTION];
        let wanted: Vec<QueueAttributeName> = names.into_iter().map(QueueAttributeName::from).collect();
        let answer = attempted(&self.platform, url, async || {
            let call = self.client.get_queue_attributes().queue_url(url).set_attribute_names(Some(wanted.clone()));
            call.send().await.map_err(|error| not_known_yet(call_failure(&error)))
        });
        let mut found = answer.await?.attributes.unwrap_or_default();
        Ok(names.into_iter().filter_map(|name| Some((name, found.remove(&QueueAttributeName::from(name))?))).collect())
    }
}

/// A queue just made can be used after a second: until then another attempt may pass.
fn not_known_yet(failure: CallFailure) -> CallFailure {
    if is_no_such_queue(&failure) {
        CallFailure::Unknown(UnknownOutcome { reason: failure.to_string() })
    } else {
        failure
    }
}

fn is_redrive_policy(policy: Option<&String>, dead_letters_arn: &str, receives_max: u32) -> bool {
    let policy = policy.and_then(|policy| serde_json::from_str::<Value>(policy).ok()).unwrap_or_default();
    // SQS takes and gives the count as a number or as text.
    let count = match &policy["maxReceiveCount"] {
        Value::String(count) => count.parse().ok(),
        count => count.as_u64(),
    };
    policy["deadLetterTargetArn"] == dead_letters_arn && count == Some(u64::from(receives_max))
}

fn policy(queue_arn: &str, topic_arn: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "topic-sends",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue_arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }],
    })
}

/// Whether a statement allows what [`policy`] does. What is written in another way (patterns, say) counts as not allowed:
/// whoever wrote it is asked instead of overruled.
fn lets_topic_send(policy: &str, topic_arn: &str) -> bool {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    let allows = |statement: &Value| {
        let is_send = |action: &str| ["sqs:sendmessage", "sqs:*"].contains(&action.to_lowercase().as_str());
        statement["Effect"] == "Allow"
            && texts(&statement["Action"]).into_iter().any(is_send)
            && (statement["Principal"] == "*"
                || statement["Principal"]["AWS"] == "*"
                || texts(&statement["Principal"]["Service"]).contains(&"sns.amazonaws.com"))
            && statement["Condition"].as_object().is_none_or(|operators| {
                operators.len() == 1
                    && operators.values().all(|operands| {
                        operands.as_object().is_some_and(|operands| operands.len() == 1)
                            && texts(&operands["aws:SourceArn"]).contains(&topic_arn)
                    })
            })
    };
    match &policy["Statement"] {
        Value::Array(statements) => statements.iter().any(allows),
        statement => allows(statement),
    }
}

/// One text or a list of them.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(values) => values.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:nexus-background";

    #[test]
    fn a_policy_lets_the_topic_send_or_it_does_not() {
        let ours = || policy("arn:queue", TOPIC);
        let changed = |pointer: &str, value: Value| {
            let mut policy = ours();
            *policy.pointer_mut(pointer).unwrap() = value;
            policy
        };
        let single = json!({"Statement": ours()["Statement"][0]});
        for (policy, wanted) in [
            (ours(), true),
            (single, true),
            (changed("/Statement/0/Action", json!(["sqs:ReceiveMessage", "SQS:SendMessage"])), true),
            (changed("/Statement/0/Principal", json!("*")), true),
            (changed("/Statement/0/Condition", Value::Null), true),
            (changed("/Statement/0/Condition/ArnEquals/aws:SourceArn", json!([TOPIC, "arn:other"])), true),
            (changed("/Statement/0/Condition/ArnEquals/aws:SourceArn", json!("arn:other")), false),
            (changed("/Statement/0/Condition", json!({"Bool": {"aws:SecureTransport": "true"}})), false),
            (changed("/Statement/0/Effect", json!("Deny")), false),
            (changed("/Statement/0/Action", json!("sqs:ReceiveMessage")), false),
            (changed("/Statement/0/Principal/Service", json!("events.amazonaws.com")), false),
            (json!({}), false),
        ] {
            assert_eq!(lets_topic_send(&policy.to_string(), TOPIC), wanted, "{policy}");
        }
        assert!(!lets_topic_send("no JSON", TOPIC));
    }

    #[test]
    fn redrive_policies_are_compared_by_meaning() {
        for (policy, wanted) in [
            (r#"{"deadLetterTargetArn":"arn:dlq","maxReceiveCount":5}"#, true),
            (r#"{"maxReceiveCount":"5","deadLetterTargetArn":"arn:dlq"}"#, true),
            (r#"{"deadLetterTargetArn":"arn:dlq","maxReceiveCount":6}"#, false),
            (r#"{"deadLetterTargetArn":"arn:other","maxReceiveCount":5}"#, false),
            ("", false),
        ] {
            assert_eq!(is_redrive_policy(Some(&policy.to_owned()), "arn:dlq", 5), wanted, "{policy}");
        }
        assert!(!is_redrive_policy(None, "arn:dlq", 5));
    }
}
