//! The schema registry on the write path and before routing: is this event version's schema registered, judged and good,
//! with exactly the definition that this program was built with?
//!
//! Where to start: [`SchemaGate`] is what services ask. Behind it [`RegistryClient`] asks the registry and remembers the
//! answers; what it may remember, for how long, and who asks for all others is decided in `cache.rs`, which is a state
//! machine without I/O. [`provision_schemas`] registers what is missing; services themselves register nothing.
//!
//! # What holds
//!
//! - **Only AVAILABLE counts.** Registering a version answers with success although the version may turn into FAILURE
//!   later; so no status but AVAILABLE is relied on, and nothing is remembered from a registration.
//! - **One call for all.** Callers that miss the same entry at the same time wait for one call. Whoever makes it may be
//!   cancelled, or may never be polled again: the next in line takes over.
//! - **Bad news is short-lived.** AVAILABLE is remembered for minutes, everything else for seconds.
//! - **A registry that is down stops little.** What was AVAILABLE is relied on for a bounded time after it expired, in
//!   sight of a metric. What was never seen is refused rather than guessed.
mod cache;
mod client;
mod definition;
mod flights;
mod gate;
mod provision;
mod settings;

pub use client::{NotAvailable, RegistryClient, RegistryUnreachable};
pub use definition::{SchemaDefinition, registered_schema_name};
pub use gate::{GateRefusal, SchemaGate, SchemaNotUsable, SchemaPending};
pub use provision::{ProvisionedSchema, SchemaObstacle, SchemaProvisioning, provision_schemas};
pub use settings::RegistrySettings;
