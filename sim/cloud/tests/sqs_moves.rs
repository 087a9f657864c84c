//! Message move tasks: rate, order, ends, refusals.
#![forbid(unsafe_code)]

#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "support/queues.rs"]
mod queues;

use nexus_cloud::MessageStepKind as Step;
use queues::{Client, MS, SECOND, bodies, exact, queue_arn, url};
use serde_json::{Value, json};

/// A queue `q` with `dead` behind it, and so many messages that went there.
fn with_dead_letters(count: usize) -> Client {
    let mut client = Client::new(exact());
    client.create("dead", json!({}));
    let policy = json!({"deadLetterTargetArn": queue_arn("dead"), "maxReceiveCount": 1}).to_string();
    client.create("q", json!({"VisibilityTimeout": "0", "RedrivePolicy": policy}));
    for n in 0..count {
        client.put("q", &format!("m{n}"));
    }
    while client.attribute("dead", "ApproximateNumberOfMessages") != json!(count.to_string()) {
        client.take("q");
    }
    client
}

fn start(client: &mut Client, more: Value) -> Result<Value, queues::Refused> {
    let mut body = json!({"SourceArn": queue_arn("dead")});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    client.try_sqs("StartMessageMoveTask", body)
}

fn tasks(client: &mut Client) -> Vec<Value> {
    let list = client.sqs("ListMessageMoveTasks", json!({"SourceArn": queue_arn("dead"), "MaxResults": 10}));
    list["Results"].as_array().unwrap().clone()
}

#[test]
fn messages_go_back_at_a_rate_as_new_messages() {
    let mut client = with_dead_letters(20);
    let dead_ids: Vec<String> = client.steps(Step::DeadLettered).iter().map(|step| step.message_id.clone()).collect();
    let started = client.now;
    let handle = start(&mut client, json!({"MaxNumberOfMessagesPerSecond": 10})).unwrap()["TaskHandle"].clone();
    client.sqs("SetQueueAttributes", json!({"QueueUrl": url("q"), "Attributes": {"VisibilityTimeout": "30"}}));
    client.wait(SECOND - 20 * MS);
    client.put("q", "live");
    let [task] = tasks(&mut client).try_into().unwrap();
    assert_eq!((&task["Status"], &task["TaskHandle"]), (&json!("RUNNING"), &handle));
    assert_eq!(task["ApproximateNumberOfMessagesToMove"], 20);
    let moved = task["ApproximateNumberOfMessagesMoved"].as_u64().unwrap();
    assert!((8..=11).contains(&moved), "{moved}");
    let refused = start(&mut client, json!({})).unwrap_err();
    assert_eq!(refused.query_error, "InvalidParameterValue;Sender");
    client.wait(2 * SECOND);
    let [task] = tasks(&mut client).try_into().unwrap();
    assert_eq!((&task["Status"], &task["ApproximateNumberOfMessagesMoved"]), (&json!("COMPLETED"), &json!(20)));
    assert_eq!(task["TaskHandle"], Value::Null);

    let moved = client.steps(Step::Moved);
    assert_eq!(moved.iter().map(|step| step.message_id.clone()).collect::<Vec<_>>(), dead_ids);
    assert!(moved.iter().all(|step| step.note == "q" && step.at > started));
    // New ids and enqueue times, with live traffic between them.
    let accepted: Vec<_> = client.steps(Step::Accepted).into_iter().filter(|step| step.place == "q").skip(20).collect();
    assert!(accepted.iter().all(|step| !dead_ids.contains(&step.message_id)));
    let order: Vec<&str> = accepted.iter().map(|step| &*step.body).collect();
    let live = order.iter().position(|body| *body == "live").unwrap();
    assert!((8..=12).contains(&live), "{order:?}");
    assert_eq!(accepted[0].note, format!("from {}", dead_ids[0]));
    let taken = client.take("q");
    assert_eq!(taken.len(), 10);
    assert_eq!(taken[0]["Attributes"]["ApproximateReceiveCount"], "1");
    assert!(taken[0]["Attributes"]["SentTimestamp"].as_str().unwrap().parse::<u64>().unwrap() > started.as_millis());
    assert_eq!(taken[0]["Attributes"]["DeadLetterQueueSourceArn"], Value::Null);
}

#[test]
fn a_task_is_cancelled_and_moves_nothing_back() {
    let mut client = with_dead_letters(20);
    let handle = start(&mut client, json!({"MaxNumberOfMessagesPerSecond": 10})).unwrap()["TaskHandle"].clone();
    client.wait(500 * MS);
    let cancelled = client.sqs("CancelMessageMoveTask", json!({"TaskHandle": handle}));
    let moved = cancelled["ApproximateNumberOfMessagesMoved"].as_u64().unwrap();
    assert!((3..=6).contains(&moved), "{moved}");
    assert_eq!(tasks(&mut client)[0]["Status"], "CANCELLING");
    client.wait(SECOND);
    assert_eq!(tasks(&mut client)[0]["Status"], "CANCELLED");
    assert_eq!(client.attribute("dead", "ApproximateNumberOfMessages"), (20 - moved).to_string());
    let again = client.try_sqs("CancelMessageMoveTask", json!({"TaskHandle": handle})).unwrap_err();
    assert_eq!(again.query_error, "AWS.SimpleQueueService.UnsupportedOperation;Sender");
    // Another may start now, and the newest is shown first.
    start(&mut client, json!({})).unwrap();
    client.wait(2 * SECOND);
    let statuses: Vec<Value> = tasks(&mut client).iter().map(|task| task["Status"].clone()).collect();
    assert_eq!(statuses, ["COMPLETED", "CANCELLED"]);
    assert_eq!(client.attribute("dead", "ApproximateNumberOfMessages"), "0");
}

#[test]
fn tasks_fail_when_nobody_takes_the_messages() {
    let mut client = with_dead_letters(3);
    client.create("other", json!({}));
    start(&mut client, json!({"DestinationArn": queue_arn("other"), "MaxNumberOfMessagesPerSecond": 1})).unwrap();
    client.wait(1_100 * MS);
    client.sqs("DeleteQueue", json!({"QueueUrl": url("other")}));
    client.wait(2 * SECOND);
    let [task] = tasks(&mut client).try_into().unwrap();
    assert_eq!((&task["Status"], &task["ApproximateNumberOfMessagesMoved"]), (&json!("FAILED"), &json!(1)));
    assert_eq!(task["FailureReason"], "AWS.SimpleQueueService.NonExistentQueue");
    assert_eq!(task["DestinationArn"], queue_arn("other"));

    // Of a message that was sent to the dead-letter queue itself, nobody knows whence it came.
    let mut client = with_dead_letters(0);
    client.put("dead", "stray");
    start(&mut client, json!({})).unwrap();
    client.wait(SECOND);
    assert_eq!(tasks(&mut client)[0]["FailureReason"], "CouldNotDetermineMessageSource");
    assert_eq!(bodies(&client.take("dead")), ["stray"]);
}

#[test]
fn what_cannot_be_started_is_refused() {
    let mut client = with_dead_letters(0);
    client.fifo("f.fifo");
    for (more, code) in [
        (json!({"DestinationArn": queue_arn("none")}), "ResourceNotFoundException;Sender"),
        (json!({"DestinationArn": queue_arn("dead")}), "InvalidParameterValue;Sender"),
        (json!({"DestinationArn": queue_arn("f.fifo")}), "InvalidParameterValue;Sender"),
        (json!({"MaxNumberOfMessagesPerSecond": 501}), "InvalidParameterValue;Sender"),
        (json!({"SourceArn": queue_arn("q")}), "InvalidParameterValue;Sender"),
        (json!({"SourceArn": queue_arn("none")}), "ResourceNotFoundException;Sender"),
    ] {
        assert_eq!(start(&mut client, more.clone()).unwrap_err().query_error, code, "{more}");
    }
    // An empty queue's task is done at once.
    start(&mut client, json!({})).unwrap();
    client.wait(SECOND);
    assert_eq!(tasks(&mut client)[0]["Status"], "COMPLETED");
}
