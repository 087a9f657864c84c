//! A client of queues and topics without a network: real requests on the wire, time by hand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_cloud::{
    Assumptions, Call, CallHook, CallOutcome, CallPlan, Cloud, CloudConfig, JournalEntry, LatencyModel, MessageStep,
    MessageStepKind, Output, Quirk, RequestId, Service, UnixNanos, WireRequest, WireResponse,
};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z
pub const START: UnixNanos = UnixNanos(1_767_225_600 * 1_000_000_000);
pub const MS: Duration = Duration::from_millis(1);
pub const SECOND: Duration = Duration::from_secs(1);

/// A plan for the next call of this operation by this caller.
type Planned = (String, String, CallPlan);

pub struct Script {
    plans: Arc<Mutex<Vec<Planned>>>,
    seen: Arc<Mutex<Vec<Call>>>,
}

impl CallHook for Script {
    fn on_call(&mut self, call: &Call) -> CallPlan {
        self.seen.lock().unwrap().push(call.clone());
        let mut plans = self.plans.lock().unwrap();
        let index =
            plans.iter().position(|(caller, operation, _)| *caller == call.caller && *operation == call.operation);
        index.map(|index| plans.remove(index).2).unwrap_or_default()
    }
    fn on_outcome(&mut self, _: &Call, _: &CallOutcome) {}
}

/// An error as it came over the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub status: u16,
    pub code: String,
    /// SQS only.
    pub query_error: String,
    pub message: String,
}

pub struct Client {
    pub cloud: Cloud,
    pub now: UnixNanos,
    plans: Arc<Mutex<Vec<Planned>>>,
    pub seen: Arc<Mutex<Vec<Call>>>,
    requests: u64,
    arrived: BTreeMap<u64, WireResponse>,
}

/// Every call takes 10 ms, nothing is left to chance.
pub fn exact() -> CloudConfig {
    CloudConfig { latency: LatencyModel::fixed(10), assumptions: Assumptions::immediate(), ..CloudConfig::default() }
}

pub fn url(name: &str) -> String {
    format!("http://sqs.us-east-1.amazonaws.com/000000000000/{name}")
}

pub fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

pub fn topic_arn(name: &str) -> String {
    format!("arn:aws:sns:us-east-1:000000000000:{name}")
}

pub fn quirk(quirk: Quirk) -> CallPlan {
    CallPlan { quirks: vec![quirk], ..CallPlan::default() }
}

impl Client {
    pub fn new(config: CloudConfig) -> Self {
        let plans: Arc<Mutex<Vec<Planned>>> = Arc::default();
        let seen: Arc<Mutex<Vec<Call>>> = Arc::default();
        let hook = Script { plans: Arc::clone(&plans), seen: Arc::clone(&seen) };
        let cloud = Cloud::new(config, Box::new(hook));
        Self { cloud, now: START, plans, seen, requests: 0, arrived: BTreeMap::new() }
    }

    pub fn plan(&self, caller: &str, operation: &str, plan: CallPlan) {
        self.plans.lock().unwrap().push((caller.to_owned(), operation.to_owned(), plan));
    }

    fn send(&mut self, service: Service, target: Option<String>, content_type: &str, body: String) -> u64 {
        self.requests += 1;
        let mut headers = vec![
            ("content-type".to_owned(), content_type.to_owned()),
            ("authorization".to_owned(), "AWS4-HMAC-SHA256 Credential=any".to_owned()),
        ];
        headers.extend(target.map(|target| ("x-amz-target".to_owned(), target)));
        let wire = WireRequest {
            service,
            caller: "client".into(),
            method: "POST".into(),
            path: "/".into(),
            headers,
            body: body.into_bytes().into(),
        };
        self.cloud.handle(self.now, RequestId(self.requests), wire);
        self.requests
    }

    /// Sends a request to SQS without waiting for its answer.
    pub fn start(&mut self, operation: &str, body: Value) -> u64 {
        let target = format!("AmazonSQS.{operation}");
        self.send(Service::Sqs, Some(target), "application/x-amz-json-1.0", body.to_string())
    }

    fn collect(&mut self) {
        for output in self.cloud.advance(self.now) {
            match output {
                Output::Reply { request, response } => {
                    assert!(self.arrived.insert(request.0, response).is_none(), "two answers to one request");
                }
                other => panic!("nobody planned {other:?}"),
            }
        }
    }

    /// Lets time pass, stopping at everything that happens meanwhile.
    pub fn wait(&mut self, duration: Duration) {
        let end = self.now.plus(duration);
        while let Some(next) = self.cloud.next_deadline().filter(|next| *next <= end) {
            self.now = self.now.max(next);
            self.collect();
        }
        self.now = end;
        self.collect();
    }

    pub fn has_answer(&mut self, request: u64) -> bool {
        self.collect();
        self.arrived.contains_key(&request)
    }

    fn response(&mut self, request: u64) -> WireResponse {
        loop {
            self.collect();
            if let Some(response) = self.arrived.remove(&request) {
                return response;
            }
            let next = self.cloud.next_deadline().expect("an answer comes");
            self.now = self.now.max(next);
        }
    }

    pub fn finish(&mut self, request: u64) -> Result<Value, Refused> {
        let response = self.response(request);
        let body: Value = serde_json::from_slice(&response.body).expect("SQS answers in JSON");
        if response.status == 200 {
            return Ok(body);
        }
        let code = body["__type"].as_str().expect("a type").rsplit('#').next().unwrap_or_default().to_owned();
        let header = response.headers.iter().find(|(name, _)| name == "x-amzn-query-error");
        Err(Refused {
            status: response.status,
            code,
            query_error: header.map(|(_, value)| value.clone()).unwrap_or_default(),
            message: body["message"].as_str().unwrap_or_default().to_owned(),
        })
    }

    pub fn try_sqs(&mut self, operation: &str, body: Value) -> Result<Value, Refused> {
        let request = self.start(operation, body);
        self.finish(request)
    }

    #[track_caller]
    pub fn sqs(&mut self, operation: &str, body: Value) -> Value {
        self.try_sqs(operation, body).unwrap_or_else(|refused| panic!("{operation}: {refused:?}"))
    }

    #[track_caller]
    pub fn create(&mut self, name: &str, attributes: Value) -> String {
        let body = json!({"QueueName": name, "Attributes": attributes});
        self.sqs("CreateQueue", body)["QueueUrl"].as_str().unwrap().to_owned()
    }

    pub fn fifo(&mut self, name: &str) -> String {
        self.create(name, json!({"FifoQueue": "true", "ContentBasedDeduplication": "true"}))
    }

    /// Sends a text; gives back the message's id.
    pub fn put(&mut self, queue: &str, body: &str) -> String {
        let sent = self.sqs("SendMessage", json!({"QueueUrl": url(queue), "MessageBody": body}));
        sent["MessageId"].as_str().unwrap().to_owned()
    }

    pub fn put_in_group(&mut self, queue: &str, group: &str, body: &str) -> Value {
        self.sqs("SendMessage", json!({"QueueUrl": url(queue), "MessageBody": body, "MessageGroupId": group}))
    }

    /// A short poll for up to ten messages, with all that is known of each.
    pub fn take(&mut self, queue: &str) -> Vec<Value> {
        self.take_with(queue, json!({}))
    }

    pub fn take_with(&mut self, queue: &str, more: Value) -> Vec<Value> {
        let mut body = json!({
            "QueueUrl": url(queue), "MaxNumberOfMessages": 10, "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        let answer = self.sqs("ReceiveMessage", body);
        answer["Messages"].as_array().cloned().unwrap_or_default()
    }

    pub fn try_delete(&mut self, queue: &str, message: &Value) -> Result<Value, Refused> {
        self.try_sqs("DeleteMessage", json!({"QueueUrl": url(queue), "ReceiptHandle": message["ReceiptHandle"]}))
    }

    pub fn delete(&mut self, queue: &str, message: &Value) {
        self.try_delete(queue, message).unwrap_or_else(|refused| panic!("{refused:?}"));
    }

    pub fn attribute(&mut self, queue: &str, name: &str) -> Value {
        let body = json!({"QueueUrl": url(queue), "AttributeNames": [name]});
        self.sqs("GetQueueAttributes", body)["Attributes"][name].clone()
    }

    /// A request to SNS; the answer's XML.
    pub fn try_sns(&mut self, action: &str, form: &[(&str, &str)]) -> Result<String, Refused> {
        let mut body = format!("Action={action}&Version=2010-03-31");
        for (name, value) in form {
            body.push_str(&format!("&{name}={}", escape(value)));
        }
        let request = self.send(Service::Sns, None, "application/x-www-form-urlencoded; charset=utf-8", body);
        let response = self.response(request);
        let xml = String::from_utf8(response.body.to_vec()).expect("SNS answers in UTF-8");
        if response.status == 200 {
            return Ok(xml);
        }
        Err(Refused {
            status: response.status,
            code: element(&xml, "Code"),
            query_error: String::new(),
            message: element(&xml, "Message"),
        })
    }

    #[track_caller]
    pub fn sns(&mut self, action: &str, form: &[(&str, &str)]) -> String {
        self.try_sns(action, form).unwrap_or_else(|refused| panic!("{action}: {refused:?}"))
    }

    /// The steps of all messages, of one kind.
    pub fn steps(&self, kind: MessageStepKind) -> Vec<MessageStep> {
        let step = |entry: &JournalEntry| match entry {
            JournalEntry::Message(step) if step.step == kind => Some(step.clone()),
            _ => None,
        };
        self.cloud.journal().iter().filter_map(step).collect()
    }

    /// What happened at a place, in order.
    pub fn story(&self, place: &str) -> Vec<MessageStepKind> {
        let step = |entry: &JournalEntry| match entry {
            JournalEntry::Message(step) if step.place == place => Some(step.step),
            _ => None,
        };
        self.cloud.journal().iter().filter_map(step).collect()
    }
}

pub fn bodies(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["Body"].as_str().unwrap()).collect()
}

/// The text of the first element of this name; empty if there is none.
pub fn element(xml: &str, name: &str) -> String {
    elements(xml, name).into_iter().next().unwrap_or_default()
}

pub fn elements(xml: &str, name: &str) -> Vec<String> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split(&open).skip(1).filter_map(|rest| Some(rest.split_once(&close)?.0.to_owned())).collect()
}

fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
