//! What faults and assumptions do to queues, and queues against a naive model.
#![forbid(unsafe_code)]

#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "support/queues.rs"]
mod queues;

use std::collections::BTreeSet;

use nexus_cloud::{
    Assumptions, CallPlan, CloudConfig, EntryFailureCode, MessageStepKind as Step, Quirk, RefuseBefore, Service,
};
use proptest::prelude::*;
use queues::{Client, MS, SECOND, bodies, exact, quirk, url};
use serde_json::{Value, json};

fn with_queue() -> Client {
    let mut client = Client::new(exact());
    client.create("q", json!({"VisibilityTimeout": "10"}));
    client
}

#[test]
fn refusals_come_in_the_words_of_the_service() {
    for (refusal, status, query_error) in [
        (RefuseBefore::ThrottleKeyRange, 403, "RequestThrottled;Sender"),
        (RefuseBefore::ThrottleAccount, 400, "ThrottlingException;Sender"),
        (RefuseBefore::RequestLimitExceeded, 403, "OverLimit;Sender"),
        (RefuseBefore::InternalServerError, 500, "InternalFailure;Receiver"),
    ] {
        let mut client = with_queue();
        client.plan("client", "SendMessage", CallPlan { refuse: Some(refusal), ..CallPlan::default() });
        let refused = client.try_sqs("SendMessage", json!({"QueueUrl": url("q"), "MessageBody": "m"})).unwrap_err();
        assert_eq!((refused.status, refused.query_error.as_str()), (status, query_error));
        assert!(client.take("q").is_empty());
    }
}

#[test]
fn entries_of_a_batch_fail_with_or_without_effect() {
    for (applied, wanted) in [(false, vec!["a", "c"]), (true, vec!["a", "b", "c"])] {
        let mut client = with_queue();
        let code = EntryFailureCode::InternalFailure;
        client.plan("client", "SendMessageBatch", quirk(Quirk::FailEntries { first: 1, count: 1, code, applied }));
        let entries: Vec<Value> = ["a", "b", "c"].iter().map(|id| json!({"Id": id, "MessageBody": id})).collect();
        let answer = client.sqs("SendMessageBatch", json!({"QueueUrl": url("q"), "Entries": entries}));
        assert_eq!(answer["Failed"].as_array().unwrap().len(), 1);
        assert_eq!((&answer["Failed"][0]["Id"], &answer["Failed"][0]["SenderFault"]), (&json!("b"), &json!(false)));
        assert_eq!(answer["Failed"][0]["Code"], "InternalFailure");
        let messages = client.take("q");
        assert_eq!(bodies(&messages), wanted);

        let entries: Vec<Value> = messages
            .iter()
            .map(|message| json!({"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]}))
            .collect();
        let code = EntryFailureCode::Throttled;
        client.plan("client", "DeleteMessageBatch", quirk(Quirk::FailEntries { first: 0, count: 1, code, applied }));
        let answer = client.sqs("DeleteMessageBatch", json!({"QueueUrl": url("q"), "Entries": entries}));
        assert_eq!(answer["Failed"][0]["Code"], "RequestThrottled");
        assert_eq!(client.attribute("q", "ApproximateNumberOfMessagesNotVisible"), if applied { "0" } else { "1" });
    }
}

#[test]
fn receives_may_be_empty_doubled_or_reversed() {
    let mut client = with_queue();
    for body in ["a", "b", "c"] {
        client.put("q", body);
    }
    client.plan("client", "ReceiveMessage", quirk(Quirk::EmptyPage));
    assert!(client.take_with("q", json!({"WaitTimeSeconds": 20})).is_empty());
    client.plan("client", "ReceiveMessage", quirk(Quirk::Reverse));
    assert_eq!(bodies(&client.take("q")), ["c", "b", "a"]);
    client.wait(10 * SECOND);
    client.plan("client", "ReceiveMessage", quirk(Quirk::Duplicate));
    let first = client.take("q");
    let second = client.take("q");
    assert_eq!((bodies(&first), bodies(&second)), (vec!["a", "b", "c"], vec!["a", "b", "c"]));
    assert_eq!(first[0]["MessageId"], second[0]["MessageId"]);
    assert_eq!(client.steps(Step::Received).len(), 9);
    assert_eq!(client.steps(Step::Accepted).len(), 3);
}

#[test]
fn batches_may_be_sent_backwards() {
    let mut client = with_queue();
    client.plan("client", "SendMessageBatch", quirk(Quirk::Reverse));
    let entries: Vec<Value> = ["a", "b", "c"].iter().map(|id| json!({"Id": id, "MessageBody": id})).collect();
    client.sqs("SendMessageBatch", json!({"QueueUrl": url("q"), "Entries": entries}));
    client.put("q", "d");
    assert_eq!(bodies(&client.take("q")), ["c", "b", "a", "d"]);
}

#[test]
fn an_old_handle_may_delete_after_all() {
    let assumptions = Assumptions { sqs_stale_delete_share: 1.0, ..Assumptions::immediate() };
    let mut client = Client::new(CloudConfig { assumptions, ..exact() });
    client.create("q", json!({"VisibilityTimeout": "1"}));
    client.put("q", "m");
    let old = client.take("q").remove(0);
    client.wait(SECOND);
    let new = client.take("q").remove(0);
    client.delete("q", &old);
    client.delete("q", &new);
    use Step::{Accepted, Deleted, Reappeared, Received};
    assert_eq!(client.story("q"), [Accepted, Received, Reappeared, Received, Deleted]);
}

#[test]
fn a_copy_that_stays_visible_does_not_trouble_its_receiver() {
    let mut client = with_queue();
    client.plan("client", "SendMessage", quirk(Quirk::Duplicate));
    client.put("q", "m");
    let first = client.take("q").remove(0);
    let change = json!({"QueueUrl": url("q"), "ReceiptHandle": first["ReceiptHandle"], "VisibilityTimeout": 60});
    client.sqs("ChangeMessageVisibility", change);
    let second = client.take("q").remove(0);
    assert_eq!(second["Attributes"]["ApproximateReceiveCount"], "2");
    assert!(client.take("q").is_empty());
    client.delete("q", &first);
    client.delete("q", &second);
    assert_eq!(client.story("q"), [Step::Accepted, Step::Received, Step::Received, Step::Deleted]);
}

#[test]
fn deletes_may_not_stick_and_deliveries_may_be_late() {
    let mut client = with_queue();
    client.plan("client", "SendMessage", quirk(Quirk::DelayDelivery { by_ms: 3_000 }));
    client.put("q", "m");
    assert!(client.take("q").is_empty());
    client.wait(3 * SECOND);
    let message = client.take("q").remove(0);
    client.plan("client", "DeleteMessage", quirk(Quirk::DeleteDoesNotStick));
    client.delete("q", &message);
    assert!(client.take("q").is_empty());
    client.wait(10 * SECOND);
    let again = client.take("q").remove(0);
    assert_eq!(again["MessageId"], message["MessageId"]);
    client.wait(10 * SECOND);
    // Its time-out is over, so it comes back at once.
    client.plan("client", "DeleteMessage", quirk(Quirk::DeleteDoesNotStick));
    client.delete("q", &again);
    assert_eq!(client.take("q").len(), 1);
    use Step::{Accepted, Deleted, Reappeared, Received};
    assert_eq!(
        client.story("q"),
        [Accepted, Received, Deleted, Reappeared, Received, Reappeared, Deleted, Reappeared, Received]
    );
}

#[test]
fn an_unreachable_queue_takes_nothing() {
    let mut client = with_queue();
    client.plan("client", "SendMessage", quirk(Quirk::UnreachableTarget));
    let refused = client.try_sqs("SendMessage", json!({"QueueUrl": url("q"), "MessageBody": "m"})).unwrap_err();
    assert_eq!((refused.status, refused.query_error.as_str()), (503, "ServiceUnavailable;Receiver"));
    assert!(client.story("q").is_empty());
}

#[test]
fn standard_queues_lose_order_and_repeat_themselves_by_their_shares() {
    let assumptions = Assumptions {
        sqs_reorder_share: 0.3,
        sqs_reorder_max_ms: 200.0,
        sqs_duplicate_share: 0.2,
        sqs_short_poll_empty_share: 0.3,
        ..Assumptions::immediate()
    };
    let mut client = Client::new(CloudConfig { assumptions, ..exact() });
    client.create("q", json!({}));
    client.fifo("q.fifo");
    for n in 0..100 {
        client.put("q", &format!("{n:03}"));
        client.put_in_group("q.fifo", "g", &format!("{n:03}"));
    }
    let (mut received, mut empty) = (Vec::new(), 0);
    for _ in 0..40 {
        let messages = client.take("q");
        empty += usize::from(messages.is_empty());
        received.extend(bodies(&messages).into_iter().map(str::to_owned));
    }
    let distinct: BTreeSet<&String> = received.iter().collect();
    assert_eq!(distinct.len(), 100);
    assert!(received.len() > 105, "no duplicates: {}", received.len());
    assert!(!received.is_sorted() && empty > 5, "{empty} {received:?}");
    let mut ordered = Vec::new();
    while ordered.len() < 100 {
        for message in client.take("q.fifo") {
            ordered.push(message["Body"].as_str().unwrap().to_owned());
            client.delete("q.fifo", &message);
        }
    }
    assert!(ordered.is_sorted(), "{ordered:?}");
}

#[test]
fn by_default_messages_take_a_moment_to_become_visible() {
    let mut client = Client::new(CloudConfig { assumptions: Assumptions::default(), ..exact() });
    client.create("q", json!({}));
    let mut late = 0;
    for n in 0..50 {
        let request = client.start("ReceiveMessage", json!({"QueueUrl": url("q"), "WaitTimeSeconds": 5}));
        client.wait(10 * MS);
        let sent = client.now;
        client.put("q", &format!("{n}"));
        let answer = client.finish(request).unwrap();
        assert_eq!(answer["Messages"][0]["Body"], json!(format!("{n}")));
        late += usize::from(client.now.since(sent) > 15 * MS);
        let handle = &answer["Messages"][0]["ReceiptHandle"];
        client.sqs("DeleteMessage", json!({"QueueUrl": url("q"), "ReceiptHandle": handle}));
    }
    assert!((3..48).contains(&late), "{late}");
}

/// A queue of the plainest kind: a list of messages, looked through from the start each time.
#[derive(Default)]
struct Model {
    messages: Vec<ModelMessage>,
    dead: Vec<String>,
}

struct ModelMessage {
    body: String,
    group: Option<String>,
    hidden_until: u64,
    receives: u32,
    handle: u32,
}

const VISIBILITY_SECONDS: u64 = 10;
const RECEIVES_MAX: u32 = 2;

impl Model {
    fn receive(&mut self, now: u64, count: usize) -> Vec<(String, u32)> {
        let mut taken = Vec::new();
        let blocked: BTreeSet<String> =
            self.messages.iter().filter(|it| it.hidden_until > now).filter_map(|it| it.group.clone()).collect();
        // A FIFO receive takes all it can of one group before the next; groups stand in the order of their heads.
        let mut started: Option<String> = None;
        while taken.len() < count {
            let is_free = |it: &ModelMessage| {
                it.hidden_until <= now && it.group.as_ref().is_none_or(|group| !blocked.contains(group))
            };
            let of_started = |it: &ModelMessage| started.is_some() && it.group == started && is_free(it);
            let index = self.messages.iter().position(of_started).or_else(|| self.messages.iter().position(is_free));
            let Some(index) = index else { break };
            if self.messages[index].receives == RECEIVES_MAX {
                self.dead.push(self.messages.remove(index).body);
                continue;
            }
            let message = &mut self.messages[index];
            message.receives += 1;
            message.handle += 1;
            message.hidden_until = now + VISIBILITY_SECONDS;
            started = message.group.clone();
            taken.push((message.body.clone(), message.receives));
        }
        taken
    }
}

#[derive(Clone, Debug)]
enum Act {
    Send {
        group: u8,
    },
    Receive {
        count: usize,
    },
    /// Deletes the nth of what was received and not deleted.
    Delete {
        nth: usize,
    },
    Show {
        nth: usize,
    },
    Wait {
        seconds: u64,
    },
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        3 => (0..3u8).prop_map(|group| Act::Send { group }),
        3 => (1..=4usize).prop_map(|count| Act::Receive { count }),
        2 => (0..8usize).prop_map(|nth| Act::Delete { nth }),
        1 => (0..8usize).prop_map(|nth| Act::Show { nth }),
        1 => (1..=7u64).prop_map(|seconds| Act::Wait { seconds }),
    ];
    prop::collection::vec(act, 1..60)
}

/// Plays the acts on a queue and on the model; calls take no time here, so that both have the same seconds.
fn play(fifo: bool, acts: &[Act]) {
    let mut config = exact();
    config.latency = nexus_cloud::LatencyModel::fixed(0);
    let mut client = Client::new(config);
    let (q, dead) = if fifo { ("q.fifo", "dead.fifo") } else { ("q", "dead") };
    let policy = json!({"deadLetterTargetArn": queues::queue_arn(dead), "maxReceiveCount": RECEIVES_MAX}).to_string();
    let mut attributes = json!({"VisibilityTimeout": "10", "RedrivePolicy": policy});
    if fifo {
        client.fifo(dead);
        attributes["FifoQueue"] = json!("true");
        attributes["ContentBasedDeduplication"] = json!("true");
    } else {
        client.create(dead, json!({}));
    }
    client.create(q, attributes);
    let mut model = Model::default();
    let mut handles: Vec<(String, u32, Value)> = Vec::new();
    let (mut now, mut sent) = (0, 0);
    for act in acts {
        match act {
            Act::Send { group } => {
                sent += 1;
                let body = format!("m{sent}");
                let group = fifo.then(|| format!("g{group}"));
                let mut request = json!({"QueueUrl": url(q), "MessageBody": body});
                if let Some(group) = &group {
                    request["MessageGroupId"] = json!(group);
                }
                client.sqs("SendMessage", request);
                model.messages.push(ModelMessage { body, group, hidden_until: 0, receives: 0, handle: 0 });
            }
            Act::Receive { count } => {
                let taken = client.take_with(q, json!({"MaxNumberOfMessages": count}));
                let wanted = model.receive(now, *count);
                let found: Vec<(String, u32)> = taken
                    .iter()
                    .map(|message| {
                        let count = message["Attributes"]["ApproximateReceiveCount"].as_str().unwrap();
                        (message["Body"].as_str().unwrap().to_owned(), count.parse().unwrap())
                    })
                    .collect();
                assert_eq!(found, wanted);
                for (message, (body, receives)) in taken.iter().zip(wanted) {
                    handles.push((body, receives, message["ReceiptHandle"].clone()));
                }
            }
            Act::Delete { nth } if !handles.is_empty() => {
                let (body, receives, handle) = handles.remove(nth % handles.len());
                let result = client.try_sqs("DeleteMessage", json!({"QueueUrl": url(q), "ReceiptHandle": handle}));
                let index = model.messages.iter().position(|message| message.body == body);
                let Some(index) = index else {
                    assert!(result.is_ok());
                    continue;
                };
                let message = &model.messages[index];
                let is_valid = message.handle == receives && (!fifo || message.hidden_until > now);
                assert_eq!(result.is_ok(), is_valid || !fifo);
                if is_valid {
                    model.messages.remove(index);
                }
            }
            Act::Show { nth } if !handles.is_empty() => {
                let (body, receives, handle) = &handles[nth % handles.len()];
                let request = json!({"QueueUrl": url(q), "ReceiptHandle": handle, "VisibilityTimeout": 0});
                let result = client.try_sqs("ChangeMessageVisibility", request);
                let message = model.messages.iter_mut().find(|message| message.body == *body);
                let message = message.filter(|it| it.handle == *receives && it.hidden_until > now);
                assert_eq!(result.is_ok(), message.is_some());
                if let Some(message) = message {
                    message.hidden_until = 0;
                }
            }
            Act::Wait { seconds } => {
                client.wait(SECOND * u32::try_from(*seconds).unwrap());
                now += seconds;
            }
            Act::Delete { .. } | Act::Show { .. } => {}
        }
    }
    let held = client.cloud.inspect(Service::Sqs);
    let bodies = |queue: &str| -> Vec<String> {
        let messages = held["queues"][queue]["messages"].as_array().unwrap();
        messages.iter().map(|message| message["body"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(bodies(q), model.messages.iter().map(|message| message.body.clone()).collect::<Vec<_>>());
    let (mut found, mut wanted) = (bodies(dead), model.dead.clone());
    found.sort();
    wanted.sort();
    assert_eq!(found, wanted);
    check_journal(&client, q);
}

/// Each message was accepted once and left at most once; what left and what is held make up what was accepted.
fn check_journal(client: &Client, q: &str) {
    let at = |kind: Step| client.steps(kind).into_iter().filter(|step| step.place == q).map(|step| step.message_id);
    let accepted: Vec<String> = at(Step::Accepted).collect();
    let mut left: Vec<String> = at(Step::Deleted).chain(at(Step::DeadLettered)).collect();
    let held = client.cloud.inspect(Service::Sqs);
    left.extend(
        held["queues"][q]["messages"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()),
    );
    let (mut accepted_sorted, mut left_sorted) = (accepted, left);
    accepted_sorted.sort();
    left_sorted.sort();
    assert_eq!(accepted_sorted, left_sorted);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn standard_queues_are_the_model(acts in acts()) {
        play(false, &acts);
    }

    #[test]
    fn fifo_queues_are_the_model(acts in acts()) {
        play(true, &acts);
    }
}
