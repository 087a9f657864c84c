//! Property: whatever becomes of calls, however often messages come and the worker crashes, nothing is deleted before its
//! effect, no event has two, and in the end each event has its one or lies in the dead-letter queue.
#![forbid(unsafe_code)]

mod support;

use std::{collections::BTreeMap, time::Duration};

use nexus_ports::EventRecord;
use nexus_ports_testing::{QueueCallFate as CallFate, QueueStep, WriteFate};
use proptest::prelude::*;
use support::{Bench, cart};

#[derive(Clone, Debug)]
enum Happening {
    /// This event is sent (again).
    Send(usize),
    Garbage,
    /// Visibility runs out all at once: what is in work may be received a second time.
    ShowAll,
    Wait {
        wait_ms: u64,
    },
    /// The worker is dropped where it stands; another one begins.
    Crash,
    /// The worker is stopped cleanly; another one begins.
    Stop,
}

#[derive(Clone, Debug)]
struct Plan {
    happenings: Vec<Happening>,
    records: Vec<WriteFate>,
    receives: Vec<CallFate>,
    deletes: Vec<CallFate>,
    visibility: Vec<CallFate>,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        8 => (0..12_usize).prop_map(Happening::Send),
        1 => Just(Happening::Garbage),
        1 => Just(Happening::ShowAll),
        6 => (0..3_000_u64).prop_map(|wait_ms| Happening::Wait { wait_ms }),
        1 => (3_000..60_000_u64).prop_map(|wait_ms| Happening::Wait { wait_ms }),
        2 => Just(Happening::Crash),
        1 => Just(Happening::Stop),
    ]
}

fn write_fate() -> impl Strategy<Value = WriteFate> {
    prop_oneof![
        6 => Just(WriteFate::Answered),
        2 => Just(WriteFate::AnswerLost),
        1 => Just(WriteFate::RequestLost),
        2 => (1..8_u32).prop_map(|calls| WriteFate::AppliedLate { calls }),
        1 => Just(WriteFate::Hangs),
        1 => Just(WriteFate::AppliedThenHangs),
        1 => Just(WriteFate::Contended),
        3 => Just(WriteFate::Throttled),
        1 => Just(WriteFate::NotSent),
        1 => Just(WriteFate::Rejected),
    ]
}

fn call_fate() -> impl Strategy<Value = CallFate> {
    prop_oneof![
        6 => Just(CallFate::Answered),
        2 => Just(CallFate::AnswerLost),
        1 => Just(CallFate::RequestLost),
        1 => Just(CallFate::AppliedThenHangs),
        2 => Just(CallFate::FirstEntryInDoubt),
        1 => Just(CallFate::EntriesThrottled),
        1 => Just(CallFate::Throttled),
        1 => Just(CallFate::NotSent),
        1 => Just(CallFate::Rejected),
    ]
}

fn plan() -> impl Strategy<Value = Plan> {
    use prop::collection::vec;
    let calls = || vec(call_fate(), 0..12);
    (vec(happening(), 1..40), vec(write_fate(), 0..40), calls(), calls(), calls()).prop_map(
        |(happenings, records, receives, deletes, visibility)| Plan {
            happenings,
            records,
            receives,
            deletes,
            visibility,
        },
    )
}

#[derive(Debug, Default)]
struct Reached {
    duplicate: bool,
    redelivered: bool,
    dead_lettered: bool,
    outbox_failed: bool,
}

struct World {
    bench: Bench,
    events: Vec<EventRecord>,
    /// How many messages are known to have been deleted after their effect.
    deletes_judged: usize,
}

impl World {
    fn new(plan: &Plan) -> Self {
        let bench = Bench::new(5);
        bench.outbox.script(plan.records.iter().copied());
        bench.queue.script_receives(plan.receives.iter().copied());
        bench.queue.script_deletes(plan.deletes.iter().copied());
        bench.queue.script_visibility(plan.visibility.iter().copied());
        let events = (0..4).flat_map(|number| cart(&format!("k-{number}"))).collect();
        Self { bench, events, deletes_judged: 0 }
    }

    fn judge_deletes(&mut self) -> Result<(), TestCaseError> {
        let steps = self.bench.queue.steps();
        for step in &steps[self.deletes_judged..] {
            if let QueueStep::Deleted { body, .. } = step {
                let event: Option<EventRecord> = serde_json::from_str(body).ok();
                let has_effect = event.is_some_and(|event| self.bench.outbox.contains(&event.event_id));
                prop_assert!(has_effect, "deleted without effect: {}", body);
            }
        }
        self.deletes_judged = steps.len();
        Ok(())
    }

    /// Lets the worker run for a while, looking often: a deletion must not be ahead of its effect at any moment.
    async fn run_for(&mut self, run: Duration) -> Result<(), TestCaseError> {
        let platform = self.bench.test.platform.clone();
        let end = platform.monotonic().0 + run;
        while platform.monotonic().0 < end {
            let left = end - platform.monotonic().0;
            platform.sleep(left.min(Duration::from_millis(200))).await;
            self.judge_deletes()?;
        }
        Ok(())
    }

    async fn play(&mut self, happenings: &[Happening]) -> Result<(), TestCaseError> {
        let platform = self.bench.test.platform.clone();
        let mut running = self.spawn();
        for happening in happenings {
            match happening {
                Happening::Send(index) => {
                    self.bench.put(&self.events[*index]);
                }
                Happening::Garbage => {
                    self.bench.queue.put("garbage");
                }
                Happening::ShowAll => self.bench.queue.show_all(),
                Happening::Wait { wait_ms } => self.run_for(Duration::from_millis(*wait_ms)).await?,
                Happening::Crash => {
                    running.1.abort();
                    running = self.spawn();
                }
                Happening::Stop => {
                    drop(running.0);
                    let ended = platform.timeout(Duration::from_secs(60), running.1.join()).await;
                    prop_assert!(ended.is_ok(), "a stop that does not end");
                    running = self.spawn();
                }
            }
        }
        self.bench.outbox.settle();
        self.bench.queue.drop_scripts();
        self.run_for(Duration::from_secs(120)).await?;
        drop(running.0);
        running.1.join().await;
        Ok(())
    }

    fn spawn(&self) -> (tokio::sync::oneshot::Sender<()>, nexus_ports::TaskHandle) {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let worker = self.bench.worker.clone();
        let task = self.bench.test.platform.spawn("notification-worker", async move {
            // Dropping the sender stops the worker.
            worker.run_until(async { drop(stopped.await) }).await;
        });
        (stop, task)
    }

    fn judge_end(&self) -> Result<Reached, TestCaseError> {
        prop_assert_eq!(self.bench.queue.bodies(), Vec::<String>::new());
        let recorded: Vec<_> = self.bench.outbox.notifications();
        let dead = self.bench.dead_letters.bodies();
        let mut sent: BTreeMap<String, u32> = BTreeMap::new();
        for step in self.bench.queue.steps() {
            if let QueueStep::Sent { body, .. } = step {
                *sent.entry(body).or_default() += 1;
            }
        }
        for body in sent.keys() {
            let event: Option<EventRecord> = serde_json::from_str(body).ok();
            let has_effect =
                event.is_some_and(|event| recorded.iter().any(|recorded| recorded.event_id == event.event_id));
            prop_assert!(has_effect || dead.contains(body), "neither done nor dead: {}", body);
        }
        let known: Vec<_> = self.events.iter().map(|event| event.event_id.as_str()).collect();
        prop_assert!(recorded.iter().all(|recorded| known.contains(&recorded.event_id.as_str())));
        prop_assert_eq!(self.bench.test.running_tasks(), 0);
        let counts = &self.bench.counts;
        Ok(Reached {
            duplicate: counts.of("NotificationDuplicates") > 0,
            redelivered: self
                .bench
                .queue
                .steps()
                .iter()
                .any(|step| matches!(step, QueueStep::Received { receive_count, .. } if *receive_count > 1)),
            dead_lettered: !dead.is_empty(),
            outbox_failed: counts.of("OutboxFailures throttled") > 2,
        })
    }
}

fn run(plan: &Plan) -> Result<Reached, TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::new(plan);
        world.play(&plan.happenings).await?;
        // What was aborted is dropped at the next turn of the runtime.
        tokio::task::yield_now().await;
        world.judge_end()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_event_has_its_effect_once(plan in plan()) {
        run(&plan)?;
    }
}

/// The property above is worth something only if its plans reach the rare ends.
#[test]
fn plans_reach_every_end() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..60 {
        let plan = plan().new_tree(&mut runner).unwrap().current();
        let reached = run(&plan).unwrap();
        for (name, is_reached) in [
            ("duplicate", reached.duplicate),
            ("redelivered", reached.redelivered),
            ("dead-lettered", reached.dead_lettered),
            ("outbox failed", reached.outbox_failed),
        ] {
            *counts.entry(name).or_default() += u32::from(is_reached);
        }
    }
    assert!(counts.values().all(|count| *count >= 5), "{counts:?}");
}
