//! From dice to a workload: arrivals in time, each given to an aggregate's life or made into a misdeed.

use serde_json::{Value, json};

use crate::{
    Action, PlannedOperation, Workload, WorkloadShape,
    fate::{Draw, Fate, Fates},
    life::{CartLife, Life, OrderLife, Step, customer_id},
};

/// How far back a resent command or a reused key lies at most, in commands: near enough that the first may still be
/// under way.
const RECENT_COMMANDS: usize = 24;

/// A command that was sent under its own idempotency key.
struct Sent {
    step: Step,
    idempotency_key: String,
}

/// A place for one life after another.
struct Slot {
    life: Option<Life>,
    lives: u32,
}

pub(crate) struct Planner {
    shape: WorkloadShape,
    fates: Fates,
    /// The first ones hold orders, the others carts.
    slots: Vec<Slot>,
    order_slots: usize,
    sent: Vec<Sent>,
}

impl Planner {
    pub fn new(shape: WorkloadShape) -> Self {
        let carts = libm::round(f64::from(shape.aggregates) * shape.cart_share) as usize;
        let slots: Vec<Slot> = (0..shape.aggregates).map(|_| Slot { life: None, lives: 0 }).collect();
        let order_slots = slots.len().saturating_sub(carts);
        Self { fates: shape.fates(), slots, order_slots, sent: Vec::new(), shape }
    }

    pub fn plan(mut self, draws: impl Iterator<Item = Draw>) -> Workload {
        let mean_gap_ms = 1_000.0 / self.shape.operations_per_second;
        let end_ms = self.shape.duration_ms as f64;
        let mut now_ms = 0.0;
        let mut operations = Vec::new();
        for draw in draws {
            now_ms += draw.gap() * mean_gap_ms;
            if now_ms >= end_ms {
                break;
            }
            let id = operations.len() as u32;
            let (customer, action) = self.operation(id, &draw);
            operations.push(PlannedOperation { id, at_ms: now_ms as u64, customer, action });
        }
        Workload { customers: self.shape.customers, operations }
    }

    fn operation(&mut self, id: u32, draw: &Draw) -> (u32, Action) {
        match self.fates.of(draw.fate()) {
            Fate::Ordinary => self.ordinary(id, draw),
            Fate::Read => self.read(draw),
            Fate::Duplicate => self.duplicate(id, draw),
            Fate::KeyReuse => self.key_reuse(id, draw),
            Fate::Forbidden => command(key_of(id), self.forbidden(id, draw)),
            Fate::Malformed => command(key_of(id), self.malformed(id, draw)),
        }
    }

    fn ordinary(&mut self, id: u32, draw: &Draw) -> (u32, Action) {
        let customers = self.shape.customers;
        let contention = self.shape.contention;
        let together = self.takes_two_steps(draw);
        let life = self.life(draw);
        let step = if draw.interference() >= 1.0 - contention {
            life.interfere(draw, customers, together)
        } else {
            life.advance(draw, customers, together)
        };
        self.sent.push(Sent { step: step.clone(), idempotency_key: key_of(id) });
        command(key_of(id), step)
    }

    fn takes_two_steps(&self, draw: &Draw) -> bool {
        draw.together() >= 1.0 - self.shape.together_share
    }

    fn read(&mut self, draw: &Draw) -> (u32, Action) {
        let slot = scale(draw.target(), self.shape.hot_share, self.order_slots);
        let order_id = match self.slots.get(slot) {
            Some(Slot { life: Some(Life::Order(order)), .. }) => order.order_id.clone(),
            // Nobody has ordered there yet: the answer is that there is none.
            _ => format!("o-{slot}-1"),
        };
        let eventual = draw.way() >= 1.0 - self.shape.eventual_share;
        (draw.customer(self.shape.customers), Action::ReadOrder { order_id, eventual })
    }

    fn duplicate(&mut self, id: u32, draw: &Draw) -> (u32, Action) {
        match self.recent(draw) {
            Some(sent) => command(sent.idempotency_key.clone(), sent.step.clone()),
            None => self.ordinary(id, draw),
        }
    }

    fn key_reuse(&mut self, id: u32, draw: &Draw) -> (u32, Action) {
        match self.recent(draw) {
            Some(sent) => {
                let body = altered(&sent.step.body);
                command(sent.idempotency_key.clone(), Step { body, ..sent.step.clone() })
            }
            None => self.ordinary(id, draw),
        }
    }

    /// What the domain would do, asked by who may not.
    fn forbidden(&mut self, id: u32, draw: &Draw) -> Step {
        let customers = self.shape.customers;
        if draw.variant(5) < 2 {
            let (customer, line) = (
                draw.customer(customers),
                json!({
                    "sku": "GOLD-1", "quantity": 900 + draw.number(0, 100), "unit_price_cents": 10_000,
                }),
            );
            return Step { role: "customer", customer, body: order(&format!("o-large-{id}"), customer, "EUR", &line) };
        }
        let together = self.takes_two_steps(draw);
        let due = self.life(draw).clone().advance(draw, customers, together);
        Step { role: wrong_role(&due.body, draw), ..due }
    }

    /// What the domain would do and the policies would allow, in a shape that cannot be stored.
    fn malformed(&mut self, id: u32, draw: &Draw) -> Step {
        let customer = draw.customer(self.shape.customers);
        let order_id = format!("o-odd-{id}");
        let line = |sku: &str, quantity: u32| json!({"sku": sku, "quantity": quantity, "unit_price_cents": 100});
        let body = match draw.variant(6) {
            0 => order(&order_id, customer, "eur", &line("SKU-1", 1)),
            1 => order(&order_id, customer, "EUR", &line("sku 1", 1)),
            2 => order(&order_id, customer, "EUR", &line("SKU-1", 1_000)),
            3 => order(&order_id, customer, "EUR", &line("SKU-1", 0)),
            4 => json!({
                "type": "AddItemToCart", "cart_id": format!("k-odd-{id}"), "customer_id": customer_id(customer),
                "sku": "-", "quantity": 1, "unit_price_cents": 100,
            }),
            _ => {
                let slot = scale(draw.target(), self.shape.hot_share, self.order_slots);
                let order_id = match self.slots.get(slot) {
                    Some(Slot { life: Some(Life::Order(order)), .. }) => order.order_id.clone(),
                    _ => order_id,
                };
                json!({"type": "CancelOrder", "order_id": order_id, "reason": ""})
            }
        };
        Step { role: "customer", customer, body }
    }

    fn recent(&self, draw: &Draw) -> Option<&Sent> {
        let count = self.sent.len().min(RECENT_COMMANDS);
        let back = draw.variant(count as u32) as usize;
        self.sent.iter().rev().nth(back)
    }

    /// The life that the draw aims at; a new one if there was none or it has ended.
    fn life(&mut self, draw: &Draw) -> &mut Life {
        let index = scale(draw.target(), self.shape.hot_share, self.slots.len());
        let owner = draw.customer(self.shape.customers);
        let holds_orders = index < self.order_slots;
        let slot = &mut self.slots[index];
        let lives = &mut slot.lives;
        let begin = || {
            *lives += 1;
            let name = format!("{index}-{lives}");
            if holds_orders {
                Life::Order(OrderLife::new(&name, owner, draw))
            } else {
                Life::Cart(CartLife::new(&name, owner))
            }
        };
        if slot.life.as_ref().is_some_and(Life::has_ended) {
            slot.life = None;
        }
        slot.life.get_or_insert_with(begin)
    }
}

/// A place below `count`; the first `hot_share` of the die all go to place 0.
fn scale(die: f64, hot_share: f64, count: usize) -> usize {
    if die < hot_share || count == 0 {
        return 0;
    }
    let spread = (die - hot_share) / (1.0 - hot_share);
    ((spread * count as f64) as usize).min(count - 1)
}

fn key_of(id: u32) -> String {
    format!("key-{id}")
}

fn command(idempotency_key: String, step: Step) -> (u32, Action) {
    (step.customer, Action::Command { role: step.role.to_owned(), idempotency_key, body: step.body })
}

fn order(order_id: &str, customer: u32, currency: &str, line: &Value) -> Value {
    json!({
        "type": "PlaceOrder", "order_id": order_id, "customer_id": customer_id(customer), "currency": currency,
        "lines": [line],
    })
}

/// A role that may not send this command.
fn wrong_role(body: &Value, draw: &Draw) -> &'static str {
    let roles: [&str; 3] = match body["type"].as_str() {
        Some("PlaceOrder") => ["warehouse", "payments", "visitor"],
        Some("ConfirmPayment" | "ProcessPayment") => ["customer", "support", "warehouse"],
        Some("ConfirmPaymentAndShip") => ["customer", "payments", "warehouse"],
        Some("ShipOrder") => ["customer", "support", "payments"],
        Some("CancelOrder") => ["warehouse", "payments", "visitor"],
        Some("RefundPayment") => ["customer", "warehouse", "visitor"],
        _ => ["warehouse", "payments", "support"],
    };
    roles[draw.number(4, 3) as usize]
}

/// The same command about the same aggregate, with another content where it has any.
fn altered(body: &Value) -> Value {
    let mut altered = body.clone();
    let next_quantity = |quantity: &Value| json!(quantity.as_u64().unwrap_or(0) % 5 + 1);
    if let Some(amount) = body["amount_cents"].as_u64() {
        altered["amount_cents"] = json!(amount + 1);
    } else if body["lines"].is_array() {
        altered["lines"][0]["quantity"] = next_quantity(&body["lines"][0]["quantity"]);
    } else if body["quantity"].is_u64() {
        altered["quantity"] = next_quantity(&body["quantity"]);
    } else if body["reason"].is_string() {
        altered["reason"] = json!("no longer needed");
    } else if body["tracking_number"].is_string() {
        altered["tracking_number"] = json!("TRACK-OTHER");
    } else if body["sku"].is_string() {
        altered["sku"] = json!("SKU-OTHER");
    } else {
        let cart_id = body["cart_id"].as_str().unwrap_or_default();
        altered["cart_id"] = json!(format!("{cart_id}-other"));
    }
    altered
}
