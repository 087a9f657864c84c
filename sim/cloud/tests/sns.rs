//! Topics: operations and their errors, deliveries, filters, retries, order, faults.
#![forbid(unsafe_code)]

#[allow(dead_code, reason = "each test binary uses its own part")]
#[path = "support/queues.rs"]
mod queues;

use std::time::Duration;

use nexus_cloud::{
    AnswerFate, Assumptions, CallPlan, CloudConfig, EntryFailureCode, JournalEntry, MessageStepKind as Step, Quirk,
    RefuseBefore, Service, SnsConfig,
};
use queues::{Client, MS, SECOND, bodies, element, elements, exact, queue_arn, quirk, topic_arn};
use serde_json::{Value, json};

/// A topic with raw deliveries to the queue `q`.
fn with_topic() -> Client {
    let mut client = Client::new(exact());
    client.create("q", json!({}));
    client.sns("CreateTopic", &[("Name", "t")]);
    subscribe(&mut client, "t", "q", &[("RawMessageDelivery", "true")]);
    client
}

fn subscribe(client: &mut Client, topic: &str, queue: &str, attributes: &[(&str, &str)]) -> String {
    let (topic, endpoint) = (topic_arn(topic), queue_arn(queue));
    let mut form = vec![
        ("TopicArn".to_owned(), topic),
        ("Protocol".to_owned(), "sqs".to_owned()),
        ("Endpoint".to_owned(), endpoint),
    ];
    for (n, (name, value)) in attributes.iter().enumerate() {
        form.push((format!("Attributes.entry.{}.key", n + 1), (*name).to_owned()));
        form.push((format!("Attributes.entry.{}.value", n + 1), (*value).to_owned()));
    }
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    element(&client.sns("Subscribe", &form), "SubscriptionArn")
}

fn publish(client: &mut Client, topic: &str, text: &str, more: &[(&str, &str)]) -> String {
    let arn = topic_arn(topic);
    let mut form = vec![("TopicArn", arn.as_str()), ("Message", text)];
    form.extend(more);
    element(&client.sns("Publish", &form), "MessageId")
}

fn attribute<'a>(data_type: &'a str, value: &'a str) -> [(&'static str, &'a str); 3] {
    [
        ("MessageAttributes.entry.1.Name", "kind"),
        ("MessageAttributes.entry.1.Value.DataType", data_type),
        ("MessageAttributes.entry.1.Value.StringValue", value),
    ]
}

#[test]
fn raw_deliveries_carry_the_message_and_its_attributes() {
    let mut client = with_topic();
    let id = publish(&mut client, "t", "a & <b> é", &attribute("String", "cart"));
    client.wait(SECOND);
    let [message] = client.take("q").try_into().unwrap();
    assert_eq!(message["Body"], "a & <b> é");
    assert_eq!(message["MessageAttributes"], json!({"kind": {"DataType": "String", "StringValue": "cart"}}));
    let accepted = client.steps(Step::Accepted);
    assert_eq!((accepted[0].place.as_str(), accepted[0].message_id.as_str()), ("t", id.as_str()));
    assert_eq!((accepted[1].place.as_str(), &*accepted[1].body), ("q", "a & <b> é"));
    let delivered = client.steps(Step::Delivered);
    assert_eq!((delivered[0].place.as_str(), delivered[0].message_id.as_str()), ("t/q", id.as_str()));
    assert_eq!(delivered[0].note, message["MessageId"]);
    assert_eq!(client.cloud.inspect(Service::Sns)["pending_deliveries"], json!([]));
    // The queue was called by the topic's service, and the journal has it.
    let is_delivery = |entry: &&JournalEntry| matches!(entry, JournalEntry::Call { call, .. } if call.caller == "sns" && call.operation == "SendMessage" && call.keys == ["q"]);
    assert_eq!(client.cloud.journal().iter().filter(is_delivery).count(), 1);
}

#[test]
fn other_deliveries_are_in_an_envelope() {
    let mut client = Client::new(exact());
    client.create("q", json!({}));
    client.sns("CreateTopic", &[("Name", "t")]);
    let subscription = subscribe(&mut client, "t", "q", &[]);
    let mut more = attribute("Number", "7").to_vec();
    more.push(("Subject", "News"));
    let id = publish(&mut client, "t", "hello", &more);
    client.wait(SECOND);
    let [message] = client.take("q").try_into().unwrap();
    assert_eq!(message["MessageAttributes"], Value::Null);
    let envelope: Value = serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
    for (name, value) in [
        ("Type", "Notification"),
        ("MessageId", id.as_str()),
        ("TopicArn", &topic_arn("t")),
        ("Subject", "News"),
        ("Message", "hello"),
        ("Timestamp", "2026-01-01T00:00:00.036Z"),
        ("SignatureVersion", "1"),
    ] {
        assert_eq!(envelope[name], value, "{name}");
    }
    assert_eq!(envelope["MessageAttributes"], json!({"kind": {"Type": "Number", "Value": "7"}}));
    assert!(envelope["UnsubscribeURL"].as_str().unwrap().ends_with(&subscription));
    // One text for each protocol.
    let texts = json!({"default": "d", "sqs": "for queues", "lambda": "for functions"}).to_string();
    publish(&mut client, "t", &texts, &[("MessageStructure", "json")]);
    client.wait(SECOND);
    let envelope: Value = serde_json::from_str(client.take("q")[0]["Body"].as_str().unwrap()).unwrap();
    assert_eq!(envelope["Message"], "for queues");
}

/// Action, form, status, code.
type Refusal<'a> = (&'a str, Vec<(&'a str, &'a str)>, u16, &'a str);

#[test]
fn refusals_have_code_and_status() {
    let (t, f) = (topic_arn("t"), topic_arn("f.fifo"));
    let none = topic_arn("none");
    let q = queue_arn("q");
    let fifo_queue = queue_arn("q.fifo");
    let long = "x".repeat(262_145);
    let function = "arn:aws:lambda:us-east-1:000000000000:function:f";
    let cases: Vec<Refusal<'_>> = vec![
        ("Dance", vec![], 400, "InvalidAction"),
        ("CreateTopic", vec![], 400, "InvalidParameter"),
        ("CreateTopic", vec![("Name", "a b")], 400, "InvalidParameter"),
        ("CreateTopic", vec![("Name", "x.fifo")], 400, "InvalidParameter"),
        (
            "CreateTopic",
            vec![("Name", "x"), ("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")],
            400,
            "InvalidParameter",
        ),
        (
            "CreateTopic",
            vec![("Name", "t"), ("Attributes.entry.1.key", "DisplayName"), ("Attributes.entry.1.value", "other")],
            400,
            "InvalidParameter",
        ),
        (
            "CreateTopic",
            vec![("Name", "x"), ("Attributes.entry.1.key", "Colour"), ("Attributes.entry.1.value", "red")],
            400,
            "InvalidParameter",
        ),
        ("GetTopicAttributes", vec![("TopicArn", &none)], 404, "NotFound"),
        (
            "SetTopicAttributes",
            vec![("TopicArn", &t), ("AttributeName", "Colour"), ("AttributeValue", "red")],
            400,
            "InvalidParameter",
        ),
        ("Publish", vec![("TopicArn", &none), ("Message", "m")], 404, "NotFound"),
        ("Publish", vec![("Message", "m")], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", "nonsense"), ("Message", "m")], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", &t)], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", &t), ("Message", &long)], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", &t), ("Message", "m"), ("Subject", "a\nb")], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", &t), ("Message", "m"), ("MessageStructure", "json")], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", &t), ("Message", "{}"), ("MessageStructure", "json")], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", &t), ("Message", "m"), ("MessageDeduplicationId", "d")], 400, "InvalidParameter"),
        (
            "Publish",
            [vec![("TopicArn", t.as_str()), ("Message", "m")], attribute("Text", "v").to_vec()].concat(),
            400,
            "ParameterValueInvalid",
        ),
        (
            "Publish",
            [vec![("TopicArn", t.as_str()), ("Message", "m")], attribute("String.Array", "v").to_vec()].concat(),
            400,
            "ParameterValueInvalid",
        ),
        ("Publish", vec![("TopicArn", &f), ("Message", "m")], 400, "InvalidParameter"),
        ("Publish", vec![("TopicArn", &f), ("Message", "m"), ("MessageGroupId", "g")], 400, "InvalidParameter"),
        ("PublishBatch", vec![("TopicArn", &t)], 400, "EmptyBatchRequest"),
        (
            "PublishBatch",
            vec![
                ("TopicArn", &t),
                ("PublishBatchRequestEntries.member.1.Id", "a b"),
                ("PublishBatchRequestEntries.member.1.Message", "m"),
            ],
            400,
            "InvalidBatchEntryId",
        ),
        (
            "PublishBatch",
            vec![
                ("TopicArn", &t),
                ("PublishBatchRequestEntries.member.1.Id", "a"),
                ("PublishBatchRequestEntries.member.2.Id", "a"),
            ],
            400,
            "BatchEntryIdsNotDistinct",
        ),
        (
            "PublishBatch",
            vec![
                ("TopicArn", &t),
                ("PublishBatchRequestEntries.member.1.Id", "a"),
                ("PublishBatchRequestEntries.member.1.Message", &long),
            ],
            400,
            "BatchRequestTooLong",
        ),
        ("Subscribe", vec![("TopicArn", &none), ("Protocol", "sqs"), ("Endpoint", &q)], 404, "NotFound"),
        ("Subscribe", vec![("TopicArn", &t), ("Protocol", "pigeon"), ("Endpoint", &q)], 400, "InvalidParameter"),
        ("Subscribe", vec![("TopicArn", &t), ("Protocol", "email"), ("Endpoint", "a@b")], 400, "InvalidParameter"),
        ("Subscribe", vec![("TopicArn", &t), ("Protocol", "sqs"), ("Endpoint", "q")], 400, "InvalidParameter"),
        ("Subscribe", vec![("TopicArn", &t), ("Protocol", "sqs"), ("Endpoint", &fifo_queue)], 400, "InvalidParameter"),
        ("Subscribe", vec![("TopicArn", &t), ("Protocol", "lambda"), ("Endpoint", &q)], 400, "InvalidParameter"),
        (
            "Subscribe",
            vec![
                ("TopicArn", &t),
                ("Protocol", "lambda"),
                ("Endpoint", function),
                ("Attributes.entry.1.key", "RawMessageDelivery"),
                ("Attributes.entry.1.value", "true"),
            ],
            400,
            "InvalidParameter",
        ),
        (
            "Subscribe",
            vec![
                ("TopicArn", &t),
                ("Protocol", "sqs"),
                ("Endpoint", &q),
                ("Attributes.entry.1.key", "FilterPolicy"),
                ("Attributes.entry.1.value", "[]"),
            ],
            400,
            "InvalidParameter",
        ),
        (
            "Subscribe",
            vec![
                ("TopicArn", &t),
                ("Protocol", "sqs"),
                ("Endpoint", &q),
                ("Attributes.entry.1.key", "RedrivePolicy"),
                ("Attributes.entry.1.value", "{\"a\":1}"),
            ],
            400,
            "InvalidParameter",
        ),
        ("Unsubscribe", vec![("SubscriptionArn", "x")], 400, "InvalidParameter"),
        ("GetSubscriptionAttributes", vec![("SubscriptionArn", "x")], 404, "NotFound"),
        (
            "SetSubscriptionAttributes",
            vec![("SubscriptionArn", "x"), ("AttributeName", "RawMessageDelivery"), ("AttributeValue", "true")],
            404,
            "NotFound",
        ),
        ("ListTagsForResource", vec![("ResourceArn", &none)], 404, "ResourceNotFound"),
    ];
    for (action, form, status, code) in cases {
        let mut client = Client::new(exact());
        client.sns("CreateTopic", &[("Name", "t")]);
        let fifo = [("Name", "f.fifo"), ("Attributes.entry.1.key", "FifoTopic"), ("Attributes.entry.1.value", "true")];
        client.sns("CreateTopic", &fifo);
        let before = client.cloud.inspect(Service::Sns);
        let refused = client.try_sns(action, &form).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (status, code), "{action} {}", refused.message);
        assert!(!refused.message.is_empty());
        assert_eq!(client.cloud.inspect(Service::Sns), before, "{action}");
    }
}

#[test]
fn topics_and_subscriptions_are_listed_and_changed() {
    let mut client = with_topic();
    let t = topic_arn("t");
    for n in 0..103 {
        client.sns("CreateTopic", &[("Name", &format!("many-{n:03}"))]);
    }
    let first = client.sns("ListTopics", &[]);
    assert_eq!(elements(&first, "TopicArn").len(), 100);
    let rest = client.sns("ListTopics", &[("NextToken", &element(&first, "NextToken"))]);
    assert_eq!(elements(&rest, "TopicArn").len(), 4);
    assert_eq!(element(&rest, "NextToken"), "");

    client
        .sns("SetTopicAttributes", &[("TopicArn", &t), ("AttributeName", "DisplayName"), ("AttributeValue", "Shown")]);
    let xml = client.sns("GetTopicAttributes", &[("TopicArn", &t)]);
    assert!(xml.contains("<entry><key>DisplayName</key><value>Shown</value></entry>"), "{xml}");
    assert!(xml.contains("<entry><key>SubscriptionsConfirmed</key><value>1</value></entry>"), "{xml}");

    let tags = [
        ("ResourceArn", t.as_str()),
        ("Tags.member.1.Key", "team"),
        ("Tags.member.1.Value", "orders"),
        ("Tags.member.2.Key", "x"),
        ("Tags.member.2.Value", "y"),
    ];
    client.sns("TagResource", &tags);
    client.sns("UntagResource", &[("ResourceArn", &t), ("TagKeys.member.1", "x")]);
    let xml = client.sns("ListTagsForResource", &[("ResourceArn", &t)]);
    assert_eq!((elements(&xml, "Key"), elements(&xml, "Value")), (vec!["team".to_owned()], vec!["orders".to_owned()]));

    // Subscribing again gives the same subscription, unless it would be another.
    let arn = subscribe(&mut client, "t", "q", &[("RawMessageDelivery", "true")]);
    assert_eq!(subscribe(&mut client, "t", "q", &[]), arn);
    let form = [
        ("TopicArn", t.as_str()),
        ("Protocol", "sqs"),
        ("Endpoint", &queue_arn("q")),
        ("Attributes.entry.1.key", "RawMessageDelivery"),
        ("Attributes.entry.1.value", "false"),
    ];
    assert_eq!(client.try_sns("Subscribe", &form).unwrap_err().code, "InvalidParameter");
    let set = |client: &mut Client, name: &str, value: &str| {
        client.sns(
            "SetSubscriptionAttributes",
            &[("SubscriptionArn", &arn), ("AttributeName", name), ("AttributeValue", value)],
        );
        client.sns("GetSubscriptionAttributes", &[("SubscriptionArn", &arn)])
    };
    let xml = set(&mut client, "FilterPolicy", r#"{"kind":["cart"]}"#);
    assert!(xml.contains("<key>FilterPolicy</key><value>{&quot;kind&quot;:[&quot;cart&quot;]}</value>"), "{xml}");
    assert!(xml.contains("<key>FilterPolicyScope</key><value>MessageAttributes</value>"), "{xml}");
    assert!(!set(&mut client, "FilterPolicy", "{}").contains("FilterPolicy"));
    for action in ["ListSubscriptions", "ListSubscriptionsByTopic"] {
        let xml = client.sns(action, &[("TopicArn", &t)]);
        assert_eq!(elements(&xml, "SubscriptionArn"), std::slice::from_ref(&arn), "{action}");
        assert_eq!(elements(&xml, "Endpoint"), [queue_arn("q")], "{action}");
    }
    client.sns("Unsubscribe", &[("SubscriptionArn", &arn)]);
    publish(&mut client, "t", "to nobody", &[]);
    client.wait(SECOND);
    assert!(client.take("q").is_empty());
    client.sns("DeleteTopic", &[("TopicArn", &t)]);
    client.sns("DeleteTopic", &[("TopicArn", &t)]);
    assert_eq!(client.try_sns("Publish", &[("TopicArn", &t), ("Message", "m")]).unwrap_err().code, "NotFound");
}

#[test]
fn filters_choose_among_messages_and_take_their_time_to_change() {
    let mut client = with_topic();
    for queue in ["carts", "red"] {
        client.create(queue, json!({}));
    }
    let raw = ("RawMessageDelivery", "true");
    subscribe(&mut client, "t", "carts", &[raw, ("FilterPolicy", r#"{"kind":[{"prefix":"cart"}]}"#)]);
    subscribe(
        &mut client,
        "t",
        "red",
        &[("FilterPolicy", r#"{"colour":["red"]}"#), ("FilterPolicyScope", "MessageBody"), raw],
    );
    publish(&mut client, "t", r#"{"colour":"red"}"#, &attribute("String", "order"));
    publish(&mut client, "t", r#"{"colour":"blue"}"#, &attribute("String", "cart-abandoned"));
    publish(&mut client, "t", "no json", &[]);
    client.wait(SECOND);
    assert_eq!(client.take("q").len(), 3);
    assert_eq!(bodies(&client.take("carts")), [r#"{"colour":"blue"}"#]);
    assert_eq!(bodies(&client.take("red")), [r#"{"colour":"red"}"#]);
    assert_eq!(client.steps(Step::Delivered).len(), 5);

    let assumptions = Assumptions { sns_filter_lag_seconds: 900, ..Assumptions::immediate() };
    let mut client = Client::new(CloudConfig { assumptions, ..exact() });
    client.create("carts", json!({}));
    client.sns("CreateTopic", &[("Name", "t")]);
    let arn = subscribe(&mut client, "t", "carts", &[raw, ("FilterPolicy", r#"{"kind":["cart"]}"#)]);
    let change = [
        ("SubscriptionArn", arn.as_str()),
        ("AttributeName", "FilterPolicy"),
        ("AttributeValue", r#"{"kind":["order"]}"#),
    ];
    client.sns("SetSubscriptionAttributes", &change);
    publish(&mut client, "t", "early", &attribute("String", "order"));
    client.wait(900 * SECOND);
    publish(&mut client, "t", "late", &attribute("String", "order"));
    client.wait(SECOND);
    assert_eq!(bodies(&client.take("carts")), ["late"]);
}

#[test]
fn passing_failures_are_retried_and_may_deliver_twice() {
    let mut client = with_topic();
    let fail = |refuse| CallPlan { refuse: Some(refuse), ..CallPlan::default() };
    for refuse in
        [RefuseBefore::InternalServerError, RefuseBefore::ThrottleKeyRange, RefuseBefore::ServiceUnavailableHtml]
    {
        client.plan("sns", "SendMessage", fail(refuse));
    }
    client.plan("sns", "SendMessage", quirk(Quirk::UnreachableTarget));
    client.plan("sns", "SendMessage", CallPlan { answer: AnswerFate::Reset, ..CallPlan::default() });
    let id = publish(&mut client, "t", "m", &[]);
    client.wait(500 * MS);
    assert_eq!(client.cloud.inspect(Service::Sns)["pending_deliveries"][0]["attempts"], 4);
    client.wait(10 * SECOND);
    // The fifth was taken but its answer lost: the sixth is a duplicate, with an id of its own.
    let taken = client.take("q");
    assert_eq!(bodies(&taken), ["m", "m"]);
    assert_ne!(taken[0]["MessageId"], taken[1]["MessageId"]);
    let delivered = client.steps(Step::Delivered);
    assert_eq!((delivered.len(), delivered[0].receive_count, delivered[0].message_id.as_str()), (1, 6, id.as_str()));
    assert!(delivered[0].at.since(queues::START) > 2 * SECOND);
}

#[test]
fn a_queue_that_shuts_the_topic_out_leaves_its_messages_to_the_dead_letters() {
    let mut client = with_topic();
    client.create("lost", json!({}));
    client.create("other", json!({}));
    let policy = json!({"deadLetterTargetArn": queue_arn("lost")}).to_string();
    subscribe(&mut client, "t", "other", &[("RawMessageDelivery", "true"), ("RedrivePolicy", &policy)]);
    client.plan("client", "Publish", quirk(Quirk::RefusedDelivery));
    publish(&mut client, "t", "m", &[]);
    publish(&mut client, "t", "n", &[]);
    client.wait(SECOND);
    let (dropped, dead) = (client.steps(Step::Dropped), client.steps(Step::DeadLettered));
    assert_eq!((dropped.len(), dropped[0].place.as_str(), dropped[0].note.as_str()), (1, "t/q", "AccessDenied"));
    assert_eq!((dead.len(), dead[0].place.as_str(), dead[0].receive_count), (1, "t/other", 1));
    assert!(dead[0].note.starts_with("lost as ") && dead[0].note.ends_with("AccessDenied"), "{}", dead[0].note);
    assert_eq!((bodies(&client.take("lost")), bodies(&client.take("q"))), (vec!["m"], vec!["n"]));
    assert_eq!(bodies(&client.take("other")), ["n"]);
}

#[test]
fn lasting_failures_end_a_delivery_at_once() {
    let mut client = with_topic();
    client.create("lost", json!({}));
    let policy = json!({"deadLetterTargetArn": queue_arn("lost")}).to_string();
    client.create("other", json!({}));
    subscribe(&mut client, "t", "other", &[("RawMessageDelivery", "true"), ("RedrivePolicy", &policy)]);
    for queue in ["q", "other"] {
        client.sqs("DeleteQueue", json!({"QueueUrl": queues::url(queue)}));
    }
    let id = publish(&mut client, "t", "m", &[]);
    client.wait(SECOND);
    let dropped = client.steps(Step::Dropped);
    assert_eq!((dropped.len(), dropped[0].place.as_str(), dropped[0].message_id.as_str()), (1, "t/q", id.as_str()));
    assert_eq!(dropped[0].note, "QueueDoesNotExist");
    let dead = client.steps(Step::DeadLettered);
    assert_eq!((dead.len(), dead[0].place.as_str()), (1, "t/other"));
    assert!(dead[0].note.starts_with("lost as ") && dead[0].note.ends_with("QueueDoesNotExist"), "{}", dead[0].note);
    assert_eq!(bodies(&client.take("lost")), ["m"]);

    // More attributes than a queue takes is such a failure, too.
    let mut client = with_topic();
    let names: Vec<(String, String)> = (1..=11)
        .flat_map(|n| {
            let entry = format!("MessageAttributes.entry.{n}");
            [
                (format!("{entry}.Name"), format!("a{n}")),
                (format!("{entry}.Value.DataType"), "String".to_owned()),
                (format!("{entry}.Value.StringValue"), "v".to_owned()),
            ]
        })
        .collect();
    let more: Vec<(&str, &str)> = names.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    publish(&mut client, "t", "m", &more);
    client.wait(SECOND);
    assert_eq!(client.steps(Step::Dropped)[0].note, "InvalidParameterValue");

    // A dead-letter queue takes it without them.
    client.create("lost", json!({}));
    client.create("other", json!({}));
    subscribe(&mut client, "t", "other", &[("RawMessageDelivery", "true"), ("RedrivePolicy", &policy)]);
    publish(&mut client, "t", "n", &more);
    client.wait(SECOND);
    assert_eq!((bodies(&client.take("lost")), client.take("other")), (vec!["n"], vec![]));

    // A function that does not exist.
    let function = "arn:aws:lambda:us-east-1:000000000000:function:nowhere";
    client.sns("Subscribe", &[("TopicArn", &topic_arn("t")), ("Protocol", "lambda"), ("Endpoint", function)]);
    publish(&mut client, "t", "m", &[]);
    client.wait(SECOND);
    assert_eq!(client.steps(Step::Dropped).last().unwrap().place, "t/nowhere");
    assert_eq!(client.cloud.inspect(Service::Sns)["pending_deliveries"], json!([]));
}

#[test]
fn batches_fail_entry_by_entry() {
    let entries = |texts: &[&str]| -> Vec<(String, String)> {
        let mut form = vec![("TopicArn".to_owned(), topic_arn("t"))];
        for (n, text) in texts.iter().enumerate() {
            form.push((format!("PublishBatchRequestEntries.member.{}.Id", n + 1), format!("e{n}")));
            form.push((format!("PublishBatchRequestEntries.member.{}.Message", n + 1), (*text).to_owned()));
        }
        form
    };
    let send = |client: &mut Client, texts: &[&str]| {
        let form = entries(texts);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let xml = client.try_sns("PublishBatch", &form);
        client.wait(SECOND);
        xml
    };
    let mut client = with_topic();
    let xml = send(&mut client, &["a", "", "c"]).unwrap();
    assert_eq!(elements(&element(&xml, "Successful"), "Id"), ["e0", "e2"]);
    let failed = element(&xml, "Failed");
    assert_eq!(
        (elements(&failed, "Id"), element(&failed, "Code")),
        (vec!["e1".to_owned()], "InvalidParameter".to_owned())
    );
    assert_eq!(element(&failed, "SenderFault"), "true");
    assert_eq!(bodies(&client.take("q")), ["a", "c"]);
    assert_eq!(send(&mut client, &["x"; 11]).unwrap_err().code, "TooManyEntriesInBatchRequest");

    for (applied, wanted) in [(false, vec!["a", "c"]), (true, vec!["a", "b", "c"])] {
        let mut client = with_topic();
        let code = EntryFailureCode::InternalFailure;
        client.plan("client", "PublishBatch", quirk(Quirk::FailEntries { first: 1, count: 1, code, applied }));
        let failed = element(&send(&mut client, &["a", "b", "c"]).unwrap(), "Failed");
        assert_eq!(
            (elements(&failed, "Id"), element(&failed, "SenderFault")),
            (vec!["e1".to_owned()], "false".to_owned())
        );
        assert_eq!(bodies(&client.take("q")), wanted);
    }

    let mut client = with_topic();
    client.plan("client", "PublishBatch", quirk(Quirk::Reverse));
    send(&mut client, &["a", "b", "c"]).unwrap();
    assert_eq!(bodies(&client.take("q")), ["c", "b", "a"]);
}

#[test]
fn publishes_may_be_doubled_late_or_hard_to_deliver() {
    let mut client = with_topic();
    client.plan("client", "Publish", quirk(Quirk::Duplicate));
    publish(&mut client, "t", "twice", &[]);
    client.wait(SECOND);
    assert_eq!(bodies(&client.take("q")), ["twice", "twice"]);
    assert_eq!((client.steps(Step::Delivered).len(), client.story("t").len()), (2, 1));

    client.plan("client", "Publish", quirk(Quirk::DelayDelivery { by_ms: 5_000 }));
    publish(&mut client, "t", "late", &[]);
    client.wait(4_900 * MS);
    assert!(client.take("q").is_empty());
    client.wait(SECOND);
    assert_eq!(bodies(&client.take("q")), ["late"]);

    client.plan("client", "Publish", quirk(Quirk::UnreachableTarget));
    publish(&mut client, "t", "second try", &[]);
    client.wait(SECOND);
    assert_eq!(bodies(&client.take("q")), ["second try"]);
    assert_eq!(client.steps(Step::Delivered).last().unwrap().receive_count, 2);

    for (refusal, status, code) in [
        (RefuseBefore::ThrottleKeyRange, 429, "Throttled"),
        (RefuseBefore::ThrottleAccount, 400, "Throttling"),
        (RefuseBefore::InternalServerError, 500, "InternalFailure"),
    ] {
        client.plan("client", "Publish", CallPlan { refuse: Some(refusal), ..CallPlan::default() });
        let refused = client.try_sns("Publish", &[("TopicArn", &topic_arn("t")), ("Message", "m")]).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (status, code));
    }
}

/// A FIFO topic with raw deliveries to `q.fifo`.
fn with_fifo_topic(config: CloudConfig) -> Client {
    let mut client = Client::new(config);
    client.fifo("q.fifo");
    let form = [
        ("Name", "t.fifo"),
        ("Attributes.entry.1.key", "FifoTopic"),
        ("Attributes.entry.1.value", "true"),
        ("Attributes.entry.2.key", "ContentBasedDeduplication"),
        ("Attributes.entry.2.value", "true"),
    ];
    client.sns("CreateTopic", &form);
    subscribe(&mut client, "t.fifo", "q.fifo", &[("RawMessageDelivery", "true")]);
    client
}

#[test]
fn fifo_topics_keep_order_whatever_happens_to_deliveries() {
    let assumptions =
        Assumptions { sns_fifo_delivery_p50_ms: 40.0, sns_fifo_delivery_p99_ms: 500.0, ..Assumptions::immediate() };
    let mut client = with_fifo_topic(CloudConfig { assumptions, ..exact() });
    for n in 0..20 {
        if n % 4 == 0 {
            let refuse = Some(RefuseBefore::InternalServerError);
            client.plan("sns", "SendMessage", CallPlan { refuse, ..CallPlan::default() });
            client.plan("sns", "SendMessage", CallPlan { answer: AnswerFate::Reset, ..CallPlan::default() });
        }
        let group = if n % 2 == 0 { "even" } else { "odd" };
        publish(&mut client, "t.fifo", &format!("{n:02}"), &[("MessageGroupId", group)]);
    }
    client.wait(60 * SECOND);
    let mut received = Vec::new();
    loop {
        let messages = client.take("q.fifo");
        if messages.is_empty() {
            break;
        }
        for message in messages {
            received.push((message["Attributes"]["MessageGroupId"].clone(), message["Body"].clone()));
            client.delete("q.fifo", &message);
        }
    }
    // A lost answer makes the topic send again, which the queue recognises.
    assert_eq!(received.len(), 20);
    for group in ["even", "odd"] {
        let of_group: Vec<&str> =
            received.iter().filter(|(of, _)| of == group).map(|(_, body)| body.as_str().unwrap()).collect();
        assert!(of_group.is_sorted() && of_group.len() == 10, "{of_group:?}");
    }
    assert_eq!(client.cloud.inspect(Service::Sns)["pending_deliveries"], json!([]));
}

#[test]
fn fifo_topics_forget_duplicates_for_five_minutes() {
    let mut client = with_fifo_topic(exact());
    let publish_same = |client: &mut Client| {
        let form = [("TopicArn", &*topic_arn("t.fifo")), ("Message", "same"), ("MessageGroupId", "g")];
        let xml = client.sns("Publish", &form);
        (element(&xml, "MessageId"), element(&xml, "SequenceNumber"))
    };
    let first = publish_same(&mut client);
    assert_eq!(first.1.len(), 20);
    client.wait(299 * SECOND);
    assert_eq!(publish_same(&mut client), first);
    assert_eq!(client.story("t.fifo").len(), 1);
    client.wait(SECOND);
    assert_ne!(publish_same(&mut client), first);
    client.wait(Duration::from_secs(1));
    assert_eq!(client.story("t.fifo").len(), 2);
}

#[test]
fn fifo_topics_have_a_rate() {
    let sns = SnsConfig { fifo_messages_per_second: 3, ..SnsConfig::default() };
    let mut client = with_fifo_topic(CloudConfig { sns, ..exact() });
    let t = topic_arn("t.fifo");
    let results: Vec<Result<String, queues::Refused>> = ["a", "b", "c", "d", "e"]
        .iter()
        .map(|text| client.try_sns("Publish", &[("TopicArn", &t), ("Message", text), ("MessageGroupId", "g")]))
        .collect();
    let refused: Vec<&queues::Refused> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(refused.len(), 2);
    assert_eq!((refused[0].status, refused[0].code.as_str()), (429, "Throttled"));
    client.wait(SECOND);
    assert_eq!(bodies(&client.take("q.fifo")), ["a", "b", "c"]);
}

#[test]
fn the_same_seed_gives_the_same_journal() {
    let journal = |seed: u64| {
        let mut client = Client::new(CloudConfig { seed, ..CloudConfig::default() });
        client.create("q", json!({}));
        client.sns("CreateTopic", &[("Name", "t")]);
        subscribe(&mut client, "t", "q", &[]);
        for n in 0..20 {
            publish(&mut client, "t", &format!("{n}"), &[]);
        }
        client.wait(5 * SECOND);
        client.take("q");
        serde_json::to_string(client.cloud.journal()).unwrap()
    };
    assert_eq!(journal(1), journal(1));
    assert_ne!(journal(1), journal(2));
}
