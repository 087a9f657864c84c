//! An order: placed once, then paid and shipped, or cancelled before it is shipped.

use serde::{Deserialize, Serialize};

use crate::{Command, Event, OrderLine, RefundDue, Refusal, money};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OrderStatus {
    /// No event yet.
    #[default]
    Nothing,
    Placed,
    Paid,
    Shipped,
    Cancelled,
}

/// The state of one order. All fields but `status` are empty until it is placed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    pub order_id: String,
    pub status: OrderStatus,
    pub customer_id: String,
    pub currency: String,
    pub lines: Vec<OrderLine>,
    pub total_cents: u64,
    /// The payment that covers the order. It stays after a later cancellation.
    pub payment_id: Option<String>,
    pub carrier: Option<String>,
    pub tracking_number: Option<String>,
    pub cancel_reason: Option<String>,
}

impl Order {
    pub(crate) fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::PlaceOrder { order_id, customer_id, currency, lines } => {
                self.place(order_id, customer_id, currency, lines)
            }
            Command::ConfirmPayment { order_id, payment_id, amount_cents } => {
                self.confirm_payment(order_id, payment_id, *amount_cents)
            }
            Command::ShipOrder { order_id, carrier, tracking_number } => self.ship(order_id, carrier, tracking_number),
            Command::ConfirmPaymentAndShip { order_id, payment_id, amount_cents, carrier, tracking_number } => {
                let confirmed = self.confirm_payment(order_id, payment_id, *amount_cents)?;
                let mut paid = self.clone();
                confirmed.iter().for_each(|event| paid.evolve(event));
                let shipped = paid.ship(order_id, carrier, tracking_number)?;
                Ok([confirmed, shipped].concat())
            }
            Command::CancelOrder { order_id, reason } => self.cancel(order_id, reason),
            other => {
                let (kind, id) = other.target();
                Err(Refusal::WrongAggregate { command: other.name(), kind, id: id.to_owned() })
            }
        }
    }

    fn place(
        &self,
        order_id: &str,
        customer_id: &str,
        currency: &str,
        lines: &[OrderLine],
    ) -> Result<Vec<Event>, Refusal> {
        if self.status != OrderStatus::Nothing {
            return Err(Refusal::OrderAlreadyPlaced { order_id: order_id.to_owned() });
        }
        if lines.is_empty() {
            return Err(Refusal::OrderWithoutLines { order_id: order_id.to_owned() });
        }
        let total_cents = money::total_cents(lines)
            .ok_or_else(|| Refusal::AmountOverflow { aggregate: format!("order-{order_id}") })?;
        Ok(vec![Event::OrderPlaced {
            order_id: order_id.to_owned(),
            customer_id: customer_id.to_owned(),
            currency: currency.to_owned(),
            lines: lines.to_vec(),
            total_cents,
        }])
    }

    fn confirm_payment(&self, order_id: &str, payment_id: &str, amount_cents: u64) -> Result<Vec<Event>, Refusal> {
        let order_id = order_id.to_owned();
        match self.status {
            OrderStatus::Nothing => Err(Refusal::OrderNotPlaced { order_id }),
            OrderStatus::Cancelled => Err(Refusal::OrderCancelled { order_id }),
            OrderStatus::Paid | OrderStatus::Shipped => {
                let payment_id = self.payment_id.clone().unwrap_or_default();
                Err(Refusal::OrderAlreadyPaid { order_id, payment_id })
            }
            OrderStatus::Placed if amount_cents != self.total_cents => {
                Err(Refusal::PaymentAmountMismatch { order_id, total_cents: self.total_cents, amount_cents })
            }
            OrderStatus::Placed => {
                Ok(vec![Event::PaymentConfirmed { order_id, payment_id: payment_id.to_owned(), amount_cents }])
            }
        }
    }

    fn ship(&self, order_id: &str, carrier: &str, tracking_number: &str) -> Result<Vec<Event>, Refusal> {
        let order_id = order_id.to_owned();
        match self.status {
            OrderStatus::Nothing => Err(Refusal::OrderNotPlaced { order_id }),
            OrderStatus::Placed => Err(Refusal::OrderNotPaid { order_id }),
            OrderStatus::Shipped => Err(Refusal::OrderAlreadyShipped { order_id }),
            OrderStatus::Cancelled => Err(Refusal::OrderCancelled { order_id }),
            OrderStatus::Paid => Ok(vec![Event::OrderShipped {
                order_id,
                carrier: carrier.to_owned(),
                tracking_number: tracking_number.to_owned(),
            }]),
        }
    }

    fn cancel(&self, order_id: &str, reason: &str) -> Result<Vec<Event>, Refusal> {
        let order_id = order_id.to_owned();
        match self.status {
            OrderStatus::Nothing => Err(Refusal::OrderNotPlaced { order_id }),
            OrderStatus::Shipped => Err(Refusal::OrderAlreadyShipped { order_id }),
            OrderStatus::Cancelled => Err(Refusal::OrderCancelled { order_id }),
            OrderStatus::Placed | OrderStatus::Paid => {
                let refund_due =
                    self.payment_id.clone().map(|payment_id| RefundDue { payment_id, amount_cents: self.total_cents });
                Ok(vec![Event::OrderCancelled { order_id, reason: reason.to_owned(), refund_due }])
            }
        }
    }

    pub(crate) fn evolve(&mut self, event: &Event) {
        match event {
            Event::OrderPlaced { order_id, customer_id, currency, lines, total_cents } => {
                self.order_id.clone_from(order_id);
                self.customer_id.clone_from(customer_id);
                self.currency.clone_from(currency);
                self.lines.clone_from(lines);
                self.total_cents = *total_cents;
                self.status = OrderStatus::Placed;
            }
            Event::PaymentConfirmed { payment_id, .. } => {
                self.payment_id = Some(payment_id.clone());
                self.status = OrderStatus::Paid;
            }
            Event::OrderShipped { carrier, tracking_number, .. } => {
                self.carrier = Some(carrier.clone());
                self.tracking_number = Some(tracking_number.clone());
                self.status = OrderStatus::Shipped;
            }
            Event::OrderCancelled { reason, .. } => {
                self.cancel_reason = Some(reason.clone());
                self.status = OrderStatus::Cancelled;
            }
            _ => {}
        }
    }
}
