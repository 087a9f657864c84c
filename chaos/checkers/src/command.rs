//! Commands as clients sent them, read apart from the system's own types.

use serde::Deserialize;
use serde_json::{Map, Value};

/// One article of an order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
pub struct SentLine {
    pub sku: String,
    pub quantity: u64,
    pub unit_price_cents: u64,
}

/// A command as its sender wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "type")]
pub enum SentCommand {
    PlaceOrder { order_id: String, customer_id: String, lines: Vec<SentLine> },
    ConfirmPayment { order_id: String, payment_id: String, amount_cents: u64 },
    ShipOrder { order_id: String },
    ConfirmPaymentAndShip { order_id: String, payment_id: String, amount_cents: u64 },
    CancelOrder { order_id: String },
    ProcessPayment { payment_id: String, amount_cents: u64 },
    RefundPayment { payment_id: String, amount_cents: u64 },
    AddItemToCart { cart_id: String, customer_id: String, sku: String, quantity: u64, unit_price_cents: u64 },
    RemoveItemFromCart { cart_id: String, sku: String },
    ReplaceItemInCart { cart_id: String, sku: String, new_sku: String, quantity: u64, unit_price_cents: u64 },
    AbandonCart { cart_id: String },
}

impl SentCommand {
    /// Reads a request's body; `None` if it is no command that could be carried out.
    pub fn read(body: &Value) -> Option<Self> {
        Self::deserialize(body).ok()
    }

    /// The stream that the command is about.
    pub fn aggregate(&self) -> String {
        use SentCommand::*;
        match self {
            PlaceOrder { order_id, .. }
            | ConfirmPayment { order_id, .. }
            | ShipOrder { order_id }
            | ConfirmPaymentAndShip { order_id, .. }
            | CancelOrder { order_id } => format!("order-{order_id}"),
            ProcessPayment { payment_id, .. } | RefundPayment { payment_id, .. } => format!("payment-{payment_id}"),
            AddItemToCart { cart_id, .. }
            | RemoveItemFromCart { cart_id, .. }
            | ReplaceItemInCart { cart_id, .. }
            | AbandonCart { cart_id } => format!("cart-{cart_id}"),
        }
    }

    /// The types of the events that follow if the command is accepted, in order of version: all of them or none.
    pub fn event_types(&self) -> &'static [&'static str] {
        match self {
            SentCommand::PlaceOrder { .. } => &["OrderPlaced"],
            SentCommand::ConfirmPayment { .. } => &["PaymentConfirmed"],
            SentCommand::ShipOrder { .. } => &["OrderShipped"],
            SentCommand::ConfirmPaymentAndShip { .. } => &["PaymentConfirmed", "OrderShipped"],
            SentCommand::CancelOrder { .. } => &["OrderCancelled"],
            SentCommand::ProcessPayment { .. } => &["PaymentProcessed"],
            SentCommand::RefundPayment { .. } => &["PaymentRefunded"],
            SentCommand::AddItemToCart { .. } => &["ItemAddedToCart"],
            SentCommand::RemoveItemFromCart { .. } => &["ItemRemovedFromCart"],
            SentCommand::ReplaceItemInCart { .. } => &["ItemRemovedFromCart", "ItemAddedToCart"],
            SentCommand::AbandonCart { .. } => &["CartAbandoned"],
        }
    }

    /// By how much an accepted command raises its aggregate's version.
    pub(crate) fn versions(&self) -> u64 {
        self.event_types().len() as u64
    }

    /// What the lines of an order cost; 0 for other commands.
    pub fn order_total_cents(&self) -> u128 {
        match self {
            SentCommand::PlaceOrder { lines, .. } => {
                lines.iter().map(|line| u128::from(line.quantity) * u128::from(line.unit_price_cents)).sum()
            }
            _ => 0,
        }
    }
}

/// Whether an event could have come from this request: the type fits, and whatever the command says of it stands in the
/// event. Version 1 of `OrderPlaced` knew no currency.
pub(crate) fn explains(body: &Value, stream: &str, event_type: &str, schema_version: u64, payload: &Value) -> bool {
    let Some(command) = SentCommand::read(body) else { return false };
    let Some(fields) = body.as_object() else { return false };
    let Some(told) = told_of(&command, fields, event_type) else { return false };
    command.aggregate() == stream
        && told
            .into_iter()
            .filter(|(name, _)| !(*name == "currency" && schema_version == 1))
            .all(|(name, value)| payload.get(name) == Some(value))
}

/// What a command says of one of its events: the event's fields, and what must stand in them. `None` where no event of
/// this type follows from the command.
fn told_of<'c>(
    command: &SentCommand,
    fields: &'c Map<String, Value>,
    event_type: &str,
) -> Option<Vec<(&'c str, &'c Value)>> {
    // An event's field, and the command's field that it takes its content from.
    let pairs: &[(&'static str, &str)] = match (command, event_type) {
        (SentCommand::ConfirmPaymentAndShip { .. }, "PaymentConfirmed") => {
            &[("order_id", "order_id"), ("payment_id", "payment_id"), ("amount_cents", "amount_cents")]
        }
        (SentCommand::ConfirmPaymentAndShip { .. }, "OrderShipped") => {
            &[("order_id", "order_id"), ("carrier", "carrier"), ("tracking_number", "tracking_number")]
        }
        (SentCommand::ReplaceItemInCart { .. }, "ItemRemovedFromCart") => &[("cart_id", "cart_id"), ("sku", "sku")],
        (SentCommand::ReplaceItemInCart { .. }, "ItemAddedToCart") => &[
            ("cart_id", "cart_id"),
            ("sku", "new_sku"),
            ("quantity", "quantity"),
            ("unit_price_cents", "unit_price_cents"),
        ],
        _ if command.event_types() == [event_type] => {
            let all = fields.iter().filter(|(name, _)| *name != "type");
            return Some(all.map(|(name, value)| (name.as_str(), value)).collect());
        }
        _ => return None,
    };
    pairs.iter().map(|(of_event, of_command)| Some((*of_event, fields.get(*of_command)?))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_explained_by_the_command_that_says_the_same() {
        let ship = json!({"type": "ShipOrder", "order_id": "o-1", "carrier": "post", "tracking_number": "T-1"});
        let shipped = json!({"order_id": "o-1", "carrier": "post", "tracking_number": "T-1"});
        let cases = [
            ("order-o-1", "OrderShipped", shipped.clone(), true),
            ("order-o-2", "OrderShipped", shipped.clone(), false),
            ("order-o-1", "OrderCancelled", shipped, false),
            ("order-o-1", "OrderShipped", json!({"order_id": "o-1", "carrier": "post"}), false),
            (
                "order-o-1",
                "OrderShipped",
                json!({"order_id": "o-1", "carrier": "post", "tracking_number": "T-2"}),
                false,
            ),
        ];
        for (stream, event_type, payload, expected) in cases {
            assert_eq!(explains(&ship, stream, event_type, 1, &payload), expected, "{stream} {event_type} {payload}");
        }
        assert!(!explains(&json!({"type": "Unheard"}), "order-o-1", "OrderShipped", 1, &json!({})));
    }

    #[test]
    fn each_of_two_events_is_explained_by_its_part_of_the_command() {
        let at_once = json!({"type": "ConfirmPaymentAndShip", "order_id": "o-1", "payment_id": "p-1", "amount_cents": 5,
            "carrier": "post", "tracking_number": "T-1"});
        let replace = json!({"type": "ReplaceItemInCart", "cart_id": "k-1", "sku": "A", "new_sku": "B", "quantity": 2,
            "unit_price_cents": 5});
        let confirmed = json!({"order_id": "o-1", "payment_id": "p-1", "amount_cents": 5});
        let shipped = json!({"order_id": "o-1", "carrier": "post", "tracking_number": "T-1"});
        let removed = json!({"cart_id": "k-1", "sku": "A"});
        let added = json!({"cart_id": "k-1", "customer_id": "c", "sku": "B", "quantity": 2, "unit_price_cents": 5});
        let added_what_went = json!({"cart_id": "k-1", "customer_id": "c", "sku": "A", "quantity": 2,
            "unit_price_cents": 5});
        let cases = [
            (&at_once, "order-o-1", "PaymentConfirmed", &confirmed, true),
            (&at_once, "order-o-1", "OrderShipped", &shipped, true),
            (&at_once, "order-o-1", "OrderShipped", &confirmed, false),
            (&at_once, "order-o-1", "OrderCancelled", &shipped, false),
            (&at_once, "order-o-2", "OrderShipped", &shipped, false),
            (&replace, "cart-k-1", "ItemRemovedFromCart", &removed, true),
            (&replace, "cart-k-1", "ItemAddedToCart", &added, true),
            (&replace, "cart-k-1", "ItemAddedToCart", &added_what_went, false),
        ];
        for (command, stream, event_type, payload, expected) in cases {
            assert_eq!(explains(command, stream, event_type, 1, payload), expected, "{stream} {event_type} {payload}");
        }
    }

    #[test]
    fn the_first_version_of_a_placed_order_has_no_currency() {
        let place = json!({"type": "PlaceOrder", "order_id": "o-1", "customer_id": "c-1", "currency": "EUR",
            "lines": [{"sku": "A", "quantity": 2, "unit_price_cents": 5}]});
        let mut placed = place.clone();
        let fields = placed.as_object_mut().unwrap();
        fields.remove("type");
        fields.remove("currency");
        assert!(explains(&place, "order-o-1", "OrderPlaced", 1, &placed));
        assert!(!explains(&place, "order-o-1", "OrderPlaced", 2, &placed));
        assert_eq!(SentCommand::read(&place).unwrap().order_total_cents(), 10);
    }
}
