//! A payment: processed once, then given back in parts or whole, never more than was taken.

use serde::{Deserialize, Serialize};

use crate::{Command, Event, Refusal};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaymentStatus {
    /// No event yet.
    #[default]
    Nothing,
    Processed,
}

/// The state of one payment. `processed_cents - refunded_cents` is what the shop still holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Payment {
    pub payment_id: String,
    pub status: PaymentStatus,
    pub order_id: String,
    pub method: String,
    pub processed_cents: u64,
    pub refunded_cents: u64,
}

impl Payment {
    pub(crate) fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::ProcessPayment { payment_id, order_id, amount_cents, method } => {
                self.process(payment_id, order_id, *amount_cents, method)
            }
            Command::RefundPayment { payment_id, amount_cents } => self.refund(payment_id, *amount_cents),
            other => {
                let (kind, id) = other.target();
                Err(Refusal::WrongAggregate { command: other.name(), kind, id: id.to_owned() })
            }
        }
    }

    fn process(
        &self,
        payment_id: &str,
        order_id: &str,
        amount_cents: u64,
        method: &str,
    ) -> Result<Vec<Event>, Refusal> {
        let payment_id = payment_id.to_owned();
        if self.status == PaymentStatus::Processed {
            return Err(Refusal::PaymentAlreadyProcessed { payment_id });
        }
        if amount_cents == 0 {
            return Err(Refusal::AmountZero { payment_id });
        }
        let (order_id, method) = (order_id.to_owned(), method.to_owned());
        Ok(vec![Event::PaymentProcessed { payment_id, order_id, amount_cents, method }])
    }

    fn refund(&self, payment_id: &str, amount_cents: u64) -> Result<Vec<Event>, Refusal> {
        let payment_id = payment_id.to_owned();
        if self.status == PaymentStatus::Nothing {
            return Err(Refusal::PaymentNotProcessed { payment_id });
        }
        if amount_cents == 0 {
            return Err(Refusal::AmountZero { payment_id });
        }
        // Compared as what is left: the sum of refunds could exceed a u64.
        if amount_cents > self.processed_cents.saturating_sub(self.refunded_cents) {
            return Err(Refusal::RefundExceedsPayment {
                payment_id,
                processed_cents: self.processed_cents,
                refunded_cents: self.refunded_cents,
                amount_cents,
            });
        }
        Ok(vec![Event::PaymentRefunded { payment_id, order_id: self.order_id.clone(), amount_cents }])
    }

    pub(crate) fn evolve(&mut self, event: &Event) {
        match event {
            Event::PaymentProcessed { payment_id, order_id, amount_cents, method } => {
                self.payment_id.clone_from(payment_id);
                self.order_id.clone_from(order_id);
                self.method.clone_from(method);
                self.processed_cents = *amount_cents;
                self.status = PaymentStatus::Processed;
            }
            Event::PaymentRefunded { amount_cents, .. } => {
                // Folding must not panic, whatever history is handed in; `refund` keeps real sums far below.
                self.refunded_cents = self.refunded_cents.saturating_add(*amount_cents);
            }
            _ => {}
        }
    }
}
