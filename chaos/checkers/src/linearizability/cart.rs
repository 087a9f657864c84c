//! The life of a cart, told naively.

use std::collections::BTreeMap;

use crate::SentCommand;

/// What can be known of a cart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CartState {
    pub version: u64,
    pub is_abandoned: bool,
    /// Whose it is, once something was put into it.
    pub customer_id: Option<String>,
    /// By SKU: quantity, and the price of one in cents.
    pub items: BTreeMap<String, (u64, u64)>,
}

impl CartState {
    /// Every reason that justifies a refusal now; none if the command must be accepted.
    pub(crate) fn refusals(&self, command: &SentCommand) -> Vec<&'static str> {
        let mut reasons = Vec::new();
        let mut if_so = |condition: bool, code| {
            if condition {
                reasons.push(code);
            }
        };
        if_so(self.is_abandoned, "cart-abandoned");
        match command {
            SentCommand::AddItemToCart { customer_id, .. } => {
                let is_foreign = self.customer_id.as_ref().is_some_and(|owner| owner != customer_id);
                if_so(is_foreign, "cart-of-another-customer");
                if_so(self.with_item(command).is_too_large(), "amount-overflow");
            }
            SentCommand::RemoveItemFromCart { sku, .. } => if_so(!self.items.contains_key(sku), "cart-item-missing"),
            SentCommand::ReplaceItemInCart { sku, .. } => {
                if_so(!self.items.contains_key(sku), "cart-item-missing");
                if_so(self.with_other_item(command).is_too_large(), "amount-overflow");
            }
            SentCommand::AbandonCart { .. } => if_so(self.items.is_empty(), "cart-empty"),
            _ => if_so(true, "wrong-aggregate"),
        }
        reasons
    }

    /// The cart after an accepted command.
    pub(crate) fn after(&self, command: &SentCommand) -> Self {
        let mut after = match command {
            SentCommand::AddItemToCart { .. } => self.with_item(command),
            SentCommand::ReplaceItemInCart { .. } => self.with_other_item(command),
            _ => self.clone(),
        };
        after.version = self.version + command.versions();
        match command {
            SentCommand::RemoveItemFromCart { sku, .. } => drop(after.items.remove(sku)),
            SentCommand::AbandonCart { .. } => after.is_abandoned = true,
            _ => {}
        }
        after
    }

    /// The newest price holds for all articles of one SKU.
    fn with_item(&self, command: &SentCommand) -> Self {
        let mut after = self.clone();
        if let SentCommand::AddItemToCart { customer_id, sku, quantity, unit_price_cents, .. } = command {
            after.customer_id = Some(customer_id.clone());
            let held = after.items.entry(sku.clone()).or_default();
            *held = (held.0.saturating_add(*quantity), *unit_price_cents);
        }
        after
    }

    /// One article goes first, then the other comes, to what there is of it.
    fn with_other_item(&self, command: &SentCommand) -> Self {
        let mut after = self.clone();
        if let SentCommand::ReplaceItemInCart { sku, new_sku, quantity, unit_price_cents, .. } = command {
            after.items.remove(sku);
            let held = after.items.get(new_sku).map_or(0, |&(held, _)| held);
            after.items.insert(new_sku.clone(), (held.saturating_add(*quantity), *unit_price_cents));
        }
        after
    }

    /// Quantities are kept as 32 bits, sums of money as 64.
    fn is_too_large(&self) -> bool {
        let total_cents: u128 =
            self.items.values().map(|&(quantity, price_cents)| u128::from(quantity) * u128::from(price_cents)).sum();
        total_cents > u128::from(u64::MAX) || self.items.values().any(|&(held, _)| held > u64::from(u32::MAX))
    }
}
