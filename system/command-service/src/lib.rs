//! The HTTP face of the write side: commands in, aggregates out.
#![forbid(unsafe_code)]
