//! The router: takes every committed event from the event table's change feed to the core stream or to the background
//! topic, in order per aggregate, with every record accounted for.
//!
//! Where to start: [`Router`]. It is a [`FeedHandler`](nexus_ports::FeedHandler), so a long-running worker and a Lambda
//! function host it alike, and an [`AggregateReplayer`](nexus_ports::AggregateReplayer) for whoever releases parked
//! aggregates. What it decides is in `routing.rs` and `answers.rs`, without any I/O; `shard.rs` makes the calls.
//!
//! # What holds
//!
//! - **Order per aggregate.** Of one aggregate at most one event is in a batch, and the next goes only after that one was
//!   accepted, because the stream takes later entries of a batch although earlier ones failed. Different aggregates share
//!   batches and never wait for each other. An entry of unknown outcome is sent again, so the stream may hold an event
//!   twice; the *first* occurrences ascend without gaps.
//! - **Three attempts for an event**, with exponential backoff and full jitter. The router owns them all; adapters retry
//!   nothing. Then, or at once if the event itself is at fault, its aggregate is parked with the event's body.
//! - **A parked aggregate waits, all others flow.** Later events of it only raise the parking lot's entry, conditional on
//!   its counter, and are durable with that: they lie in the event store, from where a release replays them. An entry
//!   that is gone was released; then events flow again. A write to the parking lot of unknown outcome is read back.
//! - **An outage parks nobody by the thousand.** A call that fails as a whole says that the destination is down: then one
//!   probe at a time goes out, of one event, after growing pauses, taking events with the fewest attempts first; each
//!   success doubles the next batch. Meanwhile the other destination goes on, and records are accepted until
//!   [`RouterSettings::kept_back_while_down`] of them wait for the one that is down.
//! - **The schema registry, where there is one, comes before a destination.** An event goes only while the registry has its
//!   schema as AVAILABLE. A registry that does not answer is treated as a destination that is down: events wait, one probe
//!   at a time asks, no attempt is spent and nobody is parked. A schema that it does not have, or has refused, makes its
//!   events poison; one that it has not judged yet makes them wait, and no others.
//! - **Gaps.** Change feeds promise order per item only, and each event is an item. A version that comes too early waits
//!   [`RouterSettings::gap_patience`] for those before it; then they are read from the event store and go first. For an
//!   aggregate of which nothing is remembered, predecessors recorded within [`RouterSettings::cold_window`] are read at
//!   once and go first. Should an older one still come late, it is routed late: never dropped.
//! - **The durable position** is behind every record that a destination accepted, that the parking lot accounts for, or
//!   that was known to have been either before. The handler's memory carries which versions those were.
//!
//! The stream and the topic know no fencing epochs: a worker that lost its lease without noticing repeats entries, which
//! consumers sort out by version. It cannot move the checkpoint.
#![forbid(unsafe_code)]

mod aggregate;
mod answers;
mod calls;
mod destination;
mod examine;
mod lane;
mod ledger;
mod notes;
mod remembered;
mod repair;
mod repair_from_table;
mod replay;
mod router;
mod routing;
mod settings;
mod shapes;
mod shard;

pub use destination::{Destination, destination};
pub use repair::{RepairInterrupted, Repaired};
pub use repair_from_table::RepairFromTable;
pub use router::Router;
pub use routing::ROUTER_CONSUMER;
pub use settings::RouterSettings;

#[cfg(test)]
mod core_tests;
#[cfg(test)]
#[path = "../tests/support/events.rs"]
mod events;
