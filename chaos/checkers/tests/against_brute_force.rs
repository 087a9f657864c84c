//! The search against trying every order, and against executions that are linearizable by construction.
#![forbid(unsafe_code)]

use nexus_checkers::linearizability::{
    Completion, Model, Operation, Register, RegisterInput, RegisterOutput, Verdict, decide,
};
use proptest::prelude::*;

type History = Vec<Operation<RegisterInput, RegisterOutput>>;

/// Tries every order of every subset that holds all answered operations.
fn brute_force(history: &History, state: Option<i64>, ordered: &mut Vec<usize>) -> bool {
    let is_left = |index: &usize| !ordered.contains(index);
    let left: Vec<usize> = (0..history.len()).filter(is_left).collect();
    if left.iter().all(|&index| history[index].completion.is_none()) {
        return true;
    }
    left.iter().any(|&next| {
        let must_wait = left.iter().any(|&other| {
            history[other].completion.as_ref().is_some_and(|answer| answer.completed_ns < history[next].invoked_ns)
        });
        let output = history[next].completion.as_ref().map(|answer| &answer.output);
        let Some(after) = Register.step(&state, &history[next].input, output).filter(|_| !must_wait) else {
            return false;
        };
        ordered.push(next);
        let found = brute_force(history, after, ordered);
        ordered.pop();
        found
    })
}

/// Replays the witness: real-time order and the model must both agree, and no answered operation may be left out.
fn assert_witness(history: &History, order: &[usize]) {
    let mut state = Register.initial();
    for (position, &index) in order.iter().enumerate() {
        let output = history[index].completion.as_ref().map(|answer| &answer.output);
        state = Register.step(&state, &history[index].input, output).expect("the model accepts the witness");
        for &later in &order[position + 1..] {
            let precedes = history[later]
                .completion
                .as_ref()
                .is_some_and(|answer| answer.completed_ns < history[index].invoked_ns);
            assert!(!precedes, "{later} was answered before {index} was invoked");
        }
    }
    let is_complete = (0..history.len()).all(|index| history[index].completion.is_none() || order.contains(&index));
    assert!(is_complete, "an answered operation is missing from the witness");
}

fn input() -> impl Strategy<Value = RegisterInput> {
    prop_oneof![
        Just(RegisterInput::Read),
        (0..3i64).prop_map(RegisterInput::Write),
        (0..3i64, 0..3i64).prop_map(|(expected, new)| RegisterInput::CompareAndSet { expected, new }),
    ]
}

fn output_for(input: &RegisterInput, choice: u8) -> RegisterOutput {
    match input {
        RegisterInput::Read => RegisterOutput::Value((choice % 4 != 3).then_some(i64::from(choice % 4))),
        RegisterInput::Write(_) => RegisterOutput::Written,
        RegisterInput::CompareAndSet { .. } => RegisterOutput::Compared(choice.is_multiple_of(2)),
    }
}

/// Any history at all: most are not linearizable.
fn arbitrary_history() -> impl Strategy<Value = History> {
    let operation = (input(), 0..20u64, 0..8u64, any::<u8>(), 0..4u8);
    prop::collection::vec(operation, 0..7).prop_map(|operations| {
        let with_answer = |(input, invoked_ns, duration_ns, choice, fate): (RegisterInput, u64, u64, u8, u8)| {
            let output = output_for(&input, choice);
            let completion = (fate > 0).then_some(Completion { output, completed_ns: invoked_ns + duration_ns });
            Operation { input, invoked_ns, completion }
        };
        operations.into_iter().map(with_answer).collect()
    })
}

/// A sequential execution, stretched so that operations overlap; some answers are lost, whether or not the
/// operation took effect.
fn concurrent_execution(length: usize) -> impl Strategy<Value = History> {
    let operation = (input(), 0..40u64, 0..40u64, 0..10u8);
    prop::collection::vec(operation, 1..length).prop_map(|operations| {
        let mut state = Register.initial();
        let mut history = Vec::new();
        for (instant, (input, early_ns, late_ns, fate)) in operations.into_iter().enumerate() {
            let effect_ns = 100 + 10 * instant as u64;
            let took_effect = fate != 0;
            let output = match &input {
                RegisterInput::Read => RegisterOutput::Value(state),
                RegisterInput::Write(_) => RegisterOutput::Written,
                RegisterInput::CompareAndSet { expected, .. } => RegisterOutput::Compared(state == Some(*expected)),
            };
            if took_effect {
                state = Register.step(&state, &input, None).expect("a register takes every operation");
            }
            let completion = (fate > 1).then_some(Completion { output, completed_ns: effect_ns + late_ns });
            history.push(Operation { input, invoked_ns: effect_ns - early_ns, completion });
        }
        history
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_search_agrees_with_trying_every_order(history in arbitrary_history()) {
        let expected = brute_force(&history, None, &mut Vec::new());
        match decide(&Register, &history, u64::MAX) {
            Verdict::Linearizable { order, .. } => {
                prop_assert!(expected);
                assert_witness(&history, &order);
            }
            Verdict::NotLinearizable { stuck, .. } => {
                prop_assert!(!expected);
                prop_assert!(!stuck.is_empty());
            }
            Verdict::Undecided { .. } => prop_assert!(false, "no bound was set"),
        }
    }

    #[test]
    fn stretched_sequential_executions_are_accepted(history in concurrent_execution(60)) {
        match decide(&Register, &history, u64::MAX) {
            Verdict::Linearizable { order, .. } => assert_witness(&history, &order),
            other => prop_assert!(false, "{:?}", other),
        }
    }

    #[test]
    fn a_read_of_a_value_that_nobody_wrote_is_rejected(
        history in concurrent_execution(24),
        position in any::<prop::sample::Index>(),
    ) {
        let mut history = history;
        let position = position.index(history.len());
        let mutated = &mut history[position];
        mutated.input = RegisterInput::Read;
        let completed_ns = mutated.invoked_ns + 5;
        mutated.completion = Some(Completion { output: RegisterOutput::Value(Some(99)), completed_ns });
        let verdict = decide(&Register, &history, u64::MAX);
        let is_rejected = matches!(verdict, Verdict::NotLinearizable { .. });
        prop_assert!(is_rejected, "{:?}", verdict);
    }

    #[test]
    fn a_changed_read_gets_the_verdict_of_brute_force(
        history in concurrent_execution(7),
        position in any::<prop::sample::Index>(),
        value in 0..3i64,
    ) {
        let mut history = history;
        let position = position.index(history.len());
        if let Some(Completion { output: output @ RegisterOutput::Value(_), .. }) = &mut history[position].completion {
            *output = RegisterOutput::Value(Some(value));
        }
        let expected = brute_force(&history, None, &mut Vec::new());
        let is_accepted = matches!(decide(&Register, &history, u64::MAX), Verdict::Linearizable { .. });
        prop_assert_eq!(is_accepted, expected);
    }
}

#[test]
fn the_work_bound_ends_in_undecided_never_in_a_guess() {
    let pending = |value| Operation { input: RegisterInput::Write(value), invoked_ns: 0, completion: None };
    let mut history: History = (0..20).map(pending).collect();
    let output = RegisterOutput::Value(Some(-1));
    let completion = Some(Completion { output, completed_ns: 9 });
    history.push(Operation { input: RegisterInput::Read, invoked_ns: 1, completion });
    assert_eq!(decide(&Register, &history, 1_000), Verdict::Undecided { steps: 1_000 });
}
