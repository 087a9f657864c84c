//! Handlers behind event source mappings: what is reported as failed.
#![forbid(unsafe_code)]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_lambda_runtime::{FeedFunction, InvocationContext, LambdaFunction, QueueFunction};
use nexus_ports::{
    BoxFuture, FeedHandler, FeedRecord, Handled, Monotonic, Platform, QueueBatchHandler, QueueMessage, SequenceNumber,
    ShardHandler,
};
use nexus_ports_testing::TestPlatform;
use serde_json::{Value, json};

/// One call of `handle`: how long it takes, how far all is durable then, and when it wants to be called again.
#[derive(Clone, Copy, Debug)]
struct Step {
    takes_ms: u64,
    durable: Option<u32>,
    again_ms: Option<u64>,
}

#[derive(Clone)]
struct Scripted {
    platform: Platform,
    steps: Arc<Mutex<VecDeque<Step>>>,
    calls: Arc<Mutex<Vec<Call>>>,
}

/// Shard, and the sequence numbers that were given.
type Call = (String, Vec<String>);

struct ScriptedShard {
    script: Scripted,
    shard: String,
}

impl FeedHandler for Scripted {
    fn begin_shard(&self, shard: &str, epoch: u64, memory: &str) -> Box<dyn ShardHandler> {
        assert_eq!((epoch, memory), (0, ""));
        Box::new(ScriptedShard { script: self.clone(), shard: shard.to_owned() })
    }
}

impl ShardHandler for ScriptedShard {
    fn handle(&mut self, records: Vec<FeedRecord>) -> BoxFuture<'_, Handled> {
        let numbers = records.into_iter().map(|record| String::from(record.sequence_number)).collect();
        self.script.calls.lock().unwrap().push((self.shard.clone(), numbers));
        let step = self.script.steps.lock().unwrap().pop_front().expect("no further call was scripted");
        Box::pin(async move {
            self.script.platform.sleep(Duration::from_millis(step.takes_ms)).await;
            Handled {
                durable_through: step.durable.map(|number| SequenceNumber::try_from(number.to_string()).unwrap()),
                memory: String::new(),
                call_again_after: step.again_ms.map(Duration::from_millis),
                accepts_more: true,
            }
        })
    }
}

fn context(platform: &Platform, left: Duration) -> InvocationContext {
    InvocationContext {
        request_id: "i".to_owned(),
        deadline_ms: platform.unix_time().as_millis() + left.as_millis() as u64,
        deadline: Monotonic(platform.monotonic().0 + left),
        invoked_function_arn: "arn:f".to_owned(),
        trace_id: None,
    }
}

fn kinesis(numbers: &[u32]) -> Value {
    let record = |number: &u32| {
        json!({
            "eventID": format!("shardId-7:{number}"), "eventSourceARN": "arn:s",
            "kinesis": {"partitionKey": "p", "data": "", "sequenceNumber": number.to_string()},
        })
    };
    json!({ "Records": numbers.iter().map(record).collect::<Vec<_>>() })
}

fn failures(items: &[&str]) -> Value {
    let items: Vec<_> = items.iter().map(|item| json!({ "itemIdentifier": item })).collect();
    json!({ "batchItemFailures": items })
}

fn step(takes_ms: u64, durable: Option<u32>, again_ms: Option<u64>) -> Step {
    Step { takes_ms, durable, again_ms }
}

#[tokio::test(start_paused = true)]
async fn the_first_record_that_is_not_durable_is_reported() {
    type Case = (&'static str, Vec<u32>, Vec<Step>, Vec<&'static str>);
    let cases: Vec<Case> = vec![
        ("all at once", vec![1, 2, 3], vec![step(1, Some(3), None)], vec![]),
        ("none", vec![1, 2, 3], vec![step(1, None, None)], vec!["1"]),
        ("some", vec![1, 2, 3], vec![step(1, Some(1), None)], vec!["2"]),
        ("between numbers", vec![10, 20, 30], vec![step(1, Some(25), None)], vec!["30"]),
        ("out of order", vec![30, 9, 20], vec![step(1, Some(9), None)], vec!["20"]),
        ("beyond", vec![1, 2], vec![step(1, Some(5), None)], vec![]),
        ("kept back, then done", vec![1, 2], vec![step(1, None, Some(10)), step(1, Some(2), None)], vec![]),
        ("kept back, then given up", vec![1, 2], vec![step(1, None, Some(10)), step(1, Some(1), None)], vec!["2"]),
        ("time runs out between calls", vec![1, 2], vec![step(1, Some(1), Some(5_000))], vec!["2"]),
        ("time runs out in a call", vec![1, 2], vec![step(1, Some(1), Some(1)), step(5_000, Some(2), None)], vec!["2"]),
        ("a position that goes back", vec![1, 2], vec![step(1, Some(1), Some(1)), step(1, None, None)], vec!["2"]),
        ("nothing to do", vec![], vec![], vec![]),
    ];
    for (why, numbers, steps, failed) in cases {
        let test = TestPlatform::new(1);
        let script = Scripted {
            platform: test.platform.clone(),
            steps: Arc::new(Mutex::new(steps.into())),
            calls: Arc::default(),
        };
        let function = FeedFunction::new(test.platform.clone(), Arc::new(script.clone()), Duration::from_millis(500));
        let context = context(&test.platform, Duration::from_secs(3));
        let deadline = context.deadline;
        let response = function.invoke(kinesis(&numbers), context).await.unwrap();
        assert_eq!(response, failures(&failed), "{why}");
        assert!(script.steps.lock().unwrap().is_empty(), "{why}: every scripted call was made");
        assert!(test.platform.monotonic().0 + Duration::from_millis(490) <= deadline.0, "{why}: the margin is kept");
        for (index, (shard, given)) in script.calls.lock().unwrap().iter().enumerate() {
            assert_eq!(shard, "arn:s/shardId-7");
            assert_eq!(given.is_empty(), index > 0, "{why}: records are given once");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_time_nothing_is_begun_and_all_is_reported() {
    let test = TestPlatform::new(1);
    let script = Scripted { platform: test.platform.clone(), steps: Arc::default(), calls: Arc::default() };
    let function = FeedFunction::new(test.platform.clone(), Arc::new(script.clone()), Duration::from_millis(500));
    let context = context(&test.platform, Duration::from_millis(400));
    assert_eq!(function.invoke(kinesis(&[4, 5]), context).await.unwrap(), failures(&["4"]));
    assert!(script.calls.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_event_of_another_kind_fails_the_invocation() {
    let test = TestPlatform::new(1);
    let script = Scripted { platform: test.platform.clone(), steps: Arc::default(), calls: Arc::default() };
    let feed = FeedFunction::new(test.platform.clone(), Arc::new(script), Duration::ZERO);
    let queue = QueueFunction::new(Arc::new(Fails { fails: vec![], reports: vec![], batches: Mutex::default() }));
    let functions: [&dyn LambdaFunction; 2] = [&feed, &queue];
    for function in functions {
        let error = function.invoke(json!({}), context(&test.platform, Duration::from_secs(3))).await.unwrap_err();
        assert_eq!(error.error_type, "Function.MalformedEvent");
        assert_eq!(error.message, "the event has no readable Records");
    }
}

/// Fails the messages that it is told to, and reports what it is told to beside.
struct Fails {
    fails: Vec<&'static str>,
    reports: Vec<&'static str>,
    batches: Mutex<Vec<Vec<String>>>,
}

impl QueueBatchHandler for Fails {
    fn handle_batch<'a>(&'a self, messages: Vec<QueueMessage>) -> BoxFuture<'a, Vec<String>> {
        let ids: Vec<_> = messages.into_iter().map(|message| message.message_id).collect();
        self.batches.lock().unwrap().push(ids.clone());
        let failed = ids.into_iter().filter(|id| self.fails.contains(&id.as_str()));
        let failed = failed.chain(self.reports.iter().map(|id| (*id).to_owned())).collect();
        Box::pin(async move { failed })
    }
}

fn sqs(queue: &str, ids: &[&str]) -> Value {
    let record = |id: &&str| {
        json!({
            "messageId": id, "receiptHandle": "r", "body": "b", "eventSourceARN": queue,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1"},
        })
    };
    json!({ "Records": ids.iter().map(record).collect::<Vec<_>>() })
}

#[tokio::test(start_paused = true)]
async fn a_queue_reports_what_failed_and_with_order_all_that_follows() {
    type Case = (&'static str, &'static [&'static str], &'static [&'static str], &'static [&'static [&'static str]]);
    let cases: [Case; 6] = [
        ("arn:q", &[], &[], &[&["a", "b", "c"]]),
        ("arn:q", &["b"], &["b"], &[&["a", "b", "c"]]),
        ("arn:q", &["c", "a"], &["a", "c"], &[&["a", "b", "c"]]),
        ("arn:q.fifo", &[], &[], &[&["a"], &["b"], &["c"]]),
        ("arn:q.fifo", &["b"], &["b", "c"], &[&["a"], &["b"]]),
        ("arn:q.fifo", &["a"], &["a", "b", "c"], &[&["a"]]),
    ];
    let test = TestPlatform::new(1);
    for (queue, fails, reported, batches) in cases {
        let handler = Arc::new(Fails { fails: fails.to_vec(), reports: vec![], batches: Mutex::default() });
        let function = QueueFunction::new(handler.clone());
        let context = context(&test.platform, Duration::from_secs(3));
        let response = function.invoke(sqs(queue, &["a", "b", "c"]), context).await.unwrap();
        assert_eq!(response, failures(reported), "{queue} {fails:?}");
        assert_eq!(*handler.batches.lock().unwrap(), batches, "{queue} {fails:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_reports_a_stranger_fails_the_batch() {
    let test = TestPlatform::new(1);
    let function = QueueFunction::new(Arc::new(Fails { fails: vec![], reports: vec!["x"], batches: Mutex::default() }));
    let invoked = function.invoke(sqs("arn:q", &["a"]), context(&test.platform, Duration::from_secs(3))).await;
    assert_eq!(invoked.unwrap_err().error_type, "Function.UnknownMessage");
}
