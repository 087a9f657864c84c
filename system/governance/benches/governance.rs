//! What governance costs on the write path: one validation per event type, one policy decision.
#![forbid(unsafe_code)]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use nexus_domain::{Event, OrderLine, RefundDue};
use nexus_governance::{PolicyEnforcer, PolicyInput, SchemaValidator, TemporalQueryInput};

fn line(number: u32) -> OrderLine {
    OrderLine { sku: format!("SKU-{number}"), quantity: number + 1, unit_price_cents: 1_999 }
}

fn order(lines: u32) -> Event {
    Event::OrderPlaced {
        order_id: "o-1".into(),
        customer_id: "c-1".into(),
        currency: "EUR".into(),
        lines: (0..lines).map(line).collect(),
        total_cents: 5_997,
    }
}

fn events() -> Vec<(&'static str, Event)> {
    let (order_id, payment_id, cart_id) = ("o-1".to_owned(), "p-1".to_owned(), "c-1".to_owned());
    let customer_id = "customer-1".to_owned();
    vec![
        ("OrderPlaced, 2 lines", order(2)),
        ("OrderPlaced, 50 lines", order(50)),
        (
            "PaymentConfirmed",
            Event::PaymentConfirmed { order_id: order_id.clone(), payment_id: payment_id.clone(), amount_cents: 5_997 },
        ),
        (
            "OrderShipped",
            Event::OrderShipped { order_id: order_id.clone(), carrier: "DHL".into(), tracking_number: "JD0146".into() },
        ),
        (
            "OrderCancelled",
            Event::OrderCancelled {
                order_id: order_id.clone(),
                reason: "ordered by mistake".into(),
                refund_due: Some(RefundDue { payment_id: payment_id.clone(), amount_cents: 5_997 }),
            },
        ),
        (
            "PaymentProcessed",
            Event::PaymentProcessed {
                payment_id: payment_id.clone(),
                order_id: order_id.clone(),
                amount_cents: 5_997,
                method: "card".into(),
            },
        ),
        ("PaymentRefunded", Event::PaymentRefunded { payment_id, order_id, amount_cents: 5_997 }),
        (
            "ItemAddedToCart",
            Event::ItemAddedToCart {
                cart_id: cart_id.clone(),
                customer_id: customer_id.clone(),
                sku: "SKU-1".into(),
                quantity: 2,
                unit_price_cents: 1_999,
            },
        ),
        ("ItemRemovedFromCart", Event::ItemRemovedFromCart { cart_id: cart_id.clone(), sku: "SKU-1".into() }),
        ("CartAbandoned", Event::CartAbandoned { cart_id, customer_id, total_cents: 1_999 }),
    ]
}

fn validation(criterion: &mut Criterion) {
    let validator = SchemaValidator::from_catalogue().expect("the catalogue compiles");
    let mut group = criterion.benchmark_group("validate");
    for (name, event) in events() {
        let payload = event.payload();
        validator.validate(event.event_type(), event.schema_version(), &payload).expect("the sample is valid");
        group.bench_function(name, |bencher| {
            bencher
                .iter(|| validator.validate(event.event_type(), event.schema_version(), black_box(&payload)).is_ok());
        });
    }
    let mut wrong = order(2).payload();
    wrong["currency"] = "euro".into();
    assert!(validator.validate("OrderPlaced", 2, &wrong).is_err(), "the sample is invalid");
    group.bench_function("OrderPlaced, refused", |bencher| {
        bencher.iter(|| validator.validate("OrderPlaced", 2, black_box(&wrong)).is_err());
    });
    group.finish();
}

fn decision(criterion: &mut Criterion) {
    let enforcer = PolicyEnforcer::from_catalogue().expect("the bundle compiles");
    let allowed = PolicyInput {
        service: "command-service".into(),
        operation: "append-event".into(),
        store: "event-store".into(),
        role: "customer".into(),
        command: "PlaceOrder".into(),
        aggregate: "order-o-1".into(),
        event_types: vec!["OrderPlaced".into()],
        amount_cents: Some(5_997),
    };
    let denied = PolicyInput { role: "warehouse".into(), ..allowed.clone() };
    assert!(enforcer.decide(&allowed).is_allowed() && !enforcer.decide(&denied).is_allowed());
    let policies = enforcer.in_force();
    let past = TemporalQueryInput {
        service: "query-dashboard".into(),
        store: "event-store".into(),
        role: "customer".into(),
        client: "client-1".into(),
        queries_in_last_minute: 3,
    };
    assert!(enforcer.decide(&past).is_allowed());
    let mut group = criterion.benchmark_group("policy");
    group.bench_function("allowed", |bencher| bencher.iter(|| enforcer.decide(black_box(&allowed))));
    group.bench_function("denied", |bencher| bencher.iter(|| enforcer.decide(black_box(&denied))));
    group.bench_function("temporal query", |bencher| bencher.iter(|| enforcer.decide(black_box(&past))));
    group.bench_function("for the record", |bencher| {
        bencher.iter(|| enforcer.decide_for_the_record(black_box(&allowed)))
    });
    group.bench_function("allowed, by the interpreter", |bencher| {
        bencher.iter(|| policies.interpret(black_box(&allowed)))
    });
    group.finish();
}

criterion_group!(governance, validation, decision);
criterion_main!(governance);
