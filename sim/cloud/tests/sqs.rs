//! Queues: every operation and its errors, time, order, dead letters.
#![forbid(unsafe_code)]

#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "support/queues.rs"]
mod queues;

use std::time::Duration;

use nexus_cloud::{CloudConfig, MessageStepKind as Step, SqsConfig};
use queues::{Client, MS, SECOND, bodies, exact, queue_arn, url};
use serde_json::{Value, json};

fn client() -> Client {
    Client::new(exact())
}

fn redrive(target: &str, count: u32) -> Value {
    json!(json!({"deadLetterTargetArn": queue_arn(target), "maxReceiveCount": count}).to_string())
}

#[test]
fn a_message_goes_through_with_all_that_belongs_to_it() {
    let mut client = client();
    assert_eq!(client.create("orders", json!({})), url("orders"));
    let sent = client.sqs(
        "SendMessage",
        json!({
            "QueueUrl": "http://127.0.0.1:4566/000000000000/orders",
            "MessageBody": "hello world",
            "MessageAttributes": {
                "kind": {"DataType": "String", "StringValue": "greeting"},
                "raw": {"DataType": "Binary.gif", "BinaryValue": "AAE="},
            },
            "MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}},
        }),
    );
    assert_eq!(sent["MD5OfMessageBody"], "5eb63bbbe01eeed093cb22bb8f5acdc3");
    assert!(sent["MD5OfMessageSystemAttributes"].is_string());
    let messages = client.take("orders");
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(message["MessageId"], sent["MessageId"]);
    assert_eq!(message["MD5OfMessageAttributes"], sent["MD5OfMessageAttributes"]);
    assert_eq!(message["Body"], "hello world");
    assert_eq!(message["MessageAttributes"]["raw"], json!({"DataType": "Binary.gif", "BinaryValue": "AAE="}));
    let attributes = &message["Attributes"];
    assert_eq!(attributes["ApproximateReceiveCount"], "1");
    assert_eq!(attributes["SentTimestamp"], "1767225600016");
    assert_eq!(attributes["AWSTraceHeader"], "Root=1-2-3");
    assert_eq!(attributes["SequenceNumber"], Value::Null);
    client.delete("orders", message);
    assert_eq!(client.take_with("orders", json!({"WaitTimeSeconds": 1})), Vec::<Value>::new());
    assert_eq!(client.story("orders"), [Step::Accepted, Step::Received, Step::Deleted]);
    let steps = client.steps(Step::Accepted);
    assert_eq!((&*steps[0].body, steps[0].message_id.as_str()), ("hello world", sent["MessageId"].as_str().unwrap()));
}

#[test]
fn receivers_choose_attributes() {
    let mut client = client();
    client.create("q", json!({}));
    let attribute = |text: &str| json!({"DataType": "String", "StringValue": text});
    client.sqs(
        "SendMessage",
        json!({"QueueUrl": url("q"), "MessageBody": "m", "MessageAttributes": {"a.b": attribute("1"), "a.c": attribute("2"), "d": attribute("3")}}),
    );
    for (names, wanted) in [
        (json!(["All"]), vec!["a.b", "a.c", "d"]),
        (json!([".*"]), vec!["a.b", "a.c", "d"]),
        (json!(["a.*"]), vec!["a.b", "a.c"]),
        (json!(["d", "nothing"]), vec!["d"]),
        (json!([]), vec![]),
    ] {
        let more = json!({"MessageAttributeNames": names, "VisibilityTimeout": 0, "MessageSystemAttributeNames": ["SenderId"]});
        let taken = client.take_with("q", more);
        let shown: Vec<&str> = taken[0]["MessageAttributes"]
            .as_object()
            .map(|map| map.keys().map(String::as_str).collect())
            .unwrap_or_default();
        assert_eq!(shown, wanted);
        assert_eq!(taken[0]["Attributes"].as_object().unwrap().len(), 1);
    }
}

#[test]
fn every_refusal_has_both_its_codes() {
    let long = "x".repeat(1_048_577);
    let many: Vec<Value> = (0..11).map(|n| json!({"Id": format!("{n}"), "MessageBody": "m"})).collect();
    let attributes: serde_json::Map<String, Value> =
        (0..11).map(|n| (format!("a{n}"), json!({"DataType": "String", "StringValue": "v"}))).collect();
    let q = url("q");
    let f = url("f.fifo");
    let entry = |id: &str| json!({"Id": id, "MessageBody": "m"});
    let attribute = |value: Value| json!({"QueueUrl": url("q"), "MessageBody": "m", "MessageAttributes": {"a": value}});
    let cases = [
        (
            "SendMessage",
            json!({"QueueUrl": url("none"), "MessageBody": "m"}),
            400,
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        ("SendMessage", json!({"MessageBody": "m"}), 400, "MissingRequiredParameterException", "MissingParameter"),
        ("SendMessage", json!({"QueueUrl": q}), 400, "MissingRequiredParameterException", "MissingParameter"),
        ("SendMessage", json!({"QueueUrl": q, "MessageBody": 7}), 400, "SerializationException", "MalformedInput"),
        (
            "SendMessage",
            json!({"QueueUrl": q, "MessageBody": "\u{1}"}),
            400,
            "InvalidMessageContents",
            "InvalidMessageContents",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": q, "MessageBody": long}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": q, "MessageBody": "m", "DelaySeconds": 901}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": q, "MessageBody": "m", "MessageDeduplicationId": "d"}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": q, "MessageBody": "m", "MessageAttributes": attributes}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            attribute(json!({"DataType": "Text", "StringValue": "v"})),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            attribute(json!({"DataType": "Number", "StringValue": "v"})),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            attribute(json!({"DataType": "String", "StringValue": ""})),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": f, "MessageBody": "m"}),
            400,
            "MissingRequiredParameterException",
            "MissingParameter",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": f, "MessageBody": "m", "MessageGroupId": "g"}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": f, "MessageBody": "m", "MessageGroupId": "g h", "MessageDeduplicationId": "d"}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessage",
            json!({"QueueUrl": f, "MessageBody": "m", "MessageGroupId": "g", "MessageDeduplicationId": "d", "DelaySeconds": 1}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "SendMessageBatch",
            json!({"QueueUrl": q, "Entries": []}),
            400,
            "EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
        ),
        (
            "SendMessageBatch",
            json!({"QueueUrl": q, "Entries": many}),
            400,
            "TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
        ),
        (
            "SendMessageBatch",
            json!({"QueueUrl": q, "Entries": [entry("a"), entry("a")]}),
            400,
            "BatchEntryIdsNotDistinct",
            "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
        ),
        (
            "SendMessageBatch",
            json!({"QueueUrl": q, "Entries": [entry("a b")]}),
            400,
            "InvalidBatchEntryId",
            "AWS.SimpleQueueService.InvalidBatchEntryId",
        ),
        (
            "SendMessageBatch",
            json!({"QueueUrl": q, "Entries": [entry("a"), {"Id": "b", "MessageBody": "x".repeat(1_048_576)}]}),
            400,
            "BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": url("none")}),
            400,
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": q, "MaxNumberOfMessages": 11}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": q, "WaitTimeSeconds": 21}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": q, "VisibilityTimeout": 43201}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": q, "ReceiveRequestAttemptId": "a"}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "ReceiveMessage",
            json!({"QueueUrl": q, "AttributeNames": ["Colour"]}),
            400,
            "InvalidAttributeName",
            "InvalidAttributeName",
        ),
        (
            "DeleteMessage",
            json!({"QueueUrl": q, "ReceiptHandle": "nonsense"}),
            400,
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
        ),
        ("DeleteMessage", json!({"QueueUrl": q}), 400, "MissingRequiredParameterException", "MissingParameter"),
        (
            "ChangeMessageVisibility",
            json!({"QueueUrl": q, "ReceiptHandle": "nonsense", "VisibilityTimeout": 1}),
            400,
            "ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid",
        ),
        ("CreateQueue", json!({"QueueName": "a b"}), 400, "InvalidParameterValueException", "InvalidParameterValue"),
        ("CreateQueue", json!({"QueueName": "x.fifo"}), 400, "InvalidParameterValueException", "InvalidParameterValue"),
        (
            "CreateQueue",
            json!({"QueueName": "x", "Attributes": {"FifoQueue": "true"}}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "x", "Attributes": {"Colour": "red"}}),
            400,
            "InvalidAttributeName",
            "InvalidAttributeName",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "x", "Attributes": {"DelaySeconds": "901"}}),
            400,
            "InvalidAttributeValue",
            "InvalidAttributeValue",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "q", "Attributes": {"DelaySeconds": "9"}}),
            400,
            "QueueNameExists",
            "QueueAlreadyExists",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "x", "Attributes": {"RedrivePolicy": redrive("none", 3)}}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "CreateQueue",
            json!({"QueueName": "x", "Attributes": {"RedrivePolicy": redrive("f.fifo", 3)}}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "GetQueueUrl",
            json!({"QueueName": "none"}),
            400,
            "QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue",
        ),
        (
            "GetQueueAttributes",
            json!({"QueueUrl": q, "AttributeNames": ["Colour"]}),
            400,
            "InvalidAttributeName",
            "InvalidAttributeName",
        ),
        (
            "SetQueueAttributes",
            json!({"QueueUrl": q, "Attributes": {"VisibilityTimeout": "x"}}),
            400,
            "InvalidAttributeValue",
            "InvalidAttributeValue",
        ),
        (
            "StartMessageMoveTask",
            json!({"SourceArn": queue_arn("none")}),
            404,
            "ResourceNotFoundException",
            "ResourceNotFoundException",
        ),
        (
            "StartMessageMoveTask",
            json!({"SourceArn": queue_arn("q")}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        (
            "CancelMessageMoveTask",
            json!({"TaskHandle": "nonsense"}),
            400,
            "InvalidParameterValueException",
            "InvalidParameterValue",
        ),
        ("Dance", json!({}), 404, "UnknownOperationException", "InvalidAction"),
    ];
    for (operation, body, status, code, query_code) in cases {
        let mut client = client();
        client.create("q", json!({}));
        client.create("f.fifo", json!({"FifoQueue": "true"}));
        let before = client.cloud.inspect(nexus_cloud::Service::Sqs);
        let refused = client.try_sqs(operation, body).unwrap_err();
        let found = (refused.status, refused.code.as_str(), refused.query_error.as_str());
        assert_eq!(found, (status, code, format!("{query_code};Sender").as_str()), "{operation} {}", refused.message);
        assert_eq!(client.cloud.inspect(nexus_cloud::Service::Sqs), before, "{operation}");
    }
}

#[test]
fn a_batch_fails_entry_by_entry() {
    let mut client = client();
    client.create("q", json!({}));
    let entries = json!([
        {"Id": "good", "MessageBody": "a"}, {"Id": "empty", "MessageBody": ""},
        {"Id": "late", "MessageBody": "b", "DelaySeconds": 1_000},
    ]);
    let answer = client.sqs("SendMessageBatch", json!({"QueueUrl": url("q"), "Entries": entries}));
    assert_eq!(answer["Successful"].as_array().unwrap().len(), 1);
    assert_eq!(answer["Successful"][0]["Id"], "good");
    let failed: Vec<(&str, &str, bool)> = answer["Failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (it["Id"].as_str().unwrap(), it["Code"].as_str().unwrap(), it["SenderFault"].as_bool().unwrap()))
        .collect();
    assert_eq!(failed, [("empty", "MissingParameter", true), ("late", "InvalidParameterValue", true)]);

    let messages = client.take("q");
    let entries = json!([
        {"Id": "good", "ReceiptHandle": messages[0]["ReceiptHandle"], "VisibilityTimeout": 5},
        {"Id": "bad", "ReceiptHandle": "nonsense", "VisibilityTimeout": 5},
    ]);
    for operation in ["ChangeMessageVisibilityBatch", "DeleteMessageBatch"] {
        let answer = client.sqs(operation, json!({"QueueUrl": url("q"), "Entries": entries}));
        assert_eq!(answer["Successful"], json!([{"Id": "good"}]), "{operation}");
        assert_eq!(answer["Failed"][0]["Code"], "ReceiptHandleIsInvalid", "{operation}");
    }
    assert_eq!(client.attribute("q", "ApproximateNumberOfMessagesNotVisible"), "0");
}

#[test]
fn visibility_ends_is_extended_and_has_a_limit() {
    let mut client = client();
    client.create("q", json!({"VisibilityTimeout": "10"}));
    client.put("q", "m");
    let change = |client: &mut Client, message: &Value, seconds: u64| {
        client.try_sqs(
            "ChangeMessageVisibility",
            json!({"QueueUrl": url("q"), "ReceiptHandle": message["ReceiptHandle"], "VisibilityTimeout": seconds}),
        )
    };
    let first = client.take("q").remove(0);
    assert!(client.take("q").is_empty());
    client.wait(9 * SECOND);
    change(&mut client, &first, 10).unwrap();
    client.wait(9 * SECOND);
    assert!(client.take("q").is_empty());
    client.wait(SECOND);
    let second = client.take("q").remove(0);
    assert_eq!(second["Attributes"]["ApproximateReceiveCount"], "2");
    assert_ne!(second["ReceiptHandle"], first["ReceiptHandle"]);
    assert_eq!(
        second["Attributes"]["ApproximateFirstReceiveTimestamp"],
        first["Attributes"]["ApproximateFirstReceiveTimestamp"]
    );
    // The old handle's delete is acknowledged and deletes nothing.
    client.delete("q", &first);
    assert_eq!(client.attribute("q", "ApproximateNumberOfMessagesNotVisible"), "1");
    assert_eq!(change(&mut client, &first, 1).unwrap_err().query_error, "InvalidParameterValue;Sender");
    client.wait(SECOND);
    assert_eq!(change(&mut client, &second, 43_200).unwrap_err().query_error, "InvalidParameterValue;Sender");
    change(&mut client, &second, 43_190).unwrap();
    change(&mut client, &second, 0).unwrap();
    assert_eq!(
        change(&mut client, &second, 5).unwrap_err().query_error,
        "AWS.SimpleQueueService.MessageNotInflight;Sender"
    );
    // A standard queue takes the newest handle even after its time-out.
    client.delete("q", &second);
    assert_eq!(change(&mut client, &second, 5).unwrap_err().query_error, "InvalidParameterValue;Sender");
    assert!(client.take("q").is_empty());
    use Step::{Accepted, Deleted, Reappeared, Received};
    assert_eq!(client.story("q"), [Accepted, Received, Reappeared, Received, Reappeared, Deleted]);
}

#[test]
fn long_polls_wait_for_the_first_message() {
    let mut client = client();
    client.create("q", json!({}));
    let poll = json!({"QueueUrl": url("q"), "WaitTimeSeconds": 20, "MaxNumberOfMessages": 10});
    let (first, second) = (client.start("ReceiveMessage", poll.clone()), client.start("ReceiveMessage", poll.clone()));
    client.wait(5 * SECOND);
    assert!(!client.has_answer(first) && !client.has_answer(second));
    let entries = json!([{"Id": "a", "MessageBody": "a"}, {"Id": "b", "MessageBody": "b"}]);
    client.sqs("SendMessageBatch", json!({"QueueUrl": url("q"), "Entries": entries}));
    client.wait(10 * MS);
    // All of a batch goes to the receiver who waited longest.
    assert_eq!(client.finish(first).unwrap()["Messages"].as_array().unwrap().len(), 2);
    assert!(!client.has_answer(second));
    client.wait(15 * SECOND);
    assert_eq!(client.finish(second), Ok(json!({})));
    let received_at: Vec<Duration> =
        client.steps(Step::Received).iter().map(|step| step.at.since(queues::START)).collect();
    assert!(received_at.iter().all(|at| *at < Duration::from_millis(5_100)), "{received_at:?}");

    // A queue's own waiting time; a message that becomes visible again wakes too.
    client.sqs(
        "SetQueueAttributes",
        json!({"QueueUrl": url("q"), "Attributes": {"ReceiveMessageWaitTimeSeconds": "20"}}),
    );
    let request = client.start("ReceiveMessage", json!({"QueueUrl": url("q")}));
    let answer = client.finish(request).unwrap();
    assert_eq!(answer["Messages"][0]["Body"], "a");

    let request = client.start("ReceiveMessage", json!({"QueueUrl": url("q"), "VisibilityTimeout": 1}));
    client.finish(request).unwrap();
    let request = client.start("ReceiveMessage", json!({"QueueUrl": url("q")}));
    client.wait(100 * MS);
    client.sqs("DeleteQueue", json!({"QueueUrl": url("q")}));
    assert_eq!(client.finish(request).unwrap_err().query_error, "AWS.SimpleQueueService.NonExistentQueue;Sender");
}

#[test]
fn delays_hold_messages_back() {
    let mut client = client();
    client.create("q", json!({"DelaySeconds": "5"}));
    client.put("q", "queue's");
    let body = json!({"QueueUrl": url("q"), "MessageBody": "own", "DelaySeconds": 2});
    client.sqs("SendMessage", body);
    client.sqs("SendMessage", json!({"QueueUrl": url("q"), "MessageBody": "none", "DelaySeconds": 0}));
    assert_eq!(client.attribute("q", "ApproximateNumberOfMessagesDelayed"), "2");
    assert_eq!(bodies(&client.take("q")), ["none"]);
    client.wait(2 * SECOND);
    assert_eq!(bodies(&client.take("q")), ["own"]);
    client.wait(3 * SECOND);
    assert_eq!(bodies(&client.take("q")), ["queue's"]);
}

#[test]
fn messages_expire_and_a_standard_dead_letter_queue_does_not_restart_the_clock() {
    for (suffix, outlives) in [("", false), (".fifo", true)] {
        let mut client = client();
        let (q, dead) = (format!("q{suffix}"), format!("dead{suffix}"));
        let fifo = |mut attributes: Value| {
            if !suffix.is_empty() {
                attributes["FifoQueue"] = json!("true");
                attributes["ContentBasedDeduplication"] = json!("true");
            }
            attributes
        };
        client.create(&dead, fifo(json!({"MessageRetentionPeriod": "100"})));
        client.create(&q, fifo(json!({"VisibilityTimeout": "1", "RedrivePolicy": redrive(&dead, 2)})));
        let mut body = json!({"QueueUrl": url(&q), "MessageBody": "m"});
        if !suffix.is_empty() {
            body["MessageGroupId"] = json!("g");
        }
        let id = client.sqs("SendMessage", body)["MessageId"].clone();
        client.wait(50 * SECOND);
        for _ in 0..2 {
            assert_eq!(client.take(&q).len(), 1);
            client.wait(SECOND);
        }
        // The third receive is one too many.
        assert!(client.take(&q).is_empty());
        let step = client.steps(Step::Accepted).pop().unwrap();
        assert_eq!((step.place, &*step.body), (dead.clone(), "m"));
        assert_eq!(step.note, format!("from {}", id.as_str().unwrap()));
        assert_eq!(client.steps(Step::DeadLettered)[0].note, dead);
        let taken = client.take_with(&dead, json!({"VisibilityTimeout": 0})).remove(0);
        assert_eq!(taken["MessageId"], id);
        assert_eq!(taken["Attributes"]["DeadLetterQueueSourceArn"], queue_arn(&q));
        assert_eq!(taken["Attributes"]["ApproximateReceiveCount"], "3");
        client.wait(60 * SECOND);
        assert_eq!(!client.take_with(&dead, json!({"VisibilityTimeout": 0})).is_empty(), outlives, "{suffix}");
        client.wait(60 * SECOND);
        assert!(client.take(&dead).is_empty());
        let expired = client.steps(Step::Expired).remove(0);
        let age = expired.at.since(queues::START).as_secs();
        assert_eq!(age, if outlives { 152 } else { 100 });
    }
}

#[test]
fn a_dead_letter_queue_may_refuse_or_vanish() {
    let mut client = client();
    let deny = json!({"RedriveAllowPolicy": r#"{"redrivePermission":"denyAll"}"#});
    client.create("closed", deny);
    let refused = client
        .try_sqs("CreateQueue", json!({"QueueName": "q", "Attributes": {"RedrivePolicy": redrive("closed", 1)}}))
        .unwrap_err();
    assert_eq!(refused.query_error, "InvalidParameterValue;Sender");
    let by_queue = json!({"redrivePermission": "byQueue", "sourceQueueArns": [queue_arn("q")]}).to_string();
    client.create("dead", json!({"RedriveAllowPolicy": by_queue}));
    client.create("q", json!({"VisibilityTimeout": "1", "RedrivePolicy": redrive("dead", 1)}));
    let sources = client.sqs("ListDeadLetterSourceQueues", json!({"QueueUrl": url("dead")}));
    assert_eq!(sources, json!({"queueUrls": [url("q")]}));
    client.put("q", "m");
    client.sqs("DeleteQueue", json!({"QueueUrl": url("dead")}));
    // Without its dead-letter queue, the message goes on being delivered.
    for count in ["1", "2", "3"] {
        assert_eq!(client.take("q")[0]["Attributes"]["ApproximateReceiveCount"], count);
        client.wait(2 * SECOND);
    }
}

#[test]
fn fifo_queues_keep_the_order_of_each_group() {
    let mut client = client();
    client.fifo("q.fifo");
    for (group, body) in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a3"), ("b", "b2")] {
        let sent = client.put_in_group("q.fifo", group, body);
        assert_eq!(sent["SequenceNumber"].as_str().unwrap().len(), 20);
    }
    let first = client.take_with("q.fifo", json!({"MaxNumberOfMessages": 2}));
    assert_eq!(bodies(&first), ["a1", "a2"]);
    assert_eq!(first[0]["Attributes"]["MessageGroupId"], "a");
    // The group is blocked while one of its messages is in flight; the other is not.
    let second = client.take("q.fifo");
    assert_eq!(bodies(&second), ["b1", "b2"]);
    client.delete("q.fifo", &first[0]);
    assert!(client.take("q.fifo").is_empty());
    client.wait(30 * SECOND);
    assert_eq!(bodies(&client.take("q.fifo")), ["b1", "b2", "a2", "a3"]);
    let refused = client.try_delete("q.fifo", &first[1]).unwrap_err();
    assert_eq!(refused.query_error, "InvalidParameterValue;Sender");
    assert!(refused.message.ends_with("Reason: The receipt handle has expired."), "{}", refused.message);
    // Deleting what is gone already is no error.
    assert!(client.try_delete("q.fifo", &first[0]).is_ok());
    client.wait(30 * SECOND);
    assert!(client.try_delete("q.fifo", &second[0]).is_err());
}

#[test]
fn fifo_queues_forget_duplicates_for_five_minutes() {
    let mut client = client();
    client.fifo("q.fifo");
    let first = client.put_in_group("q.fifo", "g", "same");
    let message = client.take("q.fifo").remove(0);
    client.delete("q.fifo", &message);
    // Remembered although it is deleted, in whatever group.
    client.wait(299 * SECOND);
    let again = client.put_in_group("q.fifo", "other", "same");
    assert_eq!((&again["MessageId"], &again["SequenceNumber"]), (&first["MessageId"], &first["SequenceNumber"]));
    assert!(client.take("q.fifo").is_empty());
    client.wait(SECOND);
    let later = client.put_in_group("q.fifo", "g", "same");
    assert_ne!(later["MessageId"], first["MessageId"]);
    assert_eq!(bodies(&client.take("q.fifo")), ["same"]);
    assert_eq!(client.steps(Step::Accepted).len(), 2);

    client.create(
        "groups.fifo",
        json!({"FifoQueue": "true", "ContentBasedDeduplication": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"}),
    );
    client.put_in_group("groups.fifo", "a", "same");
    client.put_in_group("groups.fifo", "b", "same");
    client.put_in_group("groups.fifo", "b", "same");
    assert_eq!(client.take("groups.fifo").len(), 2);
}

#[test]
fn a_lost_receive_is_repeated_by_its_attempt_id() {
    let mut client = client();
    client.fifo("q.fifo");
    client.put_in_group("q.fifo", "g", "one");
    client.put_in_group("q.fifo", "g", "two");
    let attempt = json!({"ReceiveRequestAttemptId": "try", "MaxNumberOfMessages": 1});
    let first = client.take_with("q.fifo", attempt.clone());
    assert_eq!(bodies(&first), ["one"]);
    client.wait(20 * SECOND);
    let again = client.take_with("q.fifo", attempt.clone());
    assert_eq!(again, first);
    assert_eq!(again[0]["ReceiptHandle"], first[0]["ReceiptHandle"]);
    // The repetition restarted the time-out.
    client.wait(20 * SECOND);
    client.delete("q.fifo", &again[0]);
    assert_eq!(bodies(&client.take_with("q.fifo", attempt)), ["two"]);
}

#[test]
fn limits_of_messages_in_flight_and_of_calls() {
    let sqs = SqsConfig { in_flight_max: 2, fifo_calls_per_second: 3, ..SqsConfig::default() };
    let mut client = Client::new(CloudConfig { sqs, ..exact() });
    client.create("q", json!({}));
    for body in ["a", "b", "c"] {
        client.put("q", body);
    }
    assert_eq!(client.take("q").len(), 2);
    let refused = client.try_sqs("ReceiveMessage", json!({"QueueUrl": url("q")})).unwrap_err();
    assert_eq!((refused.status, refused.query_error.as_str()), (403, "OverLimit;Sender"));
    let poll = json!({"QueueUrl": url("q"), "WaitTimeSeconds": 1});
    assert_eq!(client.try_sqs("ReceiveMessage", poll), Ok(json!({})));

    client.fifo("q.fifo");
    let mut refused = 0;
    for n in 0..5 {
        let body = json!({"QueueUrl": url("q.fifo"), "MessageBody": format!("{n}"), "MessageGroupId": "g"});
        if let Err(error) = client.try_sqs("SendMessage", body) {
            assert_eq!(error.query_error, "RequestThrottled;Sender");
            refused += 1;
        }
    }
    assert_eq!(refused, 2);
    assert_eq!(client.take("q.fifo").len(), 2);
}

#[test]
fn queues_are_created_listed_tagged_purged_and_deleted() {
    let mut client = client();
    for name in ["b-1", "a-1", "b-2", "b-3"] {
        client.create(name, json!({}));
        client.create(name, json!({}));
    }
    let list = client.sqs("ListQueues", json!({"QueueNamePrefix": "b", "MaxResults": 2}));
    assert_eq!(list["QueueUrls"], json!([url("b-1"), url("b-2")]));
    let rest =
        client.sqs("ListQueues", json!({"QueueNamePrefix": "b", "MaxResults": 2, "NextToken": list["NextToken"]}));
    assert_eq!(rest, json!({"QueueUrls": [url("b-3")]}));
    assert_eq!(client.sqs("ListQueues", json!({"QueueNamePrefix": "c"})), json!({}));
    assert_eq!(client.sqs("GetQueueUrl", json!({"QueueName": "a-1"})), json!({"QueueUrl": url("a-1")}));

    let set = json!({"QueueUrl": url("a-1"), "Attributes": {"VisibilityTimeout": "7", "Policy": "{}"}});
    client.sqs("SetQueueAttributes", set);
    let all = client.sqs("GetQueueAttributes", json!({"QueueUrl": url("a-1"), "AttributeNames": ["All"]}));
    let all = &all["Attributes"];
    assert_eq!((&all["VisibilityTimeout"], &all["MaximumMessageSize"]), (&json!("7"), &json!("1048576")));
    assert_eq!(all["QueueArn"], queue_arn("a-1"));
    assert_eq!(client.sqs("GetQueueAttributes", json!({"QueueUrl": url("a-1")})), json!({}));

    client.sqs("TagQueue", json!({"QueueUrl": url("a-1"), "Tags": {"team": "orders", "cost": "1"}}));
    client.sqs("UntagQueue", json!({"QueueUrl": url("a-1"), "TagKeys": ["cost"]}));
    assert_eq!(client.sqs("ListQueueTags", json!({"QueueUrl": url("a-1")})), json!({"Tags": {"team": "orders"}}));

    let permission =
        json!({"QueueUrl": url("b-1"), "Label": "l", "AWSAccountIds": ["111111111111"], "Actions": ["SendMessage"]});
    client.sqs("AddPermission", permission.clone());
    assert!(client.try_sqs("AddPermission", permission).is_err());
    let policy: Value = serde_json::from_str(client.attribute("b-1", "Policy").as_str().unwrap()).unwrap();
    assert_eq!(policy["Statement"][0]["Action"], json!(["SQS:SendMessage"]));
    client.sqs("RemovePermission", json!({"QueueUrl": url("b-1"), "Label": "l"}));
    assert!(client.try_sqs("RemovePermission", json!({"QueueUrl": url("b-1"), "Label": "l"})).is_err());

    client.put("a-1", "m");
    client.sqs("PurgeQueue", json!({"QueueUrl": url("a-1")}));
    assert!(client.take("a-1").is_empty());
    assert_eq!(client.story("a-1"), [Step::Accepted, Step::Purged]);
    let refused = client.try_sqs("PurgeQueue", json!({"QueueUrl": url("a-1")})).unwrap_err();
    assert_eq!(
        (refused.status, refused.query_error.as_str()),
        (403, "AWS.SimpleQueueService.PurgeQueueInProgress;Sender")
    );
    client.wait(60 * SECOND);
    client.sqs("PurgeQueue", json!({"QueueUrl": url("a-1")}));

    client.sqs("DeleteQueue", json!({"QueueUrl": url("a-1")}));
    let refused = client.try_sqs("CreateQueue", json!({"QueueName": "a-1"})).unwrap_err();
    assert_eq!(refused.query_error, "AWS.SimpleQueueService.QueueDeletedRecently;Sender");
    client.wait(60 * SECOND);
    client.create("a-1", json!({}));
}
