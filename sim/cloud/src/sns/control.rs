//! Topics and subscriptions as such: creating, deleting, listing, attributes, tags.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use super::{
    Outcome, Sns,
    errors::{invalid, missing, no_subscription, no_topic, of_reader},
    topic::{Protocol, Subscription, Topic},
};
use crate::{
    interface::UnixNanos,
    service::{ServiceContext, ServiceError},
    sqs::{Input, arn_name, is_queue_arn, message},
};

const PAGE: usize = 100;

/// A text that must be there.
pub fn required<'v>(input: Input<'v>, name: &str) -> Result<&'v str, ServiceError> {
    input.text(name).map_err(of_reader)?.filter(|text| !text.is_empty()).ok_or_else(|| missing(name))
}

/// The name in a topic's ARN.
pub fn topic_name(arn: &str) -> Result<&str, ServiceError> {
    if !arn.starts_with("arn:aws:sns:") {
        return Err(invalid("TopicArn Reason: An ARN must have at least 6 elements, not 1"));
    }
    arn_name(arn).ok_or_else(|| invalid("TopicArn"))
}

impl Sns {
    pub(super) fn topic_mut(&mut self, arn: &str) -> Result<&mut Topic, ServiceError> {
        self.topics.get_mut(topic_name(arn)?).filter(|topic| topic.arn == arn).ok_or_else(no_topic)
    }

    pub(super) fn create_topic(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = required(input, "Name")?;
        let pairs = input.text_pairs("Attributes").map_err(of_reader)?;
        let fifo = pairs.iter().any(|(name, value)| *name == "FifoTopic" && value.eq_ignore_ascii_case("true"));
        check_name(name, fifo)?;
        let arn = format!("arn:aws:sns:{}:{}:{name}", context.region, context.account_id);
        let mut topic = Topic::new(name, arn.clone(), fifo);
        for (attribute, value) in &pairs {
            topic.set(attribute, value)?;
        }
        topic.tags.extend(tags(input)?);
        if let Some(existing) = self.topics.get_mut(name) {
            let settings = existing.settings();
            let is_same = pairs.iter().all(|(attribute, value)| settings.get(*attribute) == Some(value));
            if is_same {
                return Ok(json!({"TopicArn": arn}));
            }
            return Err(invalid("Attributes Reason: Topic already exists with different attributes"));
        }
        self.topics.insert(name.to_owned(), topic);
        Ok(json!({"TopicArn": arn}))
    }

    /// Deleting what does not exist is no error. Deliveries under way go on.
    pub(super) fn delete_topic(&mut self, input: Input<'_>) -> Outcome {
        let arn = required(input, "TopicArn")?;
        if let Some(topic) = self.topics.remove(topic_name(arn)?) {
            for subscription in topic.subscriptions {
                self.subscriptions.remove(&subscription);
            }
        }
        Ok(Value::Null)
    }

    pub(super) fn list_topics(&mut self, input: Input<'_>) -> Outcome {
        let topics = self.topics.values().map(|topic| (topic.arn.clone(), json!({"TopicArn": topic.arn})));
        page(input, "Topics", topics.collect())
    }

    pub(super) fn get_topic_attributes(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let account_id = context.account_id;
        let topic = self.topic_mut(required(input, "TopicArn")?)?;
        let mut shown = topic.settings();
        let mut put = |name: &str, value: String| {
            shown.entry(name.to_owned()).or_insert(value);
        };
        put("TopicArn", topic.arn.clone());
        put("Owner", account_id.to_owned());
        put("Policy", default_policy(&topic.arn, account_id));
        put("EffectiveDeliveryPolicy", delivery_policy());
        put("SubscriptionsConfirmed", topic.subscriptions.len().to_string());
        put("SubscriptionsPending", "0".to_owned());
        put("SubscriptionsDeleted", topic.deleted_subscriptions.to_string());
        Ok(json!({"Attributes": shown}))
    }

    pub(super) fn set_topic_attributes(&mut self, input: Input<'_>) -> Outcome {
        let topic = self.topic_mut(required(input, "TopicArn")?)?;
        let name = required(input, "AttributeName")?;
        let value = input.text("AttributeValue").map_err(of_reader)?.unwrap_or_default();
        if name == "FifoTopic" {
            return Err(invalid("AttributeName"));
        }
        topic.set(name, value)?;
        Ok(Value::Null)
    }

    pub(super) fn tag_resource(&mut self, input: Input<'_>) -> Outcome {
        let topic = self.tagged(input)?;
        topic.tags.extend(tags(input)?);
        Ok(Value::Null)
    }

    pub(super) fn untag_resource(&mut self, input: Input<'_>) -> Outcome {
        let topic = self.tagged(input)?;
        for tag in input.texts("TagKeys").map_err(of_reader)? {
            topic.tags.remove(tag);
        }
        Ok(Value::Null)
    }

    pub(super) fn list_tags_for_resource(&mut self, input: Input<'_>) -> Outcome {
        let tags = &self.tagged(input)?.tags;
        let shown: Vec<Value> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
        Ok(json!({"Tags": shown}))
    }

    fn tagged(&mut self, input: Input<'_>) -> Result<&mut Topic, ServiceError> {
        let arn = required(input, "ResourceArn")?;
        let no_resource = |_| ServiceError::client("ResourceNotFound", "Resource does not exist").with_status(404);
        self.topic_mut(arn).map_err(no_resource)
    }

    pub(super) fn subscribe(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let topic_arn = required(input, "TopicArn")?;
        let fifo = self.topic_mut(topic_arn)?.fifo;
        let (protocol, endpoint) = endpoint(input, fifo)?;
        let pairs = input.text_pairs("Attributes").map_err(of_reader)?;
        let arn = self.subscription_arn(context, topic_arn, endpoint)?;
        let topic = self.topic_mut(topic_arn)?;
        let mut subscription = Subscription::new(arn.clone(), topic, protocol, endpoint);
        // The scope decides how the policy is read, whichever comes first.
        let is_scope = |pair: &&(&str, String)| pair.0 == "FilterPolicyScope";
        for (name, value) in pairs.iter().filter(is_scope).chain(pairs.iter().filter(|pair| !is_scope(pair))) {
            subscription.set(name, value, context.now, context.now)?;
        }
        if let Some(existing) = self.subscriptions.get(&arn) {
            let shown = existing.show();
            if pairs.iter().all(|(name, value)| shown.get(*name) == Some(value)) {
                return Ok(json!({"SubscriptionArn": arn}));
            }
            return Err(invalid("Attributes Reason: Subscription already exists with different attributes"));
        }
        self.topic_mut(topic_arn)?.subscriptions.insert(arn.clone());
        self.subscriptions.insert(arn.clone(), subscription);
        Ok(json!({"SubscriptionArn": arn}))
    }

    /// That of the existing subscription of this endpoint, or a new one.
    fn subscription_arn(
        &mut self,
        context: &mut ServiceContext<'_>,
        topic_arn: &str,
        endpoint: &str,
    ) -> Result<String, ServiceError> {
        let of_topic = &self.topic_mut(topic_arn)?.subscriptions.clone();
        let existing = of_topic.iter().filter_map(|arn| self.subscriptions.get(arn)).find(|it| it.endpoint == endpoint);
        Ok(match existing {
            Some(existing) => existing.arn.clone(),
            None => {
                let address = format!("{topic_arn} {endpoint}");
                format!("{topic_arn}:{}", message::unique_id(context.entropy, "sns-subscription", &address))
            }
        })
    }

    pub(super) fn unsubscribe(&mut self, input: Input<'_>) -> Outcome {
        let arn = required(input, "SubscriptionArn")?;
        if arn.split(':').count() < 7 {
            return Err(invalid("SubscriptionArn Reason: An ARN must have at least 7 elements"));
        }
        if let Some(subscription) = self.subscriptions.remove(arn)
            && let Some(topic) = self.topics.get_mut(&subscription.topic)
        {
            topic.subscriptions.remove(arn);
            topic.deleted_subscriptions += 1;
        }
        Ok(Value::Null)
    }

    pub(super) fn list_subscriptions(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let all = self.subscriptions.values().map(|it| (it.arn.clone(), it.summary(context.account_id))).collect();
        page(input, "Subscriptions", all)
    }

    pub(super) fn list_subscriptions_by_topic(
        &mut self,
        context: &mut ServiceContext<'_>,
        input: Input<'_>,
    ) -> Outcome {
        let of_topic = self.topic_mut(required(input, "TopicArn")?)?.subscriptions.clone();
        let all = of_topic.iter().filter_map(|arn| self.subscriptions.get(arn));
        page(input, "Subscriptions", all.map(|it| (it.arn.clone(), it.summary(context.account_id))).collect())
    }

    pub(super) fn get_subscription_attributes(
        &mut self,
        context: &mut ServiceContext<'_>,
        input: Input<'_>,
    ) -> Outcome {
        let account_id = context.account_id;
        let arn = required(input, "SubscriptionArn")?;
        let subscription = self.subscriptions.get(arn).ok_or_else(no_subscription)?;
        let mut shown = subscription.show();
        let mut put = |name: &str, value: String| shown.insert(name.to_owned(), value);
        put("SubscriptionArn", subscription.arn.clone());
        put("TopicArn", subscription.topic_arn.clone());
        put("Protocol", subscription.protocol.name().to_owned());
        put("Endpoint", subscription.endpoint.clone());
        put("Owner", account_id.to_owned());
        put("PendingConfirmation", "false".to_owned());
        put("ConfirmationWasAuthenticated", "true".to_owned());
        put("SubscriptionPrincipal", format!("arn:aws:iam::{account_id}:root"));
        Ok(json!({"Attributes": shown}))
    }

    pub(super) fn set_subscription_attributes(
        &mut self,
        context: &mut ServiceContext<'_>,
        input: Input<'_>,
    ) -> Outcome {
        let arn = required(input, "SubscriptionArn")?;
        let name = required(input, "AttributeName")?;
        let value = input.text("AttributeValue").map_err(of_reader)?.unwrap_or_default();
        let from = filter_in_force(context, arn);
        self.subscriptions.get_mut(arn).ok_or_else(no_subscription)?.set(name, value, context.now, from)?;
        Ok(Value::Null)
    }
}

/// A changed filter policy takes its time.
fn filter_in_force(context: &mut ServiceContext<'_>, subscription: &str) -> UnixNanos {
    let most = Duration::from_secs(context.assumptions.sns_filter_lag_seconds);
    if most.is_zero() {
        return context.now;
    }
    context.now.plus(most.mul_f64(context.entropy.next_fraction("sns-filter-lag", subscription)))
}

fn endpoint(input: Input<'_>, fifo: bool) -> Result<(Protocol, &str), ServiceError> {
    let endpoint = required(input, "Endpoint");
    match required(input, "Protocol")? {
        "sqs" => {
            let endpoint = endpoint?;
            if !is_queue_arn(endpoint) {
                return Err(invalid("SQS endpoint ARN"));
            }
            if endpoint.ends_with(".fifo") && !fifo {
                return Err(invalid(
                    "Invalid parameter: Endpoint Reason: FIFO SQS Queues can not be subscribed to standard SNS topics",
                ));
            }
            Ok((Protocol::Sqs, endpoint))
        }
        "lambda" => {
            let endpoint = endpoint?;
            if !endpoint.starts_with("arn:aws:lambda:") || !endpoint.contains(":function:") {
                return Err(invalid("Lambda endpoint ARN"));
            }
            if fifo {
                return Err(invalid("Endpoint Reason: a FIFO topic delivers to queues only"));
            }
            Ok((Protocol::Lambda, endpoint))
        }
        other @ ("http" | "https" | "email" | "email-json" | "sms" | "application" | "firehose") => {
            Err(invalid(format!("Protocol Reason: deliveries by {other} are not simulated; sqs and lambda are")))
        }
        other => Err(invalid(format!("Amazon SNS does not support this protocol string: {other}"))),
    }
}

fn check_name(name: &str, fifo: bool) -> Result<(), ServiceError> {
    let base = if fifo { name.strip_suffix(".fifo") } else { Some(name) };
    let is_plain = |base: &str| base.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if base.is_some_and(|base| !base.is_empty() && is_plain(base)) && name.len() <= 256 {
        return Ok(());
    }
    Err(invalid(if fifo {
        "Fifo Topic names must end with .fifo and must be made up of only uppercase and lowercase ASCII letters, numbers, underscores, and hyphens, and must be between 1 and 256 characters long."
    } else {
        "Topic Name"
    }))
}

fn tags(input: Input<'_>) -> Result<Vec<(String, String)>, ServiceError> {
    let read = |tag| {
        let tag = Input::new(tag);
        let value = tag.text("Value").map_err(of_reader)?.unwrap_or_default();
        Ok((required(tag, "Key")?.to_owned(), value.to_owned()))
    };
    input.list("Tags").map_err(of_reader)?.iter().map(read).collect()
}

/// One page in the order of the ARNs; the token is the last one shown.
fn page(input: Input<'_>, member: &str, all: Vec<(String, Value)>) -> Outcome {
    let after = match input.text("NextToken").map_err(of_reader)?.filter(|token| !token.is_empty()) {
        None => String::new(),
        Some(token) => {
            let text = STANDARD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            text.ok_or_else(|| invalid("NextToken"))?
        }
    };
    let mut rest = all.into_iter().filter(|(arn, _)| *arn > after).peekable();
    let shown: Vec<(String, Value)> = rest.by_ref().take(PAGE).collect();
    let next = rest.peek().and(shown.last()).map(|(arn, _)| STANDARD.encode(arn));
    let mut answer = json!({});
    answer[member] = shown.into_iter().map(|(_, item)| item).collect();
    if let Some(next) = next {
        answer["NextToken"] = json!(next);
    }
    Ok(answer)
}

fn default_policy(arn: &str, account_id: &str) -> String {
    json!({
        "Version": "2008-10-17",
        "Id": "__default_policy_ID",
        "Statement": [{
            "Sid": "__default_statement_ID",
            "Effect": "Allow",
            "Principal": {"AWS": "*"},
            "Action": [
                "SNS:GetTopicAttributes", "SNS:SetTopicAttributes", "SNS:AddPermission", "SNS:RemovePermission",
                "SNS:DeleteTopic", "SNS:Subscribe", "SNS:ListSubscriptionsByTopic", "SNS:Publish",
            ],
            "Resource": arn,
            "Condition": {"StringEquals": {"AWS:SourceOwner": account_id}},
        }],
    })
    .to_string()
}

fn delivery_policy() -> String {
    json!({
        "http": {
            "defaultHealthyRetryPolicy": {
                "minDelayTarget": 20, "maxDelayTarget": 20, "numRetries": 3, "numMaxDelayRetries": 0,
                "numNoDelayRetries": 0, "numMinDelayRetries": 0, "backoffFunction": "linear",
            },
            "disableSubscriptionOverrides": false,
            "defaultRequestPolicy": {"headerContentType": "text/plain; charset=UTF-8"},
        },
    })
    .to_string()
}
