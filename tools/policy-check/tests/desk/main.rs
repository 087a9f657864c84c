//! The tool against the repository, copies of it, and another interpreter.
#![forbid(unsafe_code)]

mod copies;
mod explain;
mod graph;
mod judge;
mod support;
