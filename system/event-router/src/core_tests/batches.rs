//! Batches, attempts and outages.

use super::*;

#[test]
fn one_event_of_an_aggregate_is_under_way_at_a_time_and_others_share_its_batch() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![
        record(1, &event("order-a", 1)),
        record(2, &event("order-a", 2)),
        record(3, &event("order-b", 1)),
    ]);
    let first = bench.put();
    assert_eq!(first, carried(&[("order-a", 1), ("order-b", 1)]));
    assert_eq!(bench.calls(), [], "nothing more while these are under way");
    bench.accepted(first);
    assert_eq!(bench.durable(), Some(1), "record 2 is not routed yet");
    let second = bench.put();
    assert_eq!(second, carried(&[("order-a", 2)]));
    bench.accepted(second);
    assert_eq!(bench.durable(), Some(3));
    assert!(!bench.routing.standing().has_kept_back);
}

#[test]
fn the_batch_holds_what_is_documented() {
    let mut bench = Bench::new(Vec::new());
    let (order, cart) = (event("order-a", 1), event("cart-a", 1));
    bench.accept(vec![record(1, &order), record(2, &cart)]);
    let calls = bench.calls();
    let [Call::Put { batch: Batch::Stream(entries), .. }, Call::Put { batch: Batch::Topic(messages), .. }] =
        calls.as_slice()
    else {
        panic!("{calls:?}")
    };
    assert_eq!(entries[0].partition_key, "order-a");
    assert_eq!(serde_json::from_slice::<EventRecord>(&entries[0].data).unwrap(), order);
    assert_eq!(serde_json::from_str::<EventRecord>(&messages[0].body).unwrap(), cart);
    let attributes: Vec<_> =
        messages[0].attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(attributes, [("event_type", "ItemRemovedFromCart"), ("stream", "cart-a"), ("event_id", "cart-a/1")]);
}

#[test]
fn only_failed_entries_are_tried_again_and_hold_back_only_their_own_aggregate() {
    let mut bench = Bench::new(Vec::new());
    bench.accept(vec![
        record(1, &event("order-a", 1)),
        record(2, &event("order-b", 1)),
        record(3, &event("order-a", 2)),
        record(4, &event("order-b", 2)),
    ]);
    let first = bench.put();
    bench.answer_put(first, Ok(vec![Err(throttled()), Ok(())]));
    let second = bench.put();
    assert_eq!(second, carried(&[("order-b", 2)]), "a waits for its backoff, b goes on");
    bench.accepted(second);
    assert_eq!(bench.durable(), None);
    bench.pass(249);
    assert_eq!(bench.calls(), []);
    bench.pass(1);
    let third = bench.put();
    assert_eq!(third, carried(&[("order-a", 1)]));
    bench.accepted(third);
    let fourth = bench.put();
    bench.accepted(fourth);
    assert_eq!(bench.durable(), Some(4));
}

#[test]
fn a_rejected_call_has_its_events_sent_alone_so_that_only_the_guilty_is_parked() {
    let mut bench = Bench::new(Vec::new());
    bench.accept((1..=40).map(|index| record(index, &event(&format!("order-{index}"), 1))).collect());
    let (mut accepted, mut parked) = (Vec::new(), Vec::new());
    for _ in 0..100 {
        bench.pass(10_000);
        for call in bench.calls() {
            match &call {
                Call::Put { carried, .. } if carried.iter().any(|event| event.key == "order-20") => {
                    bench.answer_put(carried.clone(), Err(CallFailure::Rejected(rejected())));
                }
                Call::Put { carried, .. } => {
                    accepted.extend(carried.iter().map(|event| event.key.clone()));
                    bench.accepted(carried.clone());
                }
                Call::Park(entry) => {
                    parked.push((entry.key.clone(), entry.reason));
                    bench.parking_written(&call, Ok(()));
                }
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(accepted.len(), 39);
    assert_eq!(parked, [("order-20".to_owned(), ParkReason::Poison)]);
    assert_eq!(bench.durable(), Some(40));
}

#[test]
fn an_outage_spends_the_attempts_of_few_and_comes_back_slowly() {
    let mut bench = Bench::new(Vec::new());
    let records = (1..=600).map(|index| record(index, &event(&format!("order-{index}"), 1)));
    bench.accept(records.collect());
    let calls = bench.calls();
    let sizes: Vec<_> =
        calls.iter().map(|call| matches!(call, Call::Put { carried, .. } if carried.len() <= 500)).collect();
    assert_eq!(sizes, [true, true], "600 events take two calls");
    for call in calls {
        let Call::Put { carried, .. } = call else { panic!() };
        bench.answer_put(carried, Err(not_sent()));
    }
    let mut probed = std::collections::BTreeSet::new();
    for _ in 0..100 {
        bench.pass(5_000);
        let probe = bench.put();
        assert_eq!(probe.len(), 1);
        assert!(probed.insert(probe[0].key.clone()), "nobody is probed twice while others have more attempts left");
        bench.answer_put(probe, Err(not_sent()));
    }
    bench.pass(5_000);
    let mut sizes = Vec::new();
    while bench.routing.standing().has_kept_back {
        let batch = bench.put();
        sizes.push(batch.len());
        bench.accepted(batch);
    }
    assert_eq!(sizes[..8], [1, 2, 4, 8, 16, 32, 64, 128]);
    assert_eq!(bench.durable(), Some(600));
    let parked = bench.routing.notes.iter().filter(|note| matches!(note, Note::Parked { .. })).count();
    assert_eq!(parked, 0);
}

#[test]
fn one_destination_that_is_down_leaves_the_other_alone_until_too_much_waits() {
    let mut bench = Bench::new(Vec::new());
    let carts = (1..=2_000).map(|index| record(index, &event(&format!("cart-{index}"), 1)));
    bench.accept(carts.collect());
    for call in bench.calls() {
        let Call::Put { carried, .. } = call else { panic!() };
        bench.answer_put(carried, Err(CallFailure::Unknown(unknown())));
    }
    assert!(!bench.routing.standing().accepts_more, "2,000 wait for the topic");
    bench.accept(vec![record(3_000, &event("order-a", 1))]);
    let batch = bench.put();
    assert_eq!(batch, carried(&[("order-a", 1)]), "the stream is not down");
    bench.accepted(batch);
    bench.pass(5_000);
    let probe = bench.put();
    bench.accepted(probe);
    assert!(bench.routing.standing().accepts_more, "the topic answered");
    assert_eq!(bench.durable(), None, "the first probe went to an event that had not been tried before");
}

#[test]
fn a_call_of_which_no_entry_was_taken_failed_as_a_whole() {
    for (name, outcome, is_down) in [
        ("all throttled", vec![Err(throttled()), Err(throttled())], true),
        ("one taken", vec![Err(throttled()), Ok(())], false),
        ("one rejected", vec![Err(throttled()), Err(EntryFailure::Rejected(rejected()))], false),
        ("an answer that leaves all out", Vec::new(), true),
    ] {
        let mut bench = Bench::new(Vec::new());
        bench.accept(vec![record(1, &event("order-a", 1)), record(2, &event("order-b", 1))]);
        let batch = bench.put();
        bench.answer_put(batch, Ok(outcome));
        assert_eq!(bench.routing.lanes.core.is_down(), is_down, "{name}");
    }
}

#[test]
fn batches_stay_within_what_their_destination_takes() {
    let big = |stream: &str| {
        // 120 KiB of carrier's name fail the schema, so that the size has to come from the envelope.
        let mut big = event(stream, 1);
        big.envelope.correlation_id = "x".repeat(120 * 1024);
        sealed(big)
    };
    let table: [(&str, Vec<EventRecord>, &[usize]); 3] = [
        ("ten messages", (1..=25).map(|index| event(&format!("cart-{index}"), 1)).collect(), &[10, 10, 5]),
        ("256 KiB of messages", (1..=5).map(|index| big(&format!("cart-{index}"))).collect(), &[2, 2, 1]),
        ("5 MiB of entries", (1..=60).map(|index| big(&format!("order-{index}"))).collect(), &[42, 18]),
    ];
    for (name, events, wanted) in table {
        let mut bench = Bench::new(Vec::new());
        bench.accept(events.iter().zip(1..).map(|(event, position)| record(position, event)).collect());
        let sizes: Vec<_> = bench
            .calls()
            .iter()
            .map(|call| match call {
                Call::Put { carried, .. } => carried.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(sizes, wanted, "{name}");
    }
}
