//! Faults as data: what can go wrong, at which logical address, under which contract, and the hook that makes it so.
//!
//! A trial carries a list of [`PlannedFault`]s. Call faults are addressed by (host, service, operation, key, nth match):
//! each counts its own matches, so that removing one fault leaves every other where it was. Faults of the environment
//! (crashes, partitions, clocks, slowness) are addressed by host and time.
#![forbid(unsafe_code)]

mod address;
pub mod catalogue;
mod hook;
mod kind;
mod plan;
mod template;

pub use address::CallAddress;
pub use hook::{CrashRequest, FaultLedger, Firing, PlanHook};
pub use kind::{Contract, FaultKind};
pub use plan::{
    CallEffect, EnvironmentFault, Fault, Forgery, OperatorAct, PlannedFault, PolicyReplacement, RogueDeed, SchemaFate,
    Window,
};
pub use template::{FaultTemplate, TemplateContext, UnusableTemplate, Whole};
