//! The bus: from the committed event to every consumer.

mod attempts;
mod checkpoints;
mod dead_letters;
mod delivery;
mod effects;
mod leases;
mod lints;
mod metrics;
mod poison;
mod quiet;
mod views;

pub(crate) use leases::lease_writes;

use super::Check;
use crate::Checker;

/// Every checker of the bus, in the order in which reports show them.
pub(crate) fn all() -> Vec<Box<dyn Checker>> {
    let checks: Vec<Check> = vec![
        delivery::CORE_EVENTS_STREAMED,
        delivery::STREAM_CARRIES_STORAGE,
        delivery::ORDER_PER_AGGREGATE,
        delivery::BACKGROUND_EVENTS_DELIVERED,
        effects::EFFECTS_ONCE,
        effects::DELETE_NEVER_AHEAD,
        views::READ_MODEL_IS_THE_FOLD,
        views::VIEW_POSITIONS,
        checkpoints::CHECKPOINT_NEVER_AHEAD,
        leases::FENCING,
        leases::PROGRESS,
        leases::PARENTS_FIRST,
        dead_letters::CONSERVATION,
        dead_letters::RECEIVE_COUNT,
        poison::PARKED_ONCE,
        poison::PARKED_FOR_CAUSE,
        poison::RELEASED,
        attempts::ROUTING_ATTEMPTS,
        quiet::BUS_QUIESCENCE,
        lints::IGNORED_FAILED_ENTRIES,
        lints::ACKNOWLEDGED_BEFORE_EFFECT,
        checkpoints::CHECKPOINT_BEFORE_PROCESSING,
        metrics::METRICS_ARE_TRUE,
    ];
    checks.into_iter().map(|check| Box::new(check) as Box<dyn Checker>).collect()
}
