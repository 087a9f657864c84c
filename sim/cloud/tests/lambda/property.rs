//! Whatever a function does and whatever faults strike: each record reaches it, in the order of its key, and nothing is
//! passed over.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use nexus_cloud::{AnswerFate, CallPlan, Quirk, RefuseBefore, Service};
use proptest::prelude::*;
use serde_json::json;

use crate::{
    neighbours::{QUEUE_ARN, STREAM_ARN, install_kinesis, install_queue, shard_id},
    world::{Act, SECOND, START, World, ok, quick, report},
};

/// How a function behaves, call by call; after the last it is well.
#[derive(Clone, Debug)]
enum Mood {
    Well,
    Fails,
    Hangs,
    /// Reports the record at this place of the batch.
    Reports(usize),
    /// Answers what nobody understands.
    Mumbles,
}

fn mood() -> impl Strategy<Value = Mood> {
    prop_oneof![
        4 => Just(Mood::Well),
        2 => Just(Mood::Fails),
        1 => Just(Mood::Hangs),
        3 => (0usize..6).prop_map(Mood::Reports),
        1 => Just(Mood::Mumbles),
    ]
}

fn fault() -> impl Strategy<Value = (usize, CallPlan)> {
    let plan = prop_oneof![
        Just(CallPlan { refuse: Some(RefuseBefore::ThrottleAccount), ..CallPlan::default() }),
        Just(CallPlan { refuse: Some(RefuseBefore::InternalServerError), ..CallPlan::default() }),
        Just(CallPlan { answer: AnswerFate::Reset, ..CallPlan::default() }),
        Just(CallPlan { answer: AnswerFate::Hang, ..CallPlan::default() }),
        Just(CallPlan { quirks: vec![Quirk::Duplicate], ..CallPlan::default() }),
        Just(CallPlan { quirks: vec![Quirk::FunctionDies], ..CallPlan::default() }),
        Just(CallPlan { quirks: vec![Quirk::DelayDelivery { by_ms: 500 }], ..CallPlan::default() }),
    ];
    (0usize..8, plan)
}

/// What the function took as done: ids in order, of the records before the first that it reported.
type Done = Rc<RefCell<Vec<String>>>;

fn behave(world: &mut World, moods: Vec<Mood>) -> Done {
    let done = Done::default();
    let taken = done.clone();
    let mut moods = moods.into_iter();
    world.handler = Box::new(move |invoked| {
        let ids = invoked.ids();
        match moods.next().unwrap_or(Mood::Well) {
            Mood::Well => {
                taken.borrow_mut().extend(ids);
                ok()
            }
            Mood::Fails => Act::Fail,
            Mood::Hangs => Act::Late(4 * SECOND, "null".into()),
            Mood::Mumbles => Act::Answer("mumble".into()),
            Mood::Reports(place) => {
                let place = place.min(ids.len() - 1);
                taken.borrow_mut().extend(ids[..place].iter().cloned());
                report(&[&ids[place]])
            }
        }
    });
    done
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn a_stream_is_handed_over_whole_and_in_order(
        keys in proptest::collection::vec((0usize..2, 0u8..4), 1..40),
        moods in proptest::collection::vec(mood(), 0..12),
        faults in proptest::collection::vec(fault(), 0..4),
        batch_size in 1usize..8,
        factor in 1u8..4,
        bisects: bool,
    ) {
        let mut world = World::with_function(quick(), 12);
        let kinesis = install_kinesis(&mut world, 2);
        for (shard, key) in &keys {
            kinesis.lock().unwrap().put(*shard, &format!("s{shard}k{key}"), START);
        }
        kinesis.lock().unwrap().page = 5;
        let done = behave(&mut world, moods);
        for (skip, plan) in faults {
            world.plan(Service::Lambda, "Invoke", skip, plan);
        }
        let settings = json!({
            "StartingPosition": "TRIM_HORIZON", "BatchSize": batch_size, "ParallelizationFactor": factor,
            "BisectBatchOnFunctionError": bisects, "FunctionResponseTypes": ["ReportBatchItemFailures"],
        });
        world.map(STREAM_ARN, settings);
        world.settle(Duration::from_secs(1_200), |world| {
            let shards = &world.cloud.inspect(Service::Lambda)["mappings"]["f/core"]["shards"];
            (0..2).all(|shard| {
                let kept = kinesis.lock().unwrap().shards[shard].records.len();
                kept == 0 || shards[shard_id(shard)]["checkpoint"] == json!((kept - 1).to_string())
            })
        });
        // Sequence numbers repeat between the shards, keys do not: order is judged by key, in each shard by itself.
        for shard in 0..2 {
            let kept = kinesis.lock().unwrap().shards[shard].records.len();
            let checkpoint = world.cloud.inspect(Service::Lambda)["mappings"]["f/core"]["shards"][shard_id(shard)].clone();
            if kept > 0 {
                prop_assert_eq!(&checkpoint["checkpoint"], &json!((kept - 1).to_string()));
            }
            prop_assert_eq!(&checkpoint["unfinished"], &json!(0));
        }
        let mut first_seen: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for invoked in &world.invoked {
            for record in invoked.records() {
                if seen.insert(record["eventID"].as_str().unwrap().to_owned()) {
                    let key = record["kinesis"]["partitionKey"].as_str().unwrap().to_owned();
                    let number = record["kinesis"]["sequenceNumber"].as_str().unwrap().parse().unwrap();
                    first_seen.entry(key).or_default().push(number);
                }
            }
        }
        prop_assert_eq!(seen.len(), keys.len());
        prop_assert!(first_seen.values().all(|numbers| numbers.is_sorted()), "{:?}", first_seen);
        prop_assert!(done.borrow().len() >= keys.len());
        world.assert_journal_is_whole();
    }

    #[test]
    fn a_queue_is_emptied_and_nothing_is_deleted_unseen(
        count in 1usize..40,
        moods in proptest::collection::vec(mood(), 0..12),
        faults in proptest::collection::vec(fault(), 0..4),
        batch_size in 1usize..11,
    ) {
        let mut world = World::with_function(quick(), 12);
        let queue = install_queue(&mut world, 20);
        for number in 0..count {
            queue.lock().unwrap().put(&number.to_string(), None);
        }
        behave(&mut world, moods);
        for (skip, plan) in faults {
            world.plan(Service::Lambda, "Invoke", skip, plan);
        }
        let settings = json!({"BatchSize": batch_size, "FunctionResponseTypes": ["ReportBatchItemFailures"]});
        world.map(QUEUE_ARN, settings);
        world.settle(Duration::from_secs(600), |_| queue.lock().unwrap().left() == 0);
        prop_assert_eq!(queue.lock().unwrap().left(), 0);
        let seen: BTreeSet<String> = world.invoked.iter().flat_map(|invoked| invoked.ids()).collect();
        prop_assert_eq!(seen.len(), count);
        world.assert_journal_is_whole();
    }
}
