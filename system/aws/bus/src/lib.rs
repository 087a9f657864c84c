//! The bus on AWS.
#![forbid(unsafe_code)]
