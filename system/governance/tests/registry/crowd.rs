//! Many callers at once, some of whom leave early or are never polled again.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_ports::SchemaVersionStatus as Status;
use nexus_ports_testing::{RegistryFate as Fate, RegistryOperation as Op};
use proptest::prelude::*;

use crate::{Bench, definition};

#[tokio::test(start_paused = true)]
async fn a_hundred_callers_make_one_call() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "{}", Status::Available);
    bench.registry.script([Fate::AnsweredAfter(Duration::from_millis(50))]);
    let done = Arc::new(Mutex::new(0));
    for _ in 0..100 {
        let (client, done) = (bench.client.clone(), done.clone());
        bench.test.platform.spawn("caller", async move {
            assert!(client.find(&definition()).await.unwrap().is_some());
            *done.lock().unwrap() += 1;
        });
    }
    bench.pass_s(1).await;
    assert_eq!((*done.lock().unwrap(), bench.calls(Op::ByDefinition)), (100, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_one_failure_for_all() {
    let bench = Bench::default();
    bench.registry.stay(Some(Fate::Rejected));
    let (definition, client) = (definition(), &bench.client);
    let (first, second, third) =
        tokio::join!(client.find(&definition), client.find(&definition), client.find(&definition));
    assert!(first.is_err() && first == second && second == third);
    assert_eq!(bench.calls(Op::ByDefinition), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_takes_over_from_one_who_leaves() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "{}", Status::Available);
    bench.registry.script([Fate::AnsweredAfter(Duration::from_millis(900))]);
    let (platform, definition) = (&bench.test.platform, definition());
    let leaves = platform.timeout(Duration::from_millis(10), bench.client.find(&definition));
    let stays = async {
        platform.sleep(Duration::from_millis(1)).await;
        bench.client.find(&definition).await
    };
    let begun = platform.monotonic();
    let (left, stayed) = tokio::join!(leaves, stays);
    assert!(left.is_err() && stayed.unwrap().is_some());
    assert_eq!(platform.monotonic().since(begun), Duration::from_millis(10), "at once");
    assert_eq!(bench.calls(Op::ByDefinition), 2);
}

/// A future that is neither dropped nor polled, as that of a handler that is called no more, holds up nobody for ever.
#[tokio::test(start_paused = true)]
async fn whoever_waits_takes_over_from_one_who_is_never_polled_again() {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "{}", Status::Available);
    bench.registry.script([Fate::AnsweredAfter(Duration::from_millis(5))]);
    let definition = definition();
    let mut forgotten = Box::pin(bench.client.find(&definition));
    let begins = std::future::poll_fn(|context| {
        assert!(forgotten.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    });
    begins.await;
    assert_eq!(bench.calls(Op::ByDefinition), 1);
    let begun = bench.test.platform.monotonic();
    assert!(bench.client.find(&definition).await.unwrap().is_some());
    assert_eq!(bench.test.platform.monotonic().since(begun), Duration::from_secs(7));
    assert_eq!(bench.calls(Op::ByDefinition), 2);
    assert!(forgotten.await.unwrap().is_some(), "it still gets an answer of its own");
}

/// One caller: when it begins, and after how long it loses patience.
type Caller = (u64, Option<u64>);

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        4 => (0..2_000_u64).prop_map(|ms| Fate::AnsweredAfter(Duration::from_millis(ms))),
        1 => Just(Fate::RequestLost),
        1 => Just(Fate::Throttled),
        1 => Just(Fate::Hangs),
    ]
}

async fn play(callers: &[Caller], fates: &[Fate]) -> Result<(), TestCaseError> {
    let bench = Bench::default();
    bench.registry.put("OrderShipped", "{}", Status::Available);
    bench.registry.script(fates.iter().copied());
    let ended = Arc::new(Mutex::new(Vec::new()));
    for (index, (begins_ms, patience_ms)) in callers.iter().copied().enumerate() {
        let (platform, client, ended) = (bench.test.platform.clone(), bench.client.clone(), ended.clone());
        bench.test.platform.spawn("caller", async move {
            platform.sleep(Duration::from_millis(begins_ms)).await;
            let patience = Duration::from_millis(patience_ms.unwrap_or(3_600_000));
            if let Ok(found) = platform.timeout(patience, client.find(&definition())).await {
                assert!(!matches!(found, Ok(None)), "what is there is never said to be absent");
                ended.lock().unwrap().push(index);
            }
        });
    }
    // Each caller may at worst wait for every other one to fail in its turn.
    bench.pass_s(60).await;
    let ended = ended.lock().unwrap();
    for (index, (_, patience_ms)) in callers.iter().enumerate() {
        prop_assert!(patience_ms.is_some() || ended.contains(&index), "caller {} waits for ever", index);
    }
    prop_assert_eq!(bench.test.running_tasks(), 0);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn nobody_waits_for_ever(
        callers in proptest::collection::vec((0..5_000_u64, proptest::option::of(0..3_000_u64)), 1..12),
        fates in proptest::collection::vec(fate(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(&callers, &fates))?;
    }
}
