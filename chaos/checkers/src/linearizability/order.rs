//! The life of an order, told naively.

use crate::SentCommand;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OrderStatus {
    #[default]
    Nothing,
    Placed,
    Paid,
    Shipped,
    Cancelled,
}

impl OrderStatus {
    /// As `GET /orders/{id}` writes it.
    pub fn name(self) -> &'static str {
        match self {
            OrderStatus::Nothing => "nothing",
            OrderStatus::Placed => "placed",
            OrderStatus::Paid => "paid",
            OrderStatus::Shipped => "shipped",
            OrderStatus::Cancelled => "cancelled",
        }
    }
}

/// What can be seen of an order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct OrderState {
    pub version: u64,
    pub status: OrderStatus,
    pub customer_id: String,
    pub total_cents: u64,
}

impl OrderState {
    /// Every reason that justifies a refusal now; none if the command must be accepted.
    pub(crate) fn refusals(&self, command: &SentCommand) -> Vec<&'static str> {
        use OrderStatus::*;
        let mut reasons = Vec::new();
        let mut if_so = |condition: bool, code| {
            if condition {
                reasons.push(code);
            }
        };
        match command {
            SentCommand::PlaceOrder { lines, .. } => {
                if_so(self.status != Nothing, "order-already-placed");
                if_so(lines.is_empty(), "order-without-lines");
                if_so(command.order_total_cents() > u128::from(u64::MAX), "amount-overflow");
            }
            // What is paid can be shipped: only the payment can be refused.
            SentCommand::ConfirmPayment { amount_cents, .. }
            | SentCommand::ConfirmPaymentAndShip { amount_cents, .. } => {
                if_so(self.status == Nothing, "order-not-placed");
                if_so(self.status == Cancelled, "order-cancelled");
                if_so(matches!(self.status, Paid | Shipped), "order-already-paid");
                if_so(self.status == Placed && *amount_cents != self.total_cents, "payment-amount-mismatch");
            }
            SentCommand::ShipOrder { .. } => {
                if_so(self.status == Nothing, "order-not-placed");
                if_so(self.status == Placed, "order-not-paid");
                if_so(self.status == Shipped, "order-already-shipped");
                if_so(self.status == Cancelled, "order-cancelled");
            }
            SentCommand::CancelOrder { .. } => {
                if_so(self.status == Nothing, "order-not-placed");
                if_so(self.status == Shipped, "order-already-shipped");
                if_so(self.status == Cancelled, "order-cancelled");
            }
            _ => if_so(true, "wrong-aggregate"),
        }
        reasons
    }

    /// The order after an accepted command.
    pub(crate) fn after(&self, command: &SentCommand) -> Self {
        let mut after = Self { version: self.version + command.versions(), ..self.clone() };
        match command {
            SentCommand::PlaceOrder { customer_id, .. } => {
                after.status = OrderStatus::Placed;
                after.customer_id.clone_from(customer_id);
                after.total_cents = u64::try_from(command.order_total_cents()).unwrap_or(u64::MAX);
            }
            SentCommand::ConfirmPayment { .. } => after.status = OrderStatus::Paid,
            SentCommand::ShipOrder { .. } | SentCommand::ConfirmPaymentAndShip { .. } => {
                after.status = OrderStatus::Shipped;
            }
            SentCommand::CancelOrder { .. } => after.status = OrderStatus::Cancelled,
            _ => {}
        }
        after
    }
}
