//! What messages ask for.
#![forbid(unsafe_code)]

mod support;

use nexus_domain::Event;
use nexus_event_store::event_hash;
use nexus_notification_service::{Verdict, handle_message};
use nexus_ports::{EventRecord, Notification, QueueMessage, UnixTime};
use support::{cart, records};

fn verdict(body: &str) -> Verdict {
    let message = QueueMessage {
        message_id: "m-1".to_owned(),
        receipt_handle: "r-1".to_owned(),
        body: body.to_owned(),
        attributes: Vec::new(),
        receive_count: 1,
        sent_at_ms: 0,
    };
    handle_message(&message, UnixTime::from_millis(77))
}

fn notification(event: &EventRecord) -> Notification {
    match verdict(&serde_json::to_string(event).unwrap()) {
        Verdict::Notify(notification) => *notification,
        Verdict::Poison(poison) => panic!("{poison}"),
    }
}

#[test]
fn each_background_event_has_a_template_and_a_recipient() {
    let cart = cart("k-1");
    let added = r#"{"event":{"cart_id":"k-1","customer_id":"c-1","quantity":2,"sku":"TEA","unit_price_cents":250},"event_type":"ItemAddedToCart"}"#;
    for (event, template, recipient, data) in [
        (&cart[0], "cart-changed", "c-1", added),
        (
            &cart[1],
            "cart-changed",
            "cart-k-1",
            r#"{"event":{"cart_id":"k-1","sku":"TEA"},"event_type":"ItemRemovedFromCart"}"#,
        ),
        (
            &cart[2],
            "cart-abandoned",
            "c-1",
            r#"{"event":{"cart_id":"k-1","customer_id":"c-1","total_cents":500},"event_type":"CartAbandoned"}"#,
        ),
    ] {
        let expected = Notification {
            event_id: event.event_id.clone(),
            stream: event.stream.clone(),
            version: event.version,
            template: template.to_owned(),
            recipient: recipient.to_owned(),
            data: data.to_owned(),
            correlation_id: event.envelope.correlation_id.clone(),
            recorded_at_ms: 77,
        };
        assert_eq!(notification(event), expected);
    }
}

#[test]
fn poison_says_why() {
    let changed = |change: fn(&mut EventRecord)| {
        let mut event = cart("k-1")[0].clone();
        change(&mut event);
        event.hash = event_hash(&event);
        serde_json::to_string(&event).unwrap()
    };
    let mut damaged = cart("k-1")[0].clone();
    damaged.payload = damaged.payload.replace("250", "1");
    let shipped =
        Event::OrderShipped { order_id: "o-1".to_owned(), carrier: "dhl".to_owned(), tracking_number: "T1".to_owned() };
    for (body, code) in [
        ("garbage".to_owned(), "unreadable"),
        ("{}".to_owned(), "unreadable"),
        (serde_json::to_string(&damaged).unwrap(), "content-changed"),
        (changed(|event| event.payload = "{".to_owned()), "payload-not-json"),
        (changed(|event| event.event_type = "CartVanished".to_owned()), "unknown-type"),
        (changed(|event| event.schema_version = 9), "unknown-version"),
        (changed(|event| event.payload = "{}".to_owned()), "payload-mismatch"),
        (serde_json::to_string(&records(&[shipped])[0]).unwrap(), "no-template"),
    ] {
        match verdict(&body) {
            Verdict::Poison(poison) => assert_eq!(poison.code(), code, "{body}"),
            Verdict::Notify(notification) => panic!("{notification:?}"),
        }
    }
}
