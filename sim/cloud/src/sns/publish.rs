//! Publish and PublishBatch: what a topic accepts.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    Outcome, Sns, SnsConfig,
    control::required,
    errors::{check_attribute, entry_failure, invalid, of_reader, refusal},
    topic::{Protocol, Topic},
};
use crate::{
    entropy::hash_text,
    interface::{MessageStep, MessageStepKind, RefuseBefore, Service, UnixNanos},
    service::{ServiceContext, ServiceError},
    sqs::{
        Input, is_entry_id,
        message::{self, Attributes},
        quirks::Quirks,
    },
};

const MAX_ENTRIES: usize = 10;

/// A message as its topic accepted it.
#[derive(Debug)]
pub struct Notification {
    pub id: String,
    pub topic_arn: String,
    pub subject: Option<String>,
    pub body: Body,
    pub attributes: Attributes,
    pub group: Option<String>,
    pub deduplication_id: Option<String>,
    pub sequence_number: Option<String>,
    pub at: UnixNanos,
    pub signature_version: String,
}

/// The same text for all, or one for each protocol.
#[derive(Debug)]
pub enum Body {
    Same(String),
    Each { default: String, sqs: Option<String>, lambda: Option<String> },
}

impl Body {
    pub fn for_protocol(&self, protocol: Protocol) -> &str {
        match (self, protocol) {
            (Body::Same(text), _) => text,
            (Body::Each { sqs: Some(text), .. }, Protocol::Sqs) => text,
            (Body::Each { lambda: Some(text), .. }, Protocol::Lambda) => text,
            (Body::Each { default, .. }, _) => default,
        }
    }
}

/// What a publisher gave, checked.
struct Draft<'v> {
    text: &'v str,
    subject: Option<String>,
    body: Body,
    attributes: Attributes,
    group: Option<String>,
    deduplication_id: Option<String>,
}

impl Sns {
    pub(super) fn publish(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let quirks = Quirks::of(context.quirks);
        if input.text("PhoneNumber").map_err(of_reader)?.is_some() {
            return Err(invalid("PhoneNumber Reason: text messages to telephones are not simulated"));
        }
        let target = input.text("TargetArn").map_err(of_reader)?;
        let arn = match target.filter(|arn| !arn.is_empty()) {
            Some(arn) => arn.to_owned(),
            None => required(input, "TopicArn")
                .map_err(|_| invalid("TopicArn or TargetArn Reason: no value for required parameter"))?
                .to_owned(),
        };
        self.check_throughput(&arn, 1, context)?;
        let (answer, accepted) = self.accept(context, &arn, input)?;
        if let Some(notification) = accepted {
            self.fan_out(context, &arn, &notification, &quirks);
        }
        Ok(answer)
    }

    pub(super) fn publish_batch(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let quirks = Quirks::of(context.quirks);
        let arn = required(input, "TopicArn")?.to_owned();
        let max_bytes = self.topic_mut(&arn)?.max_message_bytes;
        let entries = entries(input, max_bytes)?;
        self.check_throughput(&arn, entries.len(), context)?;
        let (mut successful, mut failed, mut accepted) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (id, entry)) in entries.into_iter().enumerate() {
            let failure = quirks.failure(index);
            let outcome = match failure {
                Some((code, false)) => Err((entry_failure(code), false)),
                _ => self.accept(context, &arn, entry).map_err(|error| {
                    let is_senders = error.status < 500;
                    (error, is_senders)
                }),
            };
            let outcome = outcome.and_then(|(answer, messages)| {
                accepted.extend(messages);
                match failure {
                    // It was accepted, and the answer says the opposite.
                    Some((code, _)) => Err((entry_failure(code), false)),
                    None => Ok(answer),
                }
            });
            match outcome {
                Ok(mut answer) => {
                    answer["Id"] = json!(id);
                    successful.push(answer);
                }
                Err((error, sender_fault)) => failed.push(json!({
                    "Id": id, "Code": error.code, "Message": error.message, "SenderFault": sender_fault,
                })),
            }
        }
        if quirks.reverse {
            accepted.reverse();
        }
        for notification in accepted {
            self.fan_out(context, &arn, &notification, &quirks);
        }
        Ok(json!({"Successful": successful, "Failed": failed}))
    }

    fn check_throughput(&mut self, arn: &str, count: usize, context: &ServiceContext<'_>) -> Result<(), ServiceError> {
        let SnsConfig { enforce_throughput, fifo_messages_per_second } = self.config;
        let topic = self.topic_mut(arn)?;
        let is_limited = enforce_throughput && topic.fifo && !topic.deduplication_per_group;
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if is_limited && !topic.throughput.admits("Publish", fifo_messages_per_second, count, context.now) {
            return Err(refusal(RefuseBefore::ThrottleKeyRange));
        }
        Ok(())
    }

    /// The answer, and the message unless the topic knows it already.
    fn accept(
        &mut self,
        context: &mut ServiceContext<'_>,
        arn: &str,
        input: Input<'_>,
    ) -> Result<(Value, Option<Arc<Notification>>), ServiceError> {
        let topic = self.topic_mut(arn)?;
        let draft = draft(topic, input)?;
        if let (true, Some(group), Some(id)) = (topic.fifo, &draft.group, &draft.deduplication_id)
            && let Some((id, sequence_number)) = topic.earlier(group, id, context.now)
        {
            return Ok((json!({"MessageId": id, "SequenceNumber": sequence_number}), None));
        }
        topic.accepted += 1;
        let address = format!("{}/{:016x}", topic.name, hash_text(draft.text));
        let id = message::unique_id(context.entropy, "sns-message-id", &address);
        let signature_version = topic.others.get("SignatureVersion").cloned().unwrap_or_else(|| "1".to_owned());
        let sequence_number =
            topic.fifo.then(|| format!("{:020}", 10_000_000_000_000_000_000 + topic.accepted * 2_000));
        let mut answer = json!({"MessageId": id});
        if let (Some(sequence_number), Some(group), Some(deduplication_id)) =
            (&sequence_number, &draft.group, &draft.deduplication_id)
        {
            answer["SequenceNumber"] = json!(sequence_number);
            topic.remember(group, deduplication_id, (id.clone(), sequence_number.clone()), context.now);
        }
        context.note(MessageStep {
            at: context.now,
            call_sequence: context.call_sequence,
            service: Service::Sns,
            place: topic.name.clone(),
            step: MessageStepKind::Accepted,
            message_id: id.clone(),
            key: draft.group.clone().unwrap_or_default(),
            body: draft.text.into(),
            receive_count: 0,
            note: String::new(),
        });
        let notification = Notification {
            id,
            topic_arn: arn.to_owned(),
            subject: draft.subject,
            body: draft.body,
            attributes: draft.attributes,
            group: draft.group,
            deduplication_id: draft.deduplication_id,
            sequence_number,
            at: context.now,
            signature_version,
        };
        Ok((answer, Some(Arc::new(notification))))
    }
}

fn entries<'v>(input: Input<'v>, max_bytes: usize) -> Result<Vec<(&'v str, Input<'v>)>, ServiceError> {
    let entries = input.list("PublishBatchRequestEntries").map_err(of_reader)?;
    if entries.is_empty() {
        return Err(ServiceError::client("EmptyBatchRequest", "The batch request doesn't contain any entries."));
    }
    if entries.len() > MAX_ENTRIES {
        let message = "The batch request contains more entries than permissible.";
        return Err(ServiceError::client("TooManyEntriesInBatchRequest", message));
    }
    let (mut seen, mut found, mut size) = (BTreeSet::new(), Vec::new(), 0);
    for entry in entries {
        let entry = Input::new(entry);
        let id = required(entry, "Id")?;
        if !is_entry_id(id) {
            let message = "The Id of a batch entry in a batch request doesn't abide by the specification.";
            return Err(ServiceError::client("InvalidBatchEntryId", message));
        }
        if !seen.insert(id) {
            let message = "Two or more batch entries in the request have the same Id.";
            return Err(ServiceError::client("BatchEntryIdsNotDistinct", message));
        }
        size += entry.text("Message").ok().flatten().map_or(0, str::len);
        size += message::attributes(&entry, "MessageAttributes").map_or(0, |it| message::size_of_attributes(&it));
        found.push((id, entry));
    }
    if size > max_bytes {
        let message = "The length of all the batch messages put together is more than the limit.";
        return Err(ServiceError::client("BatchRequestTooLong", message));
    }
    Ok(found)
}

fn draft<'v>(topic: &Topic, input: Input<'v>) -> Result<Draft<'v>, ServiceError> {
    let text = |name: &str| input.text(name).map_err(of_reader);
    let message_text = text("Message")?.filter(|text| !text.is_empty()).ok_or_else(|| invalid("Empty message"))?;
    let attributes = message::attributes(&input, "MessageAttributes").map_err(of_reader)?;
    for (name, attribute) in &attributes {
        check_attribute(name, attribute)?;
    }
    if message_text.len() + message::size_of_attributes(&attributes) > topic.max_message_bytes {
        return Err(invalid("Message too long"));
    }
    let subject = text("Subject")?.map(str::to_owned);
    if subject
        .as_deref()
        .is_some_and(|it| it.is_empty() || it.len() > 100 || it.chars().any(|c| !(' '..='~').contains(&c)))
    {
        return Err(invalid("Subject"));
    }
    let body = match text("MessageStructure")? {
        None => Body::Same(message_text.to_owned()),
        Some("json") => body_by_protocol(message_text)?,
        Some(_) => return Err(invalid("MessageStructure")),
    };
    let mut draft = Draft {
        text: message_text,
        subject,
        body,
        attributes,
        group: text("MessageGroupId")?.map(str::to_owned),
        deduplication_id: text("MessageDeduplicationId")?.map(str::to_owned),
    };
    check_fifo(topic, &mut draft)?;
    Ok(draft)
}

fn body_by_protocol(text: &str) -> Result<Body, ServiceError> {
    let bad = || invalid("Message Structure - JSON message body failed to parse");
    let bodies: Value = serde_json::from_str(text).map_err(|_| bad())?;
    let part = |name: &str| bodies.get(name).and_then(Value::as_str).map(str::to_owned);
    let default =
        part("default").ok_or_else(|| invalid("Message Structure - No default entry in JSON message body"))?;
    Ok(Body::Each { default, sqs: part("sqs"), lambda: part("lambda") })
}

fn check_fifo(topic: &Topic, draft: &mut Draft<'_>) -> Result<(), ServiceError> {
    let is_identifier = |text: &String| (1..=128).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
    if draft.group.as_ref().is_some_and(|group| !is_identifier(group)) {
        return Err(invalid("MessageGroupId"));
    }
    if draft.deduplication_id.as_ref().is_some_and(|id| !is_identifier(id)) {
        return Err(invalid("MessageDeduplicationId"));
    }
    if !topic.fifo {
        return match draft.deduplication_id {
            Some(_) => Err(invalid(
                "MessageDeduplicationId Reason: The request includes MessageDeduplicationId parameter that is not valid for this topic type",
            )),
            None => Ok(()),
        };
    }
    if draft.group.is_none() {
        return Err(invalid("The MessageGroupId parameter is required for FIFO topics"));
    }
    if draft.deduplication_id.is_none() {
        if !topic.content_based_deduplication {
            return Err(invalid(
                "The topic should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
            ));
        }
        draft.deduplication_id = Some(message::hex(&Sha256::digest(draft.text.as_bytes())));
    }
    Ok(())
}
