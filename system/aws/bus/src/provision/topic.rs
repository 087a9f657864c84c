//! The background topic, and the queue's subscription to it with its dead-letter queue.

use aws_sdk_sns::Client;
use nexus_aws::{AwsConfig, ClientParts, failures::call_failure, sdk_config};
use nexus_ports::{CallFailure, Platform};
use serde_json::{Value, json};

use super::{BusPart, BusProvisionError, ProvisionedPart, different, failed};
use crate::{attempts::attempted, entries::unusable_answer, lookup::topic_arn};

const RAW_DELIVERY: &str = "RawMessageDelivery";
const FILTER_POLICY: &str = "FilterPolicy";
const REDRIVE_POLICY: &str = "RedrivePolicy";

pub(super) struct Topics {
    platform: Platform,
    client: Client,
}

impl Topics {
    pub(super) fn new(platform: &Platform, config: &AwsConfig) -> Self {
        let client = Client::from_conf(sdk_config!(aws_sdk_sns, ClientParts::new(platform, config)));
        Self { platform: platform.clone(), client }
    }

    /// Returns the topic's ARN.
    pub(super) async fn provide(
        &self,
        name: &str,
        parts: &mut Vec<ProvisionedPart>,
    ) -> Result<String, BusProvisionError> {
        let failed = failed(BusPart::Topic, name);
        let standing = topic_arn(&self.platform, &self.client, name).await.map_err(&failed)?;
        let created = standing.is_none();
        let arn = match standing {
            Some(arn) => arn,
            None => self.create(name).await.map_err(&failed)?,
        };
        parts.push(ProvisionedPart { part: BusPart::Topic, name: name.to_owned(), created });
        Ok(arn)
    }

    /// Creating a topic that is there gives its ARN, so that an attempt of unknown outcome does no harm.
    async fn create(&self, name: &str) -> Result<String, CallFailure> {
        attempted(&self.platform, name, async || {
            let answer = self.client.create_topic().name(name).send().await.map_err(|error| call_failure(&error))?;
            answer.topic_arn.ok_or_else(|| unusable_answer("an answer without the ARN of the topic"))
        })
        .await
    }

    /// Sees to it that the topic copies every message to the queue, as it is, and what the queue does not take to another.
    pub(super) async fn subscribe(
        &self,
        topic_arn: &str,
        queue_arn: &str,
        undelivered_arn: &str,
        queue: &str,
    ) -> Result<ProvisionedPart, BusProvisionError> {
        let failed = failed(BusPart::Subscription, queue);
        let standing = self.subscription(topic_arn, queue_arn).await.map_err(&failed)?;
        let created = standing.is_none();
        match standing {
            Some(subscription) => {
                if let Some(difference) = self.difference(&subscription, undelivered_arn).await.map_err(&failed)? {
                    return Err(different(BusPart::Subscription, queue, difference));
                }
            }
            None => self.create_subscription(topic_arn, queue_arn, undelivered_arn).await.map_err(&failed)?,
        }
        Ok(ProvisionedPart { part: BusPart::Subscription, name: queue.to_owned(), created })
    }

    async fn subscription(&self, topic_arn: &str, queue_arn: &str) -> Result<Option<String>, CallFailure> {
        let mut next_token: Option<String> = None;
        loop {
            let page = attempted(&self.platform, topic_arn, async || {
                let call = self.client.list_subscriptions_by_topic().topic_arn(topic_arn);
                call.set_next_token(next_token.clone()).send().await.map_err(|error| call_failure(&error))
            })
            .await?;
            next_token = page.next_token;
            let of_queue = page.subscriptions.unwrap_or_default().into_iter().find(|subscription| {
                subscription.protocol() == Some("sqs") && subscription.endpoint() == Some(queue_arn)
            });
            if let Some(subscription) = of_queue {
                let arn = subscription.subscription_arn;
                return arn.map(Some).ok_or_else(|| unusable_answer("a subscription without an ARN"));
            }
            if next_token.is_none() {
                return Ok(None);
            }
        }
    }

    async fn difference(&self, subscription: &str, undelivered_arn: &str) -> Result<Option<String>, CallFailure> {
        let answer = attempted(&self.platform, subscription, async || {
            let call = self.client.get_subscription_attributes().subscription_arn(subscription);
            call.send().await.map_err(|error| call_failure(&error))
        });
        let attributes = answer.await?.attributes.unwrap_or_default();
        if attributes.get(RAW_DELIVERY).map(String::as_str) != Some("true") {
            return Ok(Some("it wraps messages into envelopes instead of delivering them raw".to_owned()));
        }
        if attributes.contains_key(FILTER_POLICY) {
            return Ok(Some("its filter policy keeps messages back".to_owned()));
        }
        let redrive_policy = attributes.get(REDRIVE_POLICY);
        if !is_redrive_policy(redrive_policy, undelivered_arn) {
            let found = redrive_policy.map_or("nothing", String::as_str);
            return Ok(Some(format!(
                "what cannot be delivered should go to {undelivered_arn}, its redrive policy says {found}"
            )));
        }
        Ok(None)
    }

    /// Subscribing once more with the same attributes changes nothing.
    async fn create_subscription(
        &self,
        topic_arn: &str,
        queue_arn: &str,
        undelivered_arn: &str,
    ) -> Result<(), CallFailure> {
        let redrive = json!({"deadLetterTargetArn": undelivered_arn}).to_string();
        attempted(&self.platform, topic_arn, async || {
            let call = self.client.subscribe().topic_arn(topic_arn).protocol("sqs").endpoint(queue_arn);
            let call = call.attributes(RAW_DELIVERY, "true").attributes(REDRIVE_POLICY, &redrive);
            call.send().await.map(|_| ()).map_err(|error| call_failure(&error))
        })
        .await
    }
}

fn is_redrive_policy(policy: Option<&String>, undelivered_arn: &str) -> bool {
    let policy = policy.and_then(|text| serde_json::from_str::<Value>(text).ok());
    policy.is_some_and(|policy| policy["deadLetterTargetArn"] == undelivered_arn)
}
