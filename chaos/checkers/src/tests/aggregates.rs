//! Linearizability of orders, payments and carts: histories that hold, and the smallest that do not.
#![forbid(unsafe_code)]

use serde_json::{Value, json};

use super::{
    finding,
    scene::{cancel, confirm, confirm_and_ship, place, ship},
};
use crate::{Attempt, CheckInput, Finding, Request, Response};

/// One attempt told in short: key, request, start, end (0: never), answer.
struct Told(&'static str, Value, u64, u64, Value);

fn accepted(version: u64, event_type: &str) -> Value {
    json!({"version": version, "replayed": false,
        "events": [{"event_id": format!("e-{version}"), "event_type": event_type, "version": version}]})
}

/// An acceptance with several events; `version` is the last one's.
fn accepted_together(version: u64, event_types: &[&str]) -> Value {
    let first = version + 1 - event_types.len() as u64;
    let events: Vec<Value> = event_types
        .iter()
        .zip(first..)
        .map(|(event_type, at)| json!({"event_id": format!("e-{at}"), "event_type": event_type, "version": at}))
        .collect();
    json!({"version": version, "replayed": false, "events": events})
}

fn refused(code: &str) -> Value {
    json!({"code": code, "outcome": "refused"})
}

fn shown(status: &str, version: u64) -> Value {
    json!({"status": status, "version": version, "total_cents": 1000})
}

fn read() -> Value {
    json!("o-1")
}

fn cart(kind: &str, customer: &str, quantity: u64) -> Value {
    json!({"type": kind, "cart_id": "c-1", "customer_id": customer, "sku": "A", "quantity": quantity, "unit_price_cents": 5})
}

fn process(amount_cents: u64) -> Value {
    json!({"type": "ProcessPayment", "payment_id": "p-1", "order_id": "o-1", "amount_cents": amount_cents, "method": "card"})
}

fn refund(amount_cents: u64) -> Value {
    json!({"type": "RefundPayment", "payment_id": "p-1", "amount_cents": amount_cents})
}

fn input(told: Vec<Told>) -> CheckInput {
    let mut input = CheckInput::default();
    for (number, Told(key, request, invoked_ns, completed_ns, mut answer)) in told.into_iter().enumerate() {
        let request = match request {
            Value::String(order_id) => Request::ReadOrder { order_id, eventual: false },
            body => Request::Command(body),
        };
        if answer.get("events").is_some() {
            answer["aggregate"] = json!("any");
        }
        let status = match (&answer["code"], &request) {
            (Value::Null, _) => 200,
            (_, Request::ReadOrder { .. }) => 404,
            (_, Request::Command(_)) if answer["outcome"] == "not-applied" => 503,
            (_, Request::Command(_)) => 409,
        };
        let is_answered = completed_ns > 0 && !answer.is_null();
        input.observation.attempts.push(Attempt {
            operation: number as u32,
            attempt: 1,
            customer: 1,
            idempotency_key: (!key.is_empty()).then(|| key.to_owned()),
            role: "system".to_owned(),
            request,
            invoked_ns,
            completed_ns: (completed_ns > 0).then_some(completed_ns),
            response: if is_answered {
                Response::Answered { status, body: answer }
            } else {
                Response::Unknown { reason: "time-out".to_owned() }
            },
        });
    }
    input
}

fn holding() -> Vec<(&'static str, Vec<Told>)> {
    let placed = || Told("a", place("o-1"), 1, 2, accepted(1, "OrderPlaced"));
    vec![
        (
            "a read beside a write may come first",
            vec![
                Told("a", place("o-1"), 1, 9, accepted(1, "OrderPlaced")),
                Told("", read(), 2, 3, refused("order-not-found")),
                Told("", read(), 4, 5, shown("placed", 1)),
            ],
        ),
        (
            "a pending command may take effect later",
            vec![
                placed(),
                Told("b", confirm("o-1"), 3, 0, Value::Null),
                Told("", read(), 4, 5, shown("placed", 1)),
                Told("", read(), 6, 7, shown("paid", 2)),
            ],
        ),
        (
            "a command with two events takes effect at one instant",
            vec![
                placed(),
                Told("b", confirm_and_ship("o-1"), 3, 9, accepted_together(3, &["PaymentConfirmed", "OrderShipped"])),
                Told("", read(), 4, 5, shown("placed", 1)),
                Told("", read(), 6, 7, shown("shipped", 3)),
            ],
        ),
        (
            "a pending command may never take effect",
            vec![
                placed(),
                Told("b", cancel("o-1"), 3, 0, Value::Null),
                Told("c", confirm("o-1"), 4, 5, accepted(2, "PaymentConfirmed")),
                Told("d", ship("o-1"), 6, 7, accepted(3, "OrderShipped")),
            ],
        ),
        (
            "retries under one key are one operation from the first request on",
            vec![
                Told("a", place("o-1"), 1, 2, Value::Null),
                Told("", read(), 3, 4, shown("placed", 1)),
                Told("a", place("o-1"), 5, 6, accepted(1, "OrderPlaced")),
            ],
        ),
        (
            "a refusal that was justified for a moment",
            vec![
                Told("a", ship("o-1"), 1, 20, refused("order-not-paid")),
                Told("b", place("o-1"), 2, 3, accepted(1, "OrderPlaced")),
                Told("c", confirm("o-1"), 4, 5, accepted(2, "PaymentConfirmed")),
            ],
        ),
        (
            "what was not applied changes nothing",
            vec![
                placed(),
                Told("b", cancel("o-1"), 3, 4, json!({"code": "conflict", "outcome": "not-applied"})),
                Told("", read(), 5, 6, shown("placed", 1)),
            ],
        ),
        (
            "a payment refunded in parts",
            vec![
                Told("a", process(10), 1, 2, accepted(1, "PaymentProcessed")),
                Told("b", refund(6), 3, 9, accepted(2, "PaymentRefunded")),
                Told("c", refund(6), 3, 9, refused("refund-exceeds-payment")),
                Told("d", refund(4), 10, 11, accepted(3, "PaymentRefunded")),
                Told("e", process(10), 12, 13, refused("payment-already-processed")),
            ],
        ),
        (
            "a cart filled, emptied and abandoned",
            vec![
                Told("a", cart("AddItemToCart", "x", 1), 1, 2, accepted(1, "ItemAddedToCart")),
                Told("b", cart("AddItemToCart", "y", 1), 3, 4, refused("cart-of-another-customer")),
                Told("c", cart("RemoveItemFromCart", "x", 1), 5, 6, accepted(2, "ItemRemovedFromCart")),
                Told("d", cart("AbandonCart", "x", 1), 7, 8, refused("cart-empty")),
                Told("e", cart("AddItemToCart", "x", 1), 9, 10, accepted(3, "ItemAddedToCart")),
                Told("f", cart("AbandonCart", "x", 1), 11, 12, accepted(4, "CartAbandoned")),
                Told("g", cart("AddItemToCart", "x", 1), 13, 14, refused("cart-abandoned")),
            ],
        ),
    ]
}

fn breaking() -> Vec<(&'static str, Vec<Told>)> {
    let placed = || Told("a", place("o-1"), 1, 2, accepted(1, "OrderPlaced"));
    vec![
        ("a read misses an acknowledged command", vec![placed(), Told("", read(), 3, 4, refused("order-not-found"))]),
        (
            "a read goes back in time",
            vec![
                placed(),
                Told("b", confirm("o-1"), 3, 9, accepted(2, "PaymentConfirmed")),
                Told("", read(), 4, 5, shown("paid", 2)),
                Told("", read(), 6, 7, shown("placed", 1)),
            ],
        ),
        (
            "one version is given twice",
            vec![
                placed(),
                Told("b", confirm("o-1"), 3, 9, accepted(2, "PaymentConfirmed")),
                Told("c", cancel("o-1"), 3, 9, accepted(2, "OrderCancelled")),
            ],
        ),
        ("shipped before it was paid", vec![placed(), Told("b", ship("o-1"), 3, 4, accepted(2, "OrderShipped"))]),
        (
            "a refusal without a reason",
            vec![placed(), Told("b", cancel("o-1"), 3, 4, refused("order-already-shipped"))],
        ),
        (
            "a refusal with another reason than the true one",
            vec![placed(), Told("b", ship("o-1"), 3, 4, refused("order-cancelled"))],
        ),
        (
            "a command that was not applied shows",
            vec![
                placed(),
                Told("b", cancel("o-1"), 3, 4, json!({"code": "conflict", "outcome": "not-applied"})),
                Told("", read(), 5, 6, shown("cancelled", 2)),
            ],
        ),
        (
            "a pending command shows before it was sent",
            vec![placed(), Told("", read(), 3, 4, shown("cancelled", 2)), Told("b", cancel("o-1"), 5, 0, Value::Null)],
        ),
        (
            "another event than the command's",
            vec![placed(), Told("b", cancel("o-1"), 3, 4, accepted(2, "OrderShipped"))],
        ),
        (
            "the first of two events shows without the second",
            vec![
                placed(),
                Told("b", confirm_and_ship("o-1"), 3, 9, accepted_together(3, &["PaymentConfirmed", "OrderShipped"])),
                Told("", read(), 4, 5, shown("paid", 2)),
            ],
        ),
        (
            "only one of two events was written",
            vec![placed(), Told("b", confirm_and_ship("o-1"), 3, 4, accepted(2, "PaymentConfirmed"))],
        ),
        (
            "two events in the wrong order",
            vec![
                placed(),
                Told("b", confirm_and_ship("o-1"), 3, 4, accepted_together(3, &["OrderShipped", "PaymentConfirmed"])),
            ],
        ),
        (
            "a payment gives back more than it took",
            vec![
                Told("a", process(10), 1, 2, accepted(1, "PaymentProcessed")),
                Told("b", refund(6), 3, 9, accepted(2, "PaymentRefunded")),
                Told("c", refund(6), 3, 9, accepted(3, "PaymentRefunded")),
            ],
        ),
        (
            "an abandoned cart is filled",
            vec![
                Told("a", cart("AddItemToCart", "x", 1), 1, 2, accepted(1, "ItemAddedToCart")),
                Told("b", cart("AbandonCart", "x", 1), 3, 4, accepted(2, "CartAbandoned")),
                Told("c", cart("AddItemToCart", "x", 1), 5, 6, accepted(3, "ItemAddedToCart")),
            ],
        ),
    ]
}

#[test]
fn histories_that_some_order_explains_hold() {
    for (why, told) in holding() {
        let count = told.len();
        let found = finding(&input(told), "linearizability");
        assert!(
            matches!(found, Finding::Held { examined } if examined > 0 && examined <= count as u64),
            "{why}: {found:#?}"
        );
    }
}

#[test]
fn histories_that_no_order_explains_break() {
    for (why, told) in breaking() {
        let found = finding(&input(told), "linearizability");
        let Finding::Broken { violations } = &found else { panic!("{why}: {found:#?}") };
        assert_eq!(violations.len(), 1, "{why}");
        let evidence = &violations[0].evidence;
        assert!(evidence.iter().any(|line| line.starts_with("cannot follow")), "{why}: {evidence:#?}");
        assert!(!violations[0].operations.is_empty(), "{why}");
    }
}

#[test]
fn the_work_bound_leaves_an_aggregate_undecided() {
    let mut bounded = input(holding().remove(1).1);
    bounded.settings.linearizability_steps_max = 2;
    let found = finding(&bounded, "linearizability");
    assert!(matches!(&found, Finding::Undecided { reason } if reason.contains("order-o-1")), "{found:#?}");
}
