//! Property: whatever becomes of requests and answers, in whatever order late writes land, streams stay gap-free and
//! what the store said is true in the end.
#![forbid(unsafe_code)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use nexus_event_store::{
    AppendError, Appended, CommandOrigin, Deadline, EventStore, EventStoreSettings, NewEvent, event_hash,
};
use nexus_ports::{EventRecord, IdempotencyRecord, StreamName};
use nexus_ports_testing::{MemoryEventStorage, ReadFate, TestPlatform, WriteFate};
use proptest::prelude::*;
use serde_json::json;

/// One execution of a command: its key (a repeated key is a client's retry), how many events, and the script.
#[derive(Clone, Debug)]
struct Execution {
    key: u8,
    events: usize,
    /// Decide on the stream as it was before the execution in front of this one: a race that was lost.
    decides_on_old_head: bool,
    write_fates: Vec<WriteFate>,
    read_fates: Vec<ReadFate>,
}

fn write_fate() -> impl Strategy<Value = WriteFate> {
    prop_oneof![
        4 => Just(WriteFate::Answered),
        3 => Just(WriteFate::AnswerLost),
        2 => Just(WriteFate::RequestLost),
        3 => (1..12u32).prop_map(|calls| WriteFate::AppliedLate { calls }),
        1 => Just(WriteFate::Hangs),
        1 => Just(WriteFate::AppliedThenHangs),
        1 => Just(WriteFate::RefusalUnexplained),
        1 => Just(WriteFate::Contended),
        1 => Just(WriteFate::Throttled),
        1 => Just(WriteFate::NotSent),
        1 => Just(WriteFate::Rejected),
    ]
}

fn read_fate() -> impl Strategy<Value = ReadFate> {
    prop_oneof![6 => Just(ReadFate::Answered), 1 => Just(ReadFate::NoAnswer), 1 => Just(ReadFate::Throttled)]
}

fn execution() -> impl Strategy<Value = Execution> {
    let fates = (proptest::collection::vec(write_fate(), 0..4), proptest::collection::vec(read_fate(), 0..4));
    (0..6u8, 1..4usize, any::<bool>(), fates).prop_map(|(key, events, decides_on_old_head, (writes, reads))| {
        Execution { key, events, decides_on_old_head, write_fates: writes, read_fates: reads }
    })
}

/// What the store said of one execution.
enum Said {
    Done(Appended),
    Answered(IdempotencyRecord),
    NotDone,
    Unknown,
}

struct World {
    platform: TestPlatform,
    storage: MemoryEventStorage,
    store: EventStore,
    stream: StreamName,
}

impl World {
    fn new() -> Self {
        let platform = TestPlatform::new(7);
        let storage = MemoryEventStorage::default();
        let settings = EventStoreSettings::default();
        let store = EventStore::new(platform.platform.clone(), Arc::new(storage.clone()), settings);
        Self { platform, storage, store, stream: "order-o-1".parse().unwrap() }
    }

    async fn run(&self, executions: &[Execution]) -> Vec<(Said, usize)> {
        let mut said = Vec::new();
        let mut older = self.store.load(&self.stream, self.deadline()).await.unwrap().head;
        for execution in executions {
            let newest = self.store.load(&self.stream, self.deadline()).await.unwrap().head;
            let head = if execution.decides_on_old_head { older } else { newest.clone() };
            older = newest;
            self.storage.script_writes(execution.write_fates.iter().copied());
            self.storage.script_reads(execution.read_fates.iter().copied());
            let sent_before = self.storage.transactions().len();
            let outcome = self.append(&head, execution).await;
            self.storage.drop_scripts();
            said.push((outcome, sent_before));
        }
        said
    }

    async fn append(&self, head: &nexus_event_store::StreamHead, execution: &Execution) -> Said {
        let key = format!("key-{}", execution.key);
        let command = self.store.begin(CommandOrigin {
            key: key.clone(),
            payload_digest: "digest".to_owned(),
            causation_id: key.clone(),
            correlation_id: key,
            trace_context: Some("00-trace".to_owned()),
        });
        let event = NewEvent { event_type: "Tested".to_owned(), schema_version: 1, payload: json!({}) };
        let events = vec![event; execution.events];
        let answer = |events: &[EventRecord]| json!(events.len());
        match self.store.append(head, &command, events, answer, self.deadline()).await {
            Ok(appended) => Said::Done(appended),
            Err(AppendError::AlreadyAnswered(answered)) => Said::Answered(*answered.record),
            Err(AppendError::Conflict(_) | AppendError::NotDone(_)) => Said::NotDone,
            Err(AppendError::Unknown(_)) => Said::Unknown,
            Err(AppendError::Invalid(invalid)) => panic!("{invalid}"),
        }
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(&self.platform.platform, Duration::from_secs(20))
    }

    /// After everything has landed: is the stream sound, and was all true that was said?
    fn judge(&self, said: &[(Said, usize)]) -> Result<(), TestCaseError> {
        self.storage.settle();
        let stored = self.storage.events();
        let mut previous_hash = "0".repeat(64);
        for (index, event) in stored.iter().enumerate() {
            prop_assert_eq!(event.version.0, index as u64 + 1, "a gap");
            prop_assert_eq!(&event.previous_hash, &previous_hash);
            prop_assert_eq!(&event.hash, &event_hash(event));
            previous_hash.clone_from(&event.hash);
        }
        let records = self.storage.records();
        let ids: Vec<_> = stored.iter().map(|event| event.event_id.clone()).collect();
        let by_record: usize = records.iter().map(|record| record.event_ids.len()).sum();
        prop_assert_eq!(by_record, ids.len(), "each event belongs to exactly one answer");
        let transactions = self.storage.transactions();
        for (index, (outcome, sent_before)) in said.iter().enumerate() {
            let sent_after = said.get(index + 1).map_or(transactions.len(), |(_, sent)| *sent);
            let own_ids = transactions[*sent_before..sent_after].first().map(|sent| sent.record.event_ids.clone());
            let is_stored = own_ids.is_some_and(|own| own.iter().all(|id| ids.contains(id)));
            match outcome {
                Said::Done(appended) => {
                    prop_assert!(
                        appended.events.iter().all(|event| stored.contains(event)),
                        "acknowledged, then absent"
                    );
                    prop_assert!(records.contains(&appended.record));
                }
                Said::Answered(record) => prop_assert!(records.contains(record) && !is_stored, "answered elsewhere"),
                Said::NotDone => prop_assert!(!is_stored, "said to be not done, yet stored"),
                Said::Unknown => {}
            }
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_was_said_is_true(executions in proptest::collection::vec(execution(), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let world = World::new();
            let said = world.run(&executions).await;
            world.judge(&said)
        })?;
    }
}

/// The property above is worth something only if its scripts reach the rare outcomes.
#[test]
fn scripts_reach_every_outcome() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut reached: BTreeMap<&str, u32> = BTreeMap::new();
    for _ in 0..200 {
        let executions = proptest::collection::vec(execution(), 1..12).new_tree(&mut runner).unwrap().current();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        for (said, _) in runtime.block_on(async { World::new().run(&executions).await }) {
            let name = match said {
                Said::Done(appended) if appended.recognised => "recognised",
                Said::Done(_) => "done",
                Said::Answered(_) => "answered",
                Said::NotDone => "not done",
                Said::Unknown => "unknown",
            };
            *reached.entry(name).or_default() += 1;
        }
    }
    for name in ["recognised", "done", "answered", "not done", "unknown"] {
        assert!(reached.get(name).is_some_and(|count| *count >= 20), "{name}: {reached:?}");
    }
}
