//! Decides whether two JSON Schemas (draft-07) are compatible, before either is registered anywhere.
#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod automaton;
mod changes;
mod closing;
mod finding;
mod graph;
mod judge;
mod mend;
mod number;
mod options;
mod pointer;
mod schema;
mod search;

pub use finding::{Counterexample, Finding, Report, Side, Source, Verdict};
pub use judge::{Subsumption, judge, subsumed};
pub use options::{ContentModel, Direction, Mode, Options};
pub use schema::{CHARACTERS_MAX, Schema, UnusableSchema};
