//! SNS as a topic, against scripted answers in its XML.
#![forbid(unsafe_code)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::sync::{Arc, Mutex};

use nexus_aws_bus::SnsTopic;
use nexus_ports::{CallFailure, EntryFailure, MessageTopic, TopicMessage};
use nexus_ports_testing::TestPlatform;
use support::{Reply, Seen, config, serve};

const ARN: &str = "arn:aws:sns:us-east-1:123456789012:nexus-background";

fn script(replies: impl IntoIterator<Item = Reply>) -> (SnsTopic, Arc<Mutex<Vec<Seen>>>) {
    let test = TestPlatform::new(8);
    let seen = serve(&test, replies.into_iter().collect());
    (SnsTopic::new(&test.platform, &config(), ARN), seen)
}

fn message(body: &str) -> TopicMessage {
    TopicMessage { body: body.to_owned(), attributes: vec![("event_type".to_owned(), "CartAbandoned".to_owned())] }
}

fn published(successful: &[&str], failed: &[(&str, &str, bool)]) -> Reply {
    let successful = successful.iter().map(|id| format!("<member><MessageId>m-{id}</MessageId><Id>{id}</Id></member>"));
    let failed = failed.iter().map(|(id, code, is_sender_fault)| {
        format!(
            "<member><Id>{id}</Id><Code>{code}</Code><Message>as scripted</Message>\
             <SenderFault>{is_sender_fault}</SenderFault></member>"
        )
    });
    let (successful, failed): (String, String) = (successful.collect(), failed.collect());
    Reply::ok(&format!(
        r#"<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult>
        <Successful>{successful}</Successful><Failed>{failed}</Failed>
        </PublishBatchResult><ResponseMetadata><RequestId>R-1</RequestId></ResponseMetadata></PublishBatchResponse>"#
    ))
}

fn error(status: u16, code: &str) -> Reply {
    let body = format!(
        r#"<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>
        <Code>{code}</Code><Message>as scripted</Message></Error><RequestId>R-1</RequestId></ErrorResponse>"#
    );
    Reply::Answer { status, body }
}

/// The form's fields, decoded.
fn fields(body: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let mut bytes = Vec::new();
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            if byte == b'%' {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            } else {
                bytes.push(if byte == b'+' { b' ' } else { byte });
            }
        }
        String::from_utf8(bytes).unwrap()
    };
    body.split('&')
        .map(|field| field.split_once('=').unwrap())
        .map(|(name, value)| (decode(name), decode(value)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_batch_carries_each_message_with_its_attributes() {
    let (topic, seen) = script([published(&["0", "1"], &[])]);
    let second = TopicMessage { attributes: Vec::new(), ..message("b & ü") };
    assert_eq!(topic.publish(&[message(r#"{"a":1}"#), second]).await, Ok(vec![Ok(()), Ok(())]));
    let sent = fields(&seen.lock().unwrap()[0].body);
    let member = "PublishBatchRequestEntries.member";
    let wanted = [
        ("Action".to_owned(), "PublishBatch"),
        ("Version".to_owned(), "2010-03-31"),
        ("TopicArn".to_owned(), ARN),
        (format!("{member}.1.Id"), "0"),
        (format!("{member}.1.Message"), r#"{"a":1}"#),
        (format!("{member}.1.MessageAttributes.entry.1.Name"), "event_type"),
        (format!("{member}.1.MessageAttributes.entry.1.Value.DataType"), "String"),
        (format!("{member}.1.MessageAttributes.entry.1.Value.StringValue"), "CartAbandoned"),
        (format!("{member}.2.Id"), "1"),
        (format!("{member}.2.Message"), "b & ü"),
    ];
    assert_eq!(sent, wanted.map(|(name, value)| (name, value.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn each_message_of_a_batch_has_its_own_outcome() {
    let failed = [
        ("1", "InternalError", false),
        ("2", "InvalidParameter", true),
        ("3", "Throttled", true),
        ("4", "KMSThrottling", false),
        ("5", "InternalError", true),
        ("6", "SomethingNew", false),
    ];
    let (topic, seen) = script([published(&["0"], &failed)]);
    let messages: Vec<TopicMessage> = (0..8).map(|index| message(&index.to_string())).collect();
    let outcomes = topic.publish(&messages).await.unwrap();
    let kinds: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Ok(()) => "ok",
            Err(EntryFailure::Throttled(_)) => "throttled",
            Err(EntryFailure::Unknown(_)) => "unknown",
            Err(EntryFailure::Rejected(_)) => "rejected",
        })
        .collect();
    // The last one is not mentioned at all.
    assert_eq!(kinds, ["ok", "unknown", "rejected", "throttled", "throttled", "unknown", "unknown", "unknown"]);
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_error_of_a_batch_becomes_its_outcome() {
    let table = [
        (error(429, "Throttled"), "throttled"),
        (error(400, "Throttling"), "throttled"),
        (error(400, "KMSThrottling"), "throttled"),
        (error(404, "NotFound"), "rejected"),
        (error(403, "AuthorizationError"), "rejected"),
        (error(400, "InvalidParameter"), "rejected"),
        (error(400, "TooManyEntriesInBatchRequest"), "rejected"),
        (error(400, "BatchRequestTooLong"), "rejected"),
        (error(403, "ExpiredToken"), "rejected"),
        (error(500, "InternalError"), "unknown"),
        (error(503, "Throttled"), "unknown"),
        (Reply::Answer { status: 503, body: "<html><body>Service Unavailable</body></html>".to_owned() }, "unknown"),
        (Reply::BytesThenClose(String::new()), "unknown"),
        (Reply::BytesThenSilence(String::new()), "unknown"),
        (Reply::ok("<PublishBatchResponse"), "unknown"),
    ];
    for (reply, expected) in table {
        let (topic, seen) = script([reply.clone()]);
        let kind = match topic.publish(&[message("a")]).await.unwrap_err() {
            CallFailure::Throttled(_) => "throttled",
            CallFailure::NotSent(_) => "not sent",
            CallFailure::Rejected(_) => "rejected",
            CallFailure::Unknown(_) => "unknown",
        };
        assert_eq!(kind, expected, "{reply:?}");
        assert_eq!(seen.lock().unwrap().len(), 1, "{reply:?}: attempted again");
    }
    let test = TestPlatform::new(8);
    let outcome = SnsTopic::new(&test.platform, &config(), ARN).publish(&[message("a")]).await;
    assert!(matches!(outcome, Err(CallFailure::NotSent(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_batch_asks_nothing() {
    let (topic, seen) = script([]);
    assert_eq!(topic.publish(&[]).await, Ok(Vec::new()));
    assert_eq!(seen.lock().unwrap().len(), 0);
}
