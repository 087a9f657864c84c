//! What the command line accepts: one definition for xtask and for the programs that it starts.
#![forbid(unsafe_code)]
