//! The simulated wiring list, built with the public builder.
#![forbid(unsafe_code)]
