//! Orders, payments and carts: commands, events, decide and evolve. Pure.
//!
//! An [`Aggregate`] is folded from its events by [`Aggregate::evolve`]; [`Aggregate::decide`] answers a
//! [`Command`] with the events that it causes, or with a [`Refusal`]. Neither reads a clock, draws entropy or
//! does I/O.
//!
//! The domain owns what depends on history and on arithmetic: what may follow what, and that money adds up.
//! It does not own shapes. Patterns of strings and ranges of single numbers (a SKU's alphabet, a quantity's
//! maximum, the length of a reason) belong to the event schemas in `nexus-schemas`. A command may therefore
//! decide well and its events still be refused by the schema check.
#![forbid(unsafe_code)]

mod aggregate;
mod aggregate_id;
mod cart;
mod command;
mod event;
mod money;
mod order;
mod payment;
mod refusal;
mod upcast;

pub use aggregate::Aggregate;
pub use aggregate_id::{AggregateId, AggregateKind, InvalidAggregateId};
pub use cart::{Cart, CartStatus};
pub use command::{Command, OrderLine};
pub use event::{Event, RefundDue, UnreadableEvent};
pub use order::{Order, OrderStatus};
pub use payment::{Payment, PaymentStatus};
pub use refusal::Refusal;
pub use upcast::CURRENCY_BEFORE_V2;
