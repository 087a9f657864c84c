//! Given a history, when a command comes, then these events follow or this refusal: every command in every state.
#![forbid(unsafe_code)]

use nexus_domain::{Aggregate, AggregateKind, Command, Event, OrderLine, RefundDue, Refusal};

fn line(sku: &str, quantity: u32, unit_price_cents: u64) -> OrderLine {
    OrderLine { sku: sku.into(), quantity, unit_price_cents }
}

fn place(lines: Vec<OrderLine>) -> Command {
    Command::PlaceOrder { order_id: "o".into(), customer_id: "c".into(), currency: "EUR".into(), lines }
}

fn confirm(amount_cents: u64) -> Command {
    Command::ConfirmPayment { order_id: "o".into(), payment_id: "p".into(), amount_cents }
}

fn ship() -> Command {
    Command::ShipOrder { order_id: "o".into(), carrier: "DHL".into(), tracking_number: "T-1".into() }
}

fn confirm_and_ship(amount_cents: u64) -> Command {
    Command::ConfirmPaymentAndShip {
        order_id: "o".into(),
        payment_id: "p".into(),
        amount_cents,
        carrier: "Download".into(),
        tracking_number: "T-2".into(),
    }
}

fn cancel() -> Command {
    Command::CancelOrder { order_id: "o".into(), reason: "late".into() }
}

fn process(amount_cents: u64) -> Command {
    Command::ProcessPayment { payment_id: "p".into(), order_id: "o".into(), amount_cents, method: "card".into() }
}

fn refund(amount_cents: u64) -> Command {
    Command::RefundPayment { payment_id: "p".into(), amount_cents }
}

fn add(customer: &str, sku: &str, quantity: u32, unit_price_cents: u64) -> Command {
    Command::AddItemToCart {
        cart_id: "k".into(),
        customer_id: customer.into(),
        sku: sku.into(),
        quantity,
        unit_price_cents,
    }
}

fn remove(sku: &str) -> Command {
    Command::RemoveItemFromCart { cart_id: "k".into(), sku: sku.into() }
}

fn replace(sku: &str, new_sku: &str, quantity: u32, unit_price_cents: u64) -> Command {
    Command::ReplaceItemInCart {
        cart_id: "k".into(),
        sku: sku.into(),
        new_sku: new_sku.into(),
        quantity,
        unit_price_cents,
    }
}

fn abandon() -> Command {
    Command::AbandonCart { cart_id: "k".into() }
}

/// The state after commands that all succeed.
fn given(kind: AggregateKind, history: &[Command]) -> Aggregate {
    let mut state = Aggregate::new(kind);
    for command in history {
        for event in state.decide(command).unwrap_or_else(|refusal| panic!("{command:?}: {refusal}")) {
            state.evolve(&event);
        }
    }
    state
}

fn when(state: &Aggregate, command: &Command) -> Result<Vec<Event>, Refusal> {
    state.decide(command)
}

/// One word for the answer: the refusal's code, or the events' types.
fn answer(decided: &Result<Vec<Event>, Refusal>) -> &'static str {
    match decided {
        Ok(events) => match &events[..] {
            [event] => event.event_type(),
            [Event::PaymentConfirmed { .. }, Event::OrderShipped { .. }] => "PaymentConfirmed+OrderShipped",
            [Event::ItemRemovedFromCart { .. }, Event::ItemAddedToCart { .. }] => "ItemRemovedFromCart+ItemAddedToCart",
            others => panic!("no command causes {others:?}"),
        },
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            refusal.code()
        }
    }
}

/// Rows are states (as the commands that lead there), columns are commands; a cell is the answer.
fn assert_table(kind: AggregateKind, commands: &[Command], rows: &[(&str, Vec<Command>, Vec<&str>)]) {
    for (name, history, expected) in rows {
        let state = given(kind, history);
        let answers: Vec<_> = commands.iter().map(|command| answer(&when(&state, command))).collect();
        assert_eq!(&answers, expected, "{kind} in state {name}");
    }
}

fn placed() -> Vec<Command> {
    vec![place(vec![line("A", 2, 250), line("B", 1, 99)])]
}

fn paid() -> Vec<Command> {
    [placed(), vec![confirm(599)]].concat()
}

#[test]
fn orders() {
    let again = placed().remove(0);
    let commands = [
        again,
        place(vec![]),
        confirm(599),
        confirm(600),
        confirm(0),
        ship(),
        cancel(),
        confirm_and_ship(599),
        confirm_and_ship(600),
    ];
    let already = "order-already-placed";
    let cancelled = "order-cancelled";
    let rows = [
        (
            "nothing",
            vec![],
            vec![
                "OrderPlaced",
                "order-without-lines",
                "order-not-placed",
                "order-not-placed",
                "order-not-placed",
                "order-not-placed",
                "order-not-placed",
                "order-not-placed",
                "order-not-placed",
            ],
        ),
        (
            "placed",
            placed(),
            vec![
                already,
                already,
                "PaymentConfirmed",
                "payment-amount-mismatch",
                "payment-amount-mismatch",
                "order-not-paid",
                "OrderCancelled",
                "PaymentConfirmed+OrderShipped",
                "payment-amount-mismatch",
            ],
        ),
        (
            "paid",
            paid(),
            vec![
                already,
                already,
                "order-already-paid",
                "order-already-paid",
                "order-already-paid",
                "OrderShipped",
                "OrderCancelled",
                "order-already-paid",
                "order-already-paid",
            ],
        ),
        (
            "shipped",
            [paid(), vec![ship()]].concat(),
            vec![
                already,
                already,
                "order-already-paid",
                "order-already-paid",
                "order-already-paid",
                "order-already-shipped",
                "order-already-shipped",
                "order-already-paid",
                "order-already-paid",
            ],
        ),
        (
            "paid and shipped at once",
            [placed(), vec![confirm_and_ship(599)]].concat(),
            vec![
                already,
                already,
                "order-already-paid",
                "order-already-paid",
                "order-already-paid",
                "order-already-shipped",
                "order-already-shipped",
                "order-already-paid",
                "order-already-paid",
            ],
        ),
        (
            "cancelled before payment",
            [placed(), vec![cancel()]].concat(),
            vec![already, already, cancelled, cancelled, cancelled, cancelled, cancelled, cancelled, cancelled],
        ),
        (
            "cancelled after payment",
            [paid(), vec![cancel()]].concat(),
            vec![already, already, cancelled, cancelled, cancelled, cancelled, cancelled, cancelled, cancelled],
        ),
    ];
    assert_table(AggregateKind::Order, &commands, &rows);
}

#[test]
fn payments() {
    let commands = [process(500), process(0), refund(0), refund(1), refund(200), refund(201), refund(u64::MAX)];
    let not = "payment-not-processed";
    let already = "payment-already-processed";
    let exceeds = "refund-exceeds-payment";
    let yes = "PaymentRefunded";
    let rows = [
        ("nothing", vec![], vec!["PaymentProcessed", "amount-zero", not, not, not, not, not]),
        ("processed", vec![process(500)], vec![already, already, "amount-zero", yes, yes, yes, exceeds]),
        (
            "refunded in part",
            vec![process(500), refund(100), refund(200)],
            vec![already, already, "amount-zero", yes, yes, exceeds, exceeds],
        ),
        (
            "refunded whole",
            vec![process(500), refund(500)],
            vec![already, already, "amount-zero", exceeds, exceeds, exceeds, exceeds],
        ),
    ];
    assert_table(AggregateKind::Payment, &commands, &rows);
}

#[test]
fn carts() {
    let commands = [
        add("c", "A", 1, 100),
        add("d", "A", 1, 100),
        remove("A"),
        remove("B"),
        abandon(),
        replace("A", "B", 2, 50),
        replace("B", "A", 2, 50),
    ];
    let (added, removed, missing) = ("ItemAddedToCart", "ItemRemovedFromCart", "cart-item-missing");
    let gone = "cart-abandoned";
    let foreign = "cart-of-another-customer";
    let replaced = "ItemRemovedFromCart+ItemAddedToCart";
    let rows = [
        ("nothing", vec![], vec![added, added, missing, missing, "cart-empty", missing, missing]),
        (
            "filled",
            vec![add("c", "A", 1, 100)],
            vec![added, foreign, removed, missing, "CartAbandoned", replaced, missing],
        ),
        (
            "emptied",
            vec![add("c", "A", 1, 100), remove("A")],
            vec![added, foreign, missing, missing, "cart-empty", missing, missing],
        ),
        (
            "replaced",
            vec![add("c", "A", 1, 100), replace("A", "B", 2, 50)],
            vec![added, foreign, missing, removed, "CartAbandoned", missing, replaced],
        ),
        ("abandoned", vec![add("c", "A", 1, 100), abandon()], vec![gone; 7]),
    ];
    assert_table(AggregateKind::Cart, &commands, &rows);
}

#[test]
fn a_command_for_another_aggregate_is_refused_in_every_state() {
    let states = [
        given(AggregateKind::Order, &[]),
        given(AggregateKind::Order, &paid()),
        given(AggregateKind::Payment, &[process(1)]),
        given(AggregateKind::Cart, &[add("c", "A", 1, 1)]),
    ];
    let commands = [
        placed().remove(0),
        confirm(1),
        ship(),
        confirm_and_ship(1),
        cancel(),
        process(1),
        refund(1),
        remove("A"),
        replace("A", "B", 1, 1),
        abandon(),
    ];
    for state in &states {
        for command in &commands {
            let foreign = command.aggregate_id().unwrap().kind != state.kind();
            let refused_as_foreign = matches!(when(state, command), Err(Refusal::WrongAggregate { .. }));
            assert_eq!(refused_as_foreign, foreign, "{command:?} to {state:?}");
        }
    }
    let other_id = Command::CancelOrder { order_id: "o-2".into(), reason: "late".into() };
    assert_eq!(when(&states[1], &other_id).unwrap_err().code(), "wrong-aggregate");
}

#[test]
fn an_order_keeps_what_it_was_placed_with() {
    let Aggregate::Order(order) = given(AggregateKind::Order, &[paid(), vec![ship()]].concat()) else {
        panic!("an order stays an order");
    };
    assert_eq!(
        serde_json::to_value(order).unwrap(),
        serde_json::json!({
            "order_id": "o", "status": "shipped", "customer_id": "c", "currency": "EUR", "total_cents": 599,
            "lines": [
                {"sku": "A", "quantity": 2, "unit_price_cents": 250},
                {"sku": "B", "quantity": 1, "unit_price_cents": 99},
            ],
            "payment_id": "p", "carrier": "DHL", "tracking_number": "T-1", "cancel_reason": null,
        })
    );
}

#[test]
fn two_events_of_one_decision_say_what_two_commands_would() {
    let at_once = when(&given(AggregateKind::Order, &placed()), &confirm_and_ship(599)).unwrap();
    let shipped =
        Event::OrderShipped { order_id: "o".into(), carrier: "Download".into(), tracking_number: "T-2".into() };
    let confirmed = Event::PaymentConfirmed { order_id: "o".into(), payment_id: "p".into(), amount_cents: 599 };
    assert_eq!(at_once, [confirmed, shipped]);

    let cart = [add("c", "A", 2, 100), add("c", "B", 1, 30)];
    let replaced = when(&given(AggregateKind::Cart, &cart), &replace("A", "B", 4, 20)).unwrap();
    let removed = Event::ItemRemovedFromCart { cart_id: "k".into(), sku: "A".into() };
    let added = Event::ItemAddedToCart {
        cart_id: "k".into(),
        customer_id: "c".into(),
        sku: "B".into(),
        quantity: 4,
        unit_price_cents: 20,
    };
    assert_eq!(replaced, [removed, added]);
    let history = [cart.to_vec(), vec![replace("A", "B", 4, 20)]].concat();
    let Aggregate::Cart(cart) = given(AggregateKind::Cart, &history) else { panic!("a cart stays a cart") };
    assert_eq!(cart.lines.into_values().collect::<Vec<_>>(), [line("B", 5, 20)]);
}

#[test]
fn an_article_replaced_by_itself_counts_without_its_old_quantity() {
    let full = given(AggregateKind::Cart, &[add("c", "A", u32::MAX, 1)]);
    assert_eq!(answer(&when(&full, &replace("A", "A", u32::MAX, 1))), "ItemRemovedFromCart+ItemAddedToCart");
    let both = given(AggregateKind::Cart, &[add("c", "A", 1, 1), add("c", "B", u32::MAX, 1)]);
    assert_eq!(when(&both, &replace("A", "B", 1, 1)).unwrap_err().code(), "amount-overflow");
}

#[test]
fn a_cancellation_tells_what_to_give_back() {
    let refund_due =
        |history: &[Command]| match when(&given(AggregateKind::Order, history), &cancel()).unwrap().remove(0) {
            Event::OrderCancelled { refund_due, .. } => refund_due,
            other => panic!("{other:?}"),
        };
    assert_eq!(refund_due(&placed()), None);
    assert_eq!(refund_due(&paid()), Some(RefundDue { payment_id: "p".into(), amount_cents: 599 }));
}

#[test]
fn a_cart_adds_quantities_up_and_takes_the_newest_price() {
    let Aggregate::Cart(cart) = given(AggregateKind::Cart, &[add("c", "A", 2, 100), add("c", "A", 3, 90)]) else {
        panic!("a cart stays a cart");
    };
    assert_eq!(cart.lines["A"], line("A", 5, 90));
    assert_eq!(cart.total_cents(), Some(450));
}

#[test]
fn money_and_quantities_that_do_not_fit_are_refused() {
    let nothing = Aggregate::new(AggregateKind::Order);
    let too_much = [
        place(vec![line("A", 2, u64::MAX)]),
        place(vec![line("A", 1, u64::MAX), line("B", 1, 1)]),
        place(vec![line("A", u32::MAX, u64::MAX)]),
    ];
    for command in &too_much {
        assert_eq!(when(&nothing, command).unwrap_err().code(), "amount-overflow", "{command:?}");
    }
    assert_eq!(answer(&when(&nothing, &place(vec![line("A", 1, u64::MAX)]))), "OrderPlaced");
    let full = given(AggregateKind::Cart, &[add("c", "A", u32::MAX, 1)]);
    assert_eq!(when(&full, &add("c", "A", 1, 1)).unwrap_err().code(), "amount-overflow");
    assert_eq!(when(&full, &add("c", "B", 1, u64::MAX)).unwrap_err().code(), "amount-overflow");
    assert_eq!(answer(&when(&full, &add("c", "B", 1, 1))), "ItemAddedToCart");
}

#[test]
fn refusals_carry_their_data() {
    let state = given(AggregateKind::Payment, &[process(500), refund(300)]);
    let expected = Refusal::RefundExceedsPayment {
        payment_id: "p".into(),
        processed_cents: 500,
        refunded_cents: 300,
        amount_cents: 201,
    };
    assert_eq!(when(&state, &refund(201)).unwrap_err(), expected);
    assert_eq!(expected.to_string(), "payment p took 500 cents and gave back 300: it cannot give back 201 more");
    let mismatch = when(&given(AggregateKind::Order, &placed()), &confirm(1)).unwrap_err();
    assert_eq!(mismatch.to_string(), "order o costs 599 cents, but the payment confirms 1");
}
