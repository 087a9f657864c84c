//! Events as they lie in storage, of every version, read by today's code.
#![forbid(unsafe_code)]

use nexus_domain::{CURRENCY_BEFORE_V2, Event, OrderLine, UnreadableEvent};
use serde_json::{Value, json};

#[test]
fn an_order_of_version_1_gains_the_currency_of_its_time() {
    let stored: Value = serde_json::from_str(
        r#"{"customer_id":"c-7","lines":[{"sku":"A-1","quantity":2,"unit_price_cents":250},
            {"sku":"B","quantity":1,"unit_price_cents":99}],"order_id":"o-1","total_cents":599}"#,
    )
    .unwrap();
    let expected = Event::OrderPlaced {
        order_id: "o-1".into(),
        customer_id: "c-7".into(),
        currency: CURRENCY_BEFORE_V2.into(),
        lines: vec![
            OrderLine { sku: "A-1".into(), quantity: 2, unit_price_cents: 250 },
            OrderLine { sku: "B".into(), quantity: 1, unit_price_cents: 99 },
        ],
        total_cents: 599,
    };
    let read = Event::from_stored("OrderPlaced", 1, &stored).unwrap();
    assert_eq!(read, expected);
    assert_eq!(read.schema_version(), 2, "what is read is current, whatever was stored");
}

#[test]
fn version_2_keeps_its_own_currency() {
    let stored = json!({"order_id": "o-1", "customer_id": "c", "currency": "EUR", "total_cents": 1,
        "lines": [{"sku": "A", "quantity": 1, "unit_price_cents": 1}]});
    let read = Event::from_stored("OrderPlaced", 2, &stored).unwrap();
    assert!(matches!(&read, Event::OrderPlaced { currency, .. } if currency == "EUR"));
    assert_eq!(read.payload(), stored);
}

#[test]
fn a_cancellation_without_a_refund_is_readable_and_stays_without() {
    let stored = json!({"order_id": "o-1", "reason": "late"});
    let read = Event::from_stored("OrderCancelled", 1, &stored).unwrap();
    assert_eq!(read.payload(), stored);
}

#[test]
fn what_cannot_be_read_says_why() {
    let v1_with_currency =
        json!({"order_id": "o-1", "customer_id": "c", "currency": "EUR", "lines": [], "total_cents": 1});
    let v2_without_currency = json!({"order_id": "o-1", "customer_id": "c", "lines": [], "total_cents": 1});
    let table: &[(&str, u32, Value, &str)] = &[
        ("OrderLost", 1, json!({}), "event type `OrderLost` is unknown"),
        ("orderplaced", 1, json!({}), "event type `orderplaced` is unknown"),
        ("OrderPlaced", 0, json!({}), "OrderPlaced version 0 is unknown; versions 1 to 2 are readable"),
        ("OrderPlaced", 3, json!({}), "OrderPlaced version 3 is unknown; versions 1 to 2 are readable"),
        ("CartAbandoned", 2, json!({}), "CartAbandoned version 2 is unknown; versions 1 to 1 are readable"),
        ("OrderPlaced", 1, v1_with_currency, "unknown field `currency`"),
        ("OrderPlaced", 2, v2_without_currency, "missing field `currency`"),
        ("PaymentRefunded", 1, json!({"payment_id": "p", "order_id": "o", "amount_cents": -1}), "invalid value"),
        ("PaymentRefunded", 1, json!({"payment_id": "p", "order_id": "o"}), "missing field `amount_cents`"),
        ("ItemRemovedFromCart", 1, json!({"cart_id": "k", "sku": "A", "x": 1}), "unknown field `x`"),
        ("ItemRemovedFromCart", 1, json!("text"), "invalid type"),
        ("ItemRemovedFromCart", 1, json!(null), "invalid type"),
    ];
    for (event_type, version, payload, expected) in table {
        let error = Event::from_stored(event_type, *version, payload).unwrap_err();
        let text = match &error {
            UnreadableEvent::Payload { source, .. } => format!("{error}: {source}"),
            _ => error.to_string(),
        };
        assert!(text.contains(expected), "{event_type} v{version} {payload}: {text}");
    }
}
