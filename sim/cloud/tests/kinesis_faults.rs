//! What can go wrong with one call to Kinesis, and a naive model that judges long runs of calls.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use nexus_cloud::{AnswerFate, CallPlan, EntryFailureCode, MessageStepKind, Quirk, RefuseBefore, Service};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::{
    Answer, Driver, MS,
    kinesis::{MIDDLE, data, entry, put, put_all, put_at, shard_id, text, unlimited},
    quick,
};

fn three() -> Value {
    put_all(vec![entry("a", "0"), entry("a", "1"), entry("a", "2")])
}

fn fail(first: usize, count: usize, code: EntryFailureCode, applied: bool) -> Quirk {
    Quirk::FailEntries { first, count, code, applied }
}

#[test]
fn entries_of_a_batch_fail_one_by_one_applied_or_not() {
    use EntryFailureCode::{InternalFailure, Throttled};
    for (quirk, failed, code, stored) in [
        (fail(1, 1, Throttled, false), vec![1], "ProvisionedThroughputExceededException", vec!["0", "2"]),
        (fail(1, usize::MAX, InternalFailure, false), vec![1, 2], "InternalFailure", vec!["0"]),
        (fail(0, 2, InternalFailure, true), vec![0, 1], "InternalFailure", vec!["0", "1", "2"]),
        (fail(3, 1, InternalFailure, true), vec![], "", vec!["0", "1", "2"]),
    ] {
        let mut driver = Driver::with_stream(unlimited(), 1);
        let answer = driver.kinesis_with(quirk.clone(), "PutRecords", three()).ok();
        assert_eq!(answer["FailedRecordCount"], failed.len(), "{quirk:?}");
        for (index, result) in answer["Records"].as_array().unwrap().iter().enumerate() {
            if failed.contains(&index) {
                assert_eq!(result["ErrorCode"], code, "{quirk:?}");
                assert!(result.get("SequenceNumber").is_none() && result["ErrorMessage"].is_string());
            } else {
                assert!(result["SequenceNumber"].is_string(), "{quirk:?}");
            }
        }
        assert_eq!(driver.read_shard(0).0, stored, "{quirk:?}");
        let accepted = driver.steps().iter().filter(|step| step.step == MessageStepKind::Accepted).count();
        assert_eq!(accepted, stored.len(), "the journal tells the truth");
    }
}

#[test]
fn a_single_put_fails_with_the_error_of_its_entry() {
    use EntryFailureCode::{InternalFailure, Throttled};
    for (code, applied, status, error) in [
        (Throttled, false, 400, "ProvisionedThroughputExceededException"),
        (InternalFailure, false, 500, "InternalFailureException"),
        (InternalFailure, true, 500, "InternalFailureException"),
    ] {
        let mut driver = Driver::with_stream(unlimited(), 1);
        let answer = driver.kinesis_with(fail(0, 1, code, applied), "PutRecord", put("a", "x"));
        let Answer::Body { status: found, body } = answer else { panic!("{answer:?}") };
        assert_eq!((found, text(&body["__type"]).as_str()), (status, error));
        assert_eq!(driver.cloud.records_now("core").len(), usize::from(applied));
    }
}

#[test]
fn a_part_of_a_batch_is_refused() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    driver.plan_next(CallPlan { refuse: Some(RefuseBefore::PartialBatch), ..CallPlan::default() });
    let answer = driver.kinesis("PutRecords", three()).ok();
    assert_eq!(answer["FailedRecordCount"], 2);
    assert_eq!(driver.read_shard(0).0, ["0"]);
}

#[test]
fn a_duplicated_record_is_there_twice_and_the_journal_says_so() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    let answer =
        driver.kinesis_with(Quirk::Duplicate, "PutRecords", put_all(vec![entry("a", "x"), entry("a", "y")])).ok();
    assert_eq!(driver.read_shard(0).0, ["x", "x", "y", "y"]);
    let steps = driver.steps();
    let first = text(&answer["Records"][0]["SequenceNumber"]);
    assert_eq!(steps[0].message_id, first);
    assert_eq!(steps[1].note, format!("duplicate of {first}"));
    assert_ne!(steps[1].message_id, first);
}

#[test]
fn a_batch_may_be_stored_in_another_order() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    let answer = driver.kinesis_with(Quirk::Reverse, "PutRecords", three()).ok();
    assert_eq!(driver.read_shard(0).0, ["2", "1", "0"]);
    let numbers: Vec<String> =
        answer["Records"].as_array().unwrap().iter().map(|result| text(&result["SequenceNumber"])).collect();
    assert!(numbers[0] > numbers[1] && numbers[1] > numbers[2]);
}

#[test]
fn a_delayed_record_holds_up_those_behind_it() {
    let mut driver = Driver::with_stream(unlimited(), 2);
    driver.kinesis_with(Quirk::DelayDelivery { by_ms: 2_000 }, "PutRecord", put_at(0, "late")).ok();
    driver.kinesis("PutRecord", put_at(0, "behind")).ok();
    driver.kinesis("PutRecord", put_at(MIDDLE, "elsewhere")).ok();
    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let page = driver.page(&iterator);
    assert_eq!((&page["Records"], &page["MillisBehindLatest"]), (&json!([]), &json!(0)));
    assert_eq!(driver.read_shard(1).0, ["elsewhere"]);
    driver.wait(Duration::from_secs(2));
    let next = text(&page["NextShardIterator"]);
    let found: Vec<String> = driver.page(&next)["Records"].as_array().unwrap().iter().map(data).collect();
    assert_eq!(found, ["late", "behind"]);
}

#[test]
fn reads_go_wrong_in_their_ways() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    driver.kinesis("PutRecords", three()).ok();
    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let read = json!({"ShardIterator": iterator});
    driver.wait(MS * 500);

    assert_eq!(
        driver.kinesis_with(Quirk::ExpireIterator, "GetRecords", read.clone()).code(),
        "ExpiredIteratorException"
    );
    let empty = driver.kinesis_with(Quirk::EmptyPage, "GetRecords", read.clone()).ok();
    assert_eq!(empty["Records"], json!([]));
    assert!(empty["MillisBehindLatest"].as_u64().unwrap() >= 500, "{empty}");
    let next = text(&empty["NextShardIterator"]);
    assert_eq!(driver.page(&next)["Records"].as_array().unwrap().len(), 3, "the position did not move");

    let trimmed = driver.kinesis_with(Quirk::Trim, "GetRecords", read).ok();
    let found: Vec<String> = trimmed["Records"].as_array().unwrap().iter().map(data).collect();
    assert_eq!(found, ["2"], "the loss is silent");
    let gone = driver.steps().iter().filter(|step| step.step == MessageStepKind::Trimmed).count();
    assert_eq!(gone, 2);
    assert_eq!(driver.read_shard(0).0, ["2"]);
}

#[test]
fn an_empty_page_at_the_end_of_a_closed_shard_is_not_its_end() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    driver.reshard("SplitShard", json!({"ShardToSplit": shard_id(0), "NewStartingHashKey": MIDDLE.to_string()}));
    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let read = json!({"ShardIterator": iterator});
    let page = driver.kinesis_with(Quirk::EmptyPage, "GetRecords", read.clone()).ok();
    assert!(page["NextShardIterator"].is_string() && page.get("ChildShards").is_none());
    assert_eq!(driver.kinesis("GetRecords", read).ok()["ChildShards"].as_array().unwrap().len(), 2);
}

#[test]
fn empty_pages_come_by_themselves_as_often_as_assumed() {
    let mut config = unlimited();
    config.assumptions.kinesis_empty_page_share = 0.3;
    let mut driver = Driver::with_stream(config, 1);
    driver.kinesis("PutRecords", three()).ok();
    let iterator = driver.iterator(0, "TRIM_HORIZON");
    let empty = (0..300).filter(|_| driver.page(&iterator)["Records"] == json!([])).count();
    assert!((60..120).contains(&empty), "{empty} of 300");
}

#[test]
fn refusals_are_told_in_the_words_of_the_service() {
    use RefuseBefore::{InternalServerError, RequestLimitExceeded, ThrottleAccount, ThrottleKeyRange};
    let shard = "Rate exceeded for shard shardId-000000000000 in stream core under account 000000000000.";
    let stream = "Rate exceeded for stream core under account 000000000000.";
    let mut driver = Driver::with_stream(unlimited(), 1);
    let iterator = driver.iterator(0, "LATEST");
    let provisioned = (400, "ProvisionedThroughputExceededException", shard);
    let limit = (400, "LimitExceededException", stream);
    let failure = (500, "InternalFailureException", "Internal Service Failure");
    for (refusal, operation, request, wanted) in [
        (ThrottleKeyRange, "PutRecords", three(), provisioned),
        (ThrottleAccount, "PutRecord", put("a", "x"), provisioned),
        (RequestLimitExceeded, "GetRecords", json!({"ShardIterator": iterator}), provisioned),
        (ThrottleKeyRange, "ListShards", json!({"StreamName": "core"}), limit),
        (InternalServerError, "PutRecords", three(), failure),
        (InternalServerError, "GetRecords", json!({"ShardIterator": iterator}), failure),
    ] {
        driver.plan_next(CallPlan { refuse: Some(refusal), ..CallPlan::default() });
        let answer = driver.kinesis(operation, request);
        let Answer::Body { status, body } = answer else { panic!("{answer:?}") };
        let found = (status, text(&body["__type"]), text(&body["message"]));
        assert_eq!((found.0, found.1.as_str(), found.2.as_str()), wanted, "{refusal:?} {operation}");
    }
    assert!(driver.cloud.records_now("core").is_empty());
}

#[test]
fn a_lost_answer_and_a_retry_store_a_record_twice() {
    let mut driver = Driver::with_stream(unlimited(), 1);
    driver.plan_next(CallPlan { answer: AnswerFate::Reset, ..CallPlan::default() });
    assert_eq!(driver.kinesis("PutRecord", put("a", "x")), Answer::Reset);
    driver.kinesis("PutRecord", put("a", "x")).ok();
    assert_eq!(driver.read_shard(0).0, ["x", "x"]);
    let applied: Vec<bool> = driver.seen.lock().unwrap().iter().map(|(_, outcome)| outcome.applied).take(2).collect();
    assert_eq!(applied, [true, true]);
}

#[test]
fn what_is_no_call_is_refused() {
    let mut driver = Driver::with_stream(quick(), 1);
    let (code, _) = driver.kinesis("PutRecordz", json!({})).error();
    assert_eq!(code, "UnknownOperationException");
    let (code, message) = driver.kinesis("StartStreamEncryption", json!({})).error();
    assert_eq!(
        (code.as_str(), message.as_str()),
        ("UnsupportedOperationException", "StartStreamEncryption is not simulated.")
    );
    let (code, _) = driver.kinesis("PutRecord", json!([])).error();
    assert_eq!(code, "SerializationException");
    let inspected = driver.cloud.inspect(Service::Kinesis);
    let shard = &inspected["streams"]["core"]["shards"]["shardId-000000000000"];
    assert_eq!((&shard["records"], &shard["closed"]), (&json!(0), &json!(false)));
    assert_eq!(shard["range"], json!(["0", u128::MAX.to_string()]));
}

#[derive(Clone, Debug)]
enum Step {
    Put { key: u8, duplicate: bool },
    Split { shard: usize },
    Merge { shard: usize },
    Read { shard: usize, limit: u64, empty: bool },
    Wait { ms: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u8..12, prop::bool::weighted(0.1)).prop_map(|(key, duplicate)| Step::Put { key, duplicate }),
        1 => any::<prop::sample::Index>().prop_map(|index| Step::Split { shard: index.index(1_000) }),
        1 => any::<prop::sample::Index>().prop_map(|index| Step::Merge { shard: index.index(1_000) }),
        4 => (any::<prop::sample::Index>(), 1u64..5, prop::bool::weighted(0.2))
            .prop_map(|(index, limit, empty)| Step::Read { shard: index.index(1_000), limit, empty }),
        2 => (1u64..900).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// What a reader of the whole stream keeps: where it is in each shard, and what it saw of each key.
#[derive(Default)]
struct Reader {
    next: BTreeMap<String, Option<String>>,
    seen: BTreeMap<String, Vec<String>>,
}

impl Reader {
    /// A child is read when its parents have ended.
    fn readable(&self, shards: &[Value]) -> Vec<String> {
        let ended = |name: &Value| name.is_null() || self.next.get(name.as_str().unwrap()) == Some(&None);
        let ready =
            shards.iter().filter(|shard| ended(&shard["ParentShardId"]) && ended(&shard["AdjacentParentShardId"]));
        ready.map(|shard| text(&shard["ShardId"])).filter(|name| self.next.get(name) != Some(&None)).collect()
    }

    fn read(&mut self, driver: &mut Driver, shard: &str, limit: u64, empty: bool) {
        let iterator = self.next.entry(shard.to_owned()).or_insert_with(|| {
            let request = json!({"StreamName": "core", "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON"});
            Some(text(&driver.kinesis("GetShardIterator", request).ok()["ShardIterator"]))
        });
        let Some(at) = iterator.clone() else { return };
        let request = json!({"ShardIterator": at, "Limit": limit});
        let answer = if empty {
            driver.kinesis_with(Quirk::EmptyPage, "GetRecords", request)
        } else {
            driver.kinesis("GetRecords", request)
        };
        let page = answer.ok();
        *iterator = page.get("NextShardIterator").map(text);
        for record in page["Records"].as_array().unwrap() {
            self.seen.entry(text(&record["PartitionKey"])).or_default().push(data(record));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is put, split, merged and read in whatever order: who reads parents before children sees each key's
    /// records as often and in the order as they were accepted.
    #[test]
    fn a_patient_reader_sees_every_record_of_a_key_in_order(
        shards in 1u32..4,
        lag in prop::bool::ANY,
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut config = unlimited();
        if lag {
            config.assumptions.kinesis_lag_p50_ms = 60.0;
            config.assumptions.kinesis_lag_p99_ms = 800.0;
        }
        let mut driver = Driver::with_stream(config, shards);
        let mut accepted: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let mut reader = Reader::default();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Put { key, duplicate } => {
                    let (key, value) = (format!("key-{key}"), number.to_string());
                    let answer = if duplicate {
                        driver.kinesis_with(Quirk::Duplicate, "PutRecord", put(&key, &value))
                    } else {
                        driver.kinesis("PutRecord", put(&key, &value))
                    };
                    answer.ok();
                    let copies = 1 + usize::from(duplicate);
                    accepted.entry(key).or_default().extend(std::iter::repeat_n(value, copies));
                }
                Step::Split { shard } => {
                    let known = driver.shards();
                    let shard = &known[shard % known.len()];
                    let bound = |name: &str| text(&shard["HashKeyRange"][name]).parse::<u128>().unwrap();
                    let (first, last) = (bound("StartingHashKey"), bound("EndingHashKey"));
                    let middle = first + (last - first) / 2 + 1;
                    // Closed shards and streams that are busy refuse; that is part of the run.
                    driver.kinesis("SplitShard", json!({
                        "StreamName": "core", "ShardToSplit": shard["ShardId"], "NewStartingHashKey": middle.to_string(),
                    }));
                }
                Step::Merge { shard } => {
                    let known = driver.shards();
                    let one = &known[shard % known.len()];
                    let after = text(&one["HashKeyRange"]["EndingHashKey"]).parse::<u128>().unwrap().wrapping_add(1);
                    let neighbours: Vec<&Value> = known.iter()
                        .filter(|other| other["HashKeyRange"]["StartingHashKey"] == after.to_string())
                        .collect();
                    if let Some(other) = neighbours.last() {
                        driver.kinesis("MergeShards", json!({
                            "StreamName": "core", "ShardToMerge": one["ShardId"], "AdjacentShardToMerge": other["ShardId"],
                        }));
                    }
                }
                Step::Read { shard, limit, empty } => {
                    let known = driver.shards();
                    let ready = reader.readable(&known);
                    reader.read(&mut driver, &ready[shard % ready.len()], limit, empty);
                }
                Step::Wait { ms } => driver.wait(MS * ms as u32),
            }
        }
        driver.wait(Duration::from_secs(60));
        let mut idle = 0;
        while idle < 2 {
            let before: usize = reader.seen.values().map(Vec::len).sum();
            let known = driver.shards();
            let ended_before = reader.next.values().filter(|next| next.is_none()).count();
            for shard in reader.readable(&known) {
                reader.read(&mut driver, &shard, 1_000, false);
            }
            let after: usize = reader.seen.values().map(Vec::len).sum();
            let ended = reader.next.values().filter(|next| next.is_none()).count();
            idle = if after == before && ended == ended_before { idle + 1 } else { 0 };
        }
        prop_assert_eq!(&reader.seen, &accepted);
        let held = driver.cloud.records_now("core");
        prop_assert_eq!(held.len(), accepted.values().map(Vec::len).sum::<usize>());
        let numbers: std::collections::BTreeSet<&String> = held.iter().map(|(_, number, _, _)| number).collect();
        prop_assert_eq!(numbers.len(), held.len(), "no number is given out twice");
        let open = driver.shards().iter().filter(|shard| shard["SequenceNumberRange"].get("EndingSequenceNumber").is_none()).count();
        prop_assert_eq!(driver.cloud.inspect(Service::Kinesis)["streams"]["core"]["open_shards"].as_u64(), Some(open as u64));
    }

    /// Leaving one call out leaves the fate of records of other keys as it was.
    #[test]
    fn one_record_less_changes_nothing_for_other_keys(skipped in 0usize..20) {
        let run = |skip: Option<usize>| {
            let mut config = unlimited();
            config.assumptions = nexus_cloud::Assumptions::default();
            config.assumptions.kinesis_empty_page_share = 0.0;
            let mut driver = Driver::with_stream(config, 8);
            let mut sent = Vec::new();
            for index in 0..20 {
                if Some(index) != skip {
                    sent.push(driver.kinesis_send("PutRecord", &put(&format!("key-{index}"), "x")));
                }
                driver.wait(MS * 10);
            }
            for call in sent {
                driver.answer(call).ok();
            }
            driver.wait(Duration::from_secs(60));
            let mut arrivals = BTreeMap::new();
            for shard in 0..8 {
                let iterator = driver.iterator(shard, "TRIM_HORIZON");
                for record in driver.page(&iterator)["Records"].as_array().unwrap() {
                    arrivals.insert(text(&record["PartitionKey"]), record["ApproximateArrivalTimestamp"].to_string());
                }
            }
            arrivals
        };
        let (mut whole, less) = (run(None), run(Some(skipped)));
        prop_assert_eq!(whole.len(), 20);
        whole.remove(&format!("key-{skipped}"));
        prop_assert_eq!(whole, less);
    }
}
