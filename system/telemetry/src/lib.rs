//! Metrics of a service, written as lines that CloudWatch Logs turns into metrics (the embedded metric format), and kept in
//! memory for tests.
//!
//! Where to start: [`EmfMetrics`]. Metrics never fail and never wait; what cannot be expressed is counted instead.
#![forbid(unsafe_code)]

mod document;
mod emf;
mod memory;
mod window;

pub use emf::{EmfMetrics, FlushHandle};
pub use memory::{MemoryMetrics, OwnedMeasurement};

/// Where lines of text go: standard output, which CloudWatch collects, or a test.
pub trait LineSink: Send + Sync {
    /// Takes one line without its end. It neither fails nor waits.
    fn line(&self, line: &str);
}
