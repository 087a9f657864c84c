//! What services are written against: [`Platform`] (clocks, entropy, tasks, network, disk as values) and
//! the few domain-shaped ports. Nothing here names a runtime, an AWS SDK or the simulator.
#![forbid(unsafe_code)]

mod platform;

pub use platform::*;
