//! Commands as clients send them.
#![forbid(unsafe_code)]

use nexus_domain::{AggregateId, Command, InvalidAggregateId};
use serde_json::json;

#[test]
fn commands_are_tagged_json() {
    let table = [
        (
            json!({"type": "PlaceOrder", "order_id": "1", "customer_id": "c", "currency": "EUR",
                "lines": [{"sku": "A", "quantity": 3, "unit_price_cents": 5}]}),
            "order-1",
            Some(15),
        ),
        (json!({"type": "ConfirmPayment", "order_id": "1", "payment_id": "p", "amount_cents": 7}), "order-1", Some(7)),
        (json!({"type": "ShipOrder", "order_id": "1", "carrier": "DHL", "tracking_number": "T"}), "order-1", None),
        (
            json!({"type": "ConfirmPaymentAndShip", "order_id": "1", "payment_id": "p", "amount_cents": 7,
                "carrier": "Download", "tracking_number": "T"}),
            "order-1",
            Some(7),
        ),
        (json!({"type": "CancelOrder", "order_id": "1", "reason": "late"}), "order-1", None),
        (
            json!({"type": "ProcessPayment", "payment_id": "1", "order_id": "o", "amount_cents": 7, "method": "card"}),
            "payment-1",
            Some(7),
        ),
        (json!({"type": "RefundPayment", "payment_id": "1", "amount_cents": 7}), "payment-1", Some(7)),
        (
            json!({"type": "AddItemToCart", "cart_id": "1", "customer_id": "c", "sku": "A", "quantity": 2,
                "unit_price_cents": 5}),
            "cart-1",
            Some(10),
        ),
        (json!({"type": "RemoveItemFromCart", "cart_id": "1", "sku": "A"}), "cart-1", None),
        (
            json!({"type": "ReplaceItemInCart", "cart_id": "1", "sku": "A", "new_sku": "B", "quantity": 3,
                "unit_price_cents": 5}),
            "cart-1",
            Some(15),
        ),
        (json!({"type": "AbandonCart", "cart_id": "1"}), "cart-1", None),
    ];
    let mut names = Vec::new();
    for (json, aggregate, amount_cents) in table {
        let command: Command = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(json["type"], command.name());
        assert_eq!(command.aggregate_id().unwrap(), aggregate.parse::<AggregateId>().unwrap());
        assert_eq!(command.amount_cents(), amount_cents, "{json}");
        assert_eq!(serde_json::to_value(&command).unwrap(), json);
        names.push(command.name());
    }
    names.sort_unstable();
    let mut all = Command::NAMES;
    all.sort_unstable();
    assert_eq!(names, all);
}

#[test]
fn a_total_that_does_not_fit_counts_as_the_largest() {
    let line = json!({"sku": "A", "quantity": 2, "unit_price_cents": u64::MAX});
    let order = json!({"type": "PlaceOrder", "order_id": "1", "customer_id": "c", "currency": "EUR", "lines": [line]});
    assert_eq!(serde_json::from_value::<Command>(order).unwrap().amount_cents(), Some(u64::MAX));
}

#[test]
fn what_is_no_command_is_refused() {
    let table = [
        (json!({"type": "AbandonCart", "cart_id": "1", "x": 1}), "unknown field `x`"),
        (json!({"type": "AbandonCart"}), "missing field `cart_id`"),
        (json!({"type": "Abandon", "cart_id": "1"}), "unknown variant `Abandon`"),
        (json!({"cart_id": "1"}), "missing field `type`"),
        (json!({"type": "RefundPayment", "payment_id": "1", "amount_cents": -7}), "invalid value"),
        (json!({"type": "RefundPayment", "payment_id": "1", "amount_cents": 1.5}), "invalid type"),
        (
            json!({"type": "PlaceOrder", "order_id": "1", "customer_id": "c", "currency": "EUR",
                "lines": [{"sku": "A", "quantity": 4_294_967_296_u64, "unit_price_cents": 5}]}),
            "invalid value",
        ),
        (
            json!({"type": "PlaceOrder", "order_id": "1", "customer_id": "c", "currency": "EUR",
                "lines": [{"sku": "A", "quantity": 1, "unit_price_cents": 5, "discount": 1}]}),
            "unknown field `discount`",
        ),
    ];
    for (json, expected) in table {
        let error = serde_json::from_value::<Command>(json.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{json}: {error}");
    }
}

#[test]
fn an_id_that_no_aggregate_can_have_is_told() {
    let command = Command::AbandonCart { cart_id: "a/b".into() };
    assert!(matches!(command.aggregate_id(), Err(InvalidAggregateId::ForbiddenCharacter { character: '/', .. })));
}
