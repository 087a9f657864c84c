//! The simulated wiring list, built with the public builder that strangers use for their own services.
//!
//! A world is an engine, the simulated AWS behind one host per endpoint, and hosts that run programs on a Platform.
#![forbid(unsafe_code)]

mod builder;
pub mod bus;
mod costly_queue;
pub mod meters;
pub mod registry;
pub mod wiring;

pub use builder::{AWS_PORT, World, WorldBuilder, endpoint_host, endpoint_name, runtime_api_name};
