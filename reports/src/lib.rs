//! The run record and its faces: terminal, JSON, HTML.
#![forbid(unsafe_code)]
