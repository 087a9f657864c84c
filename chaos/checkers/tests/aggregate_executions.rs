//! Executions of orders, payments and carts, made concurrent: accepted as they are, and judged as trying every order
//! judges them once an answer was changed.
#![forbid(unsafe_code)]

use nexus_checkers::{
    SentCommand, SentLine,
    linearizability::{
        AggregateInput, AggregateModel, AggregateOutput, AggregateState, Completion, Model, Operation, Verdict, decide,
    },
};
use proptest::prelude::*;

type History = Vec<Operation<AggregateInput, AggregateOutput>>;

const REFUSALS: [&str; 15] = [
    "order-already-placed",
    "order-without-lines",
    "order-not-placed",
    "order-not-paid",
    "order-already-paid",
    "order-already-shipped",
    "order-cancelled",
    "payment-amount-mismatch",
    "payment-already-processed",
    "payment-not-processed",
    "refund-exceeds-payment",
    "cart-empty",
    "cart-abandoned",
    "cart-item-missing",
    "cart-of-another-customer",
];

fn order_command() -> impl Strategy<Value = SentCommand> {
    let id = || "o-1".to_owned();
    let line = SentLine { sku: "A".to_owned(), quantity: 1, unit_price_cents: 5 };
    prop_oneof![
        (0..2usize).prop_map(move |count| SentCommand::PlaceOrder {
            order_id: id(),
            customer_id: "x".to_owned(),
            lines: vec![line.clone(); count]
        }),
        (5..7u64).prop_map(move |amount_cents| SentCommand::ConfirmPayment {
            order_id: id(),
            payment_id: "p-1".to_owned(),
            amount_cents
        }),
        Just(SentCommand::ShipOrder { order_id: id() }),
        (5..7u64).prop_map(move |amount_cents| SentCommand::ConfirmPaymentAndShip {
            order_id: id(),
            payment_id: "p-1".to_owned(),
            amount_cents
        }),
        Just(SentCommand::CancelOrder { order_id: id() }),
    ]
}

fn payment_command() -> impl Strategy<Value = SentCommand> {
    (any::<bool>(), 1..4u64).prop_map(|(is_refund, amount_cents)| {
        let payment_id = "p-1".to_owned();
        if is_refund {
            SentCommand::RefundPayment { payment_id, amount_cents }
        } else {
            SentCommand::ProcessPayment { payment_id, amount_cents: amount_cents * 2 }
        }
    })
}

fn cart_command() -> impl Strategy<Value = SentCommand> {
    (0..10u8, any::<bool>(), any::<bool>()).prop_map(|(kind, is_first_sku, is_owner)| {
        let (cart_id, sku) = ("c-1".to_owned(), if is_first_sku { "A" } else { "B" }.to_owned());
        let customer_id = if is_owner { "x" } else { "y" }.to_owned();
        match kind {
            0 => SentCommand::AbandonCart { cart_id },
            1..4 => SentCommand::RemoveItemFromCart { cart_id, sku },
            8.. => {
                let new_sku = if is_owner { "A" } else { "B" }.to_owned();
                SentCommand::ReplaceItemInCart { cart_id, sku, new_sku, quantity: 2, unit_price_cents: 3 }
            }
            _ => SentCommand::AddItemToCart { cart_id, customer_id, sku, quantity: 1, unit_price_cents: 5 },
        }
    })
}

/// Every answer that a service could give to a command on an aggregate of this version.
fn possible_answers(command: &SentCommand, version: u64) -> Vec<AggregateOutput> {
    let types = command.event_types().iter().map(|name| (*name).to_owned());
    let events: Vec<(String, u64)> = types.zip(version + 1..).collect();
    let accepted = AggregateOutput::Accepted { version: version + events.len() as u64, events };
    let refused = REFUSALS.iter().map(|code| AggregateOutput::Refused { code: (*code).to_owned() });
    std::iter::once(accepted).chain(refused).collect()
}

/// Carries the commands out one after the other, then stretches each over its neighbours and loses some answers.
fn concurrent(commands: Vec<(SentCommand, u64, u64, u8)>) -> History {
    let model = AggregateModel;
    let (mut state, mut version, mut history) = (model.initial(), 0, History::new());
    for (instant, (command, early_ns, late_ns, fate)) in commands.into_iter().enumerate() {
        let effect_ns = 100 + 10 * instant as u64;
        let answers = possible_answers(&command, version);
        let input = AggregateInput::Command(command);
        let (after, output) = answers
            .into_iter()
            .find_map(|output| Some((model.step(&state, &input, Some(&output))?, output)))
            .expect("each command is accepted or refused for a known reason");
        if fate != 0 {
            if let AggregateOutput::Accepted { version: reached, .. } = &output {
                version = *reached;
            }
            state = after;
        }
        let completion = (fate > 1).then_some(Completion { output, completed_ns: effect_ns + late_ns });
        history.push(Operation { input, invoked_ns: effect_ns - early_ns, completion });
    }
    history
}

fn history(length: usize) -> impl Strategy<Value = History> {
    fn of(command: impl Strategy<Value = SentCommand>, length: usize) -> impl Strategy<Value = History> {
        prop::collection::vec((command, 0..40u64, 0..40u64, 0..10u8), 1..length).prop_map(concurrent)
    }
    prop_oneof![of(order_command(), length), of(payment_command(), length), of(cart_command(), length)]
}

fn brute_force(history: &History, state: &AggregateState, ordered: &mut Vec<usize>) -> bool {
    let left: Vec<usize> = (0..history.len()).filter(|index| !ordered.contains(index)).collect();
    if left.iter().all(|&index| history[index].completion.is_none()) {
        return true;
    }
    left.iter().any(|&next| {
        let must_wait = left.iter().any(|&other| {
            history[other].completion.as_ref().is_some_and(|answer| answer.completed_ns < history[next].invoked_ns)
        });
        let output = history[next].completion.as_ref().map(|answer| &answer.output);
        let after = AggregateModel.step(state, &history[next].input, output).filter(|_| !must_wait);
        after.is_some_and(|after| {
            ordered.push(next);
            let found = brute_force(history, &after, ordered);
            ordered.pop();
            found
        })
    })
}

fn is_accepted(history: &History) -> bool {
    match decide(&AggregateModel, history, u64::MAX) {
        Verdict::Linearizable { .. } => true,
        Verdict::NotLinearizable { .. } => false,
        Verdict::Undecided { .. } => panic!("no bound was set"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stretched_executions_are_accepted(history in history(40)) {
        prop_assert!(is_accepted(&history));
    }

    #[test]
    fn changed_answers_get_the_verdict_of_brute_force(
        history in history(7),
        position in any::<prop::sample::Index>(),
        choice in any::<prop::sample::Index>(),
        version in 0..4u64,
    ) {
        let mut history = history;
        let position = position.index(history.len());
        let AggregateInput::Command(command) = history[position].input.clone() else { unreachable!("only commands") };
        if let Some(completion) = &mut history[position].completion {
            let answers = possible_answers(&command, version);
            completion.output = answers[choice.index(answers.len())].clone();
        }
        let expected = brute_force(&history, &AggregateModel.initial(), &mut Vec::new());
        prop_assert_eq!(is_accepted(&history), expected);
    }

    #[test]
    fn a_version_given_twice_is_rejected(history in history(30), position in any::<prop::sample::Index>()) {
        let mut history = history;
        let is_acceptance = |operation: &Operation<AggregateInput, AggregateOutput>| {
            matches!(&operation.completion, Some(Completion { output: AggregateOutput::Accepted { .. }, .. }))
        };
        let accepted: Vec<usize> = (0..history.len()).filter(|&index| is_acceptance(&history[index])).collect();
        prop_assume!(!accepted.is_empty());
        let mut again = history[accepted[position.index(accepted.len())]].clone();
        again.invoked_ns += 1;
        history.push(again);
        prop_assert!(!is_accepted(&history));
    }
}
