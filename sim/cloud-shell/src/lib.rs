//! Sockets around the sans-I/O cloud: any Platform's listener, and in process.
#![forbid(unsafe_code)]
