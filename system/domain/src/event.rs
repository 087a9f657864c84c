//! What happened to the aggregates, and how it is stored.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{AggregateId, AggregateKind, OrderLine, upcast};

/// What a cancelled order has to give back, and through which payment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RefundDue {
    pub payment_id: String,
    pub amount_cents: u64,
}

/// A fact about one aggregate, always in its current schema version. Stored facts of older versions come in
/// through [`Event::from_stored`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum Event {
    OrderPlaced {
        order_id: String,
        customer_id: String,
        currency: String,
        lines: Vec<OrderLine>,
        /// The sum over all lines at the time of the order.
        total_cents: u64,
    },
    PaymentConfirmed {
        order_id: String,
        payment_id: String,
        amount_cents: u64,
    },
    OrderShipped {
        order_id: String,
        carrier: String,
        tracking_number: String,
    },
    OrderCancelled {
        order_id: String,
        reason: String,
        /// Present if the order was paid. The refund itself is the payment's business.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        refund_due: Option<RefundDue>,
    },
    PaymentProcessed {
        payment_id: String,
        order_id: String,
        amount_cents: u64,
        method: String,
    },
    PaymentRefunded {
        payment_id: String,
        order_id: String,
        amount_cents: u64,
    },
    ItemAddedToCart {
        cart_id: String,
        customer_id: String,
        sku: String,
        quantity: u32,
        unit_price_cents: u64,
    },
    ItemRemovedFromCart {
        cart_id: String,
        sku: String,
    },
    CartAbandoned {
        cart_id: String,
        customer_id: String,
        /// The value of what was left in the cart.
        total_cents: u64,
    },
}

/// A stored event cannot be read by this code.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableEvent {
    #[error("event type `{event_type}` is unknown")]
    UnknownType { event_type: String },
    #[error("{event_type} version {schema_version} is unknown; versions 1 to {newest} are readable")]
    UnknownVersion { event_type: String, schema_version: u32, newest: u32 },
    #[error("the payload of {event_type} version {schema_version} does not fit")]
    Payload { event_type: String, schema_version: u32, source: serde_json::Error },
}

impl Event {
    /// Every event type, in the order of the variants.
    pub const TYPES: [&'static str; 9] = [
        "OrderPlaced",
        "PaymentConfirmed",
        "OrderShipped",
        "OrderCancelled",
        "PaymentProcessed",
        "PaymentRefunded",
        "ItemAddedToCart",
        "ItemRemovedFromCart",
        "CartAbandoned",
    ];

    pub fn event_type(&self) -> &'static str {
        match self {
            Event::OrderPlaced { .. } => "OrderPlaced",
            Event::PaymentConfirmed { .. } => "PaymentConfirmed",
            Event::OrderShipped { .. } => "OrderShipped",
            Event::OrderCancelled { .. } => "OrderCancelled",
            Event::PaymentProcessed { .. } => "PaymentProcessed",
            Event::PaymentRefunded { .. } => "PaymentRefunded",
            Event::ItemAddedToCart { .. } => "ItemAddedToCart",
            Event::ItemRemovedFromCart { .. } => "ItemRemovedFromCart",
            Event::CartAbandoned { .. } => "CartAbandoned",
        }
    }

    /// The version of the schema that [`Event::payload`] follows.
    pub fn schema_version(&self) -> u32 {
        upcast::newest_version(self.event_type())
    }

    /// The aggregate that this happened to. It is not checked: an event read from a store names what it names.
    pub fn aggregate(&self) -> AggregateId {
        let (kind, id) = match self {
            Event::OrderPlaced { order_id, .. }
            | Event::PaymentConfirmed { order_id, .. }
            | Event::OrderShipped { order_id, .. }
            | Event::OrderCancelled { order_id, .. } => (AggregateKind::Order, order_id),
            Event::PaymentProcessed { payment_id, .. } | Event::PaymentRefunded { payment_id, .. } => {
                (AggregateKind::Payment, payment_id)
            }
            Event::ItemAddedToCart { cart_id, .. }
            | Event::ItemRemovedFromCart { cart_id, .. }
            | Event::CartAbandoned { cart_id, .. } => (AggregateKind::Cart, cart_id),
        };
        AggregateId { kind, id: id.clone() }
    }

    /// The fields of the event as a JSON object, without the type's name.
    pub fn payload(&self) -> Value {
        match serde_json::to_value(self) {
            Ok(Value::Object(tagged)) => tagged.into_iter().next().map_or(Value::Null, |(_, payload)| payload),
            other => unreachable!("an event of plain fields is a JSON object, not {other:?}"),
        }
    }

    /// Reads what a store holds, raising older versions to the current one.
    ///
    /// # Errors
    /// The type or version is not known here, or the payload has a missing, unknown or mistyped field.
    pub fn from_stored(event_type: &str, schema_version: u32, payload: &Value) -> Result<Event, UnreadableEvent> {
        if !Self::TYPES.contains(&event_type) {
            return Err(UnreadableEvent::UnknownType { event_type: event_type.to_owned() });
        }
        let newest = upcast::newest_version(event_type);
        if !(1..=newest).contains(&schema_version) {
            return Err(UnreadableEvent::UnknownVersion { event_type: event_type.to_owned(), schema_version, newest });
        }
        upcast::upcast(event_type, schema_version, payload.clone())
            .and_then(|current| {
                let tagged = serde_json::Map::from_iter([(event_type.to_owned(), current)]);
                serde_json::from_value(Value::Object(tagged))
            })
            .map_err(|source| UnreadableEvent::Payload { event_type: event_type.to_owned(), schema_version, source })
    }
}
