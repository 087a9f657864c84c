//! The production Platform: tokio, TLS sockets, the clock and entropy of the operating system.
#![forbid(unsafe_code)]
