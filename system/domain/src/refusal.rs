//! Why an aggregate does not do what a command asks.

use crate::AggregateKind;

/// A command conflicts with the aggregate's state or with arithmetic. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("order {order_id} is already placed")]
    OrderAlreadyPlaced { order_id: String },
    #[error("order {order_id} has no lines; an order needs at least one")]
    OrderWithoutLines { order_id: String },
    #[error("order {order_id} is not placed")]
    OrderNotPlaced { order_id: String },
    #[error("order {order_id} is not paid")]
    OrderNotPaid { order_id: String },
    #[error("order {order_id} is already paid by payment {payment_id}")]
    OrderAlreadyPaid { order_id: String, payment_id: String },
    #[error("order {order_id} is already shipped")]
    OrderAlreadyShipped { order_id: String },
    #[error("order {order_id} is cancelled")]
    OrderCancelled { order_id: String },
    #[error("order {order_id} costs {total_cents} cents, but the payment confirms {amount_cents}")]
    PaymentAmountMismatch { order_id: String, total_cents: u64, amount_cents: u64 },
    #[error("payment {payment_id} is already processed")]
    PaymentAlreadyProcessed { payment_id: String },
    #[error("payment {payment_id} is not processed")]
    PaymentNotProcessed { payment_id: String },
    #[error("an amount of zero moves no money in payment {payment_id}")]
    AmountZero { payment_id: String },
    #[error(
        "payment {payment_id} took {processed_cents} cents and gave back {refunded_cents}: \
         it cannot give back {amount_cents} more"
    )]
    RefundExceedsPayment { payment_id: String, processed_cents: u64, refunded_cents: u64, amount_cents: u64 },
    #[error("cart {cart_id} is empty")]
    CartEmpty { cart_id: String },
    #[error("cart {cart_id} is abandoned")]
    CartAbandoned { cart_id: String },
    #[error("cart {cart_id} holds no {sku}")]
    CartItemMissing { cart_id: String, sku: String },
    #[error("cart {cart_id} belongs to another customer than {customer_id}")]
    CartOfAnotherCustomer { cart_id: String, customer_id: String },
    #[error("the quantity or the amount in {aggregate} is too large to be added up")]
    AmountOverflow { aggregate: String },
    #[error("{command} for {kind} `{id}` was given to another aggregate")]
    WrongAggregate { command: &'static str, kind: AggregateKind, id: String },
}

impl Refusal {
    /// A stable name for clients and records, in kebab-case.
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::OrderAlreadyPlaced { .. } => "order-already-placed",
            Refusal::OrderWithoutLines { .. } => "order-without-lines",
            Refusal::OrderNotPlaced { .. } => "order-not-placed",
            Refusal::OrderNotPaid { .. } => "order-not-paid",
            Refusal::OrderAlreadyPaid { .. } => "order-already-paid",
            Refusal::OrderAlreadyShipped { .. } => "order-already-shipped",
            Refusal::OrderCancelled { .. } => "order-cancelled",
            Refusal::PaymentAmountMismatch { .. } => "payment-amount-mismatch",
            Refusal::PaymentAlreadyProcessed { .. } => "payment-already-processed",
            Refusal::PaymentNotProcessed { .. } => "payment-not-processed",
            Refusal::AmountZero { .. } => "amount-zero",
            Refusal::RefundExceedsPayment { .. } => "refund-exceeds-payment",
            Refusal::CartEmpty { .. } => "cart-empty",
            Refusal::CartAbandoned { .. } => "cart-abandoned",
            Refusal::CartItemMissing { .. } => "cart-item-missing",
            Refusal::CartOfAnotherCustomer { .. } => "cart-of-another-customer",
            Refusal::AmountOverflow { .. } => "amount-overflow",
            Refusal::WrongAggregate { .. } => "wrong-aggregate",
        }
    }
}
