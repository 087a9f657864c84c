//! Simulated SNS.
