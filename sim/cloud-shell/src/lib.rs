//! Carries the simulated AWS to its callers.
//!
//! The same [`EndpointShell`] serves HTTP/1.1 on the listener of any Platform: a simulated network's or the machine's
//! own. [`call`] does without a network.
#![forbid(unsafe_code)]

mod endpoint;
mod shared;

pub use endpoint::EndpointShell;
pub use shared::{ConnectionReset, Delivery, SharedCloud, Waiter, call, call_at};
