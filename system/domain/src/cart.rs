//! A cart: filled and emptied by one customer until it is abandoned.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Command, Event, OrderLine, Refusal, money};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CartStatus {
    /// No event yet.
    #[default]
    Nothing,
    Active,
    Abandoned,
}

/// The state of one cart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cart {
    pub cart_id: String,
    pub status: CartStatus,
    pub customer_id: String,
    /// By SKU.
    pub lines: BTreeMap<String, OrderLine>,
}

impl Cart {
    /// The value of all that is in the cart; `None` if it exceeds a `u64`, which `decide` never lets happen.
    pub fn total_cents(&self) -> Option<u64> {
        money::total_cents(self.lines.values())
    }

    pub(crate) fn decide(&self, command: &Command) -> Result<Vec<Event>, Refusal> {
        match command {
            Command::AddItemToCart { cart_id, customer_id, sku, quantity, unit_price_cents } => {
                let added = OrderLine { sku: sku.clone(), quantity: *quantity, unit_price_cents: *unit_price_cents };
                self.add(cart_id, customer_id, added)
            }
            Command::RemoveItemFromCart { cart_id, sku } => self.remove(cart_id, sku),
            Command::ReplaceItemInCart { cart_id, sku, new_sku, quantity, unit_price_cents } => {
                let instead =
                    OrderLine { sku: new_sku.clone(), quantity: *quantity, unit_price_cents: *unit_price_cents };
                self.replace(cart_id, sku, instead)
            }
            Command::AbandonCart { cart_id } => self.abandon(cart_id),
            other => {
                let (kind, id) = other.target();
                Err(Refusal::WrongAggregate { command: other.name(), kind, id: id.to_owned() })
            }
        }
    }

    fn add(&self, cart_id: &str, customer_id: &str, added: OrderLine) -> Result<Vec<Event>, Refusal> {
        self.refuse_if_abandoned(cart_id)?;
        if self.status == CartStatus::Active && self.customer_id != customer_id {
            let (cart_id, customer_id) = (cart_id.to_owned(), customer_id.to_owned());
            return Err(Refusal::CartOfAnotherCustomer { cart_id, customer_id });
        }
        self.total_after_adding(&added)
            .ok_or_else(|| Refusal::AmountOverflow { aggregate: format!("cart-{cart_id}") })?;
        Ok(vec![Event::ItemAddedToCart {
            cart_id: cart_id.to_owned(),
            customer_id: customer_id.to_owned(),
            sku: added.sku,
            quantity: added.quantity,
            unit_price_cents: added.unit_price_cents,
        }])
    }

    fn total_after_adding(&self, added: &OrderLine) -> Option<u64> {
        let present = self.lines.get(&added.sku).map_or(0, |line| line.quantity);
        let merged = OrderLine { quantity: present.checked_add(added.quantity)?, ..added.clone() };
        let others = self.lines.values().filter(|line| line.sku != added.sku);
        money::total_cents(others.chain([&merged]))
    }

    fn remove(&self, cart_id: &str, sku: &str) -> Result<Vec<Event>, Refusal> {
        self.refuse_if_abandoned(cart_id)?;
        let (cart_id, sku) = (cart_id.to_owned(), sku.to_owned());
        if !self.lines.contains_key(&sku) {
            return Err(Refusal::CartItemMissing { cart_id, sku });
        }
        Ok(vec![Event::ItemRemovedFromCart { cart_id, sku }])
    }

    /// What is added meets the cart without what was removed, so an article may be replaced by itself.
    fn replace(&self, cart_id: &str, sku: &str, instead: OrderLine) -> Result<Vec<Event>, Refusal> {
        let removed = self.remove(cart_id, sku)?;
        let mut between = self.clone();
        removed.iter().for_each(|event| between.evolve(event));
        let added = between.add(cart_id, &self.customer_id, instead)?;
        Ok([removed, added].concat())
    }

    fn abandon(&self, cart_id: &str) -> Result<Vec<Event>, Refusal> {
        self.refuse_if_abandoned(cart_id)?;
        if self.lines.is_empty() {
            return Err(Refusal::CartEmpty { cart_id: cart_id.to_owned() });
        }
        let total_cents =
            self.total_cents().ok_or_else(|| Refusal::AmountOverflow { aggregate: format!("cart-{cart_id}") })?;
        Ok(vec![Event::CartAbandoned {
            cart_id: cart_id.to_owned(),
            customer_id: self.customer_id.clone(),
            total_cents,
        }])
    }

    fn refuse_if_abandoned(&self, cart_id: &str) -> Result<(), Refusal> {
        match self.status {
            CartStatus::Abandoned => Err(Refusal::CartAbandoned { cart_id: cart_id.to_owned() }),
            CartStatus::Nothing | CartStatus::Active => Ok(()),
        }
    }

    pub(crate) fn evolve(&mut self, event: &Event) {
        match event {
            Event::ItemAddedToCart { cart_id, customer_id, sku, quantity, unit_price_cents } => {
                self.cart_id.clone_from(cart_id);
                self.customer_id.clone_from(customer_id);
                self.status = CartStatus::Active;
                let line = self.lines.entry(sku.clone()).or_insert_with(|| OrderLine {
                    sku: sku.clone(),
                    quantity: 0,
                    unit_price_cents: *unit_price_cents,
                });
                // Folding must not panic, whatever history is handed in; `add` keeps real quantities in range.
                line.quantity = line.quantity.saturating_add(*quantity);
                line.unit_price_cents = *unit_price_cents;
            }
            Event::ItemRemovedFromCart { sku, .. } => {
                self.lines.remove(sku);
            }
            Event::CartAbandoned { .. } => self.status = CartStatus::Abandoned,
            _ => {}
        }
    }
}
