//! The life of an order with its payment, and of a cart, as customers believe it to go: each step supposes that the
//! steps before it succeeded. Whether they did is for the system to say.

use serde_json::{Value, json};

use crate::fate::Draw;

/// A command and who sends it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub role: &'static str,
    pub customer: u32,
    pub body: Value,
}

impl Step {
    fn new(role: &'static str, customer: u32, body: Value) -> Self {
        Self { role, customer, body }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Life {
    Order(OrderLife),
    Cart(CartLife),
}

impl Life {
    /// The step that is due, taken. `customers` is how many there are; `together` says that two steps are taken by one
    /// command where there is one for both.
    pub fn advance(&mut self, draw: &Draw, customers: u32, together: bool) -> Step {
        match self {
            Life::Order(order) => order.advance(draw, customers, together),
            Life::Cart(cart) => cart.advance(draw, together),
        }
    }

    /// A step that another customer tries at the same time: the one just taken, or one that may not be due.
    pub fn interfere(&self, draw: &Draw, customers: u32, together: bool) -> Step {
        match self {
            Life::Order(order) => order.interfere(draw, customers, together),
            Life::Cart(cart) => cart.interfere(draw, customers),
        }
    }

    pub fn has_ended(&self) -> bool {
        match self {
            Life::Order(order) => order.stage == Stage::Ended,
            Life::Cart(cart) => cart.ended,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Placed,
    Processed,
    Paid,
    ShippedWithComplaint,
    CancelledAfterPayment,
    Ended,
}

/// An order and its payment.
#[derive(Clone, Debug)]
pub(crate) struct OrderLife {
    pub order_id: String,
    payment_id: String,
    owner: u32,
    lines: Value,
    total_cents: u64,
    stage: Stage,
}

const CANCEL_WHEN_PLACED: f64 = 0.92;
const CANCEL_WHEN_PROCESSED: f64 = 0.94;
const CANCEL_WHEN_PAID: f64 = 0.85;
const COMPLAIN_WHEN_SHIPPED: f64 = 0.75;

impl OrderLife {
    /// `name` makes the ids: `o-<name>` and `p-<name>`.
    pub fn new(name: &str, owner: u32, draw: &Draw) -> Self {
        let (lines, total_cents) = lines(draw);
        let (order_id, payment_id) = (format!("o-{name}"), format!("p-{name}"));
        Self { order_id, payment_id, owner, lines, total_cents, stage: Stage::New }
    }

    fn advance(&mut self, draw: &Draw, customers: u32, together: bool) -> Step {
        let clerk = draw.customer(customers);
        let way = draw.way();
        let (next, step) = match self.stage {
            Stage::New => (Stage::Placed, self.place(self.owner)),
            Stage::Placed if way >= CANCEL_WHEN_PLACED => (Stage::Ended, self.cancel(draw)),
            Stage::Placed => (Stage::Processed, self.process(clerk)),
            Stage::Processed if way >= CANCEL_WHEN_PROCESSED => (Stage::CancelledAfterPayment, self.cancel(draw)),
            Stage::Processed if together => (Stage::Ended, self.confirm_and_ship(clerk, draw)),
            Stage::Processed => (Stage::Paid, self.confirm(clerk)),
            Stage::Paid if way >= CANCEL_WHEN_PAID => (Stage::CancelledAfterPayment, self.cancel(draw)),
            Stage::Paid if way >= CANCEL_WHEN_PAID * COMPLAIN_WHEN_SHIPPED => {
                (Stage::ShippedWithComplaint, self.ship(clerk, draw))
            }
            Stage::Paid => (Stage::Ended, self.ship(clerk, draw)),
            Stage::ShippedWithComplaint => {
                let part = 1 + self.total_cents * u64::from(draw.number(0, 100)) / 100;
                (Stage::Ended, self.refund("support", clerk, part))
            }
            Stage::CancelledAfterPayment => (Stage::Ended, self.refund("payments", clerk, self.total_cents)),
            // The planner begins a new life instead; asked all the same, a customer tries in vain.
            Stage::Ended => (Stage::Ended, self.cancel(draw)),
        };
        self.stage = next;
        step
    }

    fn interfere(&self, draw: &Draw, customers: u32, together: bool) -> Step {
        let rival = other_than(self.owner, draw, customers);
        match (self.stage, draw.variant(8)) {
            (Stage::New | Stage::Placed, 0..=4) => self.place(rival),
            (Stage::Processed | Stage::Paid, 0..=4) if together => self.confirm_and_ship(rival, draw),
            (Stage::Processed, 0..=4) => self.process(rival),
            (Stage::Paid, 0..=4) => self.confirm(rival),
            (Stage::ShippedWithComplaint | Stage::Ended, 0..=4) => self.ship(rival, draw),
            (Stage::CancelledAfterPayment, 0..=4) | (_, 5) => Step { customer: rival, ..self.cancel(draw) },
            (_, 6) => self.ship(rival, draw),
            _ => self.refund("payments", rival, self.total_cents),
        }
    }

    fn place(&self, customer: u32) -> Step {
        let body = json!({
            "type": "PlaceOrder", "order_id": self.order_id, "customer_id": customer_id(customer), "currency": "EUR",
            "lines": self.lines,
        });
        Step::new("customer", customer, body)
    }

    fn process(&self, customer: u32) -> Step {
        let body = json!({
            "type": "ProcessPayment", "payment_id": self.payment_id, "order_id": self.order_id,
            "amount_cents": self.total_cents, "method": "card",
        });
        Step::new("payments", customer, body)
    }

    fn confirm(&self, customer: u32) -> Step {
        let body = json!({
            "type": "ConfirmPayment", "order_id": self.order_id, "payment_id": self.payment_id,
            "amount_cents": self.total_cents,
        });
        Step::new("payments", customer, body)
    }

    fn ship(&self, customer: u32, draw: &Draw) -> Step {
        let tracking_number = format!("TRACK-{:05}", draw.number(1, 100_000));
        let body = json!({
            "type": "ShipOrder", "order_id": self.order_id, "carrier": "Post", "tracking_number": tracking_number,
        });
        Step::new("warehouse", customer, body)
    }

    /// By the business's own system, as goods go out that need no warehouse: neither of the two roles may do both.
    fn confirm_and_ship(&self, customer: u32, draw: &Draw) -> Step {
        let body = json!({
            "type": "ConfirmPaymentAndShip", "order_id": self.order_id, "payment_id": self.payment_id,
            "amount_cents": self.total_cents, "carrier": "Download",
            "tracking_number": format!("LINK-{:05}", draw.number(1, 100_000)),
        });
        Step::new("system", customer, body)
    }

    fn cancel(&self, draw: &Draw) -> Step {
        const REASONS: [&str; 4] = ["changed my mind", "ordered twice", "takes too long", "found it cheaper"];
        let reason = REASONS[draw.number(2, REASONS.len() as u32) as usize];
        let role = if draw.number(3, 4) == 3 { "support" } else { "customer" };
        Step::new(role, self.owner, json!({"type": "CancelOrder", "order_id": self.order_id, "reason": reason}))
    }

    fn refund(&self, role: &'static str, customer: u32, amount_cents: u64) -> Step {
        let body = json!({"type": "RefundPayment", "payment_id": self.payment_id, "amount_cents": amount_cents});
        Step::new(role, customer, body)
    }
}

/// A cart of one customer.
#[derive(Clone, Debug)]
pub(crate) struct CartLife {
    cart_id: String,
    owner: u32,
    skus: Vec<String>,
    ended: bool,
}

const REMOVE_FROM_CART: f64 = 0.62;
const ABANDON_CART: f64 = 0.82;

impl CartLife {
    /// `name` makes the id: `k-<name>`.
    pub fn new(name: &str, owner: u32) -> Self {
        Self { cart_id: format!("k-{name}"), owner, skus: Vec::new(), ended: false }
    }

    fn advance(&mut self, draw: &Draw, together: bool) -> Step {
        let way = draw.way();
        if self.skus.is_empty() || way < REMOVE_FROM_CART {
            let sku = sku(draw, 0);
            if !self.skus.contains(&sku) {
                self.skus.push(sku.clone());
            }
            return self.add(self.owner, &sku, draw);
        }
        if way < ABANDON_CART {
            let place = draw.variant(self.skus.len() as u32) as usize;
            let gone = self.skus.remove(place);
            if together {
                return self.replace(&gone, draw);
            }
            return self.remove(self.owner, &gone);
        }
        self.ended = true;
        self.abandon(self.owner)
    }

    /// The same account on another device.
    fn interfere(&self, draw: &Draw, customers: u32) -> Step {
        let rival = other_than(self.owner, draw, customers);
        match draw.variant(4) {
            0 | 1 => self.add(rival, &sku(draw, 1), draw),
            2 => self.remove(rival, self.skus.first().map_or("SKU-0", String::as_str)),
            _ => self.abandon(rival),
        }
    }

    fn add(&self, customer: u32, sku: &str, draw: &Draw) -> Step {
        let body = json!({
            "type": "AddItemToCart", "cart_id": self.cart_id, "customer_id": customer_id(self.owner), "sku": sku,
            "quantity": 1 + draw.number(2, 5), "unit_price_cents": price_cents(draw, 3),
        });
        Step::new("customer", customer, body)
    }

    fn remove(&self, customer: u32, sku: &str) -> Step {
        let body = json!({"type": "RemoveItemFromCart", "cart_id": self.cart_id, "sku": sku});
        Step::new("customer", customer, body)
    }

    /// One article out, another in.
    fn replace(&mut self, gone: &str, draw: &Draw) -> Step {
        let new_sku = sku(draw, 1);
        if !self.skus.contains(&new_sku) {
            self.skus.push(new_sku.clone());
        }
        let body = json!({
            "type": "ReplaceItemInCart", "cart_id": self.cart_id, "sku": gone, "new_sku": new_sku,
            "quantity": 1 + draw.number(2, 5), "unit_price_cents": price_cents(draw, 3),
        });
        Step::new("customer", self.owner, body)
    }

    fn abandon(&self, customer: u32) -> Step {
        Step::new("customer", customer, json!({"type": "AbandonCart", "cart_id": self.cart_id}))
    }
}

pub(crate) fn customer_id(customer: u32) -> String {
    format!("c-{customer}")
}

fn sku(draw: &Draw, n: u32) -> String {
    format!("SKU-{}", draw.number(n, 20))
}

/// Far below the limit of an order that anyone may place, however many lines of it there are.
fn price_cents(draw: &Draw, n: u32) -> u32 {
    100 + draw.number(n, 19_900)
}

/// One to three lines and their total.
fn lines(draw: &Draw) -> (Value, u64) {
    let mut total_cents = 0;
    let lines: Vec<Value> = (0..1 + draw.number(0, 3))
        .map(|line| {
            let (quantity, unit_price_cents) = (1 + draw.number(line + 1, 5), price_cents(draw, line + 2));
            total_cents += u64::from(quantity) * u64::from(unit_price_cents);
            json!({"sku": sku(draw, line + 3), "quantity": quantity, "unit_price_cents": unit_price_cents})
        })
        .collect();
    (lines.into(), total_cents)
}

/// Any customer but this one; this one if there is no other.
fn other_than(customer: u32, draw: &Draw, customers: u32) -> u32 {
    match customers {
        0 | 1 => customer,
        _ => (customer + 1 + draw.customer(customers - 1)) % customers,
    }
}
