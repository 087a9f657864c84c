//! Dead letters: what becomes of each, and that none is lost whatever fails.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use nexus_dlq_processor::{DeadLetterSource, DlqAccount, DlqProcessor, DlqSettings, EventClassifier};
use nexus_ports::{EventEnvelope, EventRecord, MessageQueue, NoMetrics, QueueDraft, StreamName, Version};
use nexus_ports_testing::{EPOCH_UNIX_MS, TestPlatform};
use proptest::prelude::*;
use support::{Fate, MemoryQuarantine, Weather, parking::MemoryParkingLot, queue::MemoryQueue};

struct Bench {
    test: TestPlatform,
    weather: Weather,
    dead: Arc<MemoryQueue>,
    home: Arc<MemoryQueue>,
    quarantine: Arc<MemoryQuarantine>,
    settings: DlqSettings,
}

impl Bench {
    fn new(seed: u64, faults: f64, settings: DlqSettings) -> Self {
        let test = TestPlatform::new(seed);
        let weather = Weather::new(test.platform.clone(), faults);
        let (dead, home) = (MemoryQueue::new(&weather), MemoryQueue::new(&weather));
        Self { quarantine: MemoryQuarantine::new(&weather), test, weather, dead, home, settings }
    }

    /// As a process does that has just been started.
    fn processor(&self) -> DlqProcessor {
        let known_types = |event: &EventRecord| match event.event_type.as_str() {
            "CartAbandoned" => Ok(()),
            other => Err(format!("unknown type {other}")),
        };
        let source = DeadLetterSource {
            name: "notifications".to_owned(),
            dead_letters: self.dead.clone(),
            home: self.home.clone(),
            classify: Arc::new(EventClassifier::new(self.settings.redrives_max, known_types)),
        };
        let lot = MemoryParkingLot::new(&self.weather);
        DlqProcessor::new(
            self.test.platform.clone(),
            vec![source],
            lot,
            vec![],
            self.quarantine.clone(),
            Arc::new(NoMetrics),
            self.settings.clone(),
        )
    }

    fn now_ms(&self) -> u64 {
        self.test.platform.unix_time().as_millis()
    }

    async fn wait(&self, seconds: u64) {
        self.test.platform.sleep(Duration::from_secs(seconds)).await;
    }
}

fn event(stream: &str, version: u64, event_type: &str) -> String {
    let record = EventRecord {
        stream: StreamName::try_from(stream.to_owned()).unwrap(),
        version: Version(version),
        event_id: format!("{stream}/{version}"),
        event_type: event_type.to_owned(),
        schema_version: 1,
        payload: "{}".to_owned(),
        recorded_at_ms: 1,
        envelope: EventEnvelope {
            command_id: "k".to_owned(),
            causation_id: "k".to_owned(),
            correlation_id: "k".to_owned(),
            trace_context: None,
        },
        previous_hash: "0".repeat(64),
        hash: "1".repeat(64),
    };
    serde_json::to_string(&record).unwrap()
}

fn sound(stream: &str, version: u64) -> String {
    event(stream, version, "CartAbandoned")
}

fn id_of(body: &str) -> String {
    serde_json::from_str::<EventRecord>(body).map_or_else(|_| body.to_owned(), |event| event.event_id)
}

fn value_of<'a>(draft: &'a QueueDraft, name: &str) -> Option<&'a str> {
    draft.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

#[tokio::test(start_paused = true)]
async fn each_letter_goes_where_its_classification_says() {
    let cases = [
        ("sound", sound("cart-1", 1), "0", "home"),
        ("redriven twice", sound("cart-1", 1), "2", "home"),
        ("redriven too often", sound("cart-1", 1), "3", "quarantine"),
        ("of an unknown type", event("cart-1", 1, "Nonsense"), "0", "quarantine"),
        ("no event at all", "garbage".to_owned(), "0", "quarantine"),
    ];
    for (why, body, redrives, wanted) in cases {
        let bench = Bench::new(1, 0.0, DlqSettings::default());
        bench.dead.put(&body, &[("redrives", redrives)], bench.now_ms() - 3_600_000);
        let account = bench.processor().run_once().await;
        let is_home = wanted == "home";
        let expected = DlqAccount {
            received: 1,
            redriven: u64::from(is_home),
            quarantined: u64::from(!is_home),
            ..DlqAccount::default()
        };
        assert_eq!(account, expected, "{why}");
        assert_eq!((bench.home.bodies().len(), bench.quarantine.ids().len()), if is_home { (1, 0) } else { (0, 1) });
        assert!(bench.dead.bodies().is_empty(), "{why}");
        assert!(bench.processor().run_once().await.is_empty(), "{why}: a second run finds nothing to do");
        assert_eq!(bench.home.arrivals().len(), usize::from(is_home), "{why}: and does nothing");
    }
}

#[tokio::test(start_paused = true)]
async fn a_redriven_letter_keeps_its_attributes_and_counts_its_redrives() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    bench.dead.put(&sound("cart-1", 1), &[("event_type", "CartAbandoned")], bench.now_ms());
    bench.processor().run_once().await;
    let arrival = bench.home.arrivals().remove(0);
    assert_eq!(arrival.body, sound("cart-1", 1));
    assert_eq!(value_of(&arrival, "event_type"), Some("CartAbandoned"));
    assert_eq!(value_of(&arrival, "event_id"), Some("cart-1/1"));
    assert_eq!(value_of(&arrival, "redrives"), Some("1"));
    let dead_since: u64 = value_of(&arrival, "dead_since_ms").unwrap().parse().unwrap();
    assert!((EPOCH_UNIX_MS..EPOCH_UNIX_MS + 5_000).contains(&dead_since));
}

#[tokio::test(start_paused = true)]
async fn letters_of_one_stream_go_home_in_the_order_of_their_versions() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    for (stream, version) in [("cart-2", 4), ("cart-1", 3), ("cart-2", 1), ("cart-1", 1), ("cart-1", 2)] {
        bench.dead.put(&sound(stream, version), &[], bench.now_ms());
    }
    bench.processor().run_once().await;
    let arrivals: Vec<_> = bench.home.arrivals().iter().map(|draft| id_of(&draft.body)).collect();
    assert_eq!(arrivals, ["cart-1/1", "cart-1/2", "cart-1/3", "cart-2/1", "cart-2/4"]);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_the_home_queue_refuses_is_quarantined() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    bench.home.refuse("cart-1");
    for stream in ["cart-1", "cart-2"] {
        bench.dead.put(&sound(stream, 1), &[], bench.now_ms());
    }
    let account = bench.processor().run_once().await;
    assert_eq!((account.received, account.redriven, account.quarantined), (2, 1, 1));
    assert_eq!(bench.quarantine.ids(), ["cart-1/1"]);
    let reason = bench.quarantine.letters.lock().unwrap()["cart-1/1"].reason.clone();
    assert!(reason.contains("InvalidMessageContents"), "{reason}");
}

#[tokio::test(start_paused = true)]
async fn letters_stay_while_the_home_queue_is_missing_and_are_rescued_before_they_expire() {
    let settings = DlqSettings { retention_ms: 3_600_000, rescue_before_ms: 600_000, ..DlqSettings::default() };
    let bench = Bench::new(1, 0.0, settings);
    bench.home.remove();
    bench.dead.put(&sound("cart-young", 1), &[], bench.now_ms() - 1_000_000);
    bench.dead.put(&sound("cart-old", 1), &[], bench.now_ms() - 3_000_000);
    let account = bench.processor().run_once().await;
    let expected = DlqAccount { received: 2, quarantined: 1, left: 1, ..DlqAccount::default() };
    assert_eq!(account, expected);
    assert_eq!(bench.quarantine.ids(), ["cart-old/1"]);
    assert_eq!(bench.dead.bodies(), [sound("cart-young", 1)]);
}

#[tokio::test(start_paused = true)]
async fn an_old_letter_still_goes_home_if_it_can() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    let sent_at_ms = bench.now_ms() - (bench.settings.retention_ms - 1_000);
    bench.dead.put(&sound("cart-1", 1), &[("redrives", "2")], sent_at_ms);
    assert_eq!(bench.processor().run_once().await.redriven, 1);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_comes_back_at_once_waits_before_it_is_redriven_again() {
    let settings = DlqSettings { redrive_pause: Duration::from_secs(10), ..DlqSettings::default() };
    let bench = Bench::new(1, 0.0, settings);
    bench.dead.put(&sound("cart-1", 1), &[("redrives", "2")], bench.now_ms());
    let account = bench.processor().run_once().await;
    assert_eq!(account, DlqAccount { received: 1, left: 1, ..DlqAccount::default() });
    bench.wait(22).await;
    assert_eq!(bench.processor().run_once().await.redriven, 1, "it is visible again when its pause is over");
}

#[tokio::test(start_paused = true)]
async fn redrives_are_limited_in_rate() {
    let settings = DlqSettings { redrives_per_second: 10, ..DlqSettings::default() };
    let bench = Bench::new(1, 0.0, settings);
    for version in 1..=100 {
        bench.dead.put(&sound("cart-1", version), &[], bench.now_ms());
    }
    let begun = bench.test.platform.monotonic();
    assert_eq!(bench.processor().run_once().await.redriven, 100);
    let taken = bench.test.platform.monotonic().since(begun);
    assert!((Duration::from_secs(9)..Duration::from_secs(14)).contains(&taken), "{taken:?}");
    assert_eq!(bench.home.batches(), [10; 10]);
}

#[tokio::test(start_paused = true)]
async fn large_letters_are_sent_in_smaller_batches() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    for version in 1..=4 {
        let attribute = "x".repeat(100 * 1024);
        bench.dead.put(&sound("cart-1", version), &[("note", &attribute)], bench.now_ms());
    }
    assert_eq!(bench.processor().run_once().await.redriven, 4);
    assert_eq!(bench.home.batches(), [2, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_does_not_answer_is_not_taken_for_an_empty_one() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    bench.dead.remove();
    let account = bench.processor().run_once().await;
    assert_eq!(account, DlqAccount { unreachable: 1, ..DlqAccount::default() });
    assert!(!account.is_empty());
}

#[tokio::test(start_paused = true)]
async fn it_runs_until_it_is_told_to_stop() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    let processor = bench.processor();
    let put_later = async {
        for version in 1..=3 {
            bench.dead.put(&sound("cart-1", version), &[], bench.now_ms());
            bench.wait(60).await;
        }
    };
    let (account, ()) =
        tokio::join!(processor.run_until(bench.test.platform.sleep(Duration::from_secs(170))), put_later);
    assert_eq!((account.received, account.redriven), (3, 3));
    assert_eq!(bench.test.running_tasks(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_shows_up_again_within_a_run_is_counted_once() {
    let bench = Bench::new(1, 0.0, DlqSettings { visibility_seconds: 0, ..DlqSettings::default() });
    bench.home.remove();
    for version in 1..=5 {
        bench.dead.put(&sound("cart-1", version), &[], bench.now_ms());
    }
    let account = bench.processor().run_once().await;
    assert_eq!(account, DlqAccount { received: 5, left: 5, duplicates: 10, ..DlqAccount::default() });
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_could_not_be_deleted_is_not_sent_again_within_the_run() {
    use Fate::{LostAfter, LostBefore};
    let cases: [(u32, &[Fate], u64, u64); 4] = [
        // (visibility, fates of the deletions) -> (duplicates, undeleted)
        (60, &[LostBefore, LostAfter], 0, 0),
        (60, &[LostBefore; 3], 0, 1),
        (0, &[LostBefore; 3], 1, 0),
        (0, &[LostBefore; 5], 1, 0),
    ];
    for (visibility_seconds, fates, duplicates, undeleted) in cases {
        let bench = Bench::new(1, 0.0, DlqSettings { visibility_seconds, ..DlqSettings::default() });
        bench.dead.put(&sound("cart-1", 1), &[], bench.now_ms());
        bench.weather.script("delete", fates);
        let account = bench.processor().run_once().await;
        let wanted = DlqAccount { received: 1, redriven: 1, duplicates, undeleted, ..DlqAccount::default() };
        assert_eq!(account, wanted, "{visibility_seconds} s, {fates:?}");
        assert_eq!(bench.home.arrivals().len(), 1, "{visibility_seconds} s, {fates:?}");
        assert_eq!(bench.dead.bodies().len() as u64, undeleted, "{visibility_seconds} s, {fates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_home_queue_is_not_made_worse() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    bench.home.silence();
    for version in 1..=100 {
        bench.dead.put(&sound("cart-1", version), &[], bench.now_ms());
    }
    bench.dead.put(&sound("cart-old", 1), &[], bench.now_ms() - bench.settings.retention_ms);
    let account = bench.processor().run_once().await;
    assert_eq!(account, DlqAccount { received: 101, left: 100, quarantined: 1, ..DlqAccount::default() });
    assert_eq!(bench.home.batches().len(), 3, "the attempts of one batch, and no more");
    assert_eq!(bench.quarantine.ids(), ["cart-old/1"]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_run_after_the_batch_under_way() {
    let bench = Bench::new(1, 0.0, DlqSettings { redrives_per_second: 10, ..DlqSettings::default() });
    for version in 1..=100 {
        bench.dead.put(&sound("cart-1", version), &[], bench.now_ms());
    }
    let processor = bench.processor();
    let account = processor.run_until(bench.test.platform.sleep(Duration::from_millis(3_500))).await;
    assert_eq!(account, DlqAccount { received: 50, redriven: 50, ..DlqAccount::default() });
    assert_eq!(bench.dead.bodies().len(), 50);
    assert_eq!(processor.run_once().await.redriven, 50, "a stopped processor can be used again");
}

/// Kinds of letters, by what must become of them.
#[derive(Clone, Debug)]
enum Kind {
    Sound,
    Redriven(u32),
    Unknown,
    Garbage,
}

fn kinds() -> impl Strategy<Value = Vec<Kind>> {
    let kind = prop_oneof![
        4 => Just(Kind::Sound),
        2 => (1u32..5).prop_map(Kind::Redriven),
        1 => Just(Kind::Unknown),
        1 => Just(Kind::Garbage),
    ];
    proptest::collection::vec(kind, 1..25)
}

/// Puts the letters into the dead-letter queue; returns the ids that must go home, and those that must be quarantined.
fn fill(bench: &Bench, kinds: &[Kind]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut home, mut quarantine) = (BTreeSet::new(), BTreeSet::new());
    for (index, kind) in kinds.iter().enumerate() {
        let (stream, version) = (format!("cart-{}", index % 4), index as u64 + 1);
        let (body, redrives) = match kind {
            Kind::Sound => (sound(&stream, version), 0),
            Kind::Redriven(count) => (sound(&stream, version), *count),
            Kind::Unknown => (event(&stream, version, "Nonsense"), 0),
            Kind::Garbage => (format!("garbage {index}"), 0),
        };
        let redrives = redrives.to_string();
        let id = id_of(&body);
        bench.dead.put(&body, &[("redrives", &redrives), ("event_id", &id)], bench.now_ms() - 3_600_000);
        let goes_home = matches!(kind, Kind::Sound | Kind::Redriven(1 | 2));
        if goes_home {
            home.insert(id)
        } else {
            quarantine.insert(id)
        };
    }
    (home, quarantine)
}

/// Every letter is somewhere.
fn nothing_is_lost(bench: &Bench, all: &BTreeSet<String>) -> Result<(), TestCaseError> {
    let mut found: BTreeSet<String> = bench.quarantine.ids().into_iter().collect();
    found.extend(bench.dead.bodies().iter().map(|body| id_of(body)));
    found.extend(bench.home.arrivals().iter().map(|draft| id_of(&draft.body)));
    prop_assert_eq!(&found, all);
    Ok(())
}

fn closes(account: &DlqAccount) -> Result<(), TestCaseError> {
    prop_assert_eq!(account.received, account.redriven + account.quarantined + account.left, "{:?}", account);
    Ok(())
}

async fn storm(seed: u64, faults: f64, kinds: &[Kind], crashes_ms: &[u64], twice: bool) -> Result<(), TestCaseError> {
    let bench = Bench::new(seed, faults, DlqSettings { visibility_seconds: 60, ..DlqSettings::default() });
    let (home, quarantine) = fill(&bench, kinds);
    let all: BTreeSet<String> = home.union(&quarantine).cloned().collect();
    for crash_ms in crashes_ms {
        let processor = bench.processor();
        let crash = Duration::from_millis(*crash_ms);
        // A time-out drops the run wherever it stands, as a crash does.
        if let Ok(account) = bench.test.platform.timeout(crash, processor.run_once()).await {
            closes(&account)?;
        }
        nothing_is_lost(&bench, &all)?;
    }
    let (one, other) = (bench.processor(), bench.processor());
    let (account, second) = if twice {
        tokio::join!(one.run_once(), other.run_once())
    } else {
        (one.run_once().await, DlqAccount::default())
    };
    closes(&account)?;
    closes(&second)?;
    nothing_is_lost(&bench, &all)?;
    bench.weather.heal();
    bench.wait(61).await;
    let drained = bench.processor().run_once().await;
    closes(&drained)?;
    prop_assert_eq!((drained.left, drained.undeleted, drained.unreachable), (0, 0, 0));
    nothing_is_lost(&bench, &all)?;
    prop_assert!(bench.dead.bodies().is_empty(), "all is worked off once everything answers");
    let redriven: BTreeSet<String> = bench.home.arrivals().iter().map(|draft| id_of(&draft.body)).collect();
    prop_assert_eq!(redriven, home);
    prop_assert_eq!(bench.quarantine.ids().into_iter().collect::<BTreeSet<_>>(), quarantine);
    let arrivals = bench.home.arrivals().len();
    bench.wait(61).await;
    prop_assert!(bench.processor().run_once().await.is_empty(), "a further run finds nothing");
    prop_assert_eq!(bench.home.arrivals().len(), arrivals);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_letter_is_lost_whatever_fails(
        seed in any::<u64>(),
        faults in 0.0..0.6,
        kinds in kinds(),
        crashes_ms in proptest::collection::vec(1u64..400, 0..4),
        twice in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(storm(seed, faults, &kinds, &crashes_ms, twice))?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_keeps_failing_gets_each_letter_a_bounded_number_of_times() {
    let bench = Bench::new(1, 0.0, DlqSettings::default());
    bench.dead.put(&sound("cart-1", 1), &[], bench.now_ms());
    for _ in 0..20 {
        bench.processor().run_once().await;
        for message in bench.home.take_all() {
            let attributes: Vec<_> =
                message.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            bench.dead.put(&message.body, &attributes, message.sent_at_ms);
        }
        bench.wait(130).await;
    }
    let redrives: Vec<_> =
        bench.home.arrivals().iter().map(|draft| value_of(draft, "redrives").unwrap().to_owned()).collect();
    assert_eq!(redrives, ["1", "2", "3"]);
    assert_eq!(bench.quarantine.ids(), ["cart-1/1"]);
    let since: BTreeSet<_> =
        bench.home.arrivals().iter().map(|draft| value_of(draft, "dead_since_ms").unwrap().to_owned()).collect();
    assert_eq!(since.len(), 1, "the time of the first death is kept");
    let left = bench.dead.receive(10, 0, 0).await.unwrap();
    assert!(left.is_empty());
}
