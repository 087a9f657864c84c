//! Policies at the desk.
//!
//! [`facts`] reads the work tree, [`check`] holds the facts against the policies of `policies/desk`, [`testing`] runs the
//! policies' own tests, [`explain`] tells why an input is allowed or denied, [`graph`] draws what the services call.
#![forbid(unsafe_code)]

pub mod check;
pub mod error;
pub mod explain;
pub mod facts;
pub mod graph;
pub mod policies;
pub mod show;
pub mod testing;
pub mod worktree;
pub mod yaml;
