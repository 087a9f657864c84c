//! Histories in, verdict out. Imports neither system nor simulator.
//!
//! Where to start: [`CheckInput`] is what is judged, [`Checker`] judges it, [`Finding`] is the verdict and
//! [`Finding`] is the verdict.
#![forbid(unsafe_code)]

mod finding;
mod input;

pub use finding::{Checker, Finding, Needs, Violation};
pub use input::*;
