//! Schema validation and policy enforcement on the write path.
#![forbid(unsafe_code)]
