//! Histories in, verdict out. Imports neither system nor simulator.
//!
//! Where to start: [`CheckInput`] is what is judged, [`Checker`] judges it, [`Finding`] is the verdict
//! and [`all`] lists every checker. [`goals`] tells which rare states a run reached.
//! [`linearizability`] holds the search and its models, usable without the rest.
#![forbid(unsafe_code)]

mod answer;
mod bus;
mod bus_goals;
mod canonical;
mod checks;
mod command;
mod finding;
mod goals;
mod input;
mod item;
pub mod linearizability;
mod read_model;
mod sent;
#[cfg(test)]
mod tests;

pub use answer::OrderView;
pub use checks::{all, write_side};
pub use command::{SentCommand, SentLine};
pub use finding::{Checker, Examination, Finding, Needs, Violation};
pub use goals::goals;
pub use input::*;
