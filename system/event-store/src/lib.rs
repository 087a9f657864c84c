//! Event streams with expected versions, own-write recognition and idempotency records.
#![forbid(unsafe_code)]
