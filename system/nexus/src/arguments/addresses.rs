//! Names, ARNs and URLs, checked before anything is called: AWS's own answers to a wrong one are hard to read.

use std::fmt;

/// A topic as it was named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TopicAddress {
    Name(String),
    Arn(String),
}

impl fmt::Display for TopicAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopicAddress::Name(text) | TopicAddress::Arn(text) => f.write_str(text),
        }
    }
}

/// A queue as it was named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum QueueAddress {
    Name(String),
    Url(String),
}

pub(super) fn endpoint_url(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    match rest {
        Some(authority) if !authority.is_empty() && !authority.starts_with('/') => Ok(text.to_owned()),
        _ => Err("it must begin with http:// or https:// and name a host".to_owned()),
    }
}

pub(super) fn region(text: &str) -> Result<String, String> {
    let is_sound = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    checked(text, 1, 63, is_sound, "a region is made of lower-case letters, digits and hyphens, like eu-central-1")
}

pub(super) fn table_name(text: &str) -> Result<String, String> {
    checked(text, 3, 255, is_name_or_dot, "a table's name has 3 to 255 letters, digits, `_`, `-` and `.`")
}

pub(super) fn stream_name(text: &str) -> Result<String, String> {
    checked(text, 1, 128, is_name_or_dot, "a stream's name has 1 to 128 letters, digits, `_`, `-` and `.`")
}

pub(super) fn topic_name(text: &str) -> Result<String, String> {
    let rule = "a topic's name has 1 to 256 letters, digits, `_` and `-`; FIFO topics (`.fifo`) are not supported";
    checked(text, 1, 256, is_name, rule)
}

pub(super) fn queue_name(text: &str) -> Result<String, String> {
    let rule = "a queue's name has 1 to 80 letters, digits, `_` and `-`; FIFO queues (`.fifo`) are not supported";
    checked(text, 1, 80, is_name, rule)
}

pub(super) fn registry_name(text: &str) -> Result<String, String> {
    let is_sound = |character| is_name_or_dot(character) || character == '$' || character == '#';
    checked(text, 1, 255, is_sound, "a registry's name has 1 to 255 letters, digits, `_`, `-`, `$`, `#` and `.`")
}

pub(super) fn topic_address(text: &str) -> Result<TopicAddress, String> {
    if !text.starts_with("arn:") {
        return topic_name(text).map(TopicAddress::Name);
    }
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        ["arn", partition, "sns", region, account, name]
            if !partition.is_empty() && !region.is_empty() && is_account(account) && topic_name(name).is_ok() =>
        {
            Ok(TopicAddress::Arn(text.to_owned()))
        }
        _ => Err("a topic's ARN is like arn:aws:sns:eu-central-1:123456789012:nexus-background".to_owned()),
    }
}

pub(super) fn queue_address(text: &str) -> Result<QueueAddress, String> {
    if !text.contains("://") {
        return queue_name(text).map(QueueAddress::Name);
    }
    let path = endpoint_url(text)?
        .split_once("://")
        .and_then(|(_, rest)| rest.split_once('/'))
        .map(|(_, path)| path.to_owned());
    let name = path.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    queue_name(name).map(|_| QueueAddress::Url(text.to_owned())).map_err(|_| {
        "a queue's URL is like https://sqs.eu-central-1.amazonaws.com/123456789012/nexus-notifications".to_owned()
    })
}

fn checked(
    text: &str,
    length_min: usize,
    length_max: usize,
    is_sound: impl Fn(char) -> bool,
    rule: &str,
) -> Result<String, String> {
    if (length_min..=length_max).contains(&text.len()) && text.chars().all(is_sound) {
        Ok(text.to_owned())
    } else {
        Err(rule.to_owned())
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

fn is_name_or_dot(character: char) -> bool {
    is_name(character) || character == '.'
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_their_services() {
        type Check = fn(&str) -> Result<String, String>;
        let cases: [(Check, &str, bool); 17] = [
            (table_name, "nexus-events", true),
            (table_name, "a.b", true),
            (table_name, "ab", false),
            (table_name, "a/b/c", false),
            (stream_name, "nexus-core", true),
            (stream_name, "", false),
            (queue_name, "nexus-notifications", true),
            (queue_name, "nexus.fifo", false),
            (topic_name, "nexus.fifo", false),
            (registry_name, "nexus.orders#1", true),
            (registry_name, "", false),
            (registry_name, "nexus/orders", false),
            (region, "eu-central-1", true),
            (region, "EU", false),
            (endpoint_url, "http://127.0.0.1:4566", true),
            (endpoint_url, "127.0.0.1:4566", false),
            (endpoint_url, "https:///path", false),
        ];
        for (check, text, wanted) in cases {
            assert_eq!(check(text).is_ok(), wanted, "{text}");
        }
        assert!(queue_name(&"q".repeat(81)).is_err());
    }

    #[test]
    fn topics_are_named_or_addressed() {
        let arn = "arn:aws:sns:eu-central-1:123456789012:nexus-background";
        assert_eq!(topic_address(arn), Ok(TopicAddress::Arn(arn.to_owned())));
        assert_eq!(topic_address("nexus-background"), Ok(TopicAddress::Name("nexus-background".to_owned())));
        for wrong in [
            "arn:aws:sqs:eu-central-1:123456789012:nexus-background",
            "arn:aws:sns:eu-central-1:1234:nexus-background",
            "arn:aws:sns:eu-central-1:123456789012:nexus-background:subscription",
            "arn:aws:sns::123456789012:nexus-background",
            "topic/name",
        ] {
            assert!(topic_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn queues_are_named_or_addressed() {
        let url = "https://sqs.eu-central-1.amazonaws.com/123456789012/nexus-notifications";
        assert_eq!(queue_address(url), Ok(QueueAddress::Url(url.to_owned())));
        assert_eq!(queue_address("q"), Ok(QueueAddress::Name("q".to_owned())));
        for wrong in ["ftp://host/q", "https://sqs.eu-central-1.amazonaws.com", "https://host/", "http:///q", "q q"] {
            assert!(queue_address(wrong).is_err(), "{wrong}");
        }
    }
}
