//! The knobs of generated workloads.

use proptest::{
    collection::vec,
    prelude::any,
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde::{Deserialize, Serialize};

use crate::{
    Workload,
    fate::{Draw, Fates},
    plan::Planner,
    tpch,
};

/// Where a workload's commands come from.
#[derive(Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum WorkloadSource {
    /// Drawn from the seed by the shape's knobs.
    #[default]
    Drawn,
    /// Orders of the TPC-H benchmark; see [`crate::tpch`].
    Tpch,
}

/// How a generated workload looks. Every field has a default; an unknown key is an error.
///
/// Shares are between 0 and 1. `read_share`, `duplicate_share`, `key_reuse_share`, `forbidden_share` and
/// `malformed_share` exclude one another, so their sum is at most 1; what is left are ordinary commands.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct WorkloadShape {
    pub source: WorkloadSource,
    /// With `source = "tpch"`: how many orders of the data set. The knobs that only draws know then stay at their defaults.
    pub orders: u64,
    pub customers: u32,
    pub duration_ms: u64,
    /// The mean rate. Arrivals are a Poisson process: customers do not wait for one another.
    pub operations_per_second: f64,
    /// How many orders and carts live at the same time. One that has ended makes room for a new one.
    pub aggregates: u32,
    /// Share of operations on one hot aggregate, on top of its ordinary part.
    pub hot_share: f64,
    /// Share of the aggregates that are carts; the others are orders, each with its payment.
    pub cart_share: f64,
    /// Share of operations that read an order.
    pub read_share: f64,
    /// Share of these reads that are content with an eventually consistent view.
    pub eventual_share: f64,
    /// Share of operations that send an earlier command again: same idempotency key, same payload.
    pub duplicate_share: f64,
    /// Share of operations that use an earlier idempotency key for another payload.
    pub key_reuse_share: f64,
    /// Share of operations that the policies must deny.
    pub forbidden_share: f64,
    /// Share of operations that make sense but have a shape that the schemas must refuse.
    pub malformed_share: f64,
    /// Share of ordinary commands in which another customer tries the step that was just taken, or one that is not
    /// due: two race for one order.
    pub contention: f64,
    /// Share of the steps that can be taken two at once which are: by one command with two events. An order is paid and
    /// shipped, an article of a cart replaced.
    pub together_share: f64,
}

impl Default for WorkloadShape {
    fn default() -> Self {
        Self {
            source: WorkloadSource::Drawn,
            orders: 1_000,
            customers: 16,
            duration_ms: 30_000,
            operations_per_second: 20.0,
            aggregates: 40,
            hot_share: 0.1,
            cart_share: 0.2,
            read_share: 0.2,
            eventual_share: 0.25,
            duplicate_share: 0.05,
            key_reuse_share: 0.02,
            forbidden_share: 0.03,
            malformed_share: 0.03,
            contention: 0.15,
            together_share: 0.0,
        }
    }
}

/// A shape that no workload can have.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidShape {
    #[error("`{field}` is 0; it must be at least 1")]
    Zero { field: &'static str },
    #[error("`{field}` is {value}; it must be between 0 and 1")]
    Share { field: &'static str, value: f64 },
    #[error(
        "the shares of reads, duplicates, key reuse, forbidden and malformed operations add up to {sum}; at most 1"
    )]
    ShareSum { sum: f64 },
    #[error("`operations_per_second` is {value}; it must be above 0 and at most {}", WorkloadShape::RATE_MAX)]
    Rate { value: f64 },
    #[error("the workload would have about {operations} operations; at most {}", WorkloadShape::OPERATIONS_MAX)]
    TooMany { operations: f64 },
    #[error("`orders` has a meaning only with `source = \"tpch\"`")]
    UnusedOrders,
    #[error("`{field}` has no meaning with `source = \"tpch\"`; leave it out")]
    Unused { field: &'static str },
    #[error(
        "{orders} orders at this rate need up to {needed_ms} ms, and arrivals end after {duration_ms} ms; let them arrive for longer, or faster"
    )]
    TooShort { orders: u64, needed_ms: f64, duration_ms: u64 },
}

impl WorkloadShape {
    /// Operations a second.
    pub const RATE_MAX: f64 = 1_000_000.0;
    /// Expected operations in all; beyond it a workload is no longer data that one stores and shrinks.
    pub const OPERATIONS_MAX: f64 = 2_000_000.0;

    /// Says whether a workload of this shape can be drawn.
    ///
    /// # Errors
    /// The first knob that is out of its range.
    pub fn check(&self) -> Result<(), InvalidShape> {
        let counts = [
            ("customers", u64::from(self.customers)),
            ("aggregates", u64::from(self.aggregates)),
            ("duration_ms", self.duration_ms),
        ];
        let orders = (self.source == WorkloadSource::Tpch).then_some(("orders", self.orders));
        if let Some((field, _)) = counts.into_iter().chain(orders).find(|(_, count)| *count == 0) {
            return Err(InvalidShape::Zero { field });
        }
        if let Some((field, value)) = self.shares().into_iter().find(|(_, share)| !(0.0..=1.0).contains(share)) {
            return Err(InvalidShape::Share { field, value });
        }
        let sum = self.exclusive_shares().iter().sum::<f64>();
        // Decimal fractions that add up to 1 on paper may exceed it by a rounding error.
        if sum > 1.0 + 1e-9 {
            return Err(InvalidShape::ShareSum { sum });
        }
        let rate = self.operations_per_second;
        if !(rate > 0.0 && rate <= Self::RATE_MAX) {
            return Err(InvalidShape::Rate { value: rate });
        }
        let operations = self.operations_expected();
        if operations > Self::OPERATIONS_MAX {
            return Err(InvalidShape::TooMany { operations });
        }
        match self.source {
            WorkloadSource::Drawn => self.check_drawn(),
            WorkloadSource::Tpch => self.check_tpch(),
        }
    }

    fn check_drawn(&self) -> Result<(), InvalidShape> {
        // A count of orders that nothing reads would be believed by whoever wrote it.
        if self.orders != Self::default().orders {
            return Err(InvalidShape::UnusedOrders);
        }
        Ok(())
    }

    fn check_tpch(&self) -> Result<(), InvalidShape> {
        let default = Self::default();
        let aggregates = (self.aggregates != default.aggregates).then_some("aggregates");
        let shares = self.shares().into_iter().zip(default.shares());
        let share = shares.filter(|(is, was)| is.1 != was.1).map(|(is, _)| is.0).next();
        if let Some(field) = aggregates.or(share) {
            return Err(InvalidShape::Unused { field });
        }
        let needed_ms = self.tpch_needs_ms();
        if needed_ms > self.duration_ms as f64 {
            return Err(InvalidShape::TooShort { orders: self.orders, needed_ms, duration_ms: self.duration_ms });
        }
        Ok(())
    }

    /// The workload of this shape and seed: a pure function, the same on every machine.
    ///
    /// # Panics
    /// If [`WorkloadShape::check`] fails.
    pub fn generate(&self, seed: u64) -> Workload {
        if self.source == WorkloadSource::Tpch {
            return self.tpch(seed);
        }
        let mut seed_bytes = [0_u8; 32];
        seed_bytes[..8].copy_from_slice(&seed.to_le_bytes());
        seed_bytes[8..24].copy_from_slice(b"nexus workload 1");
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed_bytes);
        let mut runner = TestRunner::new_with_rng(Config::default(), rng);
        match self.strategy().new_tree(&mut runner) {
            Ok(tree) => tree.current(),
            Err(reason) => unreachable!("the strategy filters nothing out: {reason}"),
        }
    }

    /// Workloads of this shape. Shrinking stretches the gaps between arrivals, so that fewer operations fall into
    /// the duration, and makes the rest ordinary.
    ///
    /// # Panics
    /// If [`WorkloadShape::check`] fails.
    pub fn strategy(&self) -> impl Strategy<Value = Workload> + use<> {
        if let Err(error) = self.check() {
            panic!("{error}");
        }
        let shape = self.clone();
        if self.source == WorkloadSource::Tpch {
            return any::<u64>().prop_map(move |seed| shape.tpch(seed)).boxed();
        }
        let count = self.draws();
        vec(any::<[u64; Draw::DICE]>(), count)
            .prop_map(move |dice| Planner::new(shape.clone()).plan(dice.into_iter().map(Draw::new)))
            .boxed()
    }

    fn tpch(&self, seed: u64) -> Workload {
        tpch::tpch(self.orders, self.operations_per_second, self.customers, seed)
    }

    pub(crate) fn fates(&self) -> Fates {
        Fates::new(self.exclusive_shares())
    }

    fn operations_expected(&self) -> f64 {
        if self.source == WorkloadSource::Tpch {
            return self.orders as f64 * tpch::OPERATIONS_PER_ORDER_MAX as f64;
        }
        self.operations_per_second * (self.duration_ms as f64) / 1_000.0
    }

    /// Enough draws that a Poisson number of arrivals exceeds them less than once in a billion workloads.
    fn draws(&self) -> usize {
        let expected = self.operations_expected();
        libm::ceil(expected + 6.0 * libm::sqrt(expected) + 20.0) as usize
    }

    fn exclusive_shares(&self) -> [f64; 5] {
        [self.read_share, self.duplicate_share, self.key_reuse_share, self.forbidden_share, self.malformed_share]
    }

    fn shares(&self) -> [(&'static str, f64); 10] {
        [
            ("hot_share", self.hot_share),
            ("cart_share", self.cart_share),
            ("read_share", self.read_share),
            ("eventual_share", self.eventual_share),
            ("duplicate_share", self.duplicate_share),
            ("key_reuse_share", self.key_reuse_share),
            ("forbidden_share", self.forbidden_share),
            ("malformed_share", self.malformed_share),
            ("contention", self.contention),
            ("together_share", self.together_share),
        ]
    }
}
