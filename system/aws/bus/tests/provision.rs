//! A bus that is made, found, different, slow or refused, against scripted answers of all three services.
#![forbid(unsafe_code)]

#[path = "../../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use nexus_aws_bus::{
    BusDefinition, BusEndpoints, BusPart, BusProvisionError, ProvisionedPart, find_queue, find_topic, provision_bus,
};
use nexus_ports::CallFailure;
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};
use support::{Reply, Seen, config, serve};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:nexus-background";
const QUEUE: &str = "arn:aws:sqs:us-east-1:123456789012:nexus-notifications";
const DEAD_LETTERS: &str = "arn:aws:sqs:us-east-1:123456789012:nexus-notifications-dlq";
const UNDELIVERED: &str = "arn:aws:sqs:us-east-1:123456789012:nexus-background-dlq";
const SUBSCRIPTION: &str = "arn:aws:sns:us-east-1:123456789012:nexus-background:subscription-1";

fn ok(body: Value) -> Reply {
    Reply::ok(&body.to_string())
}

fn error(status: u16, code: &str) -> Reply {
    Reply::Answer { status, body: json!({"__type": code, "message": "as scripted"}).to_string() }
}

fn no_such_queue() -> Reply {
    Reply::AnswerWithHeader {
        status: 400,
        header: "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender".to_owned(),
        body: json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "as scripted"}).to_string(),
    }
}

fn stream(status: &str) -> Reply {
    ok(json!({"StreamDescriptionSummary": {
        "StreamName": "nexus-core", "StreamARN": "arn", "StreamStatus": status, "RetentionPeriodHours": 24,
        "StreamCreationTimestamp": 1, "EnhancedMonitoring": [], "OpenShardCount": 4,
    }}))
}

fn xml(operation: &str, result: &str) -> Reply {
    Reply::ok(&format!(
        "<{operation}Response><{operation}Result>{result}</{operation}Result>\
         <ResponseMetadata><RequestId>R-1</RequestId></ResponseMetadata></{operation}Response>"
    ))
}

fn topics(arns: &[&str], next: Option<&str>) -> Reply {
    let members: String = arns.iter().map(|arn| format!("<member><TopicArn>{arn}</TopicArn></member>")).collect();
    let next = next.map_or(String::new(), |token| format!("<NextToken>{token}</NextToken>"));
    xml("ListTopics", &format!("<Topics>{members}</Topics>{next}"))
}

fn subscriptions(endpoints: &[&str]) -> Reply {
    let member = |endpoint: &&str| {
        format!(
            "<member><SubscriptionArn>{SUBSCRIPTION}</SubscriptionArn><Protocol>sqs</Protocol>\
             <Endpoint>{endpoint}</Endpoint><Owner>o</Owner><TopicArn>{TOPIC}</TopicArn></member>"
        )
    };
    let members: String = endpoints.iter().map(member).collect();
    xml("ListSubscriptionsByTopic", &format!("<Subscriptions>{members}</Subscriptions>"))
}

fn subscription_attributes(attributes: &[(&str, &str)]) -> Reply {
    let entry = |(name, value): &(&str, &str)| format!("<entry><key>{name}</key><value>{value}</value></entry>");
    let entries: String = attributes.iter().map(entry).collect();
    xml("GetSubscriptionAttributes", &format!("<Attributes>{entries}</Attributes>"))
}

fn url(name: &str) -> Reply {
    ok(json!({"QueueUrl": format!("http://sqs.test/123456789012/{name}")}))
}

fn attributes(attributes: Value) -> Reply {
    ok(json!({"Attributes": attributes}))
}

fn dead_letter_attributes() -> Value {
    json!({"QueueArn": DEAD_LETTERS, "MessageRetentionPeriod": "1209600"})
}

fn undelivered_attributes() -> Value {
    json!({
        "QueueArn": UNDELIVERED, "MessageRetentionPeriod": "1209600", "Policy": policy(UNDELIVERED).to_string(),
    })
}

fn subscription_redrive_policy() -> String {
    json!({"deadLetterTargetArn": UNDELIVERED}).to_string()
}

fn redrive_policy() -> Value {
    json!({"deadLetterTargetArn": DEAD_LETTERS, "maxReceiveCount": 5})
}

fn policy(queue: &str) -> Value {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "topic-sends",
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
            "Condition": {"ArnEquals": {"aws:SourceArn": TOPIC}},
        }],
    })
}

fn queue_attributes() -> Value {
    json!({"QueueArn": QUEUE, "RedrivePolicy": redrive_policy().to_string(), "Policy": policy(QUEUE).to_string()})
}

/// Every answer that is needed where nothing is missing, in the order of the calls.
fn everything_there() -> Vec<Reply> {
    vec![
        error(400, "ResourceInUseException"),
        stream("ACTIVE"),
        topics(&[TOPIC], None),
        url("nexus-notifications-dlq"),
        attributes(dead_letter_attributes()),
        url("nexus-notifications"),
        attributes(queue_attributes()),
        url("nexus-background-dlq"),
        attributes(undelivered_attributes()),
        subscriptions(&[QUEUE]),
        subscription_attributes(&[("RawMessageDelivery", "true"), ("RedrivePolicy", &subscription_redrive_policy())]),
    ]
}

struct Provisioning {
    outcome: Result<Vec<ProvisionedPart>, BusProvisionError>,
    seen: Vec<Seen>,
    took: Duration,
}

impl Provisioning {
    async fn run(definition: &BusDefinition, replies: Vec<Reply>) -> Self {
        let test = TestPlatform::new(6);
        let seen = serve(&test, replies.into());
        let endpoints = BusEndpoints { kinesis: config(), sns: config(), sqs: config() };
        let outcome = provision_bus(&test.platform, &endpoints, definition).await;
        let seen = seen.lock().unwrap().clone();
        Self { outcome, seen, took: test.platform.monotonic().0 }
    }

    async fn of(replies: Vec<Reply>) -> Self {
        Self::run(&BusDefinition::default(), replies).await
    }

    /// The calls' names.
    fn calls(&self) -> Vec<String> {
        self.seen.iter().map(call).collect()
    }

    /// The JSON body of the one call of this name.
    fn body(&self, name: &str) -> Value {
        let seen = self.seen.iter().find(|seen| call(seen) == name).unwrap();
        serde_json::from_str(&seen.body).unwrap()
    }

    fn difference(self) -> Option<(BusPart, String)> {
        match self.outcome {
            Err(BusProvisionError::Different { part, difference, .. }) => Some((part, difference)),
            _ => None,
        }
    }
}

fn call(seen: &Seen) -> String {
    match seen.header("x-amz-target") {
        Some(target) => target.rsplit('.').next().unwrap().to_owned(),
        None => field(&seen.body, "Action").unwrap(),
    }
}

fn field(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

fn parts(created: bool) -> Vec<ProvisionedPart> {
    [
        (BusPart::Stream, "nexus-core"),
        (BusPart::Topic, "nexus-background"),
        (BusPart::Queue, "nexus-notifications-dlq"),
        (BusPart::Queue, "nexus-notifications"),
        (BusPart::QueuePolicy, "nexus-notifications"),
        (BusPart::Queue, "nexus-background-dlq"),
        (BusPart::QueuePolicy, "nexus-background-dlq"),
        (BusPart::Subscription, "nexus-notifications"),
    ]
    .map(|(part, name)| ProvisionedPart { part, name: name.to_owned(), created })
    .into()
}

#[tokio::test(start_paused = true)]
async fn a_bus_is_made_as_defined_and_waited_for() {
    let mut bare = queue_attributes();
    bare.as_object_mut().unwrap().remove("Policy");
    let mut bare_undelivered = undelivered_attributes();
    bare_undelivered.as_object_mut().unwrap().remove("Policy");
    let replies = vec![
        ok(json!({})),
        error(400, "ResourceNotFoundException"),
        stream("CREATING"),
        stream("ACTIVE"),
        topics(&[], None),
        xml("CreateTopic", &format!("<TopicArn>{TOPIC}</TopicArn>")),
        no_such_queue(),
        url("nexus-notifications-dlq"),
        // A queue just made is not known everywhere at once.
        no_such_queue(),
        attributes(dead_letter_attributes()),
        no_such_queue(),
        url("nexus-notifications"),
        attributes(bare),
        ok(json!({})),
        no_such_queue(),
        url("nexus-background-dlq"),
        attributes(bare_undelivered),
        ok(json!({})),
        subscriptions(&[]),
        xml("Subscribe", &format!("<SubscriptionArn>{SUBSCRIPTION}</SubscriptionArn>")),
    ];
    let provisioning = Provisioning::of(replies).await;
    assert_eq!(provisioning.outcome, Ok(parts(true)));
    assert!(provisioning.took >= Duration::from_secs(1), "{:?}", provisioning.took);
    let stream = json!({"StreamName": "nexus-core", "StreamModeDetails": {"StreamMode": "ON_DEMAND"}});
    assert_eq!(provisioning.body("CreateStream"), stream);
    let queues: Vec<Value> = provisioning.seen.iter().filter(|seen| call(seen) == "CreateQueue").map(body).collect();
    let retention = json!({"MessageRetentionPeriod": "1209600"});
    assert_eq!(queues[0], json!({"QueueName": "nexus-notifications-dlq", "Attributes": retention}));
    assert_eq!(queues[2], json!({"QueueName": "nexus-background-dlq", "Attributes": retention}));
    assert_eq!(queues[1]["QueueName"], "nexus-notifications");
    let redrive: Value = serde_json::from_str(queues[1]["Attributes"]["RedrivePolicy"].as_str().unwrap()).unwrap();
    assert_eq!(redrive, json!({"deadLetterTargetArn": DEAD_LETTERS, "maxReceiveCount": "5"}));
    assert_eq!(queues[1]["Attributes"]["VisibilityTimeout"], "30");
    let set = provisioning.seen.iter().filter(|seen| call(seen) == "SetQueueAttributes").map(body);
    let policies: Vec<Value> =
        set.map(|set| serde_json::from_str(set["Attributes"]["Policy"].as_str().unwrap()).unwrap()).collect();
    assert_eq!(policies, [policy(QUEUE), policy(UNDELIVERED)]);
    let subscribe = &provisioning.seen.last().unwrap().body;
    assert_eq!(field(subscribe, "Protocol").as_deref(), Some("sqs"));
    assert_eq!(field(subscribe, "Endpoint").map(|arn| arn.replace("%3A", ":")).as_deref(), Some(QUEUE));
    assert_eq!(subscribed_with(subscribe, "RawMessageDelivery").as_deref(), Some("true"));
    let redrive = subscribed_with(subscribe, "RedrivePolicy").unwrap();
    let redrive = ["%22=\"", "%3A=:", "%7B={", "%7D=}", "%2C=,"].iter().fold(redrive, |text, pair| {
        let (coded, plain) = pair.split_once('=').unwrap();
        text.replace(coded, plain)
    });
    assert_eq!(redrive, subscription_redrive_policy());
}

/// An attribute of a call of Subscribe; SDKs number them in any order.
fn subscribed_with(form: &str, name: &str) -> Option<String> {
    let numbered = |number: usize, part: &str| field(form, &format!("Attributes.entry.{number}.{part}"));
    (1..=9)
        .find(|&number| numbered(number, "key").as_deref() == Some(name))
        .and_then(|number| numbered(number, "value"))
}

fn body(seen: &Seen) -> Value {
    serde_json::from_str(&seen.body).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_there_is_left_as_it_is() {
    let provisioning = Provisioning::of(everything_there()).await;
    assert_eq!(provisioning.outcome, Ok(parts(false)));
    let changing = ["CreateTopic", "CreateQueue", "SetQueueAttributes", "Subscribe"];
    let calls = provisioning.calls();
    assert!(!calls.iter().any(|call| changing.contains(&call.as_str())), "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn shards_are_asked_for_where_they_are_wanted() {
    let definition = BusDefinition { core_shards: Some(3), ..BusDefinition::default() };
    let provisioning = Provisioning::run(&definition, everything_there()).await;
    let wanted = json!({
        "StreamName": "nexus-core", "ShardCount": 3, "StreamModeDetails": {"StreamMode": "PROVISIONED"},
    });
    assert_eq!(provisioning.body("CreateStream"), wanted);
}

#[tokio::test(start_paused = true)]
async fn a_part_that_differs_is_an_error_and_is_not_altered() {
    let with = |mut attributes: Value, name: &str, value: &str| {
        attributes[name] = json!(value);
        attributes
    };
    let other_count = json!({"deadLetterTargetArn": DEAD_LETTERS, "maxReceiveCount": 3}).to_string();
    let mut without_dead_letters = queue_attributes();
    without_dead_letters.as_object_mut().unwrap().remove("RedrivePolicy");
    let other_policy = json!({"Statement": []}).to_string();
    let other_undelivered = json!({"deadLetterTargetArn": DEAD_LETTERS}).to_string();
    let cases = [
        (4, attributes(with(dead_letter_attributes(), "MessageRetentionPeriod", "345600")), BusPart::Queue, "345600 s"),
        (6, attributes(with(queue_attributes(), "RedrivePolicy", &other_count)), BusPart::Queue, "after 5 receives"),
        (6, attributes(without_dead_letters), BusPart::Queue, "says nothing"),
        (6, attributes(with(queue_attributes(), "Policy", &other_policy)), BusPart::QueuePolicy, TOPIC),
        (8, attributes(with(undelivered_attributes(), "MessageRetentionPeriod", "60")), BusPart::Queue, "60 s"),
        (8, attributes(with(undelivered_attributes(), "Policy", &other_policy)), BusPart::QueuePolicy, TOPIC),
        (10, subscription_attributes(&[("RawMessageDelivery", "false")]), BusPart::Subscription, "raw"),
        (10, subscription_attributes(&[]), BusPart::Subscription, "raw"),
        (10, subscription_attributes(&[("RawMessageDelivery", "true")]), BusPart::Subscription, "says nothing"),
        (
            10,
            subscription_attributes(&[("RawMessageDelivery", "true"), ("RedrivePolicy", &other_undelivered)]),
            BusPart::Subscription,
            UNDELIVERED,
        ),
        (
            10,
            subscription_attributes(&[("RawMessageDelivery", "true"), ("FilterPolicy", "{}")]),
            BusPart::Subscription,
            "filter policy",
        ),
    ];
    for (index, reply, part, expected) in cases {
        let mut replies = everything_there();
        replies[index] = reply;
        let provisioning = Provisioning::of(replies).await;
        assert_eq!(provisioning.seen.len(), index + 1, "{expected}");
        let (found, difference) = provisioning.difference().unwrap();
        assert_eq!(found, part);
        assert!(difference.contains(expected), "{difference}");
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_throttles_are_attempted_again_and_a_refusal_is_not() {
    let mut replies = everything_there();
    // The stream is there because the first attempt, whose answer was lost, made it.
    replies.insert(0, Reply::BytesThenClose(String::new()));
    replies.insert(0, error(400, "LimitExceededException"));
    let provisioning = Provisioning::of(replies).await;
    let created: Vec<bool> = provisioning.outcome.unwrap().iter().map(|part| part.created).collect();
    assert_eq!(created, [true, false, false, false, false, false, false, false]);

    let refused = Provisioning::of(vec![error(400, "AccessDeniedException")]).await;
    assert_eq!(refused.seen.len(), 1);
    let Err(BusProvisionError::Failed { part: BusPart::Stream, failure: CallFailure::Rejected(rejected), .. }) =
        refused.outcome
    else {
        panic!("not rejected")
    };
    assert_eq!(rejected.code, "AccessDeniedException");

    let down = Provisioning::of(vec![error(503, "ServiceUnavailable"); 9]).await;
    assert_eq!(down.seen.len(), 5, "five attempts");
    assert!(matches!(down.outcome, Err(BusProvisionError::Failed { failure: CallFailure::Unknown(_), .. })));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_never_becomes_active_is_given_up() {
    let mut replies = vec![ok(json!({}))];
    replies.extend(std::iter::repeat_n(stream("CREATING"), 240));
    let waited = Duration::from_secs(120);
    let outcome = Provisioning::of(replies).await.outcome;
    assert_eq!(outcome, Err(BusProvisionError::NotActive { stream: "nexus-core".to_owned(), waited }));
    // One that is being resharded can be used.
    let mut replies = everything_there();
    replies[1] = stream("UPDATING");
    assert_eq!(Provisioning::of(replies).await.outcome, Ok(parts(false)));
}

#[tokio::test(start_paused = true)]
async fn names_are_looked_up() {
    let test = TestPlatform::new(6);
    let other = "arn:aws:sns:us-east-1:123456789012:not-nexus-background";
    let replies = [
        topics(&[other], Some("page-2")),
        topics(&[TOPIC], Some("page-3")),
        topics(&[other], None),
        url("nexus-notifications"),
        no_such_queue(),
        // A service that speaks the newer codes only.
        error(400, "com.amazonaws.sqs#QueueDoesNotExist"),
        error(403, "AccessDeniedException"),
    ];
    let seen = serve(&test, replies.into());
    let (platform, config) = (&test.platform, config());
    assert_eq!(find_topic(platform, &config, "nexus-background").await, Ok(Some(TOPIC.to_owned())));
    assert_eq!(field(&seen.lock().unwrap()[1].body, "NextToken").as_deref(), Some("page-2"));
    assert_eq!(find_topic(platform, &config, "nexus-background").await, Ok(None));
    let found = "http://sqs.test/123456789012/nexus-notifications".to_owned();
    assert_eq!(find_queue(platform, &config, "nexus-notifications").await, Ok(Some(found)));
    assert_eq!(find_queue(platform, &config, "nexus-notifications").await, Ok(None));
    assert_eq!(find_queue(platform, &config, "nexus-notifications").await, Ok(None));
    let refused = find_queue(platform, &config, "nexus-notifications").await;
    assert!(matches!(refused, Err(CallFailure::Rejected(_))), "{refused:?}");
}
