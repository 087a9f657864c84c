//! A caller without a network: requests in JSON, answers in JSON, time by hand.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod glue;
pub mod kinesis;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_cloud::{
    Assumptions, Call, CallHook, CallOutcome, CallPlan, Cloud, CloudConfig, LatencyModel, Output, RequestId, Service,
    UnixNanos, WireRequest,
};
use serde_json::{Value, json};

/// 2026-01-01T00:00:00Z
pub const START: UnixNanos = UnixNanos(1_767_225_600 * 1_000_000_000);

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Body {
        status: u16,
        body: Value,
    },
    /// Not JSON.
    Text {
        status: u16,
        text: String,
    },
    Truncated,
    Reset,
    /// Nothing came, however long one waits.
    Silence,
}

impl Answer {
    #[track_caller]
    pub fn ok(self) -> Value {
        match self {
            Answer::Body { status: 200, body } => body,
            other => panic!("not a success: {other:?}"),
        }
    }

    /// The code and the message of an error.
    #[track_caller]
    pub fn error(self) -> (String, String) {
        let Answer::Body { status, body } = self else { panic!("not an error: {self:?}") };
        assert_ne!(status, 200, "{body}");
        let code = body["__type"].as_str().unwrap().rsplit('#').next().unwrap().to_owned();
        let message = body["message"].as_str().or(body["Message"].as_str()).unwrap_or_default().to_owned();
        (code, message)
    }

    #[track_caller]
    pub fn code(self) -> String {
        self.error().0
    }

    #[track_caller]
    pub fn reasons(self) -> Vec<String> {
        let Answer::Body { body, .. } = self else { panic!("not an error: {self:?}") };
        let reasons = body["CancellationReasons"].as_array().unwrap_or_else(|| panic!("no reasons in {body}"));
        reasons.iter().map(|reason| reason["Code"].as_str().unwrap().to_owned()).collect()
    }
}

pub type Seen = Arc<Mutex<Vec<(Call, CallOutcome)>>>;

/// Plans for calls by their sequence number, and what became of all calls.
pub struct Script {
    pub plans: Arc<Mutex<BTreeMap<u64, CallPlan>>>,
    pub seen: Seen,
}

impl CallHook for Script {
    fn on_call(&mut self, call: &Call) -> CallPlan {
        self.plans.lock().unwrap().remove(&call.sequence).unwrap_or_default()
    }
    fn on_outcome(&mut self, call: &Call, outcome: &CallOutcome) {
        self.seen.lock().unwrap().push((call.clone(), outcome.clone()));
    }
}

pub struct Driver {
    pub cloud: Cloud,
    pub now: UnixNanos,
    pub caller: String,
    plans: Arc<Mutex<BTreeMap<u64, CallPlan>>>,
    pub seen: Seen,
    calls: u64,
    arrived: BTreeMap<u64, Answer>,
}

/// Every call takes 10 ms: its effect comes at 6 ms.
pub fn quick() -> CloudConfig {
    CloudConfig { latency: LatencyModel::fixed(10), assumptions: Assumptions::immediate(), ..CloudConfig::default() }
}

impl Driver {
    pub fn new(config: CloudConfig) -> Self {
        let (plans, seen) = (Arc::default(), Seen::default());
        let hook = Script { plans: Arc::clone(&plans), seen: Arc::clone(&seen) };
        let cloud = Cloud::new(config, Box::new(hook));
        Self { cloud, now: START, caller: "client".into(), plans, seen, calls: 0, arrived: BTreeMap::new() }
    }

    /// With a table `orders` of string keys `pk` and `sk`, streaming both images.
    pub fn with_orders(config: CloudConfig) -> Self {
        let mut driver = Self::new(config);
        driver.cloud.create_table_now(START, &orders_table()).unwrap();
        driver
    }

    /// Plans what happens to the next call to be sent.
    pub fn plan_next(&self, plan: CallPlan) {
        self.plans.lock().unwrap().insert(self.calls + 1, plan);
    }

    /// Sends without waiting; the number names the call for [`Driver::answer`].
    pub fn send(&mut self, operation: &str, body: &Value) -> u64 {
        self.send_text(operation, &body.to_string())
    }

    pub fn send_text(&mut self, operation: &str, body: &str) -> u64 {
        let streams = ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"].contains(&operation);
        let (service, prefix) = if streams {
            (Service::DynamodbStreams, "DynamoDBStreams_20120810")
        } else {
            (Service::Dynamodb, "DynamoDB_20120810")
        };
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        self.calls += 1;
        let wire = WireRequest {
            service,
            caller: self.caller.clone(),
            method: "POST".into(),
            path: "/".into(),
            headers: vec![
                header("content-type", "application/x-amz-json-1.0"),
                header("x-amz-target", &format!("{prefix}.{operation}")),
                header("authorization", "AWS4-HMAC-SHA256 Credential=any"),
                header("amz-sdk-invocation-id", "invocation"),
                header("amz-sdk-request", "attempt=2; max=3"),
            ],
            body: body.to_owned().into_bytes().into(),
        };
        self.cloud.handle(self.now, RequestId(self.calls), wire);
        self.calls
    }

    /// Lets time pass.
    pub fn wait(&mut self, duration: Duration) {
        self.now = self.now.plus(duration);
        self.collect();
    }

    fn collect(&mut self) {
        for output in self.cloud.advance(self.now) {
            let (request, answer) = match output {
                Output::Reset { request } => (request, Answer::Reset),
                Output::Truncated { request, .. } => (request, Answer::Truncated),
                Output::Reply { request, response } => {
                    let status = response.status;
                    let answer = match serde_json::from_slice(&response.body) {
                        Ok(body) => Answer::Body { status, body },
                        Err(_) => Answer::Text { status, text: String::from_utf8_lossy(&response.body).into_owned() },
                    };
                    (request, answer)
                }
            };
            assert!(self.arrived.insert(request.0, answer).is_none(), "two answers to one request");
        }
    }

    pub fn has_answer(&self, call: u64) -> bool {
        self.arrived.contains_key(&call)
    }

    /// Waits for the answer of a call, as long as the cloud has anything to do.
    pub fn answer(&mut self, call: u64) -> Answer {
        loop {
            if let Some(answer) = self.arrived.remove(&call) {
                return answer;
            }
            let Some(deadline) = self.cloud.next_deadline() else { return Answer::Silence };
            self.now = self.now.max(deadline);
            self.collect();
        }
    }

    pub fn call(&mut self, operation: &str, body: Value) -> Answer {
        let call = self.send(operation, &body);
        self.answer(call)
    }

    pub fn get(&mut self, pk: &str, sk: &str) -> Option<Value> {
        let body = json!({"TableName": "orders", "Key": key(pk, sk), "ConsistentRead": true});
        self.call("GetItem", body).ok().get("Item").cloned()
    }

    pub fn put(&mut self, pk: &str, sk: &str, value: &str) -> Answer {
        self.call("PutItem", put_request(pk, sk, value))
    }

    pub fn last_outcome(&self) -> CallOutcome {
        self.seen.lock().unwrap().last().unwrap().1.clone()
    }
}

pub fn orders_table() -> Value {
    json!({
        "TableName": "orders",
        "AttributeDefinitions": [
            {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"},
        ],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        "BillingMode": "PAY_PER_REQUEST",
        "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    })
}

pub fn key(pk: &str, sk: &str) -> Value {
    json!({"pk": {"S": pk}, "sk": {"S": sk}})
}

pub fn item(pk: &str, sk: &str, value: &str) -> Value {
    json!({"pk": {"S": pk}, "sk": {"S": sk}, "v": {"S": value}})
}

pub fn put_request(pk: &str, sk: &str, value: &str) -> Value {
    json!({"TableName": "orders", "Item": item(pk, sk, value)})
}

pub fn transact_put(pk: &str, sk: &str, value: &str) -> Value {
    json!({"Put": put_request(pk, sk, value)})
}

pub const MS: Duration = Duration::from_millis(1);
