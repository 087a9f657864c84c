//! What subscribers get to see of a message.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{publish::Notification, topic::Subscription};
use crate::{
    service::ServiceContext,
    sqs::message::{AttributeValue, attribute_json},
    wire::iso_8601_ms,
};

pub fn queue_url(context: &ServiceContext<'_>, name: &str) -> String {
    format!("http://sqs.{}.amazonaws.com/{}/{name}", context.region, context.account_id)
}

/// SendMessage for a subscribed queue. Raw delivery makes the attributes the queue's own; more than ten of them are then
/// the queue's to refuse.
pub fn queue_request(context: &ServiceContext<'_>, subscription: &Subscription, message: &Notification) -> Value {
    let mut request = json!({"QueueUrl": queue_url(context, subscription.endpoint_name())});
    if subscription.raw {
        request["MessageBody"] = json!(message.body.for_protocol(subscription.protocol));
        let attributes: Map<String, Value> =
            message.attributes.iter().map(|(name, attribute)| (name.clone(), attribute_json(attribute))).collect();
        if !attributes.is_empty() {
            request["MessageAttributes"] = Value::Object(attributes);
        }
    } else {
        request["MessageBody"] = json!(envelope(context, subscription, message).to_string());
    }
    if let Some(group) = &message.group {
        request["MessageGroupId"] = json!(group);
    }
    if let Some(id) = message.deduplication_id.as_ref().filter(|_| subscription.endpoint.ends_with(".fifo")) {
        request["MessageDeduplicationId"] = json!(id);
    }
    request
}

fn envelope(context: &ServiceContext<'_>, subscription: &Subscription, message: &Notification) -> Value {
    let body = message.body.for_protocol(subscription.protocol);
    let mut envelope = json!({
        "Type": "Notification",
        "MessageId": message.id,
        "TopicArn": message.topic_arn,
        "Message": body,
        "Timestamp": format!("{}Z", iso_8601_ms(message.at)),
        "SignatureVersion": message.signature_version,
        "Signature": signature(message),
        "SigningCertURL": certificate_url(context),
        "UnsubscribeURL": unsubscribe_url(context, subscription),
    });
    if let Some(subject) = &message.subject {
        envelope["Subject"] = json!(subject);
    }
    if let Some(sequence_number) = &message.sequence_number {
        envelope["SequenceNumber"] = json!(sequence_number);
    }
    let attributes = attributes(message);
    if !attributes.is_empty() {
        envelope["MessageAttributes"] = Value::Object(attributes);
    }
    envelope
}

/// The event that a subscribed function is invoked with.
pub fn lambda_event(context: &ServiceContext<'_>, subscription: &Subscription, message: &Notification) -> Value {
    json!({"Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription.arn,
        "Sns": {
            "Type": "Notification",
            "MessageId": message.id,
            "TopicArn": message.topic_arn,
            "Subject": message.subject,
            "Message": message.body.for_protocol(subscription.protocol),
            "Timestamp": format!("{}Z", iso_8601_ms(message.at)),
            "SignatureVersion": message.signature_version,
            "Signature": signature(message),
            "SigningCertUrl": certificate_url(context),
            "UnsubscribeUrl": unsubscribe_url(context, subscription),
            "MessageAttributes": attributes(message),
        },
    }]})
}

fn attributes(message: &Notification) -> Map<String, Value> {
    let text = |value: &AttributeValue| match value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Binary(bytes) => STANDARD.encode(bytes),
    };
    message
        .attributes
        .iter()
        .map(|(name, it)| (name.clone(), json!({"Type": it.data_type, "Value": text(&it.value)})))
        .collect()
}

/// Looks like one; nobody holds the key that would verify it.
fn signature(message: &Notification) -> String {
    let digest = Sha256::digest(message.id.as_bytes());
    STANDARD.encode(digest.repeat(8))
}

fn certificate_url(context: &ServiceContext<'_>) -> String {
    format!("https://sns.{}.amazonaws.com/SimpleNotificationService-0000000000000000.pem", context.region)
}

fn unsubscribe_url(context: &ServiceContext<'_>, subscription: &Subscription) -> String {
    format!("https://sns.{}.amazonaws.com/?Action=Unsubscribe&SubscriptionArn={}", context.region, subscription.arn)
}
