//! Nothing to call: depending on this crate makes a tool build third-party crates with the laboratory's features.
//!
//! The lists of features stand in the manifest, with the reason.
#![forbid(unsafe_code)]
