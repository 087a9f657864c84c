//! Trials, exploration, shrinking, bug reports and replay.
#![forbid(unsafe_code)]
