//! Laws that hold for every sequence of commands, sensible or not.
#![forbid(unsafe_code)]

use nexus_domain::{Aggregate, AggregateKind, CartStatus, Command, Event, OrderLine, OrderStatus};
use proptest::prelude::*;

/// Few ids, names and amounts, so that commands meet; the extremes, so that sums are tried at their end.
fn amount() -> impl Strategy<Value = u64> {
    prop_oneof![12 => 0_u64..3, 1 => Just(u64::MAX), 1 => any::<u64>()]
}

fn quantity() -> impl Strategy<Value = u32> {
    prop_oneof![12 => 0_u32..3, 1 => Just(u32::MAX), 1 => any::<u32>()]
}

fn sku() -> impl Strategy<Value = String> {
    prop_oneof![Just("A".to_owned()), Just("B".to_owned()), Just("not a sku".to_owned())]
}

fn id() -> impl Strategy<Value = String> {
    prop_oneof![12 => Just("1".to_owned()), 1 => Just("2".to_owned())]
}

fn lines() -> impl Strategy<Value = Vec<OrderLine>> {
    let line = (sku(), quantity(), amount()).prop_map(|(sku, quantity, unit_price_cents)| OrderLine {
        sku,
        quantity,
        unit_price_cents,
    });
    prop::collection::vec(line, 0..3)
}

fn order_command() -> impl Strategy<Value = Command> {
    let text = || "x".to_owned();
    prop_oneof![
        3 => (id(), id(), lines()).prop_map(move |(order_id, customer_id, lines)| Command::PlaceOrder {
            order_id,
            customer_id,
            currency: text(),
            lines
        }),
        4 => (id(), id(), amount()).prop_map(|(order_id, payment_id, amount_cents)| Command::ConfirmPayment {
            order_id,
            payment_id,
            amount_cents
        }),
        2 => (id(), id(), amount()).prop_map(move |(order_id, payment_id, amount_cents)| {
            Command::ConfirmPaymentAndShip {
                order_id,
                payment_id,
                amount_cents,
                carrier: text(),
                tracking_number: text(),
            }
        }),
        2 => id().prop_map(move |order_id| Command::ShipOrder { order_id, carrier: text(), tracking_number: text() }),
        1 => id().prop_map(move |order_id| Command::CancelOrder { order_id, reason: text() }),
    ]
}

fn payment_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        (id(), id(), amount()).prop_map(|(payment_id, order_id, amount_cents)| Command::ProcessPayment {
            payment_id,
            order_id,
            amount_cents,
            method: "x".to_owned()
        }),
        (id(), amount()).prop_map(|(payment_id, amount_cents)| Command::RefundPayment { payment_id, amount_cents }),
    ]
}

fn cart_command() -> impl Strategy<Value = Command> {
    prop_oneof![
        8 => (id(), id(), sku(), quantity(), amount()).prop_map(
            |(cart_id, customer_id, sku, quantity, unit_price_cents)| Command::AddItemToCart {
                cart_id,
                customer_id,
                sku,
                quantity,
                unit_price_cents
            }
        ),
        4 => (id(), sku()).prop_map(|(cart_id, sku)| Command::RemoveItemFromCart { cart_id, sku }),
        4 => (id(), sku(), sku(), quantity(), amount()).prop_map(
            |(cart_id, sku, new_sku, quantity, unit_price_cents)| Command::ReplaceItemInCart {
                cart_id,
                sku,
                new_sku,
                quantity,
                unit_price_cents
            }
        ),
        1 => id().prop_map(|cart_id| Command::AbandonCart { cart_id }),
    ]
}

fn any_command() -> impl Strategy<Value = Command> {
    prop_oneof![order_command(), payment_command(), cart_command()]
}

/// Commands of which most concern the aggregate's kind.
fn commands(kind: AggregateKind) -> impl Strategy<Value = Vec<Command>> {
    let own = match kind {
        AggregateKind::Order => order_command().boxed(),
        AggregateKind::Cart => cart_command().boxed(),
        AggregateKind::Payment => payment_command().boxed(),
    };
    prop::collection::vec(prop_oneof![15 => own, 1 => any_command()], 0..24)
}

fn kind_and_commands() -> impl Strategy<Value = (AggregateKind, Vec<Command>)> {
    prop::sample::select(AggregateKind::ALL.to_vec()).prop_flat_map(|kind| (Just(kind), commands(kind)))
}

fn run(kind: AggregateKind, commands: &[Command]) -> (Aggregate, Vec<Event>) {
    let mut state = Aggregate::new(kind);
    let mut history = Vec::new();
    for command in commands {
        if let Ok(events) = state.decide(command) {
            assert!(!events.is_empty(), "{command:?} succeeds without an event");
            events.iter().for_each(|event| state.evolve(event));
            history.extend(events);
        }
    }
    (state, history)
}

fn refunded(history: &[Event]) -> u128 {
    let amounts = history.iter().map(|event| match event {
        Event::PaymentRefunded { amount_cents, .. } => u128::from(*amount_cents),
        _ => 0,
    });
    amounts.sum()
}

fn count(history: &[Event], event_type: &str) -> usize {
    history.iter().filter(|event| event.event_type() == event_type).count()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stored_histories_replay_to_the_same_state((kind, commands) in kind_and_commands()) {
        let (state, history) = run(kind, &commands);
        let read: Vec<Event> = history
            .iter()
            .map(|event| Event::from_stored(event.event_type(), event.schema_version(), &event.payload()).unwrap())
            .collect();
        prop_assert_eq!(&read, &history);
        prop_assert_eq!(Aggregate::replay(kind, &read), state.clone());
        let through_json: Aggregate = serde_json::from_value(serde_json::to_value(&state).unwrap()).unwrap();
        prop_assert_eq!(through_json, state);
    }

    #[test]
    fn no_more_money_goes_back_than_came(commands in commands(AggregateKind::Payment)) {
        let (state, history) = run(AggregateKind::Payment, &commands);
        let Aggregate::Payment(payment) = state else { unreachable!() };
        prop_assert!(payment.refunded_cents <= payment.processed_cents);
        prop_assert_eq!(u128::from(payment.refunded_cents), refunded(&history));
        prop_assert!(count(&history, "PaymentProcessed") <= 1);
    }

    #[test]
    fn an_order_goes_its_way_once(commands in commands(AggregateKind::Order)) {
        let (state, history) = run(AggregateKind::Order, &commands);
        let Aggregate::Order(order) = state else { unreachable!() };
        for event_type in ["OrderPlaced", "PaymentConfirmed", "OrderShipped", "OrderCancelled"] {
            prop_assert!(count(&history, event_type) <= 1, "{}", event_type);
        }
        let shipped = count(&history, "OrderShipped") == 1;
        prop_assert_eq!(order.status == OrderStatus::Shipped, shipped);
        prop_assert!(!shipped || count(&history, "PaymentConfirmed") == 1);
        prop_assert!(!(shipped && count(&history, "OrderCancelled") == 1));
        prop_assert_eq!(order.payment_id.is_some(), count(&history, "PaymentConfirmed") == 1);
        let confirmed = history.iter().all(|event| {
            !matches!(event, Event::PaymentConfirmed { amount_cents, .. } if *amount_cents != order.total_cents)
        });
        prop_assert!(confirmed);
    }

    #[test]
    fn nothing_follows_an_abandoned_cart(commands in commands(AggregateKind::Cart)) {
        let (state, history) = run(AggregateKind::Cart, &commands);
        let Aggregate::Cart(cart) = state else { unreachable!() };
        let abandoned = history.iter().position(|event| event.event_type() == "CartAbandoned");
        prop_assert_eq!(cart.status == CartStatus::Abandoned, abandoned.is_some());
        prop_assert!(abandoned.is_none_or(|position| position + 1 == history.len()));
        prop_assert!(cart.total_cents().is_some(), "what is in a cart can be added up");
        prop_assert!(abandoned.is_none() || !cart.lines.is_empty());
    }

    #[test]
    fn deciding_is_a_function((kind, commands) in kind_and_commands(), last in any_command()) {
        let (state, _) = run(kind, &commands);
        prop_assert_eq!(state.decide(&last), state.decide(&last));
    }

    /// Facts from anywhere, in any order: what a damaged or foreign history could hold.
    #[test]
    fn evolve_takes_any_event_in_any_state(histories in prop::collection::vec(kind_and_commands(), 3)) {
        let mixed: Vec<Event> = histories.iter().flat_map(|(kind, commands)| run(*kind, commands).1).collect();
        for kind in AggregateKind::ALL {
            let disordered = Aggregate::replay(kind, mixed.iter().chain(&mixed).rev());
            prop_assert_eq!(disordered.kind(), kind);
        }
    }
}

/// The generators above must reach the rare states, or the laws hold of nothing.
#[test]
fn the_generated_commands_reach_every_event_type() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut seen = std::collections::BTreeSet::new();
    for kind in AggregateKind::ALL {
        for _ in 0..100 {
            let commands = commands(kind).new_tree(&mut runner).unwrap().current();
            seen.extend(run(kind, &commands).1.iter().map(Event::event_type));
        }
    }
    assert_eq!(seen, std::collections::BTreeSet::from(Event::TYPES));
}
