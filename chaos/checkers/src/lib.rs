//! Histories in, verdict out. Imports neither system nor simulator.
//!
//! Where to start: [`CheckInput`] is what is judged, [`Checker`] judges it and [`Finding`] is the verdict.
//! [`linearizability`] holds the search and its models, usable without the rest.
#![forbid(unsafe_code)]

mod answer;
mod canonical;
mod command;
mod finding;
mod input;
mod item;
pub mod linearizability;
mod sent;

pub use answer::OrderView;
pub use command::{SentCommand, SentLine};
pub use finding::{Checker, Finding, Needs, Violation};
pub use input::*;
