//! What the read model should show, folded naively from stored events and apart from the system's own fold.

use serde_json::{Map, Value, json};

use crate::item::StoredEvent;

/// Orders placed before events named a currency.
const CURRENCY_BEFORE_NAMED: &str = "USD";

/// The view after these events, which are all of one stream's from the first on; `None` where no view can be made.
pub(crate) fn naive_view(events: &[StoredEvent]) -> Option<Value> {
    let (first, later) = events.split_first()?;
    let mut view = beginning(first)?;
    for event in later {
        let view = view.as_object_mut()?;
        view.insert("version".to_owned(), json!(event.version));
        apply(view, event)?;
    }
    Some(view)
}

fn beginning(event: &StoredEvent) -> Option<Value> {
    let payload = event.payload_json();
    match event.event_type.as_str() {
        "OrderPlaced" => Some(json!({
            "kind": "order", "stream": event.stream, "version": event.version, "status": "placed",
            "order_id": payload["order_id"], "customer_id": payload["customer_id"],
            "currency": payload.get("currency").cloned().unwrap_or(json!(CURRENCY_BEFORE_NAMED)),
            "lines": payload["lines"], "total_cents": payload["total_cents"],
            "payments": [], "shipment": null, "cancellation": null,
        })),
        "PaymentProcessed" => Some(json!({
            "kind": "payment", "stream": event.stream, "version": event.version, "status": "processed",
            "payment_id": payload["payment_id"], "order_id": payload["order_id"], "method": payload["method"],
            "processed_cents": payload["amount_cents"], "refunded_cents": 0,
        })),
        _ => None,
    }
}

fn apply(view: &mut Map<String, Value>, event: &StoredEvent) -> Option<()> {
    let payload = event.payload_json();
    let status = match event.event_type.as_str() {
        "PaymentConfirmed" => {
            let payment = json!({"payment_id": payload["payment_id"], "amount_cents": payload["amount_cents"]});
            view.get_mut("payments")?.as_array_mut()?.push(payment);
            "paid"
        }
        "OrderShipped" => {
            let shipment = json!({"carrier": payload["carrier"], "tracking_number": payload["tracking_number"]});
            view.insert("shipment".to_owned(), shipment);
            "shipped"
        }
        "OrderCancelled" => {
            let cancellation = json!({"reason": payload["reason"], "refund_due": payload["refund_due"]});
            view.insert("cancellation".to_owned(), cancellation);
            "cancelled"
        }
        "PaymentRefunded" => {
            let refunded = view.get("refunded_cents")?.as_u64()? + payload["amount_cents"].as_u64()?;
            view.insert("refunded_cents".to_owned(), json!(refunded));
            if refunded >= view.get("processed_cents")?.as_u64()? { "refunded" } else { "partly-refunded" }
        }
        _ => return None,
    };
    view.insert("status".to_owned(), json!(status));
    Some(())
}
