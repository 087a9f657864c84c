//! What an append makes of every kind of answer, lost answer and rival.
#![forbid(unsafe_code)]

use std::{sync::Arc, time::Duration};

use nexus_event_store::{
    AppendError, CommandOrigin, Deadline, EventStore, EventStoreSettings, LoadError, NewEvent, NotDone, RecordError,
    StreamDefect, StreamHead,
};
use nexus_ports::{EventRecord, RecordedOutcome, StreamName, Version};
use nexus_ports_testing::{MemoryEventStorage, ReadFate, TestPlatform, WriteFate};
use serde_json::{Value, json};

struct Bench {
    test: TestPlatform,
    storage: MemoryEventStorage,
    store: EventStore,
}

impl Bench {
    fn new() -> Self {
        let test = TestPlatform::new(1);
        let storage = MemoryEventStorage::default();
        let store = EventStore::new(test.platform.clone(), Arc::new(storage.clone()), EventStoreSettings::default());
        Self { test, storage, store }
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(&self.test.platform, Duration::from_secs(10))
    }

    async fn append(&self, head: &StreamHead, key: &str) -> Result<nexus_event_store::Appended, AppendError> {
        let command = self.store.begin(origin(key));
        self.store.append(head, &command, vec![placed(), placed()], answer, self.deadline()).await
    }

    async fn refuse(&self, key: &str) -> Result<nexus_ports::IdempotencyRecord, RecordError> {
        let command = self.store.begin(origin(key));
        self.store.record_refusal(&stream(), &command, &json!({"code": "no"}), self.deadline()).await
    }
}

fn origin(key: &str) -> CommandOrigin {
    CommandOrigin {
        key: key.to_owned(),
        payload_digest: "digest".to_owned(),
        causation_id: key.to_owned(),
        correlation_id: key.to_owned(),
        trace_context: None,
    }
}

fn placed() -> NewEvent {
    NewEvent { event_type: "OrderPlaced".to_owned(), schema_version: 2, payload: json!({"b": 1, "a": 2}) }
}

fn answer(events: &[EventRecord]) -> Value {
    json!({"version": events.last().map(|event| event.version.0)})
}

fn stream() -> StreamName {
    "order-o-1".parse().unwrap()
}

fn empty() -> StreamHead {
    StreamHead::empty(stream())
}

/// Fates of the attempts, and what the append must then be: "ok", "recognised", or the error's kind.
const SCRIPTS: &[(&[WriteFate], &str, u32)] = {
    use WriteFate as W;
    &[
        (&[], "ok", 1),
        (&[W::Throttled], "ok", 2),
        (&[W::Contended, W::NotSent], "ok", 3),
        (&[W::RequestLost], "ok", 2),
        (&[W::Hangs], "unknown", 1),
        (&[W::AnswerLost], "recognised", 2),
        (&[W::AnswerLost, W::Throttled], "recognised", 3),
        (&[W::AnswerLost, W::RefusalUnexplained], "recognised", 2),
        (&[W::AppliedLate { calls: 1 }], "recognised", 2),
        (&[W::AppliedThenHangs], "recognised", 1),
        (&[W::AnswerLost, W::AnswerLost, W::AnswerLost], "recognised", 3),
        (&[W::AnswerLost, W::Throttled, W::Throttled], "recognised", 3),
        (&[W::RequestLost, W::RequestLost, W::AppliedLate { calls: 1 }], "recognised", 3),
        (&[W::RequestLost, W::RequestLost, W::RequestLost], "unknown", 3),
        (&[W::RequestLost, W::Throttled, W::Contended], "unknown", 3),
        (&[W::RequestLost, W::Rejected], "unknown", 2),
        (&[W::RequestLost, W::RequestLost, W::AppliedLate { calls: 9 }], "unknown", 3),
        (&[W::Throttled, W::Throttled, W::Throttled], "throttled", 3),
        (&[W::Contended, W::Contended, W::Contended], "contended", 3),
        (&[W::NotSent, W::NotSent, W::NotSent], "unavailable", 3),
        (&[W::Throttled, W::Rejected], "rejected", 2),
    ]
};

#[tokio::test(start_paused = true)]
async fn attempts_end_as_their_answers_say() {
    for (fates, expected, attempts) in SCRIPTS {
        let bench = Bench::new();
        bench.storage.script_writes(fates.iter().copied());
        let (kind, made) = match bench.append(&empty(), "key-1").await {
            Ok(appended) => (if appended.recognised { "recognised" } else { "ok" }, Some(appended.attempts)),
            Err(AppendError::Unknown(unknown)) => ("unknown", Some(unknown.attempts)),
            Err(AppendError::NotDone(NotDone::Throttled(throttled))) => ("throttled", Some(throttled.attempts)),
            Err(AppendError::NotDone(NotDone::Contended(contended))) => ("contended", Some(contended.attempts)),
            Err(AppendError::NotDone(NotDone::Unavailable(gone))) => ("unavailable", Some(gone.attempts)),
            Err(AppendError::NotDone(NotDone::Rejected(_))) => ("rejected", None),
            Err(other) => panic!("{fates:?}: {other}"),
        };
        assert_eq!(kind, *expected, "{fates:?}");
        assert!(made.is_none_or(|made| made == *attempts), "{fates:?}: {made:?} attempts");
        let transactions = bench.storage.transactions();
        assert_eq!(transactions.len() as u32, *attempts, "{fates:?}");
        assert!(transactions.iter().all(|sent| *sent == transactions[0]), "{fates:?}: attempts differ");
        if matches!(*expected, "ok" | "recognised") {
            assert_eq!(bench.storage.events(), transactions[0].events, "{fates:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_rival_at_our_version_is_a_conflict_also_after_doubt() {
    for fates in [vec![], vec![WriteFate::RequestLost], vec![WriteFate::RefusalUnexplained]] {
        let bench = Bench::new();
        bench.append(&empty(), "rival").await.unwrap();
        bench.storage.script_writes(fates.clone());
        let error = bench.append(&empty(), "late").await.unwrap_err();
        let AppendError::Conflict(conflict) = error else { panic!("{fates:?}: {error}") };
        assert_eq!(conflict.version, Version(1));
        assert_eq!(conflict.standing_event_id, bench.storage.events()[0].event_id);
        bench.storage.settle();
        assert_eq!(bench.storage.events().len(), 2, "{fates:?}: the loser wrote");
    }
}

#[tokio::test(start_paused = true)]
async fn another_execution_under_the_same_key_is_told_from_our_own() {
    let bench = Bench::new();
    let first = bench.append(&empty(), "key").await.unwrap();
    let head = bench.store.load(&stream(), bench.deadline()).await.unwrap().head;
    for head in [empty(), head] {
        let error = bench.append(&head, "key").await.unwrap_err();
        let AppendError::AlreadyAnswered(answered) = error else { panic!("{error}") };
        assert_eq!(*answered.record, first.record);
    }
    assert_eq!(bench.storage.events().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_recorded_refusal_keeps_late_executions_out() {
    let bench = Bench::new();
    bench.storage.script_writes([WriteFate::AppliedLate { calls: 9 }; 3]);
    assert!(matches!(bench.append(&empty(), "key").await, Err(AppendError::Unknown(_))));
    let record = bench.refuse("key").await.unwrap();
    assert_eq!(record.outcome, RecordedOutcome::Refused);
    bench.storage.settle();
    assert_eq!(bench.storage.events(), []);
    assert_eq!(bench.store.answer_of("key", bench.deadline()).await.unwrap(), Some(record));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_recorded_once_whatever_happens_to_its_answer() {
    use WriteFate as W;
    let lost = [W::AnswerLost, W::AnswerLost, W::AnswerLost];
    let scripts: [(&[WriteFate], bool); 6] = [
        (&[], true),
        (&[W::AnswerLost], true),
        (&[W::AnswerLost, W::RefusalUnexplained], true),
        (&lost, true),
        (&[W::Throttled, W::NotSent], true),
        (&[W::RequestLost, W::RequestLost, W::RequestLost], false),
    ];
    for (fates, is_recorded) in scripts {
        let bench = Bench::new();
        bench.storage.script_writes(fates.iter().copied());
        match bench.refuse("key").await {
            Ok(record) => assert_eq!(bench.storage.records(), [record], "{fates:?}"),
            Err(RecordError::Unknown(unknown)) => assert!(!is_recorded && unknown.attempts == 3, "{fates:?}"),
            Err(other) => panic!("{fates:?}: {other}"),
        }
        assert_eq!(bench.storage.records().len() == 1, is_recorded, "{fates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_does_not_replace_an_answer() {
    let bench = Bench::new();
    let appended = bench.append(&empty(), "key").await.unwrap();
    let error = bench.refuse("key").await.unwrap_err();
    let RecordError::AlreadyAnswered(answered) = error else { panic!("{error}") };
    assert_eq!(*answered.record, appended.record);
}

#[tokio::test(start_paused = true)]
async fn doubt_stays_doubt_when_the_look_fails() {
    let bench = Bench::new();
    bench.storage.script_writes([WriteFate::AnswerLost, WriteFate::Throttled, WriteFate::Throttled]);
    bench.storage.script_reads([ReadFate::NoAnswer, ReadFate::Throttled, ReadFate::NotSent]);
    let error = bench.append(&empty(), "key").await.unwrap_err();
    let AppendError::Unknown(unknown) = error else { panic!("{error}") };
    assert!(unknown.reason.contains("look-up failed"), "{}", unknown.reason);
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_its_deadline() {
    for fates in [[WriteFate::Hangs; 3], [WriteFate::AppliedThenHangs; 3]] {
        let bench = Bench::new();
        bench.storage.script_writes(fates);
        bench.storage.script_reads([ReadFate::Hangs; 3]);
        let before = bench.test.platform.monotonic();
        let error = bench.append(&empty(), "key").await.unwrap_err();
        assert!(matches!(error, AppendError::Unknown(_)), "{error}");
        assert!(bench.test.platform.monotonic().since(before) <= Duration::from_millis(10_005));
    }
    let bench = Bench::new();
    let over = Deadline(bench.test.platform.monotonic());
    let error = bench.store.load(&stream(), over).await.unwrap_err();
    assert!(matches!(error, LoadError::Unavailable(_)), "{error}");
    assert_eq!(bench.storage.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_short_deadline_leaves_time_to_attempt_and_to_look() {
    let bench = Bench::new();
    bench.storage.script_writes([WriteFate::AppliedThenHangs]);
    let command = bench.store.begin(origin("key"));
    let deadline = Deadline::after(&bench.test.platform, Duration::from_millis(400));
    let appended = bench.store.append(&empty(), &command, vec![placed()], answer, deadline).await.unwrap();
    assert!(appended.recognised);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_read_over_all_its_pages_and_read_again_where_unanswered() {
    let bench = Bench::new();
    let mut head = empty();
    for key in ["a", "b", "c"] {
        bench.append(&head, key).await.unwrap();
        head = bench.store.load(&stream(), bench.deadline()).await.unwrap().head;
    }
    bench.storage.page_by(4);
    bench.storage.script_reads([ReadFate::NoAnswer, ReadFate::Answered, ReadFate::Throttled, ReadFate::NotSent]);
    let loaded = bench.store.load(&stream(), bench.deadline()).await.unwrap();
    assert_eq!(loaded.head, head);
    assert_eq!(loaded.events, bench.storage.events());
    assert_eq!(loaded.events[0].payload, r#"{"a":2,"b":1}"#);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_decided_on_a_stream_that_was_tampered_with() {
    type Tampering = fn(&mut EventRecord);
    let cases: [(Tampering, Version, StreamDefect); 4] = [
        (|event| event.payload = "{}".to_owned(), Version(2), StreamDefect::ContentChanged),
        (|event| event.recorded_at_ms += 1, Version(2), StreamDefect::ContentChanged),
        (|event| event.envelope.trace_context = Some(String::new()), Version(2), StreamDefect::ContentChanged),
        (|event| event.previous_hash = "0".repeat(64), Version(2), StreamDefect::ChainBroken),
    ];
    for (tamper, at, defect) in cases {
        let bench = Bench::new();
        bench.append(&empty(), "key").await.unwrap();
        bench.storage.tamper(|events| tamper(events.get_mut(&(stream(), at)).unwrap()));
        let error = bench.store.load(&stream(), bench.deadline()).await.unwrap_err();
        let LoadError::Corrupt(corrupt) = error else { panic!("{error}") };
        assert_eq!((corrupt.at, corrupt.defect), (at, defect));
    }
    let bench = Bench::new();
    bench.append(&empty(), "key").await.unwrap();
    bench.storage.tamper(|events| {
        events.remove(&(stream(), Version(1)));
    });
    let error = bench.store.load(&stream(), bench.deadline()).await.unwrap_err();
    let LoadError::Corrupt(corrupt) = error else { panic!("{error}") };
    assert_eq!((corrupt.at, corrupt.defect), (Version(1), StreamDefect::Gap { found: Version(2) }));
}

#[tokio::test(start_paused = true)]
async fn an_append_takes_1_to_99_events() {
    let bench = Bench::new();
    for (count, is_taken) in [(0, false), (1, true), (99, true), (100, false)] {
        let command = bench.store.begin(origin(&format!("key-{count}")));
        let head = StreamHead::empty(format!("order-{count}").parse().unwrap());
        let appended = bench.store.append(&head, &command, vec![placed(); count], answer, bench.deadline()).await;
        assert_eq!(appended.is_ok(), is_taken, "{count}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_command_keeps_its_event_ids_and_a_decision_made_again_gets_its_own_token() {
    let bench = Bench::new();
    let command = bench.store.begin(origin("key"));
    bench.append(&empty(), "rival").await.unwrap();
    let first = bench.store.append(&empty(), &command, vec![placed()], answer, bench.deadline()).await;
    assert!(matches!(first, Err(AppendError::Conflict(_))));
    let head = bench.store.load(&stream(), bench.deadline()).await.unwrap().head;
    bench.store.append(&head, &command, vec![placed()], answer, bench.deadline()).await.unwrap();
    let sent = bench.storage.transactions();
    assert_eq!(sent[1].events[0].event_id, sent[2].events[0].event_id);
    assert_ne!(sent[1].token, sent[2].token);
    assert!(sent.iter().all(|transaction| (1..=36).contains(&transaction.token.len())));
    let other = bench.append(&StreamHead::empty("order-2".parse().unwrap()), "key-2").await.unwrap();
    assert!(sent.iter().all(|transaction| transaction.token != other.record.event_ids[0]));
    assert_eq!(other.events[0].event_id.as_bytes()[14], b'7', "a UUID of version 7: {}", other.events[0].event_id);
}
