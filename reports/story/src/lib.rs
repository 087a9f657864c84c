//! The story of one run, as data, and its faces.
//!
//! A leaf of the workspace: it knows neither the system nor the simulator. Whoever played a trial fills a [`Story`]; the
//! sequence diagram, the timeline page, the trace for Perfetto and the generated regression test are computed from it.
#![forbid(unsafe_code)]

mod certificate;
mod diff;
mod drawing;
mod escape;
mod mermaid;
mod model;
mod page;
mod perfetto;
mod regression_test;
mod sequence;
mod state;
mod text;

pub use certificate::{Certificate, CertificateVerdict, NeighbourRecord, RunOfRevision};
pub use diff::{DiffGroup, StoryDiff};
pub use model::{
    Because, Change, Facts, Fault, FaultPoint, Host, Link, Message, MessageOutcome, Phase, STORY_FORMAT_VERSION, Step,
    StepKind, Story, Violation,
};
pub use page::{Attachments, Command};
pub use regression_test::{RegressionTest, regression_test};
pub use state::{State, StateEntry};
pub use text::{chain_lines, step_line, time};
