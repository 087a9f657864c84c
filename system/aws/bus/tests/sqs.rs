//! SQS as a queue, against scripted answers with its legacy error codes.
#![forbid(unsafe_code)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_aws_bus::SqsQueue;
use nexus_ports::{CallFailure, EntryFailure, MessageQueue, Platform, QueueDraft, QueueMessage};
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};
use support::{Reply, Seen, config, serve};

const URL: &str = "http://sqs.us-east-1.amazonaws.com/123456789012/nexus-notifications";
/// Of the text `hello`, as RFC 1321's algorithm gives it.
const HELLO_MD5: &str = "5d41402abc4b2a76b9719d911017c592";

struct Script {
    platform: Platform,
    queue: SqsQueue,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Script {
    fn new(replies: impl IntoIterator<Item = Reply>) -> Self {
        let test = TestPlatform::new(9);
        let seen = serve(&test, replies.into_iter().collect());
        let queue = SqsQueue::new(&test.platform, &config(), URL);
        Self { platform: test.platform, queue, seen }
    }

    /// Each request's target and body.
    fn sent(&self) -> Vec<(String, Value)> {
        let seen = self.seen.lock().unwrap();
        let target = |seen: &Seen| seen.header("x-amz-target").unwrap().to_owned();
        seen.iter().map(|seen| (target(seen), serde_json::from_str(&seen.body).unwrap())).collect()
    }
}

fn ok(body: Value) -> Reply {
    Reply::ok(&body.to_string())
}

/// An error as SQS gives it to clients that ask for legacy codes.
fn error(status: u16, modern: &str, legacy: &str) -> Reply {
    Reply::AnswerWithHeader {
        status,
        header: format!("x-amzn-query-error: {legacy};Sender"),
        body: json!({"__type": format!("com.amazonaws.sqs#{modern}"), "message": "as scripted"}).to_string(),
    }
}

fn message() -> Value {
    json!({
        "MessageId": "m-1", "ReceiptHandle": "handle-1", "Body": "hello", "MD5OfBody": HELLO_MD5,
        "Attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1700000000123"},
        "MessageAttributes": {
            "stream": {"DataType": "String", "StringValue": "cart-c-1"},
            "event_type": {"DataType": "String", "StringValue": "CartAbandoned"},
            "raw": {"DataType": "Binary", "BinaryValue": "AAE="},
        },
    })
}

fn failure_kind(failure: &CallFailure) -> &'static str {
    match failure {
        CallFailure::Throttled(_) => "throttled",
        CallFailure::NotSent(_) => "not sent",
        CallFailure::Rejected(_) => "rejected",
        CallFailure::Unknown(_) => "unknown",
    }
}

fn entry_kinds(outcomes: &[Result<(), EntryFailure>]) -> Vec<&'static str> {
    let kind = |outcome: &Result<(), EntryFailure>| match outcome {
        Ok(()) => "ok",
        Err(EntryFailure::Throttled(_)) => "throttled",
        Err(EntryFailure::Unknown(_)) => "unknown",
        Err(EntryFailure::Rejected(_)) => "rejected",
    };
    outcomes.iter().map(kind).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_are_received_with_all_that_is_known_of_them() {
    let script = Script::new([ok(json!({"Messages": [message()]})), ok(json!({}))]);
    let wanted = QueueMessage {
        message_id: "m-1".to_owned(),
        receipt_handle: "handle-1".to_owned(),
        body: "hello".to_owned(),
        attributes: vec![
            ("event_type".to_owned(), "CartAbandoned".to_owned()),
            ("stream".to_owned(), "cart-c-1".to_owned()),
        ],
        receive_count: 3,
        sent_at_ms: 1_700_000_000_123,
    };
    assert_eq!(script.queue.receive(10, 20, 60).await, Ok(vec![wanted]));
    assert_eq!(script.queue.receive(1, 0, 0).await, Ok(vec![]));
    let asked = json!({
        "QueueUrl": URL, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 20, "VisibilityTimeout": 60,
        "MessageSystemAttributeNames": ["ApproximateReceiveCount", "SentTimestamp"], "MessageAttributeNames": ["All"],
    });
    assert_eq!(script.sent()[0], ("AmazonSQS.ReceiveMessage".to_owned(), asked));
}

#[tokio::test(start_paused = true)]
async fn a_damaged_or_incomplete_message_makes_the_receive_unknown() {
    let mut other_body = message();
    other_body["Body"] = json!("hello!");
    let without = |name: &str| {
        let mut message = message();
        message.as_object_mut().unwrap().remove(name);
        message
    };
    let mut uncounted = message();
    uncounted["Attributes"] = json!({"SentTimestamp": "1"});
    let mut undated = message();
    undated["Attributes"] = json!({"ApproximateReceiveCount": "1", "SentTimestamp": "yesterday"});
    for damaged in [
        other_body,
        without("MD5OfBody"),
        without("Body"),
        without("MessageId"),
        without("ReceiptHandle"),
        without("Attributes"),
        uncounted,
        undated,
    ] {
        let script = Script::new([ok(json!({"Messages": [message(), damaged]}))]);
        let failure = script.queue.receive(10, 0, 60).await.unwrap_err();
        assert_eq!(failure_kind(&failure), "unknown", "{damaged}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_is_waited_for_and_silence_beyond_it_is_not() {
    let body = json!({"Messages": [message()]}).to_string();
    let late = Script::new([Reply::AnswerAfter { wait: Duration::from_millis(21_000), body }]);
    assert_eq!(late.queue.receive(10, 20, 60).await.map(|messages| messages.len()), Ok(1));

    for (wait_seconds, patience_ms) in [(0, 2_000), (20, 22_000)] {
        let silent = Script::new([]);
        let began = silent.platform.monotonic();
        let failure = silent.queue.receive(10, wait_seconds, 60).await.unwrap_err();
        assert_eq!(failure_kind(&failure), "unknown");
        let waited_ms = silent.platform.monotonic().since(began).as_millis();
        assert!((patience_ms..patience_ms + 100).contains(&waited_ms), "{wait_seconds}: {waited_ms}");
    }

    // The other calls keep their usual patience.
    let silent = Script::new([]);
    let began = silent.platform.monotonic();
    assert_eq!(failure_kind(&silent.queue.set_visibility("handle-1", 0).await.unwrap_err()), "unknown");
    assert!(silent.platform.monotonic().since(began) < Duration::from_millis(2_100));
}

/// Answers to any call to SQS, and what each becomes.
fn errors() -> Vec<(Reply, &'static str)> {
    let prefixed = |code: &str| format!("AWS.SimpleQueueService.{code}");
    vec![
        (error(400, "QueueDoesNotExist", &prefixed("NonExistentQueue")), "rejected"),
        (error(400, "UnsupportedOperation", &prefixed("UnsupportedOperation")), "rejected"),
        (error(400, "TooManyEntriesInBatchRequest", &prefixed("TooManyEntriesInBatchRequest")), "rejected"),
        (error(400, "MessageNotInflight", &prefixed("MessageNotInflight")), "rejected"),
        (error(404, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid"), "rejected"),
        (error(400, "InvalidParameterValue", "InvalidParameterValue"), "rejected"),
        (error(403, "AccessDeniedException", "AccessDenied"), "rejected"),
        (error(403, "OverLimit", "OverLimit"), "throttled"),
        (error(400, "RequestThrottled", "RequestThrottled"), "throttled"),
        (error(400, "ThrottlingException", "ThrottlingException"), "throttled"),
        (error(400, "KmsThrottled", "KMS.ThrottlingException"), "throttled"),
        (error(500, "InternalFailure", "InternalFailure"), "unknown"),
        (error(503, "ServiceUnavailable", "ServiceUnavailable"), "unknown"),
        (error(503, "RequestThrottled", "RequestThrottled"), "unknown"),
        // Without the header the modern codes count.
        (
            Reply::Answer { status: 403, body: json!({"__type": "com.amazonaws.sqs#OverLimit"}).to_string() },
            "throttled",
        ),
        (
            Reply::Answer { status: 400, body: json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist"}).to_string() },
            "rejected",
        ),
        (Reply::Answer { status: 503, body: "<html></html>".to_owned() }, "unknown"),
        (Reply::BytesThenClose(String::new()), "unknown"),
        (Reply::BytesThenSilence(String::new()), "unknown"),
        (Reply::ok("{nonsense"), "unknown"),
    ]
}

#[tokio::test(start_paused = true)]
async fn every_error_of_every_call_becomes_its_outcome() {
    let handles = ["handle-1".to_owned()];
    let drafts = [QueueDraft { body: "hello".to_owned(), attributes: Vec::new() }];
    for (reply, expected) in errors() {
        let scripts: [Script; 4] = std::array::from_fn(|_| Script::new([reply.clone()]));
        let failures = [
            scripts[0].queue.receive(10, 1, 30).await.map(|_| ()),
            scripts[1].queue.delete(&handles).await.map(|_| ()),
            scripts[2].queue.send(&drafts).await.map(|_| ()),
        ];
        for failure in failures {
            assert_eq!(failure_kind(&failure.unwrap_err()), expected, "{reply:?}");
        }
        // Its answer has no body that could be nonsense.
        if !matches!(&reply, Reply::Answer { status: 200, .. }) {
            let failure = scripts[3].queue.set_visibility("handle-1", 30).await.unwrap_err();
            assert_eq!(failure_kind(&failure), expected, "{reply:?}");
        }
        for script in &scripts {
            assert!(script.sent().len() <= 1, "{reply:?}: attempted again");
        }
    }
    let test = TestPlatform::new(9);
    let queue = SqsQueue::new(&test.platform, &config(), URL);
    assert_eq!(failure_kind(&queue.receive(1, 0, 30).await.unwrap_err()), "not sent");
}

#[tokio::test(start_paused = true)]
async fn each_deletion_has_its_own_outcome() {
    let failed = |id: &str, code: &str, is_sender_fault: bool| json!({"Id": id, "Code": code, "SenderFault": is_sender_fault, "Message": "as scripted"});
    let answer = json!({
        "Successful": [{"Id": "0"}],
        "Failed": [
            failed("1", "ReceiptHandleIsInvalid", true),
            failed("2", "InvalidParameterValue", false),
            failed("3", "InternalError", false),
            failed("4", "RequestThrottled", true),
        ],
    });
    let script = Script::new([ok(answer)]);
    let handles: Vec<String> = (0..6).map(|index| format!("handle-{index}")).collect();
    let outcomes = script.queue.delete(&handles).await.unwrap();
    assert_eq!(entry_kinds(&outcomes), ["ok", "rejected", "rejected", "unknown", "throttled", "unknown"]);
    let entries: Vec<Value> =
        handles.iter().enumerate().map(|(id, handle)| json!({"Id": id.to_string(), "ReceiptHandle": handle})).collect();
    let asked = json!({"QueueUrl": URL, "Entries": entries});
    assert_eq!(script.sent(), [("AmazonSQS.DeleteMessageBatch".to_owned(), asked)]);
}

#[tokio::test(start_paused = true)]
async fn each_sent_message_has_its_own_outcome() {
    let sent = |id: &str, md5: &str| json!({"Id": id, "MessageId": "m", "MD5OfMessageBody": md5});
    let answer = json!({
        "Successful": [sent("0", HELLO_MD5), sent("1", "00000000000000000000000000000000")],
        "Failed": [{"Id": "2", "Code": "InvalidMessageContents", "SenderFault": true}],
    });
    let script = Script::new([ok(answer)]);
    let draft = QueueDraft {
        body: "hello".to_owned(),
        attributes: vec![("event_type".to_owned(), "CartAbandoned".to_owned())],
    };
    let outcomes = script.queue.send(&vec![draft; 4]).await.unwrap();
    assert_eq!(entry_kinds(&outcomes), ["ok", "unknown", "rejected", "unknown"]);
    let (target, asked) = script.sent().remove(0);
    assert_eq!((target.as_str(), &asked["QueueUrl"]), ("AmazonSQS.SendMessageBatch", &json!(URL)));
    let entry = json!({
        "Id": "0", "MessageBody": "hello",
        "MessageAttributes": {"event_type": {"DataType": "String", "StringValue": "CartAbandoned"}},
    });
    assert_eq!(asked["Entries"][0], entry);
    assert_eq!(asked["Entries"].as_array().unwrap().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_hidden_longer_or_shown_again() {
    let script = Script::new([ok(json!({}))]);
    assert_eq!(script.queue.set_visibility("handle-1", 90).await, Ok(()));
    let asked = json!({"QueueUrl": URL, "ReceiptHandle": "handle-1", "VisibilityTimeout": 90});
    assert_eq!(script.sent(), [("AmazonSQS.ChangeMessageVisibility".to_owned(), asked)]);
}

#[tokio::test(start_paused = true)]
async fn empty_batches_ask_nothing() {
    let script = Script::new([]);
    assert_eq!(script.queue.delete(&[]).await, Ok(Vec::new()));
    assert_eq!(script.queue.send(&[]).await, Ok(Vec::new()));
    assert_eq!(script.sent(), []);
}
