//! Queues as such: creating, deleting, listing, attributes, tags, purging.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    Outcome, Sqs,
    attributes::QueueAttributes,
    codec::LOCAL_HOST,
    errors::{error, invalid_value, missing, no_queue},
    input::{Input, arn_name},
    queue::Queue,
};
use crate::service::{ServiceContext, ServiceError};

/// For so long the name of a deleted queue cannot be used again, and a purged queue not be purged again.
const SETTLING: Duration = Duration::from_secs(60);
const MAX_TAGS: usize = 50;

fn url(context: &ServiceContext<'_>, input: Input<'_>, name: &str) -> String {
    match input.text(LOCAL_HOST) {
        Ok(Some(host)) => format!("http://{host}/{}/{name}", context.account_id),
        _ => format!("http://sqs.{}.amazonaws.com/{}/{name}", context.region, context.account_id),
    }
}

impl Sqs {
    pub(super) fn create_queue(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = input.required("QueueName")?;
        let pairs = input.text_pairs("Attributes")?;
        let fifo = pairs.iter().any(|(name, value)| *name == "FifoQueue" && value.eq_ignore_ascii_case("true"));
        check_name(name, fifo)?;
        let arn = format!("arn:aws:sqs:{}:{}:{name}", context.region, context.account_id);
        if let Some(existing) = self.queues.get(name) {
            check_same(existing, &pairs)?;
            return Ok(json!({"QueueUrl": url(context, input, name)}));
        }
        if self.deleted.get(name).is_some_and(|at| context.now.since(*at) < SETTLING) {
            return Err(error(
                "QueueDeletedRecently",
                "You must wait 60 seconds after deleting a queue before you can create another with the same name.",
            ));
        }
        let mut attributes = QueueAttributes { fifo, ..QueueAttributes::default() };
        attributes.set(&pairs)?;
        self.check_redrive(&attributes, &arn)?;
        let mut queue = Queue::new(name.to_owned(), arn, attributes, context.now);
        // The API's model spells the member in lower case.
        for (tag, value) in input.text_pairs("tags")?.into_iter().chain(input.text_pairs("Tags")?) {
            queue.tags.insert(tag.to_owned(), value);
        }
        self.queues.insert(name.to_owned(), queue);
        self.deleted.remove(name);
        Ok(json!({"QueueUrl": url(context, input, name)}))
    }

    /// A redrive policy must name an existing queue of the same type that allows it.
    fn check_redrive(&self, attributes: &QueueAttributes, arn: &str) -> Result<(), ServiceError> {
        let Some(redrive) = &attributes.redrive else { return Ok(()) };
        let bad = |reason: &str| invalid_value(redrive.to_text(), "RedrivePolicy", reason);
        let target = self.queues.get(redrive.target_name()).filter(|target| target.arn == redrive.target_arn);
        let target = target.ok_or_else(|| bad("Dead letter target does not exist."))?;
        if target.fifo() != attributes.fifo {
            return Err(bad("Dead-letter queue must be same type of queue as the source."));
        }
        if !target.accepts_from(arn) {
            return Err(bad("Dead letter target owner should have redrive permission for the source queue."));
        }
        Ok(())
    }

    pub(super) fn delete_queue(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        let mut queue = self.queues.remove(&name).ok_or_else(no_queue)?;
        queue.purge(context, "its queue was deleted");
        for call_sequence in queue.polls.into_keys() {
            context.complete(call_sequence, Err(no_queue()));
        }
        self.deleted.insert(name, context.now);
        Ok(json!({}))
    }

    pub(super) fn get_queue_url(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = input.required("QueueName")?;
        let is_ours = input.text("QueueOwnerAWSAccountId")?.is_none_or(|account| account == context.account_id);
        if !is_ours || !self.queues.contains_key(name) {
            return Err(no_queue());
        }
        Ok(json!({"QueueUrl": url(context, input, name)}))
    }

    pub(super) fn list_queues(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let prefix = input.text("QueueNamePrefix")?.unwrap_or_default();
        let names = self.queues.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        page(context, input, "QueueUrls", names)
    }

    pub(super) fn list_dead_letter_source_queues(
        &mut self,
        context: &mut ServiceContext<'_>,
        input: Input<'_>,
    ) -> Outcome {
        let name = self.touch(context, input)?;
        let target = &self.queue_mut(&name)?.arn.clone();
        let names = |queue: &&Queue| queue.attributes.redrive.as_ref().is_some_and(|it| it.target_arn == *target);
        let names = self.queues.values().filter(names).map(|queue| queue.name.clone()).collect();
        page(context, input, "queueUrls", names)
    }

    pub(super) fn get_queue_attributes(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        let queue = self.queue_mut(&name)?;
        let asked = input.texts("AttributeNames")?;
        let mut known = queue.attributes.show();
        let mut put = |name: &str, value: String| known.insert(name.to_owned(), value);
        put("QueueArn", queue.arn.clone());
        put("ApproximateNumberOfMessages", queue.visible().to_string());
        put("ApproximateNumberOfMessagesNotVisible", queue.in_flight.to_string());
        put("ApproximateNumberOfMessagesDelayed", queue.delayed.to_string());
        put("CreatedTimestamp", (queue.created_at.as_millis() / 1_000).to_string());
        put("LastModifiedTimestamp", (queue.modified_at.as_millis() / 1_000).to_string());
        if let Some(unknown) = asked.iter().find(|name| **name != "All" && !ATTRIBUTES.contains(name)) {
            return Err(error("InvalidAttributeName", format!("Unknown Attribute {unknown}.")));
        }
        if !asked.contains(&"All") {
            known.retain(|name, _| asked.contains(&name.as_str()));
        }
        if known.is_empty() { Ok(json!({})) } else { Ok(json!({"Attributes": known})) }
    }

    pub(super) fn set_queue_attributes(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        let pairs = input.text_pairs("Attributes")?;
        if pairs.is_empty() {
            return Err(missing("Attribute.Name"));
        }
        let queue = self.queue_mut(&name)?;
        let (mut attributes, arn) = (queue.attributes.clone(), queue.arn.clone());
        attributes.set(&pairs)?;
        if pairs.iter().any(|(name, _)| *name == "RedrivePolicy") {
            self.check_redrive(&attributes, &arn)?;
        }
        let queue = self.queue_mut(&name)?;
        queue.attributes = attributes;
        queue.modified_at = context.now;
        // A shorter retention may have ended for some messages already.
        queue.pass_time(context);
        self.changed.insert(name);
        Ok(json!({}))
    }

    pub(super) fn purge_queue(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let name = self.touch(context, input)?;
        let queue = self.queue_mut(&name)?;
        if queue.purged_at.is_some_and(|at| context.now.since(at) < SETTLING) {
            let message = format!("Only one PurgeQueue operation on {name} is allowed every 60 seconds.");
            return Err(error("PurgeQueueInProgress", message).with_status(403));
        }
        queue.purge(context, "");
        queue.purged_at = Some(context.now);
        Ok(json!({}))
    }

    pub(super) fn tag_queue(&mut self, input: Input<'_>) -> Outcome {
        let queue = self.by_url(input)?;
        let mut tags = queue.tags.clone();
        tags.extend(input.text_pairs("Tags")?.into_iter().map(|(tag, value)| (tag.to_owned(), value)));
        if tags.len() > MAX_TAGS {
            let message = format!("Too many tags added for queue {}.", queue.name);
            return Err(error("InvalidParameterValue", message));
        }
        queue.tags = tags;
        Ok(json!({}))
    }

    pub(super) fn untag_queue(&mut self, input: Input<'_>) -> Outcome {
        let queue = self.by_url(input)?;
        for tag in input.texts("TagKeys")? {
            queue.tags.remove(tag);
        }
        Ok(json!({}))
    }

    pub(super) fn list_queue_tags(&mut self, input: Input<'_>) -> Outcome {
        let queue = self.by_url(input)?;
        if queue.tags.is_empty() { Ok(json!({})) } else { Ok(json!({"Tags": queue.tags})) }
    }

    fn by_url(&mut self, input: Input<'_>) -> Result<&mut Queue, ServiceError> {
        let name = super::input::queue_name(input.required("QueueUrl")?).ok_or_else(no_queue)?;
        self.queue_mut(name)
    }

    /// Permissions are kept in the queue's policy; this simulation asks nobody for permission.
    pub(super) fn add_permission(&mut self, context: &mut ServiceContext<'_>, input: Input<'_>) -> Outcome {
        let label = input.required("Label")?;
        let (accounts, actions) = (input.texts("AWSAccountIds")?, input.texts("Actions")?);
        if accounts.is_empty() || actions.is_empty() {
            return Err(missing(if accounts.is_empty() { "AWSAccountIds" } else { "Actions" }));
        }
        let region = context.region;
        let queue = self.by_url(input)?;
        let mut policy = policy_of(queue, region);
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        if statements.iter().any(|statement| statement["Sid"] == label) {
            return Err(invalid_value(label, "Label", "Already exists."));
        }
        let principals: Vec<String> = accounts.iter().map(|account| format!("arn:aws:iam::{account}:root")).collect();
        let actions: Vec<String> = actions.iter().map(|action| format!("SQS:{action}")).collect();
        let statement = json!({
            "Sid": label, "Effect": "Allow", "Principal": {"AWS": principals}, "Action": actions, "Resource": queue.arn,
        });
        policy["Statement"] = statements.into_iter().chain([statement]).collect();
        queue.attributes.others.insert("Policy".to_owned(), policy.to_string());
        Ok(json!({}))
    }

    pub(super) fn remove_permission(&mut self, input: Input<'_>) -> Outcome {
        let label = input.required("Label")?;
        let queue = self.by_url(input)?;
        let mut policy = policy_of(queue, "");
        let statements = policy["Statement"].as_array().cloned().unwrap_or_default();
        let kept: Vec<Value> = statements.iter().filter(|statement| statement["Sid"] != label).cloned().collect();
        if kept.len() == statements.len() {
            let reason = "can't find label on existing policy.";
            return Err(invalid_value(label, "Label", reason));
        }
        if kept.is_empty() {
            queue.attributes.others.remove("Policy");
        } else {
            policy["Statement"] = Value::Array(kept);
            queue.attributes.others.insert("Policy".to_owned(), policy.to_string());
        }
        Ok(json!({}))
    }
}

fn policy_of(queue: &Queue, region: &str) -> Value {
    let kept = queue.attributes.others.get("Policy").and_then(|text| serde_json::from_str(text).ok());
    kept.unwrap_or_else(
        || json!({"Version": "2008-10-17", "Id": format!("{region}/{}/policy", queue.name), "Statement": []}),
    )
}

/// The names of a queue's attributes.
pub const ATTRIBUTES: &[&str] = &[
    "Policy",
    "VisibilityTimeout",
    "MaximumMessageSize",
    "MessageRetentionPeriod",
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "CreatedTimestamp",
    "LastModifiedTimestamp",
    "QueueArn",
    "ApproximateNumberOfMessagesDelayed",
    "DelaySeconds",
    "ReceiveMessageWaitTimeSeconds",
    "RedrivePolicy",
    "FifoQueue",
    "ContentBasedDeduplication",
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "DeduplicationScope",
    "FifoThroughputLimit",
    "RedriveAllowPolicy",
    "SqsManagedSseEnabled",
];

fn check_name(name: &str, fifo: bool) -> Result<(), ServiceError> {
    let (base, has_suffix) = name.strip_suffix(".fifo").map_or((name, false), |base| (base, true));
    let is_plain = !base.is_empty() && base.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    if is_plain && name.len() <= 80 && has_suffix == fifo {
        return Ok(());
    }
    Err(error(
        "InvalidParameterValue",
        if fifo {
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length."
        } else {
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        },
    ))
}

/// Creating a queue again is no error if it would be the same.
fn check_same(existing: &Queue, pairs: &[(&str, String)]) -> Result<(), ServiceError> {
    let mut wanted = existing.attributes.clone();
    wanted.set(pairs)?;
    if wanted == existing.attributes {
        return Ok(());
    }
    let (old, new) = (existing.attributes.show(), wanted.show());
    let differing = new.iter().find(|(name, value)| old.get(*name) != Some(value)).map_or("Policy", |(name, _)| name);
    Err(error(
        "QueueNameExists",
        format!("A queue already exists with the same name and a different value for attribute {differing}"),
    ))
}

/// One page of queues by name.
fn page(context: &ServiceContext<'_>, input: Input<'_>, member: &str, names: Vec<String>) -> Outcome {
    let max = input.integer_in("MaxResults", 1, 1_000, "Must be between 1 and 1000.")?;
    let after = match input.text("NextToken")? {
        None => String::new(),
        Some(token) => STANDARD
            .decode(token)
            .ok()
            .and_then(|text| String::from_utf8(text).ok())
            .ok_or_else(|| error("InvalidParameterValue", "Invalid NextToken value."))?,
    };
    let count = max.and_then(|max| usize::try_from(max).ok()).unwrap_or(1_000);
    let mut rest = names.into_iter().filter(|name| after.is_empty() || *name > after);
    let shown: Vec<String> = rest.by_ref().take(count).collect();
    let mut answer = Map::new();
    if let (Some(last), Some(_), Some(_)) = (shown.last(), rest.next(), max) {
        answer.insert("NextToken".to_owned(), json!(STANDARD.encode(last)));
    }
    if !shown.is_empty() || member == "queueUrls" {
        let urls: Vec<String> = shown.iter().map(|name| url(context, input, name)).collect();
        answer.insert(member.to_owned(), json!(urls));
    }
    Ok(Value::Object(answer))
}

/// Used by subscribers' dead letters too: whether a text is the ARN of a queue.
pub(crate) fn is_queue_arn(arn: &str) -> bool {
    arn.starts_with("arn:aws:sqs:") && arn_name(arn).is_some()
}
