//! Is there an order of operations, each at one instant between its invocation and its answer, that a sequential
//! model accepts? A search after Wing and Gong with Lowe's memoisation, over any [`Model`].

mod aggregates;
mod cart;
mod key_value;
mod order;
mod payment;
mod register;
mod search;

pub use aggregates::{AggregateInput, AggregateModel, AggregateOutput, AggregateState, Linearizability};
pub use cart::CartState;
pub use key_value::{KeyValue, KeyValueInput};
pub use order::{OrderState, OrderStatus};
pub use payment::PaymentState;
pub use register::{Register, RegisterInput, RegisterOutput};
pub use search::{Completion, History, Operation, Verdict, decide, decide_each};

use std::hash::Hash;

/// A deterministic sequential object.
pub trait Model {
    type State: Clone + Eq + Hash;
    type Input;
    type Output;

    fn initial(&self) -> Self::State;

    /// The state after one operation, or `None` if the object in this state cannot give this output. `output` is
    /// `None` for an operation whose answer nobody saw: then the state after it took effect, which is the same
    /// state where it would have been refused.
    fn step(&self, state: &Self::State, input: &Self::Input, output: Option<&Self::Output>) -> Option<Self::State>;
}
