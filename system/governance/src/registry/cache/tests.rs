//! The cache by table, and against a naive account of everything that happened.

use std::collections::BTreeMap;

use nexus_ports::{Throttled, UnknownOutcome};
use proptest::prelude::*;

use super::*;

const FRESH_MS: u64 = 300_000;
const NEGATIVE_MS: u64 = 3_000;
const STALE_MS: u64 = 1_800_000;
const PAUSE_MS: u64 = 2_000;
const FLIGHT_MS: u64 = 7_000;

fn at(ms: u64) -> Monotonic {
    Monotonic(Duration::from_millis(ms))
}

fn cache(entries_max: usize) -> Cache<u32, u32> {
    Cache::new(CacheBounds {
        failure_pause: Duration::from_millis(PAUSE_MS),
        entries_max,
        flight_max: Duration::from_millis(FLIGHT_MS),
    })
}

fn good(value: u32) -> Answer<u32> {
    Answer { value, fresh_for: Duration::from_millis(FRESH_MS), stale_for: Duration::from_millis(STALE_MS) }
}

fn bad(value: u32) -> Answer<u32> {
    Answer { value, fresh_for: Duration::from_millis(NEGATIVE_MS), stale_for: Duration::ZERO }
}

fn down() -> ReadFailure {
    ReadFailure::NoAnswer(UnknownOutcome { reason: "down".to_owned() })
}

fn ask(cache: &mut Cache<u32, u32>, key: u32, ms: u64) -> Ticket {
    match cache.look_up(&key, at(ms)) {
        LookUp::Ask(ticket) => ticket,
        other => panic!("at {ms} ms: {other:?}"),
    }
}

/// A cache that holds 7 under key 1 since 0 ms.
fn holding(answer: Answer<u32>) -> Cache<u32, u32> {
    let mut cache = cache(10);
    let ticket = ask(&mut cache, 1, 0);
    assert_eq!(cache.answered(&1, ticket, Ok(answer), at(0)), LookUp::Fresh(7));
    cache
}

#[test]
fn an_answer_counts_until_it_expires() {
    for (answer, expires_ms) in [(good(7), FRESH_MS), (bad(7), NEGATIVE_MS)] {
        let mut cache = holding(answer);
        assert_eq!(cache.look_up(&1, at(expires_ms - 1)), LookUp::Fresh(7));
        assert_eq!(cache.fresh(&1, at(expires_ms - 1)), Some(&7));
        assert_eq!(cache.fresh(&1, at(expires_ms)), None);
        ask(&mut cache, 1, expires_ms);
    }
}

#[test]
fn one_asks_and_the_others_wait() {
    let mut cache = cache(10);
    let ticket = ask(&mut cache, 1, 0);
    for ms in [0, 1, FLIGHT_MS - 1] {
        assert_eq!(cache.look_up(&1, at(ms)), LookUp::Wait { until: at(FLIGHT_MS) });
    }
    ask(&mut cache, 2, 0);
    cache.answered(&1, ticket, Ok(good(7)), at(5));
    assert_eq!(cache.look_up(&1, at(5)), LookUp::Fresh(7));
}

#[test]
fn whoever_is_gone_or_forgotten_is_replaced() {
    let mut cache = cache(10);
    let first = ask(&mut cache, 1, 0);
    cache.abandoned(&1, first);
    let second = ask(&mut cache, 1, 1);
    // The first one's end means nothing any more.
    cache.abandoned(&1, first);
    assert_eq!(cache.look_up(&1, at(2)), LookUp::Wait { until: at(1 + FLIGHT_MS) });
    // The second one is never heard of again.
    let third = ask(&mut cache, 1, 1 + FLIGHT_MS);
    assert_eq!(cache.answered(&1, second, Ok(good(7)), at(9_000)), LookUp::Fresh(7), "it has its own answer");
    assert!(matches!(cache.look_up(&1, at(9_000)), LookUp::Wait { .. }), "nobody else believes it");
    cache.answered(&1, third, Ok(good(8)), at(9_001));
    assert_eq!(cache.look_up(&1, at(9_001)), LookUp::Fresh(8));
}

#[test]
fn a_cold_outage_refuses_and_is_looked_at_again_after_a_pause() {
    let mut cache = cache(10);
    let ticket = ask(&mut cache, 1, 0);
    assert_eq!(cache.answered(&1, ticket, Err(down()), at(100)), LookUp::Refused(down()));
    assert_eq!(cache.look_up(&1, at(99 + PAUSE_MS)), LookUp::Refused(down()));
    let ticket = ask(&mut cache, 1, 100 + PAUSE_MS);
    assert!(matches!(cache.look_up(&1, at(100 + PAUSE_MS)), LookUp::Wait { .. }), "nothing may stand in");
    let throttled = ReadFailure::Throttled(Throttled { code: "now this".to_owned() });
    cache.answered(&1, ticket, Err(throttled.clone()), at(2_200));
    assert_eq!(cache.look_up(&1, at(2_200)), LookUp::Refused(throttled));
}

#[test]
fn what_was_good_stands_in_for_a_while() {
    let mut cache = holding(good(7));
    let ticket = ask(&mut cache, 1, FRESH_MS);
    assert!(matches!(cache.look_up(&1, at(FRESH_MS)), LookUp::Wait { .. }), "nothing has failed yet");
    let stale = || LookUp::Stale(7, down());
    assert_eq!(cache.answered(&1, ticket, Err(down()), at(FRESH_MS)), stale());
    assert_eq!(cache.look_up(&1, at(FRESH_MS + PAUSE_MS - 1)), stale());
    let ticket = ask(&mut cache, 1, FRESH_MS + PAUSE_MS);
    assert_eq!(cache.look_up(&1, at(FRESH_MS + PAUSE_MS)), stale(), "one looks whether it is up again, nobody waits");
    cache.answered(&1, ticket, Err(down()), at(FRESH_MS + STALE_MS - 1));
    assert_eq!(cache.look_up(&1, at(FRESH_MS + STALE_MS - 1)), stale());
    assert_eq!(cache.look_up(&1, at(FRESH_MS + STALE_MS)), LookUp::Refused(down()));
}

#[test]
fn what_was_not_good_never_stands_in() {
    let mut cache = holding(bad(7));
    let ticket = ask(&mut cache, 1, NEGATIVE_MS);
    assert_eq!(cache.answered(&1, ticket, Err(down()), at(NEGATIVE_MS)), LookUp::Refused(down()));
}

#[test]
fn an_answer_from_before_a_registration_is_not_remembered() {
    let mut cache = cache(10);
    let ticket = ask(&mut cache, 1, 0);
    cache.forget(&1);
    assert_eq!(cache.answered(&1, ticket, Ok(bad(0)), at(1)), LookUp::Fresh(0));
    ask(&mut cache, 1, 1);
    cache.remember(&1, good(7), at(2));
    assert_eq!(cache.look_up(&1, at(2)), LookUp::Fresh(7));
}

#[test]
fn the_entry_that_ends_first_makes_room() {
    let mut cache = cache(3);
    cache.remember(&1, good(1), at(0));
    cache.remember(&2, bad(2), at(0));
    let ticket = ask(&mut cache, 3, 0);
    ask(&mut cache, 4, 0);
    assert_eq!(cache.len(), 3);
    assert_eq!(cache.fresh(&2, at(0)), None);
    assert_eq!(cache.fresh(&1, at(0)), Some(&1));
    ask(&mut cache, 5, 0);
    assert_eq!(cache.fresh(&1, at(0)), None, "those who are being asked for stay");
    cache.answered(&3, ticket, Ok(good(3)), at(1));
    assert_eq!(cache.fresh(&3, at(1)), Some(&3));
    // All are being asked for: then there is one more for a while.
    let mut cache = self::cache(1);
    ask(&mut cache, 1, 0);
    ask(&mut cache, 2, 0);
    assert_eq!(cache.len(), 2);
    ask(&mut cache, 3, FLIGHT_MS);
    assert_eq!(cache.len(), 2);
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    LookUp(u32),
    /// Of the calls that are still being made, this one ends.
    Answer(usize, bool, u32),
    Fail(usize),
    Abandon(usize),
    Forget(u32),
    Remember(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let pass = prop_oneof![
        4 => 0..1_500_u64,
        2 => Just(PAUSE_MS),
        2 => Just(NEGATIVE_MS),
        1 => Just(FLIGHT_MS),
        2 => Just(FRESH_MS),
        1 => Just(FRESH_MS + STALE_MS),
    ];
    prop_oneof![
        4 => pass.prop_map(Step::Pass),
        8 => (0..3_u32).prop_map(Step::LookUp),
        4 => (any::<usize>(), any::<bool>(), any::<u32>()).prop_map(|(call, is_good, value)| Step::Answer(call, is_good, value)),
        4 => any::<usize>().prop_map(Step::Fail),
        1 => any::<usize>().prop_map(Step::Abandon),
        1 => (0..3_u32).prop_map(Step::Forget),
        1 => (0..3_u32, any::<u32>()).prop_map(|(key, value)| Step::Remember(key, value)),
    ]
}

/// What happened to one key, in plain words.
#[derive(Clone, Debug, Default)]
struct Account {
    /// The newest answer that counts: when it came, what it was, whether it was good.
    answer: Option<(u64, u32, bool)>,
    /// When the last call that counts ended, if it failed.
    failed_at: Option<u64>,
    /// The call that counts, and when it began.
    call: Option<(Ticket, u64)>,
}

impl Account {
    fn is_fresh(&self, now: u64) -> bool {
        self.answer.is_some_and(|(came, _, is_good)| now - came < if is_good { FRESH_MS } else { NEGATIVE_MS })
    }

    fn may_stand_in(&self, now: u64) -> bool {
        self.answer
            .is_some_and(|(came, _, is_good)| now - came < if is_good { FRESH_MS + STALE_MS } else { NEGATIVE_MS })
    }

    fn is_being_asked(&self, now: u64) -> bool {
        self.call.is_some_and(|(_, began)| now - began < FLIGHT_MS)
    }

    fn failed_lately(&self, now: u64) -> bool {
        self.failed_at.is_some_and(|at| now - at < PAUSE_MS)
    }

    /// What must be looked up, by name and value.
    fn expected(&self, now: u64) -> (&'static str, Option<u32>) {
        let value = self.answer.map(|(_, value, _)| value);
        let is_down = self.failed_at.is_some();
        match () {
            () if self.is_fresh(now) => ("fresh", value),
            () if is_down && self.may_stand_in(now) && (self.failed_lately(now) || self.is_being_asked(now)) => {
                ("stale", value)
            }
            () if self.failed_lately(now) => ("refused", None),
            () if self.is_being_asked(now) => ("wait", None),
            () => ("ask", None),
        }
    }
}

fn told(looked_up: &LookUp<u32>) -> (&'static str, Option<u32>) {
    match looked_up {
        LookUp::Fresh(value) => ("fresh", Some(*value)),
        LookUp::Stale(value, _) => ("stale", Some(*value)),
        LookUp::Refused(_) => ("refused", None),
        LookUp::Wait { .. } => ("wait", None),
        LookUp::Ask(_) => ("ask", None),
    }
}

fn play(steps: &[Step], met: &mut BTreeMap<&'static str, u32>) -> Result<(), TestCaseError> {
    let mut cache = cache(1_000);
    let mut accounts = BTreeMap::<u32, Account>::new();
    let mut calls: Vec<(u32, Ticket)> = Vec::new();
    let mut now = 0;
    for step in steps {
        match *step {
            Step::Pass(ms) => now += ms,
            Step::LookUp(key) => {
                let account = accounts.entry(key).or_default();
                let expected = account.expected(now);
                let looked_up = cache.look_up(&key, at(now));
                prop_assert_eq!(told(&looked_up), expected, "at {} ms: {:?}", now, account);
                prop_assert_eq!(
                    cache.fresh(&key, at(now)).copied(),
                    account.is_fresh(now).then_some(expected.1).flatten()
                );
                *met.entry(expected.0).or_default() += 1;
                if let LookUp::Ask(ticket) = looked_up {
                    account.call = Some((ticket, now));
                    calls.push((key, ticket));
                }
            }
            Step::Answer(call, is_good, value) if !calls.is_empty() => {
                let (key, ticket) = calls.remove(call % calls.len());
                let answer = if is_good { good(value) } else { bad(value) };
                prop_assert_eq!(cache.answered(&key, ticket, Ok(answer), at(now)), LookUp::Fresh(value));
                let account = accounts.entry(key).or_default();
                if account.call.is_some_and(|(counts, _)| counts == ticket) {
                    *account = Account { answer: Some((now, value, is_good)), ..Account::default() };
                } else {
                    *met.entry("late answer").or_default() += 1;
                }
            }
            Step::Fail(call) if !calls.is_empty() => {
                let (key, ticket) = calls.remove(call % calls.len());
                let ended = cache.answered(&key, ticket, Err(down()), at(now));
                let account = accounts.entry(key).or_default();
                if account.call.is_some_and(|(counts, _)| counts == ticket) {
                    let stands_in = account.may_stand_in(now);
                    prop_assert_eq!(told(&ended).0, if stands_in { "stale" } else { "refused" });
                    (account.call, account.failed_at) = (None, Some(now));
                } else {
                    prop_assert_eq!(told(&ended).0, "refused");
                }
            }
            Step::Abandon(call) if !calls.is_empty() => {
                let (key, ticket) = calls.remove(call % calls.len());
                cache.abandoned(&key, ticket);
                let account = accounts.entry(key).or_default();
                account.call = account.call.filter(|(counts, _)| *counts != ticket);
            }
            Step::Answer(..) | Step::Fail(_) | Step::Abandon(_) => {}
            Step::Forget(key) => {
                cache.forget(&key);
                accounts.remove(&key);
            }
            Step::Remember(key, value) => {
                cache.remember(&key, good(value), at(now));
                accounts.insert(key, Account { answer: Some((now, value, true)), ..Account::default() });
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn look_ups_agree_with_a_naive_account(steps in proptest::collection::vec(step(), 0..60)) {
        play(&steps, &mut BTreeMap::new())?;
    }
}

/// The property above is worth something only if its steps reach every way.
#[test]
fn steps_reach_every_way() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut met = BTreeMap::new();
    for _ in 0..1_500 {
        let steps = proptest::collection::vec(step(), 0..60).new_tree(&mut runner).unwrap().current();
        play(&steps, &mut met).unwrap();
    }
    for way in ["fresh", "stale", "refused", "wait", "ask", "late answer"] {
        assert!(met.get(way).is_some_and(|count| *count >= 50), "{way}: {met:?}");
    }
}
