//! Tables and bus of the template beside those that `nexus provision` makes.

use std::collections::BTreeMap;

use nexus_aws::{TableNames, table_definitions};
use nexus_aws_bus::BusDefinition;
use serde_json::{Value, json};

use crate::{
    Finding, Template,
    template::{one_or_many, refers_to, texts},
};

const TABLES: &str = "tables-as-provisioned";
const BUS: &str = "bus-as-provisioned";

/// What a template may say of a table beyond what provisioning knows: how it is kept, not what it is.
const CARE_OF_TABLES: [&str; 5] =
    ["PointInTimeRecoverySpecification", "SSESpecification", "DeletionProtectionEnabled", "ResourcePolicy", "Tags"];

/// Names, keys, billing and change streams.
pub(crate) fn tables(template: &Template) -> Vec<Finding> {
    let mut wanted: BTreeMap<String, Value> = table_definitions(&TableNames::default())
        .into_iter()
        .map(|body| (body["TableName"].as_str().unwrap_or_default().to_owned(), body))
        .collect();
    let mut findings = Vec::new();
    for (resource, properties) in template.of_type("AWS::DynamoDB::Table") {
        let found = as_create_table(&template.with_defaults(properties));
        let name = found["TableName"].as_str().unwrap_or_default();
        match wanted.remove(name) {
            None => {
                let message = format!("`nexus provision` makes no table `{name}`, or it is there twice");
                findings.push(Finding::new(TABLES, resource, message));
            }
            Some(wanted) if wanted != found => {
                findings.push(Finding::new(TABLES, resource, format!("it is {found}, provisioned is {wanted}")));
            }
            Some(_) => {}
        }
    }
    let missing = wanted.into_keys().map(|name| Finding::new(TABLES, name, "the template does not have this table"));
    findings.extend(missing);
    findings
}

/// The body of the `CreateTable` call that would make the same table.
fn as_create_table(properties: &Value) -> Value {
    let mut body = properties.clone();
    if let Some(members) = body.as_object_mut() {
        members.retain(|name, _| !CARE_OF_TABLES.contains(&name.as_str()));
        // CloudFormation leaves it out: to specify a stream is to enable it.
        if let Some(stream) = members.get_mut("StreamSpecification") {
            stream["StreamEnabled"] = json!(true);
        }
    }
    body
}

/// Stream, topic, queues, subscription, and leave for the topic to send.
pub(crate) fn bus(template: &Template) -> Vec<Finding> {
    let definition = BusDefinition::default();
    let mut findings = stream(template, &definition);
    findings.extend(topic(template, &definition));
    findings.extend(queues(template, &definition));
    findings.extend(other_queues(template, &definition));
    findings
}

fn stream(template: &Template, definition: &BusDefinition) -> Vec<Finding> {
    let name = &definition.names.core_stream;
    let mode = if definition.core_shards.is_some() { "PROVISIONED" } else { "ON_DEMAND" };
    let mut expectations = Expectations::default();
    match named(template, "AWS::Kinesis::Stream", "Name", name) {
        None => expectations.missing("stream", name),
        Some((resource, properties)) => {
            expectations.equal(resource, &properties, "/StreamModeDetails/StreamMode", &json!(mode));
            expectations.equal(resource, &properties, "/ShardCount", &json!(definition.core_shards));
        }
    }
    expectations.findings
}

fn topic(template: &Template, definition: &BusDefinition) -> Vec<Finding> {
    let name = &definition.names.background_topic;
    let mut expectations = Expectations::default();
    match named(template, "AWS::SNS::Topic", "TopicName", name) {
        None => expectations.missing("topic", name),
        Some((topic, properties)) => {
            expectations.equal(topic, &properties, "/FifoTopic", &Value::Null);
            let queue = |name: &str| named(template, "AWS::SQS::Queue", "QueueName", name).map(|(queue, _)| queue);
            // That the dead-letter queue is missing, the queues' check tells.
            match (queue(&definition.names.notification_queue), queue(&definition.names.background_dead_letters)) {
                (None, _) => expectations.missing("queue", &definition.names.notification_queue),
                (Some(home), dead_letters) => expectations.subscribed(template, topic, home, dead_letters),
            }
        }
    }
    expectations.findings
}

fn queues(template: &Template, definition: &BusDefinition) -> Vec<Finding> {
    let mut expectations = Expectations::default();
    let queue = |name: &str| named(template, "AWS::SQS::Queue", "QueueName", name);
    let names = &definition.names;
    let retention = json!(definition.dead_letter_retention_seconds);
    for name in [&names.notification_dead_letters, &names.background_dead_letters] {
        match queue(name) {
            None => expectations.missing("queue", name),
            Some((resource, properties)) => {
                expectations.equal(resource, &properties, "/MessageRetentionPeriod", &retention);
            }
        }
    }
    let dead_letters = queue(&names.notification_dead_letters);
    // That it is missing, the topic's check has told.
    if let (Some((home, properties)), Some((target, letters))) = (queue(&names.notification_queue), dead_letters) {
        expectations.equal(home, &properties, "/VisibilityTimeout", &json!(definition.visibility_seconds));
        expectations.equal(home, &properties, "/RedrivePolicy/maxReceiveCount", &json!(definition.receives_max));
        expectations.equal(home, &properties, "/FifoQueue", &Value::Null);
        if !refers_to(&properties["RedrivePolicy"]["deadLetterTargetArn"], target) {
            expectations.say(home, format!("its dead letters do not go to {target}"));
        }
        if letters["MessageRetentionPeriod"].as_u64() <= properties["MessageRetentionPeriod"].as_u64() {
            expectations.say(target, format!("it must keep letters longer than {home} keeps messages"));
        }
    }
    expectations.findings
}

/// A queue that provisioning does not know holds what a mapping or a subscription gave up on, or nothing.
fn other_queues(template: &Template, definition: &BusDefinition) -> Vec<Finding> {
    let names = &definition.names;
    let names = [&names.notification_queue, &names.notification_dead_letters, &names.background_dead_letters];
    let mut expectations = Expectations::default();
    for (queue, properties) in template.of_type("AWS::SQS::Queue") {
        let name = template.with_defaults(&properties["QueueName"]);
        if names.iter().any(|known| name == **known) {
            continue;
        }
        if !is_for_what_was_given_up(template, queue) {
            expectations.say(queue, "`nexus provision` makes no such queue, and nothing gives up to it".to_owned());
        }
        let retention = json!(definition.dead_letter_retention_seconds);
        expectations.equal(queue, properties, "/MessageRetentionPeriod", &retention);
    }
    expectations.findings
}

fn is_for_what_was_given_up(template: &Template, queue: &str) -> bool {
    let mappings = template.of_type("AWS::Lambda::EventSourceMapping").into_iter();
    let subscriptions = template.of_type("AWS::SNS::Subscription").into_iter();
    mappings.map(|(_, properties)| &properties["DestinationConfig"]["OnFailure"]).any(|end| refers_to(end, queue))
        || subscriptions.map(|(_, properties)| &properties["RedrivePolicy"]).any(|policy| refers_to(policy, queue))
}

/// The resource of a type with this name, and its properties with the parameters' defaults.
fn named<'t>(template: &'t Template, kind: &str, property: &str, name: &str) -> Option<(&'t str, Value)> {
    template
        .of_type(kind)
        .into_iter()
        .map(|(resource, properties)| (resource, template.with_defaults(properties)))
        .find(|(_, properties)| properties[property] == name)
}

#[derive(Default)]
struct Expectations {
    findings: Vec<Finding>,
}

impl Expectations {
    fn say(&mut self, place: &str, message: String) {
        self.findings.push(Finding::new(BUS, place, message));
    }

    fn missing(&mut self, what: &str, name: &str) {
        self.say(name, format!("the template does not have this {what}"));
    }

    /// What is absent counts as null.
    fn equal(&mut self, place: &str, properties: &Value, pointer: &str, wanted: &Value) {
        let found = properties.pointer(pointer).unwrap_or(&Value::Null);
        if found != wanted {
            self.say(place, format!("{pointer} is {found}, provisioned is {wanted}"));
        }
    }

    fn subscribed(&mut self, template: &Template, topic: &str, queue: &str, dead_letters: Option<&str>) {
        let of_topic = |properties: &Value| refers_to(&properties["TopicArn"], topic);
        let subscriptions = template.of_type("AWS::SNS::Subscription").into_iter();
        let ours =
            subscriptions.filter(|(_, properties)| of_topic(properties) && refers_to(&properties["Endpoint"], queue));
        let ours: Vec<_> = ours.collect();
        if ours.len() != 1 {
            self.say(queue, format!("it has {} subscriptions to {topic} instead of one", ours.len()));
        }
        for (resource, properties) in ours {
            self.equal(resource, properties, "/Protocol", &json!("sqs"));
            self.equal(resource, properties, "/RawMessageDelivery", &json!(true));
            self.equal(resource, properties, "/FilterPolicy", &Value::Null);
            if !properties["RedrivePolicy"].is_object() {
                self.say(resource, "without a redrive policy, what SNS gives up on is lost".to_owned());
            } else if dead_letters.is_some_and(|target| !refers_to(&properties["RedrivePolicy"], target)) {
                self.say(resource, "its dead letters do not go where provisioned ones go".to_owned());
            }
            // Both ends of it must let the topic send.
            for end in std::iter::once(queue).chain(dead_letters) {
                if !lets_send(template, topic, end) {
                    self.say(end, format!("no queue policy lets {topic} send to it"));
                }
            }
        }
    }
}

fn lets_send(template: &Template, topic: &str, queue: &str) -> bool {
    let policies = template.of_type("AWS::SQS::QueuePolicy").into_iter();
    policies.filter(|(_, properties)| refers_to(&properties["Queues"], queue)).any(|(_, properties)| {
        one_or_many(&properties["PolicyDocument"]["Statement"]).into_iter().any(|statement| {
            statement["Effect"] == "Allow"
                && statement["Principal"]["Service"] == "sns.amazonaws.com"
                && texts(&statement["Action"]).contains(&"sqs:SendMessage")
                && refers_to(&statement["Resource"], queue)
                && refers_to(&statement["Condition"]["ArnEquals"]["aws:SourceArn"], topic)
        })
    })
}
