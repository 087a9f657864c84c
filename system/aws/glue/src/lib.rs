//! The schema registry on AWS Glue.
//!
//! [`GlueRegistry`] is one SDK client made of [`ClientParts`](nexus_aws::ClientParts): our connector, no retries of the
//! SDK's, bounded waits. It makes one attempt per call; whoever calls owns the attempts. The crate stands apart because
//! Glue's SDK, with its hundreds of operations of which eight are used, takes longer to build than all others together.
#![forbid(unsafe_code)]

mod outcomes;
mod registry;

pub use registry::GlueRegistry;
