//! The life of a payment, told naively.

use crate::SentCommand;

/// What can be known of a payment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PaymentState {
    pub version: u64,
    /// `None` until it is processed.
    pub processed_cents: Option<u64>,
    pub refunded_cents: u64,
}

impl PaymentState {
    /// Every reason that justifies a refusal now; none if the command must be accepted.
    pub(crate) fn refusals(&self, command: &SentCommand) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        let mut if_so = |condition: bool, code| {
            if condition {
                reasons.push(code);
            }
        };
        match command {
            SentCommand::ProcessPayment { amount_cents, .. } => {
                if_so(self.processed_cents.is_some(), "payment-already-processed");
                if_so(*amount_cents == 0, "amount-zero");
            }
            SentCommand::RefundPayment { amount_cents, .. } => {
                let wanted_cents = u128::from(self.refunded_cents) + u128::from(*amount_cents);
                let is_too_much = self.processed_cents.is_some_and(|processed| wanted_cents > u128::from(processed));
                if_so(self.processed_cents.is_none(), "payment-not-processed");
                if_so(*amount_cents == 0, "amount-zero");
                if_so(is_too_much, "refund-exceeds-payment");
            }
            _ => if_so(true, "wrong-aggregate"),
        }
        reasons
    }

    /// The payment after an accepted command.
    pub(crate) fn after(&self, command: &SentCommand) -> Self {
        let mut after = Self { version: self.version + command.versions(), ..self.clone() };
        match command {
            SentCommand::ProcessPayment { amount_cents, .. } => after.processed_cents = Some(*amount_cents),
            SentCommand::RefundPayment { amount_cents, .. } => {
                after.refunded_cents = self.refunded_cents.saturating_add(*amount_cents);
            }
            _ => {}
        }
        after
    }
}
