//! The fold alone: what views are made of, and what cannot be folded.
#![forbid(unsafe_code)]

mod support;

use nexus_domain::{CURRENCY_BEFORE_V2, Event};
use nexus_ports::{EventRecord, Version, canonical_json};
use nexus_query_dashboard::{FoldError, fold};
use serde_json::{Value, json};
use support::{expected_views, order, payment, records};

fn folded(events: &[EventRecord]) -> Value {
    events.iter().fold(None, |view: Option<Value>, event| Some(fold(view.as_ref(), event).unwrap())).unwrap()
}

#[test]
fn every_history_folds_to_its_view() {
    for events in [order("o-1", false), order("o-2", true), payment("p-1", 1), payment("p-1", 3), payment("p-1", 6)] {
        for length in 1..=events.len() {
            let stream = events[0].stream.to_string();
            assert_eq!(folded(&events[..length]), expected_views(&events[..length])[&stream]);
        }
    }
}

#[test]
fn the_form_of_a_view_is_kept() {
    assert_eq!(
        canonical_json(&folded(&order("o-2", true))),
        concat!(
            r#"{"cancellation":{"reason":"too late","refund_due":{"amount_cents":500,"payment_id":"p-1"}},"currency":"EUR","#,
            r#""customer_id":"c-1","kind":"order","lines":[{"quantity":2,"sku":"TEA","unit_price_cents":250}],"#,
            r#""order_id":"o-2","payments":[{"amount_cents":500,"payment_id":"p-1"}],"shipment":null,"#,
            r#""status":"cancelled","stream":"order-o-2","total_cents":500,"version":3}"#
        )
    );
    assert_eq!(
        canonical_json(&folded(&payment("p-1", 2))),
        concat!(
            r#"{"kind":"payment","method":"card","order_id":"o-1","payment_id":"p-1","processed_cents":4,"#,
            r#""refunded_cents":1,"status":"partly-refunded","stream":"payment-p-1","version":2}"#
        )
    );
}

#[test]
fn an_older_form_of_an_event_is_raised() {
    let mut placed = order("o-1", false)[0].clone();
    let mut payload: Value = serde_json::from_str(&placed.payload).unwrap();
    payload.as_object_mut().unwrap().remove("currency");
    (placed.schema_version, placed.payload) = (1, canonical_json(&payload));
    assert_eq!(fold(None, &placed).unwrap()["currency"], CURRENCY_BEFORE_V2);
}

#[test]
fn what_cannot_be_folded_says_why() {
    let (order, payment) = (order("o-1", false), payment("p-1", 3));
    let placed = folded(&order[..1]);
    let processed = folded(&payment[..1]);
    let at = |event: &EventRecord, version: u64| EventRecord { version: Version(version), ..event.clone() };
    let with = |event: &EventRecord, payload: &str| EventRecord { payload: payload.to_owned(), ..event.clone() };
    let cart = records(&[Event::ItemRemovedFromCart { cart_id: "k-1".to_owned(), sku: "TEA".to_owned() }]);
    let huge = with(&payment[1], &format!(r#"{{"payment_id":"p-1","order_id":"o-1","amount_cents":{}}}"#, u64::MAX));
    let full = fold(Some(&processed), &huge).unwrap();
    let elsewhere = EventRecord { stream: "order-o-9".parse().unwrap(), ..order[0].clone() };
    let broken = json!({"kind": "order"});
    type IsExpected = fn(&FoldError) -> bool;
    let cases: [(&str, Option<&Value>, EventRecord, IsExpected); 10] = [
        ("gap", Some(&placed), order[2].clone(), |error| matches!(error, FoldError::NotNext { .. })),
        ("again", Some(&placed), order[0].clone(), |error| matches!(error, FoldError::NotNext { .. })),
        ("no JSON", None, with(&order[0], "{"), |error| matches!(error, FoldError::PayloadNotJson(_))),
        ("shape", None, with(&order[0], "{}"), |error| matches!(error, FoldError::UnreadableEvent(_))),
        ("elsewhere", None, elsewhere, |error| matches!(error, FoldError::ForeignAggregate { .. })),
        ("middle first", None, at(&order[1], 1), |error| matches!(error, FoldError::NotBegun { .. })),
        ("begun twice", Some(&placed), at(&order[0], 2), |error| matches!(error, FoldError::BegunAgain { .. })),
        ("cart", None, cart[0].clone(), |error| matches!(error, FoldError::NotProjected { .. })),
        ("overflow", Some(&full), at(&huge, 3), |error| matches!(error, FoldError::AmountOverflow { .. })),
        ("broken view", Some(&broken), order[1].clone(), |error| matches!(error, FoldError::UnreadableView { .. })),
    ];
    for (name, view, event, is_expected) in cases {
        let error = fold(view, &event).unwrap_err();
        assert!(is_expected(&error), "{name}: {error}");
        assert!(!error.to_string().is_empty());
    }
}
