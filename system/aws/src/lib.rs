//! The crate that imports AWS SDKs: the HTTP connector and pool, and the ports implemented on DynamoDB.
#![forbid(unsafe_code)]
