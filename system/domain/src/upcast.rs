//! Upcasters: from an event's stored version to the next, one step each, until the current one is reached.
//!
//! A step reads its own version strictly (an unknown or missing field is an error) and works on JSON, so that
//! it keeps its meaning when the event's Rust type moves on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::OrderLine;

/// The currency of every order placed while events did not name one.
pub const CURRENCY_BEFORE_V2: &str = "USD";

pub(crate) fn newest_version(event_type: &str) -> u32 {
    match event_type {
        "OrderPlaced" => 2,
        _ => 1,
    }
}

pub(crate) fn upcast(event_type: &str, schema_version: u32, payload: Value) -> Result<Value, serde_json::Error> {
    match (event_type, schema_version) {
        ("OrderPlaced", 1) => order_placed_v1_to_v2(payload),
        _ => Ok(payload),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderPlacedV1 {
    order_id: String,
    customer_id: String,
    lines: Vec<OrderLine>,
    total_cents: u64,
}

#[derive(Serialize)]
struct OrderPlacedV2 {
    order_id: String,
    customer_id: String,
    currency: &'static str,
    lines: Vec<OrderLine>,
    total_cents: u64,
}

/// Version 2 added the currency.
fn order_placed_v1_to_v2(payload: Value) -> Result<Value, serde_json::Error> {
    let OrderPlacedV1 { order_id, customer_id, lines, total_cents } = serde_json::from_value(payload)?;
    serde_json::to_value(OrderPlacedV2 { order_id, customer_id, currency: CURRENCY_BEFORE_V2, lines, total_cents })
}
