//! A queue's attributes: reading, checking, defaults.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    errors::{error, invalid_value},
    input::arn_name,
};
use crate::service::ServiceError;

/// The largest message, attributes included.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// After how many receives a message goes where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedrivePolicy {
    pub target_arn: String,
    pub max_receive_count: u32,
}

impl RedrivePolicy {
    pub fn target_name(&self) -> &str {
        arn_name(&self.target_arn).unwrap_or_default()
    }

    pub fn to_text(&self) -> String {
        json!({"deadLetterTargetArn": self.target_arn, "maxReceiveCount": self.max_receive_count}).to_string()
    }
}

/// Which queues may name this one as their dead-letter queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RedriveAllowPolicy {
    AllowAll,
    DenyAll,
    ByQueue(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueAttributes {
    pub visibility_timeout: Duration,
    pub retention: Duration,
    pub delay: Duration,
    pub max_message_bytes: usize,
    pub wait: Duration,
    pub redrive: Option<RedrivePolicy>,
    pub redrive_allow: Option<(RedriveAllowPolicy, String)>,
    pub fifo: bool,
    pub content_based_deduplication: bool,
    /// Identifiers are remembered per group, not per queue.
    pub deduplication_per_group: bool,
    pub throughput_per_group: bool,
    /// Kept and shown, but without effect: policies and keys.
    pub others: BTreeMap<String, String>,
}

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            retention: Duration::from_secs(345_600),
            delay: Duration::ZERO,
            max_message_bytes: MAX_MESSAGE_BYTES,
            wait: Duration::ZERO,
            redrive: None,
            redrive_allow: None,
            fifo: false,
            content_based_deduplication: false,
            deduplication_per_group: false,
            throughput_per_group: false,
            others: BTreeMap::new(),
        }
    }
}

fn invalid(name: &str) -> ServiceError {
    error("InvalidAttributeValue", format!("Invalid value for the parameter {name}."))
}

fn seconds(name: &str, value: &str, least: u64, most: u64) -> Result<Duration, ServiceError> {
    Ok(Duration::from_secs(number(name, value, least, most)?))
}

fn number(name: &str, value: &str, least: u64, most: u64) -> Result<u64, ServiceError> {
    value.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(|| invalid(name))
}

fn flag(name: &str, value: &str) -> Result<bool, ServiceError> {
    match value {
        "true" | "True" => Ok(true),
        "false" | "False" => Ok(false),
        _ => Err(invalid(name)),
    }
}

impl QueueAttributes {
    /// Takes what a request sets; what it does not name stays. An empty policy takes the policy away.
    pub fn set(&mut self, pairs: &[(&str, String)]) -> Result<(), ServiceError> {
        for (name, value) in pairs {
            self.set_one(name, value)?;
        }
        if self.throughput_per_group && !self.deduplication_per_group {
            return Err(error(
                "InvalidAttributeValue",
                "The value perMessageGroupId for FifoThroughputLimit is allowed only when the value for DeduplicationScope is messageGroup.",
            ));
        }
        Ok(())
    }

    fn set_one(&mut self, name: &str, value: &str) -> Result<(), ServiceError> {
        let unknown = || error("InvalidAttributeName", format!("Unknown Attribute {name}."));
        match name {
            "VisibilityTimeout" => self.visibility_timeout = seconds(name, value, 0, 43_200)?,
            "MessageRetentionPeriod" => self.retention = seconds(name, value, 60, 1_209_600)?,
            "DelaySeconds" => self.delay = seconds(name, value, 0, 900)?,
            "ReceiveMessageWaitTimeSeconds" => self.wait = seconds(name, value, 0, 20)?,
            "MaximumMessageSize" => {
                let bytes = number(name, value, 1_024, MAX_MESSAGE_BYTES as u64)?;
                self.max_message_bytes = usize::try_from(bytes).unwrap_or(MAX_MESSAGE_BYTES);
            }
            "RedrivePolicy" => self.redrive = redrive_policy(value)?,
            "RedriveAllowPolicy" => self.redrive_allow = redrive_allow_policy(value)?,
            // A standard queue has no such attribute, not even with the value false.
            "FifoQueue" => {
                if !flag(name, value)? || !self.fifo {
                    return Err(unknown());
                }
            }
            "ContentBasedDeduplication" if self.fifo => self.content_based_deduplication = flag(name, value)?,
            "DeduplicationScope" if self.fifo => {
                self.deduplication_per_group = one_of(name, value, "queue", "messageGroup")?;
            }
            "FifoThroughputLimit" if self.fifo => {
                self.throughput_per_group = one_of(name, value, "perQueue", "perMessageGroupId")?;
            }
            "Policy" if value.is_empty() => {
                self.others.remove(name);
            }
            "Policy" => {
                if !serde_json::from_str::<Value>(value).is_ok_and(|policy| policy.is_object()) {
                    return Err(invalid(name));
                }
                self.others.insert(name.to_owned(), value.to_owned());
            }
            "KmsMasterKeyId" | "KmsDataKeyReusePeriodSeconds" | "SqsManagedSseEnabled" => {
                self.others.insert(name.to_owned(), value.to_owned());
            }
            _ => return Err(unknown()),
        }
        Ok(())
    }

    /// Those attributes that have a value by being set, as the service shows them.
    pub fn show(&self) -> BTreeMap<String, String> {
        let mut shown = self.others.clone();
        shown.entry("SqsManagedSseEnabled".to_owned()).or_insert_with(|| "true".to_owned());
        let mut put = |name: &str, value: String| shown.insert(name.to_owned(), value);
        put("VisibilityTimeout", self.visibility_timeout.as_secs().to_string());
        put("MessageRetentionPeriod", self.retention.as_secs().to_string());
        put("DelaySeconds", self.delay.as_secs().to_string());
        put("ReceiveMessageWaitTimeSeconds", self.wait.as_secs().to_string());
        put("MaximumMessageSize", self.max_message_bytes.to_string());
        if let Some(redrive) = &self.redrive {
            put("RedrivePolicy", redrive.to_text());
        }
        if let Some((_, text)) = &self.redrive_allow {
            put("RedriveAllowPolicy", text.clone());
        }
        if self.fifo {
            put("FifoQueue", "true".into());
            put("ContentBasedDeduplication", self.content_based_deduplication.to_string());
            put("DeduplicationScope", if self.deduplication_per_group { "messageGroup" } else { "queue" }.into());
            let limit = if self.throughput_per_group { "perMessageGroupId" } else { "perQueue" };
            put("FifoThroughputLimit", limit.into());
        }
        shown
    }
}

/// Whether the value is the second of two.
fn one_of(name: &str, value: &str, first: &str, second: &str) -> Result<bool, ServiceError> {
    if value == first || value == second { Ok(value == second) } else { Err(invalid(name)) }
}

fn redrive_policy(text: &str) -> Result<Option<RedrivePolicy>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |reason: &str| invalid_value(text, "RedrivePolicy", reason);
    let policy: Value = serde_json::from_str(text).map_err(|_| bad("Redrive policy is not a valid JSON map."))?;
    let policy = policy.as_object().ok_or_else(|| bad("Redrive policy is not a valid JSON map."))?;
    let (Some(target), Some(count)) = (policy.get("deadLetterTargetArn"), policy.get("maxReceiveCount")) else {
        return Err(bad(
            "Redrive policy does not contain mandatory attribute: deadLetterTargetArn or maxReceiveCount.",
        ));
    };
    let max_receive_count = count
        .as_u64()
        .or_else(|| count.as_str()?.parse().ok())
        .and_then(|count| u32::try_from(count).ok())
        .filter(|count| (1..=1_000).contains(count))
        .ok_or_else(|| {
            bad(&format!("Invalid value for maxReceiveCount: {count}, valid values are from 1 to 1000 both inclusive."))
        })?;
    let target_arn = target.as_str().filter(|arn| arn_name(arn).is_some());
    let target_arn = target_arn.ok_or_else(|| bad("Invalid value for deadLetterTargetArn."))?.to_owned();
    Ok(Some(RedrivePolicy { target_arn, max_receive_count }))
}

fn redrive_allow_policy(text: &str) -> Result<Option<(RedriveAllowPolicy, String)>, ServiceError> {
    if text.is_empty() {
        return Ok(None);
    }
    let bad = |reason: &str| invalid_value(text, "RedriveAllowPolicy", reason);
    let policy: Value = serde_json::from_str(text).map_err(|_| bad("It is not a valid JSON map."))?;
    let sources: Option<Vec<String>> = policy
        .get("sourceQueueArns")
        .and_then(Value::as_array)
        .map(|arns| arns.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    let allow = match (policy.get("redrivePermission").and_then(Value::as_str), sources) {
        (Some("allowAll"), None) => RedriveAllowPolicy::AllowAll,
        (Some("denyAll"), None) => RedriveAllowPolicy::DenyAll,
        (Some("byQueue"), Some(sources)) if (1..=10).contains(&sources.len()) => RedriveAllowPolicy::ByQueue(sources),
        (Some("byQueue"), _) => return Err(bad("sourceQueueArns must name 1 to 10 queues.")),
        (Some("allowAll" | "denyAll"), Some(_)) => return Err(bad("sourceQueueArns is allowed with byQueue only.")),
        _ => return Err(bad("redrivePermission must be allowAll, denyAll or byQueue.")),
    };
    Ok(Some((allow, text.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(fifo: bool, name: &str, value: &str) -> Result<QueueAttributes, String> {
        let mut attributes = QueueAttributes { fifo, ..QueueAttributes::default() };
        attributes.set(&[(name, value.to_owned())]).map(|()| attributes).map_err(|error| error.code)
    }

    #[test]
    fn bounds_are_those_of_the_service() {
        for (fifo, name, value, error) in [
            (false, "VisibilityTimeout", "43200", None),
            (false, "VisibilityTimeout", "43201", Some("InvalidAttributeValue")),
            (false, "VisibilityTimeout", "-1", Some("InvalidAttributeValue")),
            (false, "MessageRetentionPeriod", "60", None),
            (false, "MessageRetentionPeriod", "59", Some("InvalidAttributeValue")),
            (false, "MessageRetentionPeriod", "1209601", Some("InvalidAttributeValue")),
            (false, "DelaySeconds", "901", Some("InvalidAttributeValue")),
            (false, "ReceiveMessageWaitTimeSeconds", "21", Some("InvalidAttributeValue")),
            (false, "MaximumMessageSize", "1048576", None),
            (false, "MaximumMessageSize", "1048577", Some("InvalidAttributeValue")),
            (false, "MaximumMessageSize", "1023", Some("InvalidAttributeValue")),
            (false, "FifoQueue", "true", Some("InvalidAttributeName")),
            (false, "FifoQueue", "false", Some("InvalidAttributeName")),
            (true, "FifoQueue", "true", None),
            (false, "ContentBasedDeduplication", "true", Some("InvalidAttributeName")),
            (true, "ContentBasedDeduplication", "true", None),
            (true, "DeduplicationScope", "group", Some("InvalidAttributeValue")),
            (true, "FifoThroughputLimit", "perMessageGroupId", Some("InvalidAttributeValue")),
            (false, "Colour", "red", Some("InvalidAttributeName")),
            (false, "Policy", "no json", Some("InvalidAttributeValue")),
            (false, "RedrivePolicy", "", None),
            (false, "RedrivePolicy", "{}", Some("InvalidParameterValue")),
            (
                false,
                "RedrivePolicy",
                r#"{"deadLetterTargetArn":"arn:aws:sqs:r:0:d","maxReceiveCount":0}"#,
                Some("InvalidParameterValue"),
            ),
            (false, "RedrivePolicy", r#"{"deadLetterTargetArn":"arn:aws:sqs:r:0:d","maxReceiveCount":"5"}"#, None),
            (false, "RedriveAllowPolicy", r#"{"redrivePermission":"denyAll"}"#, None),
            (false, "RedriveAllowPolicy", r#"{"redrivePermission":"byQueue"}"#, Some("InvalidParameterValue")),
        ] {
            let outcome = set(fifo, name, value);
            assert_eq!(outcome.as_ref().err().map(String::as_str), error, "{name}={value}");
        }
    }

    #[test]
    fn what_is_set_is_shown() {
        let attributes = set(false, "VisibilityTimeout", "7").unwrap();
        assert_eq!(attributes.show()["VisibilityTimeout"], "7");
        assert_eq!(attributes.show()["MessageRetentionPeriod"], "345600");
        assert!(!attributes.show().contains_key("FifoQueue"));
        assert_eq!(set(true, "FifoQueue", "true").unwrap().show()["DeduplicationScope"], "queue");
    }
}
