//! What may be asked of the aggregates.

use serde::{Deserialize, Serialize};

use crate::{AggregateId, AggregateKind, InvalidAggregateId, money};

/// One article of an order: how many, at which price for one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderLine {
    pub sku: String,
    pub quantity: u32,
    pub unit_price_cents: u64,
}

/// A wish to change one aggregate. As JSON: `{"type": "PlaceOrder", "order_id": "o-1", …}`; an unknown key is an
/// error, so that a misspelt field is never dropped in silence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "type", deny_unknown_fields)]
pub enum Command {
    PlaceOrder {
        order_id: String,
        customer_id: String,
        currency: String,
        lines: Vec<OrderLine>,
    },
    /// Tells the order that a payment covers it. The amount must be the order's total.
    ConfirmPayment {
        order_id: String,
        payment_id: String,
        amount_cents: u64,
    },
    ShipOrder {
        order_id: String,
        carrier: String,
        tracking_number: String,
    },
    /// A payment covers the order, and its goods go out at once, as digital goods do: two events, both or neither.
    ConfirmPaymentAndShip {
        order_id: String,
        payment_id: String,
        amount_cents: u64,
        carrier: String,
        tracking_number: String,
    },
    CancelOrder {
        order_id: String,
        reason: String,
    },
    ProcessPayment {
        payment_id: String,
        order_id: String,
        amount_cents: u64,
        method: String,
    },
    /// Gives back a part of a payment or all that is left of it.
    RefundPayment {
        payment_id: String,
        amount_cents: u64,
    },
    /// Adds to the quantity if the article is already in the cart; the newest price then holds for all of it.
    AddItemToCart {
        cart_id: String,
        customer_id: String,
        sku: String,
        quantity: u32,
        unit_price_cents: u64,
    },
    /// Removes the article whole, whatever its quantity.
    RemoveItemFromCart {
        cart_id: String,
        sku: String,
    },
    /// Removes one article whole and adds another instead, or the same in another quantity: two events, both or
    /// neither.
    ReplaceItemInCart {
        cart_id: String,
        sku: String,
        new_sku: String,
        quantity: u32,
        unit_price_cents: u64,
    },
    AbandonCart {
        cart_id: String,
    },
}

impl Command {
    /// Every command's name, in the order of the variants.
    pub const NAMES: [&'static str; 11] = [
        "PlaceOrder",
        "ConfirmPayment",
        "ShipOrder",
        "ConfirmPaymentAndShip",
        "CancelOrder",
        "ProcessPayment",
        "RefundPayment",
        "AddItemToCart",
        "RemoveItemFromCart",
        "ReplaceItemInCart",
        "AbandonCart",
    ];

    /// The aggregate that decides this command.
    ///
    /// # Errors
    /// The id in the command is not one that an aggregate can have.
    pub fn aggregate_id(&self) -> Result<AggregateId, InvalidAggregateId> {
        let (kind, id) = self.target();
        AggregateId::new(kind, id)
    }

    /// The name under `"type"` in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Command::PlaceOrder { .. } => "PlaceOrder",
            Command::ConfirmPayment { .. } => "ConfirmPayment",
            Command::ShipOrder { .. } => "ShipOrder",
            Command::ConfirmPaymentAndShip { .. } => "ConfirmPaymentAndShip",
            Command::CancelOrder { .. } => "CancelOrder",
            Command::ProcessPayment { .. } => "ProcessPayment",
            Command::RefundPayment { .. } => "RefundPayment",
            Command::AddItemToCart { .. } => "AddItemToCart",
            Command::RemoveItemFromCart { .. } => "RemoveItemFromCart",
            Command::ReplaceItemInCart { .. } => "ReplaceItemInCart",
            Command::AbandonCart { .. } => "AbandonCart",
        }
    }

    /// The money that the command moves or commits, for policies that limit it; `None` where it moves none.
    /// A total beyond `u64` counts as `u64::MAX`, so that no limit is passed by overflowing.
    pub fn amount_cents(&self) -> Option<u64> {
        match self {
            Command::PlaceOrder { lines, .. } => Some(money::total_cents(lines).unwrap_or(u64::MAX)),
            Command::ConfirmPayment { amount_cents, .. }
            | Command::ConfirmPaymentAndShip { amount_cents, .. }
            | Command::ProcessPayment { amount_cents, .. }
            | Command::RefundPayment { amount_cents, .. } => Some(*amount_cents),
            Command::AddItemToCart { quantity, unit_price_cents, .. }
            | Command::ReplaceItemInCart { quantity, unit_price_cents, .. } => {
                Some(money::line_total_cents(*quantity, *unit_price_cents).unwrap_or(u64::MAX))
            }
            Command::ShipOrder { .. }
            | Command::CancelOrder { .. }
            | Command::RemoveItemFromCart { .. }
            | Command::AbandonCart { .. } => None,
        }
    }

    pub(crate) fn target(&self) -> (AggregateKind, &str) {
        match self {
            Command::PlaceOrder { order_id, .. }
            | Command::ConfirmPayment { order_id, .. }
            | Command::ShipOrder { order_id, .. }
            | Command::ConfirmPaymentAndShip { order_id, .. }
            | Command::CancelOrder { order_id, .. } => (AggregateKind::Order, order_id),
            Command::ProcessPayment { payment_id, .. } | Command::RefundPayment { payment_id, .. } => {
                (AggregateKind::Payment, payment_id)
            }
            Command::AddItemToCart { cart_id, .. }
            | Command::RemoveItemFromCart { cart_id, .. }
            | Command::ReplaceItemInCart { cart_id, .. }
            | Command::AbandonCart { cart_id, .. } => (AggregateKind::Cart, cart_id),
        }
    }
}
