//! Scenario files: what a family of trials has in common, as data.
//!
//! A scenario names the topology, the shape of the workload, the phases, the families of faults, the objectives. A seed
//! turns it into a trial. The folder that a file lies in tells what it costs; see `scenarios/README.md`.
#![forbid(unsafe_code)]

mod file;
mod library;

pub use file::{
    Bus, Hosting, Network, ObjectiveTemplate, Phases, Registry, Scenario, ScenarioError, Schedule, Service, Topology,
    host_names, parse,
};
pub use library::{LibraryError, Tier, find, load_all, load_file};
