//! Histories in, verdict out. Imports neither system nor simulator.
#![forbid(unsafe_code)]
