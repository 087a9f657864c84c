//! Fault kinds, addresses, contracts and plans.
#![forbid(unsafe_code)]
