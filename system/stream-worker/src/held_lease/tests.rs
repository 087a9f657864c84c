use nexus_ports::{Contended, LeaseMoved, NotSent, SequenceNumber, Throttled, UnknownOutcome};
use proptest::prelude::*;

use super::*;
use crate::lease_table::tests::{at, lease};

const TIMES: LeaseTimes = LeaseTimes {
    validity: Duration::from_secs(9),
    renew_every: Duration::from_secs(3),
    checkpoint_every: Duration::from_secs(1),
    backoff: Backoff { first: Duration::from_millis(100), max: Duration::from_secs(1) },
};

fn held() -> HeldLease {
    HeldLease::new(TIMES, "me", lease("a", Some("me"), 7), at(100))
}

fn at_ms(milliseconds: u64) -> Monotonic {
    Monotonic(Duration::from_millis(milliseconds))
}

fn after(number: u64) -> ShardProgress {
    ShardProgress::After(SequenceNumber::try_from(number.to_string()).unwrap())
}

fn draft(progress: ShardProgress, urgency: Urgency) -> Draft {
    Draft { progress, memory: "memory".to_owned(), urgency }
}

fn unknown() -> LeaseFailure {
    WriteFailure::Unknown(UnknownOutcome { reason: "lost".to_owned() })
}

fn moved() -> LeaseFailure {
    WriteFailure::Refused(LeaseMoved { shard: "a".to_owned() })
}

/// Starts the write that is due now.
fn write(held: &mut HeldLease, now: Monotonic, draft: &Draft) -> Lease {
    match held.step(now, draft) {
        StoreStep::Write { expected_counter, lease } => {
            assert_eq!(expected_counter, held.stored().counter);
            assert!(lease.counter > expected_counter);
            held.begin_write(&lease, now);
            lease
        }
        other => panic!("a write is due, not {other:?}"),
    }
}

#[test]
fn writes_are_due_by_urgency_and_progress() {
    for (name, progress, urgency, due_at_ms) in [
        ("nothing new: renewal", ShardProgress::Untouched, Urgency::Periodic, 103_000),
        ("nothing new, idle: renewal", ShardProgress::Untouched, Urgency::Idle, 103_000),
        ("progress", after(5), Urgency::Periodic, 101_000),
        ("progress, idle", after(5), Urgency::Idle, 100_250),
        ("release", ShardProgress::Untouched, Urgency::Release, 100_000),
    ] {
        let (held, draft) = (held(), draft(progress, urgency));
        assert!(matches!(held.step(at_ms(due_at_ms), &draft), StoreStep::Write { .. }), "{name}");
        if due_at_ms > 100_000 {
            assert_eq!(held.step(at_ms(due_at_ms - 1), &draft), StoreStep::WaitUntil(at_ms(due_at_ms)), "{name}");
        }
    }
}

#[test]
fn a_renewal_carries_progress_and_counts_from_its_start() {
    let mut held = held();
    let written = write(&mut held, at(103), &draft(after(5), Urgency::Periodic));
    assert_eq!((written.epoch, written.counter, written.owner.as_deref()), (1, 8, Some("me")));
    assert_eq!((&written.progress, written.memory.as_str()), (&after(5), "memory"));
    assert!(held.on_write(Ok(()), at(105), 0.5));
    assert_eq!(held.valid_until(), at(112));
    assert_eq!(held.stored(), &written);
}

#[test]
fn progress_never_goes_back_nor_changes_its_memory_then() {
    let mut held = held();
    write(&mut held, at(101), &draft(after(50), Urgency::Periodic));
    held.on_write(Ok(()), at(101), 0.5);
    let older = Draft { progress: after(9), memory: "older".to_owned(), urgency: Urgency::Periodic };
    let written = write(&mut held, at(104), &older);
    assert_eq!((written.progress, written.memory.as_str()), (after(50), "memory"));
}

#[test]
fn a_release_gives_the_lease_up_with_its_last_progress() {
    let mut held = held();
    let written = write(&mut held, at(100), &draft(ShardProgress::Finished, Urgency::Release));
    assert_eq!((written.owner, written.epoch, written.progress), (None, 2, ShardProgress::Finished));
    held.on_write(Ok(()), at(100), 0.5);
    assert_eq!(held.holding(at(200)), Holding::Released, "a released lease does not expire");
}

#[test]
fn an_unknown_write_is_read_back_before_anything_else() {
    let held_after = |found: fn(&Lease) -> Option<Lease>| {
        let mut held = held();
        let attempt = write(&mut held, at(103), &draft(after(5), Urgency::Periodic));
        assert!(!held.on_write(Err(unknown()), at(105), 0.5));
        assert_eq!(held.step(at(105), &draft(after(5), Urgency::Periodic)), StoreStep::ReadBack);
        held.on_read_back(Ok(found(&attempt)), at(106), 0.5);
        (held.holding(at(106)), held.stored().counter, held.valid_until())
    };
    let renewed = held_after(|attempt| Some(attempt.clone()));
    assert_eq!(renewed, (Holding::Held, 8, at(112)), "our own write, counted from its start");
    let untouched = held_after(|attempt| {
        Some(Lease { counter: 7, progress: ShardProgress::Untouched, memory: String::new(), ..attempt.clone() })
    });
    assert_eq!(untouched, (Holding::Held, 7, at(109)), "not applied: nothing is gained");
    let taken = held_after(|attempt| Some(Lease { owner: Some("other".to_owned()), epoch: 2, ..attempt.clone() }));
    assert_eq!(taken.0, Holding::Lost(LossReason::TakenOver));
    let deleted = held_after(|_| None);
    assert_eq!(deleted.0, Holding::Lost(LossReason::Deleted));
}

#[test]
fn an_earlier_attempt_that_arrives_late_is_recognised() {
    let mut held = held();
    let idle = draft(after(5), Urgency::Idle);
    let first = write(&mut held, at(101), &idle);
    held.on_write(Err(unknown()), at(102), 0.0);
    let untouched = held.stored().clone();
    held.on_read_back(Ok(Some(untouched)), at(102), 0.0);
    let second = write(&mut held, at(102), &idle);
    assert!(second.counter > first.counter, "attempts are told apart by their counters");
    // The first arrives now, and is what refuses the second.
    held.on_write(Err(moved()), at(103), 0.0);
    assert_eq!(held.step(at(103), &idle), StoreStep::ReadBack);
    held.on_read_back(Ok(Some(first.clone())), at(103), 0.0);
    assert_eq!(held.holding(at(103)), Holding::Held);
    assert_eq!((held.stored(), held.valid_until()), (&first, at(110)));
}

#[test]
fn a_release_that_is_read_back_is_a_release() {
    let mut held = held();
    let released = write(&mut held, at(101), &draft(after(5), Urgency::Release));
    held.on_write(Err(unknown()), at(102), 0.0);
    held.on_read_back(Ok(Some(released)), at(102), 0.0);
    assert_eq!(held.holding(at(102)), Holding::Released);
}

#[test]
fn a_store_that_refuses_to_work_is_asked_until_the_lease_would_have_expired() {
    let failures: [fn() -> LeaseFailure; 3] = [
        || WriteFailure::Throttled(Throttled { code: "Throttled".to_owned() }),
        || WriteFailure::NotSent(NotSent { reason: "refused".to_owned() }),
        || WriteFailure::Contended(Contended),
    ];
    for failure in failures {
        let mut held = held();
        let renewal = draft(ShardProgress::Untouched, Urgency::Periodic);
        let (mut now, mut attempts) = (at(103), 0);
        while held.holding(now) == Holding::Held {
            match held.step(now, &renewal) {
                StoreStep::WaitUntil(until) => now = until,
                StoreStep::ReadBack => panic!("nothing is in doubt"),
                StoreStep::Write { lease, .. } => {
                    held.begin_write(&lease, now);
                    held.on_write(Err(failure()), now, 0.99);
                    attempts += 1;
                }
            }
        }
        assert_eq!(held.holding(now), Holding::Lost(LossReason::Expired));
        assert!(now >= at(109) && now <= at(110), "{now:?}");
        assert!((6..=20).contains(&attempts), "{attempts} attempts in six seconds");
    }
}

#[test]
fn a_lease_expires_for_its_holder_before_it_does_for_others() {
    let mut held = held();
    assert_eq!(held.holding(at_ms(108_999)), Holding::Held);
    assert_eq!(held.holding(at_ms(109_000)), Holding::Lost(LossReason::Expired));
    assert_eq!(held.holding(at(100)), Holding::Lost(LossReason::Expired), "what is lost stays lost");
}

/// What becomes of a write in the property below.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Answered,
    AnswerLost,
    RequestLost,
    Late,
    Throttled,
}

proptest! {
    /// Against a store that loses, delays and throttles: the holder's belief is never longer than what the store bears out,
    /// and the store never sees progress or counters go back.
    #[test]
    fn belief_never_outlives_the_store(
        fates in proptest::collection::vec(
            prop_oneof![Just(Fate::Answered), Just(Fate::AnswerLost), Just(Fate::RequestLost), Just(Fate::Late), Just(Fate::Throttled)],
            1..60,
        ),
        steps_ms in proptest::collection::vec(1u64..2_500, 60),
        thief_at in 0usize..60,
    ) {
        let mut held = held();
        let mut stored = held.stored().clone();
        // When the stored counter was written: an observer cannot have seen it before.
        let mut written_at = at(100);
        let mut late: Vec<(u64, Lease)> = Vec::new();
        let (mut now, mut progress) = (at(100), 0);
        for (index, fate) in fates.into_iter().enumerate() {
            if index == thief_at && now.since(written_at) >= Duration::from_secs(10) {
                stored = Lease { owner: Some("thief".to_owned()), epoch: stored.epoch + 1, counter: stored.counter + 1, ..stored };
            }
            now = Monotonic(now.0 + Duration::from_millis(steps_ms[index]));
            for (expected, lease) in late.drain(..) {
                if stored.counter == expected {
                    prop_assert!(lease.progress >= stored.progress);
                    (stored, written_at) = (lease, now);
                }
            }
            if held.holding(now) != Holding::Held {
                break;
            }
            prop_assert!(now.since(written_at) < Duration::from_secs(10), "it may be someone else's by now");
            prop_assert_eq!(stored.owner.as_deref(), Some("me"));
            progress += 10;
            match held.step(now, &draft(after(progress), Urgency::Periodic)) {
                StoreStep::WaitUntil(until) => prop_assert!(until > now),
                StoreStep::ReadBack => match fate {
                    Fate::Answered | Fate::Late => held.on_read_back(Ok(Some(stored.clone())), now, 0.5),
                    _ => held.on_read_back(Err(ReadFailure::Throttled(Throttled { code: String::new() })), now, 0.5),
                },
                StoreStep::Write { expected_counter, lease } => {
                    held.begin_write(&lease, now);
                    let is_applied = matches!(fate, Fate::Answered | Fate::AnswerLost) && stored.counter == expected_counter;
                    if is_applied {
                        prop_assert!(lease.counter > stored.counter && lease.progress >= stored.progress);
                        (stored, written_at) = (lease.clone(), now);
                    }
                    let outcome = match fate {
                        Fate::Answered if is_applied => Ok(()),
                        Fate::Answered => Err(moved()),
                        Fate::Throttled => Err(WriteFailure::Throttled(Throttled { code: String::new() })),
                        Fate::Late => {
                            late.push((expected_counter, lease));
                            Err(unknown())
                        }
                        Fate::AnswerLost | Fate::RequestLost => Err(unknown()),
                    };
                    held.on_write(outcome, now, 0.5);
                }
            }
        }
    }
}
