//! Calls to Kinesis, and what its tests ask again and again.

use base64::{Engine, engine::general_purpose::STANDARD};
use nexus_cloud::{CallPlan, JournalEntry, MessageStep, Quirk};
use serde_json::{Value, json};

use super::{Answer, CloudConfig, Driver, RequestId, START, Service, WireRequest, quick};

/// All hashes are below this.
pub const MIDDLE: u128 = 1 << 127;

impl Driver {
    /// With an active stream `core`.
    pub fn with_stream(config: CloudConfig, shards: u32) -> Self {
        let mut driver = Self::new(config);
        let create = json!({"StreamName": "core", "ShardCount": shards});
        driver.cloud.call_now(START, Service::Kinesis, "CreateStream", create).unwrap();
        driver
    }

    /// Sends without waiting.
    pub fn kinesis_send(&mut self, operation: &str, body: &Value) -> u64 {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        self.calls += 1;
        let wire = WireRequest {
            service: Service::Kinesis,
            caller: self.caller.clone(),
            method: "POST".into(),
            path: "/".into(),
            headers: vec![
                header("content-type", "application/x-amz-json-1.1"),
                header("x-amz-target", &format!("Kinesis_20131202.{operation}")),
                header("authorization", "AWS4-HMAC-SHA256 Credential=any"),
            ],
            body: body.to_string().into_bytes().into(),
        };
        self.cloud.handle(self.now, RequestId(self.calls), wire);
        self.calls
    }

    /// An operation without output gives null.
    pub fn kinesis(&mut self, operation: &str, body: Value) -> Answer {
        let call = self.kinesis_send(operation, &body);
        match self.answer(call) {
            Answer::Text { status: 200, text } if text.is_empty() => Answer::Body { status: 200, body: Value::Null },
            other => other,
        }
    }

    /// With something going wrong for this one call.
    pub fn kinesis_with(&mut self, quirk: Quirk, operation: &str, body: Value) -> Answer {
        self.plan_next(CallPlan { quirks: vec![quirk], ..CallPlan::default() });
        self.kinesis(operation, body)
    }

    pub fn shards(&mut self) -> Vec<Value> {
        self.kinesis("ListShards", json!({"StreamName": "core"})).ok()["Shards"].as_array().unwrap().clone()
    }

    pub fn iterator(&mut self, shard: u32, kind: &str) -> String {
        let request = json!({"StreamName": "core", "ShardId": shard_id(shard), "ShardIteratorType": kind});
        text(&self.kinesis("GetShardIterator", request).ok()["ShardIterator"])
    }

    pub fn page(&mut self, iterator: &str) -> Value {
        self.kinesis("GetRecords", json!({"ShardIterator": iterator})).ok()
    }

    /// The data of all records of a shard that can be read now, and whether it has ended.
    pub fn read_shard(&mut self, shard: u32) -> (Vec<String>, bool) {
        let mut next = self.iterator(shard, "TRIM_HORIZON");
        let mut found = Vec::new();
        loop {
            let page = self.page(&next);
            let records = page["Records"].as_array().unwrap();
            found.extend(records.iter().map(data));
            match page.get("NextShardIterator") {
                None => return (found, true),
                Some(_) if records.is_empty() && page["MillisBehindLatest"] == 0 => return (found, false),
                Some(more) => next = text(more),
            }
        }
    }

    /// Changes shards and waits until that is done.
    pub fn reshard(&mut self, operation: &str, mut body: Value) {
        body["StreamName"] = json!("core");
        self.kinesis(operation, body).ok();
        assert_eq!(self.status(), "UPDATING");
        self.wait(super::MS * 600);
        assert_eq!(self.status(), "ACTIVE");
    }

    pub fn status(&self) -> String {
        text(&self.cloud.inspect(Service::Kinesis)["streams"]["core"]["status"])
    }

    /// Steps of records in the journal.
    pub fn steps(&self) -> Vec<MessageStep> {
        let messages = self.cloud.journal().iter().filter_map(|entry| match entry {
            JournalEntry::Message(step) => Some(step.clone()),
            _ => None,
        });
        messages.collect()
    }
}

/// Without limits of throughput.
pub fn unlimited() -> CloudConfig {
    let mut config = quick();
    config.kinesis.enforce_limits = false;
    config
}

pub fn shard_id(number: u32) -> String {
    format!("shardId-{number:012}")
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}

/// What a record carries.
pub fn data(record: &Value) -> String {
    String::from_utf8(STANDARD.decode(record["Data"].as_str().unwrap()).unwrap()).unwrap()
}

pub fn entry(key: &str, data: &str) -> Value {
    json!({"PartitionKey": key, "Data": STANDARD.encode(data)})
}

pub fn put(key: &str, data: &str) -> Value {
    json!({"StreamName": "core", "PartitionKey": key, "Data": STANDARD.encode(data)})
}

pub fn put_all(entries: Vec<Value>) -> Value {
    json!({"StreamName": "core", "Records": entries})
}

/// To the shard that has this hash.
pub fn put_at(hash: u128, data: &str) -> Value {
    let mut request = put("any", data);
    request["ExplicitHashKey"] = json!(hash.to_string());
    request
}
