//! A cloud with functions that are hosted by the test, and time that passes until something happens.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_cloud::{
    Assumptions, Call, CallHook, CallOutcome, CallPlan, Cloud, CloudConfig, JournalEntry, LambdaConfig, LatencyModel,
    MessageStep, MessageStepKind, Output, RequestId, Service, UnixNanos, WireRequest, WireResponse,
};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z
pub const START: UnixNanos = UnixNanos(1_767_225_600 * 1_000_000_000);
pub const SECOND: Duration = Duration::from_secs(1);

/// What a hosted function does with an invocation.
#[derive(Clone, Debug)]
pub enum Act {
    Answer(String),
    Fail,
    /// Never answers; its environment comes back only when the test says so.
    Hang,
    /// Answers after this time.
    Late(Duration, String),
}

pub fn ok() -> Act {
    Act::Answer("null".into())
}

pub fn report(ids: &[&str]) -> Act {
    let failures: Vec<Value> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
    Act::Answer(json!({"batchItemFailures": failures}).to_string())
}

/// What a function was handed.
#[derive(Clone, Debug)]
pub struct Invoked {
    pub at: UnixNanos,
    pub request_id: String,
    pub headers: BTreeMap<String, String>,
    pub event: Value,
}

impl Invoked {
    pub fn records(&self) -> &[Value] {
        self.event["Records"].as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// Sequence numbers or message ids.
    pub fn ids(&self) -> Vec<String> {
        let id = |record: &Value| {
            let candidates =
                [&record["dynamodb"]["SequenceNumber"], &record["kinesis"]["sequenceNumber"], &record["messageId"]];
            candidates.iter().find_map(|value| value.as_str()).unwrap_or_default().to_owned()
        };
        self.records().iter().map(id).collect()
    }

    /// The sort keys of a table's changes.
    pub fn sort_keys(&self) -> Vec<&str> {
        self.records().iter().filter_map(|record| record["dynamodb"]["Keys"]["sk"]["S"].as_str()).collect()
    }
}

/// The plan for one call to come, of the calls that it fits.
pub struct Rule {
    pub service: Service,
    pub operation: &'static str,
    /// Calls of this kind that pass before.
    pub skip: usize,
    pub plan: CallPlan,
}

#[derive(Clone, Default)]
pub struct Rules(Arc<Mutex<Vec<Rule>>>);

impl CallHook for Rules {
    fn on_call(&mut self, call: &Call) -> CallPlan {
        let mut rules = self.0.lock().unwrap();
        let mut fitting = None;
        for (index, rule) in rules.iter_mut().enumerate() {
            if rule.service == call.service && rule.operation == call.operation {
                if rule.skip == 0 {
                    fitting = fitting.or(Some(index));
                } else {
                    rule.skip -= 1;
                }
            }
        }
        fitting.map(|index| rules.remove(index).plan).unwrap_or_default()
    }

    fn on_outcome(&mut self, _: &Call, _: &CallOutcome) {}
}

enum Waiting {
    Answer,
    Next { function: String, path: String, headers: Vec<(String, String)> },
    Posted { function: String, headers: Vec<(String, String)> },
}

/// What a hosted function will answer, and when.
struct Post {
    at: UnixNanos,
    function: String,
    path: String,
    body: String,
    headers: Vec<(String, String)>,
}

type Handler = Box<dyn FnMut(&Invoked) -> Act>;

pub struct World {
    pub cloud: Cloud,
    pub now: UnixNanos,
    pub invoked: Vec<Invoked>,
    pub handler: Handler,
    rules: Rules,
    requests: u64,
    waiting: BTreeMap<u64, Waiting>,
    answers: BTreeMap<u64, WireResponse>,
    posts: VecDeque<Post>,
}

/// Every call takes 10 ms, mappings settle in a second.
pub fn quick() -> CloudConfig {
    CloudConfig {
        latency: LatencyModel::fixed(10),
        assumptions: Assumptions::immediate(),
        lambda: LambdaConfig::default(),
        ..CloudConfig::default()
    }
}

impl World {
    pub fn new(config: CloudConfig) -> Self {
        let rules = Rules::default();
        Self {
            cloud: Cloud::new(config, Box::new(rules.clone())),
            now: START,
            invoked: Vec::new(),
            handler: Box::new(|_| ok()),
            rules,
            requests: 0,
            waiting: BTreeMap::new(),
            answers: BTreeMap::new(),
            posts: VecDeque::new(),
        }
    }

    /// With a function `f` and `environments` that host it.
    pub fn with_function(config: CloudConfig, environments: usize) -> Self {
        let mut world = Self::new(config);
        world.create_function("f", 3);
        for _ in 0..environments {
            world.host("f");
        }
        world
    }

    pub fn plan(&mut self, service: Service, operation: &'static str, skip: usize, plan: CallPlan) {
        self.rules.0.lock().unwrap().push(Rule { service, operation, skip, plan });
    }

    /// How many planned faults have not struck yet.
    pub fn plans_left(&self) -> usize {
        self.rules.0.lock().unwrap().len()
    }

    fn submit(&mut self, method: &str, path: &str, headers: &[(String, String)], body: &str, waiting: Waiting) -> u64 {
        self.requests += 1;
        let mut headers = headers.to_vec();
        if !path.contains("/runtime/") {
            headers.push(("authorization".into(), "AWS4-HMAC-SHA256 Credential=any".into()));
        }
        let request = WireRequest {
            service: Service::Lambda,
            caller: "host".into(),
            method: method.into(),
            path: path.into(),
            headers,
            body: body.to_owned().into_bytes().into(),
        };
        self.waiting.insert(self.requests, waiting);
        self.cloud.handle(self.now, RequestId(self.requests), request);
        self.requests
    }

    /// Sends without waiting.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> u64 {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.submit(method, path, &headers, &body, Waiting::Answer)
    }

    /// The answer of a call: status, headers, body. Waits a minute at most.
    #[track_caller]
    pub fn answer(&mut self, call: u64) -> WireResponse {
        let limit = self.now.plus(60 * SECOND);
        while !self.answers.contains_key(&call) && self.now < limit {
            self.step(limit);
        }
        self.answers.remove(&call).expect("an answer within a minute")
    }

    pub fn has_answer(&self, call: u64) -> bool {
        self.answers.contains_key(&call)
    }

    #[track_caller]
    pub fn call(&mut self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let call = self.send(method, path, &[], &body);
        let response = self.answer(call);
        (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::Null))
    }

    /// The error's code and message.
    #[track_caller]
    pub fn error(&mut self, method: &str, path: &str, body: Value) -> (u16, String, String) {
        let call = self.send(method, path, &[], &body);
        error_of(&self.answer(call))
    }

    #[track_caller]
    pub fn create_function(&mut self, name: &str, timeout_seconds: u64) {
        let request = json!({"FunctionName": name, "Timeout": timeout_seconds});
        self.cloud.call_now(self.now, Service::Lambda, "CreateFunction", request).unwrap();
    }

    /// Another environment begins to ask for invocations.
    pub fn host(&mut self, function: &str) -> u64 {
        self.host_as(function, &[])
    }

    pub fn host_as(&mut self, function: &str, headers: &[(&str, &str)]) -> u64 {
        let path = format!("/functions/{function}/2018-06-01/runtime/invocation/next");
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let waiting = Waiting::Next { function: function.into(), path: path.clone(), headers: headers.clone() };
        self.submit("GET", &path, &headers, "", waiting)
    }

    #[track_caller]
    pub fn map(&mut self, source_arn: &str, settings: Value) -> String {
        let mut request = settings;
        request["FunctionName"] = json!("f");
        request["EventSourceArn"] = json!(source_arn);
        let (status, mapping) = self.call("POST", "/2015-03-31/event-source-mappings", request);
        assert_eq!(status, 202, "{mapping}");
        mapping["UUID"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub fn mapping(&mut self, uuid: &str) -> Value {
        self.call("GET", &format!("/2015-03-31/event-source-mappings/{uuid}"), Value::Null).1
    }

    /// Lets time pass.
    pub fn wait(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        while self.now < end {
            self.step(end);
        }
    }

    /// Waits until a condition holds or the time is over, and then a little longer, for what must not happen any more.
    pub fn settle(&mut self, most: Duration, mut condition: impl FnMut(&Self) -> bool) {
        let end = self.now.plus(most);
        while !condition(self) && self.now < end {
            self.wait(5 * SECOND);
        }
        self.wait(15 * SECOND);
    }

    /// Waits until a condition holds; at most as long as told.
    #[track_caller]
    pub fn wait_for(&mut self, most: Duration, mut condition: impl FnMut(&Self) -> bool) {
        let end = self.now.plus(most);
        while !condition(self) {
            assert!(self.now < end, "it did not happen; {}", self.cloud.inspect(Service::Lambda));
            self.step(end);
        }
    }

    /// To the next thing that happens, or to `limit`.
    fn step(&mut self, limit: UnixNanos) {
        let post = self.posts.iter().map(|post| post.at).min();
        let next = [self.cloud.next_deadline(), post].into_iter().flatten().min().unwrap_or(limit);
        self.now = self.now.max(next.min(limit));
        let due: Vec<_> = {
            let now = self.now;
            let (due, later): (Vec<_>, Vec<_>) = self.posts.drain(..).partition(|post| post.at <= now);
            self.posts.extend(later);
            due
        };
        for Post { function, path, body, headers, .. } in due {
            self.submit("POST", &path, &[], &body, Waiting::Posted { function, headers });
        }
        for output in self.cloud.advance(self.now) {
            match output {
                Output::Reply { request, response } => self.arrived(request.0, response),
                Output::Reset { request } | Output::Truncated { request, .. } => {
                    self.waiting.remove(&request.0);
                }
            }
        }
    }

    fn arrived(&mut self, request: u64, response: WireResponse) {
        match self.waiting.remove(&request) {
            Some(Waiting::Next { function, path, headers }) if response.status == 200 => {
                self.work(function, &path, headers, &response);
            }
            Some(Waiting::Posted { function, headers }) => {
                let headers: Vec<(&str, &str)> =
                    headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                self.host_as(&function, &headers);
                self.answers.insert(request, response);
            }
            _ => {
                self.answers.insert(request, response);
            }
        }
    }

    fn work(&mut self, function: String, path: &str, headers: Vec<(String, String)>, response: &WireResponse) {
        let header_map: BTreeMap<String, String> = response.headers.iter().cloned().collect();
        let request_id = header_map["lambda-runtime-aws-request-id"].clone();
        let invoked = Invoked {
            at: self.now,
            request_id: request_id.clone(),
            headers: header_map,
            event: serde_json::from_slice(&response.body).unwrap(),
        };
        let act = (self.handler)(&invoked);
        self.invoked.push(invoked);
        let target = |end: &str| path.replace("invocation/next", &format!("invocation/{request_id}/{end}"));
        let (after, end, body) = match act {
            Act::Answer(text) => (Duration::from_millis(1), "response", text),
            Act::Late(after, text) => (after, "response", text),
            Act::Fail => {
                (Duration::from_millis(1), "error", r#"{"errorType":"Broken","errorMessage":"on purpose"}"#.to_owned())
            }
            Act::Hang => return,
        };
        self.posts.push_back(Post { at: self.now.plus(after), function, path: target(end), body, headers });
    }

    /// The steps of this kind, in order.
    pub fn steps(&self, kind: MessageStepKind) -> Vec<MessageStep> {
        let steps = self.cloud.journal().iter().filter_map(|entry| match entry {
            JournalEntry::Message(step) if step.step == kind && step.service == Service::Lambda => Some(step.clone()),
            _ => None,
        });
        steps.collect()
    }

    /// Every step of the journal's invocations is there once: invoked, then returned.
    pub fn assert_journal_is_whole(&self) {
        let invoked = self.steps(MessageStepKind::Invoked);
        let returned = self.steps(MessageStepKind::Returned);
        for step in &returned {
            let before = invoked.iter().filter(|other| other.message_id == step.message_id && other.at <= step.at);
            assert_eq!(before.count(), 1, "{step:?}");
        }
        let ids: std::collections::BTreeSet<&String> = returned.iter().map(|step| &step.message_id).collect();
        assert_eq!(ids.len(), returned.len(), "an invocation returned twice");
    }
}

pub fn error_of(response: &WireResponse) -> (u16, String, String) {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
    let code = response.headers.iter().find(|(name, _)| name == "x-amzn-errortype").map(|(_, code)| code.clone());
    let code = code.or_else(|| body["errorType"].as_str().map(str::to_owned)).unwrap_or_default();
    let message = ["message", "Message", "errorMessage"].iter().find_map(|name| body[*name].as_str());
    (response.status, code, message.unwrap_or_default().to_owned())
}

/// A table `orders` with a stream of one shard; gives the stream's ARN.
pub fn orders_stream(world: &mut World) -> String {
    world
        .cloud
        .create_table_now(
            START,
            &json!({
                "TableName": "orders",
                "AttributeDefinitions": [
                    {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
                ],
                "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
                "BillingMode": "PAY_PER_REQUEST",
                "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
            }),
        )
        .unwrap();
    "arn:aws:dynamodb:us-east-1:000000000000:table/orders/stream/2026-01-01T00:00:00.000".to_owned()
}

/// Writes an item through the wire.
pub fn put(world: &mut World, pk: &str, sk: &str) {
    world.requests += 1;
    let body = json!({"TableName": "orders", "Item": {"pk": {"S": pk}, "sk": {"S": sk}}}).to_string();
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let request = WireRequest {
        service: Service::Dynamodb,
        caller: "client".into(),
        method: "POST".into(),
        path: "/".into(),
        headers: vec![
            header("content-type", "application/x-amz-json-1.0"),
            header("x-amz-target", "DynamoDB_20120810.PutItem"),
            header("authorization", "any"),
        ],
        body: body.into_bytes().into(),
    };
    world.waiting.insert(world.requests, Waiting::Answer);
    world.cloud.handle(world.now, RequestId(world.requests), request);
    let call = world.requests;
    assert_eq!(world.answer(call).status, 200);
}
