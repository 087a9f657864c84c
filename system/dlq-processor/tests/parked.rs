//! Parked aggregates: they are replayed whole before they flow again.
#![forbid(unsafe_code)]

mod support;

use std::{sync::Arc, time::Duration};

use nexus_dlq_processor::{DlqAccount, DlqProcessor, DlqSettings};
use nexus_ports::{NoMetrics, ParkReason, ParkedAggregate, Version};
use nexus_ports_testing::TestPlatform;
use proptest::prelude::*;
use support::{
    Fate, MemoryQuarantine, Weather,
    parking::{Aggregates, CONSUMER, MemoryParkingLot, exhausted},
};

struct Bench {
    test: TestPlatform,
    weather: Weather,
    lot: Arc<MemoryParkingLot>,
    aggregates: Arc<Aggregates>,
    quarantine: Arc<MemoryQuarantine>,
}

impl Bench {
    fn new(seed: u64, faults: f64) -> Self {
        let test = TestPlatform::new(seed);
        let weather = Weather::new(test.platform.clone(), faults);
        let lot = MemoryParkingLot::new(&weather);
        let aggregates = Aggregates::new(&weather, &lot);
        Self { quarantine: MemoryQuarantine::new(&weather), test, weather, lot, aggregates }
    }

    fn processor(&self) -> DlqProcessor {
        DlqProcessor::new(
            self.test.platform.clone(),
            vec![],
            self.lot.clone(),
            vec![(CONSUMER.to_owned(), self.aggregates.clone())],
            self.quarantine.clone(),
            Arc::new(NoMetrics),
            DlqSettings::default(),
        )
    }

    /// A stream of so many events, of which those from `first` on wait.
    fn park(&self, stream: &str, events: u64, first: u64, change: impl FnOnce(&mut ParkedAggregate)) {
        self.aggregates.with(|state| {
            state.heads.insert(stream.to_owned(), events);
            state.effects.insert(stream.to_owned(), (1..first).collect());
        });
        let mut parked = exhausted(stream, first);
        parked.last_version = Some(Version(events));
        change(&mut parked);
        self.lot.insert(parked);
    }

    fn effects(&self, stream: &str) -> Vec<u64> {
        self.aggregates.with(|state| state.effects.get(stream).into_iter().flatten().copied().collect())
    }

    fn replays(&self) -> Vec<u64> {
        self.aggregates.with(|state| state.replays.iter().map(|(_, first)| *first).collect())
    }

    async fn wait(&self, seconds: u64) {
        self.test.platform.sleep(Duration::from_secs(seconds)).await;
    }
}

fn released(count: u64) -> DlqAccount {
    DlqAccount { released: count, ..DlqAccount::default() }
}

fn still_parked(count: u64) -> DlqAccount {
    DlqAccount { still_parked: count, ..DlqAccount::default() }
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_replayed_and_the_aggregate_flows_again() {
    let bench = Bench::new(1, 0.0);
    for stream in ["order-1", "order-2", "order-3"] {
        bench.park(stream, 5, 3, |_| {});
    }
    let processor = bench.processor();
    assert_eq!(processor.run_once().await, released(3));
    for stream in ["order-1", "order-2", "order-3"] {
        assert_eq!(bench.effects(stream), [1, 2, 3, 4, 5]);
        assert_eq!(bench.lot.find(CONSUMER, stream), None);
    }
    assert!(processor.run_once().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn events_that_come_during_the_replay_are_replayed_too() {
    let bench = Bench::new(1, 0.0);
    bench.park("order-1", 5, 3, |_| {});
    let processor = bench.processor();
    let arrive = async {
        while bench.replays().is_empty() {
            bench.test.platform.sleep(Duration::from_millis(1)).await;
        }
        bench.aggregates.append("order-1", None);
    };
    let (account, ()) = tokio::join!(processor.run_once(), arrive);
    assert_eq!(account, released(1));
    assert_eq!(bench.effects("order-1"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(bench.replays(), [3, 6], "the second replay goes on where the first ended");
}

#[tokio::test(start_paused = true)]
async fn lost_answers_are_cleared_up_by_reading() {
    use Fate::{LostAfter, LostBefore, Slow, Throttled};
    let cases: [(&str, &[Fate], DlqAccount); 9] = [
        ("release", &[Throttled], released(1)),
        ("release", &[LostBefore], released(1)),
        ("release", &[LostAfter], released(1)),
        ("release", &[Slow], released(1)),
        ("release", &[LostBefore, LostBefore, LostBefore], still_parked(1)),
        ("replace", &[LostBefore, Throttled], released(1)),
        ("replace", &[LostAfter], released(1)),
        ("replace", &[Slow], released(1)),
        ("replace", &[LostBefore, LostBefore, LostBefore], still_parked(1)),
    ];
    for (operation, fates, wanted) in cases {
        let bench = Bench::new(1, 0.0);
        bench.park("order-1", 5, 3, |_| {});
        bench.weather.script(operation, fates);
        let processor = bench.processor();
        assert_eq!(processor.run_once().await, wanted, "{operation} {fates:?}");
        assert!(bench.replays().len() <= 1, "{operation} {fates:?}: nothing is replayed twice");
        bench.wait(60).await;
        processor.run_once().await;
        assert_eq!(bench.effects("order-1"), [1, 2, 3, 4, 5], "{operation} {fates:?}");
        assert_eq!(bench.lot.find(CONSUMER, "order-1"), None, "{operation} {fates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn poison_stays_parked_is_mirrored_once_and_tried_rarely() {
    let bench = Bench::new(1, 0.0);
    bench.park("order-1", 5, 3, |parked| parked.reason = ParkReason::Poison);
    bench.aggregates.with(|state| state.poison.insert(("order-1".to_owned(), 3)));
    let processor = bench.processor();
    for _ in 0..10 {
        assert_eq!(processor.run_once().await, still_parked(1));
        bench.wait(60).await;
    }
    assert_eq!(bench.replays(), [3], "once in an hour");
    assert_eq!(*bench.quarantine.writes.lock().unwrap(), 1);
    let letter = bench.quarantine.letters.lock().unwrap()["router:order-1:3"].clone();
    assert_eq!((letter.body.as_str(), letter.source.as_str()), ("event 3 of order-1", "parked:router"));
    bench.aggregates.with(|state| state.poison.clear());
    assert_eq!(bench.processor().run_once().await, released(1), "a new process tries at once, and the cure works");
    assert_eq!(bench.effects("order-1"), [1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn poison_found_by_a_replay_is_written_down_and_mirrored() {
    let bench = Bench::new(1, 0.0);
    bench.park("order-1", 5, 2, |_| {});
    bench.aggregates.with(|state| state.poison.insert(("order-1".to_owned(), 4)));
    assert_eq!(bench.processor().run_once().await, still_parked(1));
    let parked = bench.lot.find(CONSUMER, "order-1").unwrap();
    assert_eq!(
        (parked.reason, parked.first_version, parked.last_version),
        (ParkReason::Poison, Some(Version(4)), Some(Version(5)))
    );
    assert_eq!((parked.attempts, parked.detail.as_str()), (4, "bad"));
    assert_eq!(bench.effects("order-1"), [1, 2, 3]);
    assert_eq!(bench.quarantine.ids(), ["router:order-1:4"]);
}

#[tokio::test(start_paused = true)]
async fn records_without_a_version() {
    let unversioned = |parked: &mut ParkedAggregate| {
        parked.reason = ParkReason::Poison;
        (parked.first_version, parked.last_version) = (None, None);
        parked.body = "garbage".to_owned();
    };
    let bench = Bench::new(1, 0.0);
    bench.park("order-1", 3, 1, unversioned);
    bench.park("no stream name", 0, 1, unversioned);
    let account = bench.processor().run_once().await;
    assert_eq!(account, DlqAccount { released: 1, still_parked: 1, ..DlqAccount::default() });
    assert_eq!(bench.effects("order-1"), [1, 2, 3], "the event store has the truth, from the first version on");
    assert_eq!(bench.quarantine.ids(), ["router:no stream name:unknown", "router:order-1:unknown"]);
    assert!(bench.lot.find(CONSUMER, "no stream name").is_some());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_released_beyond_what_the_event_store_has() {
    let bench = Bench::new(1, 0.0);
    bench.park("order-1", 5, 3, |parked| parked.last_version = Some(Version(6)));
    assert_eq!(bench.processor().run_once().await, still_parked(1));
    let parked = bench.lot.find(CONSUMER, "order-1").unwrap();
    assert_eq!((parked.first_version, parked.last_version), (Some(Version(6)), Some(Version(6))));
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_that_was_parked_afresh_is_not_released_by_a_late_hand() {
    // However often the fresh entry was written before the release of the old one arrives.
    for fresh_counter in 1..6 {
        let bench = Bench::new(1, 0.0);
        bench.park("order-1", 5, 3, |_| {});
        let processor = bench.processor();
        let rival = async {
            while bench.replays().is_empty() {
                bench.test.platform.sleep(Duration::from_millis(1)).await;
            }
            bench.park("order-1", 6, 6, |parked| (parked.parked_at_ms, parked.counter) = (8, fresh_counter));
        };
        let (account, ()) = tokio::join!(processor.run_once(), rival);
        assert_eq!(account, released(1));
        assert_eq!(bench.replays(), [3, 6], "counter {fresh_counter}");
        assert_eq!(bench.effects("order-1"), [1, 2, 3, 4, 5, 6], "counter {fresh_counter}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_behind_the_replays_ends_the_run() {
    let bench = Bench::new(1, 0.0);
    for index in 0..100 {
        bench.park(&format!("order-{index}"), 5, 3, |parked| parked.last_version = Some(Version(6)));
    }
    assert_eq!(bench.processor().run_once().await, still_parked(100));
    let replays = bench.replays().len();
    assert!((16..16 + 8).contains(&replays), "{replays} replays, the parallel ones included");
}

#[tokio::test(start_paused = true)]
async fn failed_releases_are_spaced() {
    let bench = Bench::new(1, 1.0);
    bench.weather.heal();
    bench.park("order-1", 5, 3, |parked| parked.last_version = Some(Version(6)));
    let processor = bench.processor();
    for _ in 0..600 {
        processor.run_once().await;
        bench.wait(1).await;
    }
    let replays = bench.replays().len();
    assert!((10..=40).contains(&replays), "{replays} replays in ten minutes, a minute apart at most");
    bench.aggregates.append("order-1", None);
    bench.wait(60).await;
    assert_eq!(processor.run_once().await, released(1));
}

#[tokio::test(start_paused = true)]
async fn a_lot_that_does_not_answer_is_not_taken_for_an_empty_one() {
    let bench = Bench::new(1, 1.0);
    assert_eq!(bench.processor().run_once().await, DlqAccount { unreachable: 1, ..DlqAccount::default() });
}

/// How often things go wrong in a storm, as shares.
#[derive(Clone, Copy, Debug)]
struct Storm {
    seed: u64,
    faults: f64,
    parks: f64,
    poisons: f64,
    steps: u32,
    crash_ms: u64,
}

/// Customers go on, consumers park, processors crash, two of them work at once. Once everything answers, every event has
/// its effect but those that wait behind poison; and those too once the poison is cured.
async fn play(storm: Storm) -> Result<(), TestCaseError> {
    let bench = Bench::new(storm.seed, storm.faults);
    let platform = &bench.test.platform;
    let customers = async {
        for _ in 0..storm.steps {
            let stream = format!("order-{}", platform.random_u64("test", "stream") % 3);
            let draw = platform.random_fraction("test", "fails");
            let reason = if draw < storm.poisons { ParkReason::Poison } else { ParkReason::AttemptsExhausted };
            bench.aggregates.append(&stream, (draw < storm.poisons + storm.parks).then_some(reason));
            platform.sleep(Duration::from_millis(platform.random_u64("test", "pause") % 40)).await;
        }
    };
    let processors = || async {
        for _ in 0..(u64::from(storm.steps) * 20 / storm.crash_ms + 1) {
            let processor = bench.processor();
            let work = async {
                for _ in 0..5 {
                    processor.run_once().await;
                }
            };
            // A crash, wherever it stands. What follows is a fresh process, which has no pauses to keep.
            let _ = platform.timeout(Duration::from_millis(storm.crash_ms), work).await;
        }
    };
    tokio::join!(customers, processors(), processors());
    bench.weather.heal();
    let poison = bench.aggregates.with(|state| state.poison.clone());
    bench.processor().run_once().await;
    for (stream, head) in bench.aggregates.with(|state| state.heads.clone()) {
        let first_poison = poison.iter().find(|(poisoned, _)| *poisoned == stream).map(|(_, version)| *version);
        let wanted: Vec<u64> = (1..first_poison.unwrap_or(head + 1)).collect();
        prop_assert_eq!(bench.effects(&stream), wanted, "{}", stream);
        let parked = bench.lot.find(CONSUMER, &stream);
        prop_assert_eq!(parked.as_ref().and_then(|parked| parked.first_version), first_poison.map(Version));
        if let Some(version) = first_poison {
            let letter_id = format!("router:{stream}:{version}");
            prop_assert!(bench.quarantine.ids().contains(&letter_id), "{}", letter_id);
        }
    }
    bench.aggregates.with(|state| state.poison.clear());
    bench.processor().run_once().await;
    for (stream, head) in bench.aggregates.with(|state| state.heads.clone()) {
        prop_assert_eq!(bench.effects(&stream), (1..=head).collect::<Vec<_>>(), "{}", stream);
    }
    prop_assert!(bench.processor().run_once().await.is_empty());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_waiting_event_is_forgotten(
        seed in any::<u64>(),
        faults in 0.0..0.4,
        parks in 0.05..0.9,
        poisons in prop_oneof![Just(0.0), 0.0..0.1],
        steps in 5u32..80,
        crash_ms in 20u64..2_000,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(play(Storm { seed, faults, parks, poisons, steps, crash_ms }))?;
    }
}
