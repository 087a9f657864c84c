//! The bare handler: a request in, an answer out, nothing between. The yardstick is a stub that does 565,000 calls a second.
#![forbid(unsafe_code)]

use std::{hint::black_box, time::Duration};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use nexus_cloud::{
    Assumptions, Cloud, CloudConfig, LatencyModel, NoFaults, RequestId, Service, UnixNanos, WireRequest,
};
use serde_json::json;

struct Bench {
    cloud: Cloud,
    now: UnixNanos,
    calls: u64,
}

impl Bench {
    fn new(keep_journal: bool, modelled: bool) -> Self {
        let mut config = CloudConfig { keep_journal, ..CloudConfig::default() };
        if !modelled {
            config.latency = LatencyModel::fixed(0);
            config.assumptions = Assumptions::immediate();
        }
        let mut cloud = Cloud::new(config, Box::new(NoFaults));
        let now = UnixNanos(1_767_225_600_000_000_000);
        let table = json!({
            "TableName": "events",
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "N"},
            ],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "BillingMode": "PAY_PER_REQUEST",
        });
        cloud.create_table_now(now, &table).expect("the table is sound");
        Self { cloud, now, calls: 0 }
    }

    fn call(&mut self, operation: &str, body: Bytes) {
        self.calls += 1;
        // A call takes 20 ms where latency is modelled; spreading them keeps the table's capacity from running out.
        self.now = self.now.plus(Duration::from_millis(1));
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let wire = WireRequest {
            service: Service::Dynamodb,
            caller: "client".to_owned(),
            method: "POST".to_owned(),
            path: "/".to_owned(),
            headers: vec![
                header("content-type", "application/x-amz-json-1.0"),
                header("x-amz-target", &format!("DynamoDB_20120810.{operation}")),
                header("authorization", "AWS4-HMAC-SHA256 Credential=any"),
                header("amz-sdk-request", "attempt=1; max=3"),
            ],
            body,
        };
        self.cloud.handle(self.now, RequestId(self.calls), wire);
        black_box(self.cloud.advance(self.now));
    }

    fn partition(&self) -> u64 {
        self.calls % 1_000
    }

    fn put(&mut self) {
        let body = format!(
            r#"{{"TableName":"events","Item":{{"pk":{{"S":"order-{}"}},"sk":{{"N":"{}"}},"type":{{"S":"OrderPlaced"}},"body":{{"S":"{{\"total\":1200,\"currency\":\"EUR\",\"lines\":[1,2,3]}}"}}}},"ConditionExpression":"attribute_not_exists(pk)"}}"#,
            self.partition(),
            self.calls
        );
        self.call("PutItem", body.into());
    }

    fn transact(&mut self) {
        let (partition, sequence) = (self.partition(), self.calls);
        let put = |table: &str, pk: String| {
            format!(
                r#"{{"Put":{{"TableName":"{table}","Item":{{"pk":{{"S":"{pk}"}},"sk":{{"N":"{sequence}"}},"type":{{"S":"OrderPlaced"}}}},"ConditionExpression":"attribute_not_exists(pk)"}}}}"#
            )
        };
        let body = format!(
            r#"{{"TransactItems":[{},{}],"ClientRequestToken":"token-{sequence}"}}"#,
            put("events", format!("order-{partition}")),
            put("events", format!("idempotency-{partition}"))
        );
        self.call("TransactWriteItems", body.into());
    }

    fn get(&mut self) {
        let body = format!(
            r#"{{"TableName":"events","Key":{{"pk":{{"S":"order-{}"}},"sk":{{"N":"{}"}}}},"ConsistentRead":true}}"#,
            self.partition(),
            self.partition()
        );
        self.call("GetItem", body.into());
    }
}

type Operation = fn(&mut Bench);

fn handler(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handler");
    group
        .throughput(Throughput::Elements(1))
        .measurement_time(Duration::from_secs(2))
        .warm_up_time(Duration::from_millis(500));
    for (name, keep_journal, modelled) in
        [("bare", false, false), ("with-journal", true, false), ("with-latency-model", false, true)]
    {
        let operations: [(&str, Operation); 3] =
            [("PutItem", Bench::put), ("TransactWriteItems", Bench::transact), ("GetItem", Bench::get)];
        for (operation, call) in operations {
            let mut bench = Bench::new(keep_journal, modelled);
            for _ in 0..1_000 {
                bench.put();
            }
            group.bench_function(format!("{operation}/{name}"), |bencher| bencher.iter(|| call(&mut bench)));
        }
    }
    group.finish();
}

criterion_group!(benches, handler);
criterion_main!(benches);
