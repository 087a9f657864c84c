//! Orders of the TPC-H benchmark as a workload: a data set that nobody here wrote.
//!
//! The rows are those of scale factor 1, the same for every seed; the seed draws when they arrive.

use std::{collections::VecDeque, iter::Peekable};

use serde_json::{Value, json};
use tpchgen::{
    distribution::Distributions,
    generators::{LineItemGenerator, OrderGenerator, OrderStatus},
    text::TextPool,
};

use crate::{Action, PlannedOperation, Workload, WorkloadShape, fate::Draw};

/// No order has more commands.
pub(crate) const OPERATIONS_PER_ORDER_MAX: u64 = 4;
/// Time from one command of an order to its next, so that the first is normally answered.
const STEP_GAP_MS: u64 = 2_000;
/// The last orders' commands may be this much behind the last arrival.
const TAIL_MS: u64 = STEP_GAP_MS * OPERATIONS_PER_ORDER_MAX;
/// What customers may order at most; larger orders come from a business's system, as policies demand.
const CUSTOMER_ORDER_CENTS_MAX: u64 = 5_000_000;
/// Comments are drawn from a text of this size. They do not become part of the workload, and the benchmark's own text is
/// 300 MiB.
const TEXT_BYTES: i32 = 1 << 20;

/// The first `orders` orders of TPC-H, their commands arriving as a Poisson process of this rate, on average; `customers`
/// is how many clients send them. Scale factor 1 has 1,500,000 orders; beyond them there are none. A pure function of its arguments, the same on every machine.
///
/// Every order is placed with its line items, and its payment processed and confirmed. A fulfilled order is then shipped; a
/// partly fulfilled one is cancelled, since an order is shipped whole or not at all; an open one waits.
pub fn tpch(orders: u64, rate_per_second: f64, customers: u32, seed: u64) -> Workload {
    let distributions = Distributions::static_default();
    let text = TextPool::new(TEXT_BYTES, distributions);
    let orders_left = usize::try_from(orders).unwrap_or(usize::MAX);
    let rows = OrderGenerator::new_with_distributions_and_text_pool(1.0, 1, 1, distributions, &text);
    let lines = LineItemGenerator::new_with_distributions_and_text_pool(1.0, 1, 1, distributions, &text);
    let mut lines = lines.into_iter().peekable();
    let mut rows = rows.into_iter().take(orders_left);
    let mut arrivals = Arrivals::new(rate_per_second, seed);
    // Orders with commands to come, by the time of their last command: what is first is due first.
    let mut open: VecDeque<(u64, OpenOrder)> = VecDeque::new();
    let mut operations = Vec::new();
    let mut last_ms = 0;
    loop {
        let now_ms = arrivals.next_ms().max(last_ms);
        let is_due = open.front().is_some_and(|(touched_ms, _)| touched_ms + STEP_GAP_MS <= now_ms);
        let next = if is_due {
            open.pop_front()
        } else {
            let row = rows.next().map(|row| (now_ms, OpenOrder::new(&row, &mut lines)));
            row.or_else(|| open.pop_front().map(|(touched_ms, order)| ((touched_ms + STEP_GAP_MS).max(now_ms), order)))
        };
        let Some((due_ms, mut order)) = next else { break };
        let at_ms = now_ms.max(due_ms);
        last_ms = at_ms;
        let id = operations.len() as u32;
        let customer = u32::try_from(order.customer_key % i64::from(customers)).unwrap_or(0);
        operations.push(PlannedOperation { id, at_ms, customer, action: order.next_action(id) });
        if !order.steps.is_empty() {
            open.push_back((at_ms, order));
        }
    }
    Workload { customers, operations }
}

impl WorkloadShape {
    /// When a TPC-H workload of this shape has ended for certain, but for chance in its arrivals.
    pub(crate) fn tpch_needs_ms(&self) -> f64 {
        (self.orders * OPERATIONS_PER_ORDER_MAX) as f64 * 1_000.0 / self.operations_per_second + TAIL_MS as f64
    }
}

/// An order and the commands that are still to come, each with the role that sends it.
struct OpenOrder {
    customer_key: i64,
    steps: VecDeque<(&'static str, Value)>,
}

impl OpenOrder {
    /// Takes the order's lines off the front.
    fn new<'a>(
        row: &tpchgen::generators::Order<'_>,
        lines: &mut Peekable<impl Iterator<Item = tpchgen::generators::LineItem<'a>>>,
    ) -> Self {
        let (order_id, payment_id) = (format!("o-tpch-{}", row.o_orderkey), format!("p-tpch-{}", row.o_orderkey));
        let mut articles = Vec::new();
        let mut amount_cents = 0;
        let mut carrier = "TRUCK".to_owned();
        while let Some(line) = lines.next_if(|line| line.l_orderkey == row.o_orderkey) {
            let (quantity, price_cents) = (line.l_quantity.unsigned_abs(), line.l_extendedprice.0.unsigned_abs());
            // The extended price is a multiple of the quantity, which is never 0.
            let unit_price_cents = price_cents / quantity.max(1);
            amount_cents += unit_price_cents * quantity;
            carrier = line.l_shipmode.to_owned();
            articles.push(json!({
                "sku": format!("PART-{}", line.l_partkey), "quantity": quantity, "unit_price_cents": unit_price_cents,
            }));
        }
        let buyer = if amount_cents > CUSTOMER_ORDER_CENTS_MAX { "system" } else { "customer" };
        let place = json!({
            "type": "PlaceOrder", "order_id": order_id, "customer_id": format!("c-{}", row.o_custkey), "currency": "USD",
            "lines": articles,
        });
        let process = json!({
            "type": "ProcessPayment", "payment_id": payment_id, "order_id": order_id, "amount_cents": amount_cents,
            "method": "card",
        });
        let confirm = json!({
            "type": "ConfirmPayment", "order_id": order_id, "payment_id": payment_id, "amount_cents": amount_cents,
        });
        let end = match row.o_orderstatus {
            OrderStatus::Fulfilled => Some((
                "warehouse",
                json!({
                    "type": "ShipOrder", "order_id": order_id, "carrier": carrier,
                    "tracking_number": format!("TPCH-{}", row.o_orderkey),
                }),
            )),
            OrderStatus::Pending => Some((
                "support",
                json!({"type": "CancelOrder", "order_id": order_id, "reason": "a part of it cannot be delivered"}),
            )),
            OrderStatus::Open => None,
        };
        let steps = [(buyer, place), ("payments", process), ("payments", confirm)].into_iter().chain(end).collect();
        Self { customer_key: row.o_custkey, steps }
    }

    fn next_action(&mut self, id: u32) -> Action {
        match self.steps.pop_front() {
            Some((role, body)) => Action::Command { role: role.to_owned(), idempotency_key: format!("key-{id}"), body },
            None => unreachable!("only orders with steps are kept"),
        }
    }
}

/// Moments of a Poisson process.
struct Arrivals {
    mean_gap_ms: f64,
    now_ms: f64,
    state: u64,
}

impl Arrivals {
    fn new(rate_per_second: f64, seed: u64) -> Self {
        Self { mean_gap_ms: 1_000.0 / rate_per_second, now_ms: 0.0, state: seed }
    }

    fn next_ms(&mut self) -> u64 {
        let mut dice = [0; Draw::DICE];
        dice[0] = self.roll();
        self.now_ms += Draw::new(dice).gap() * self.mean_gap_ms;
        self.now_ms as u64
    }

    /// SplitMix64.
    fn roll(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
