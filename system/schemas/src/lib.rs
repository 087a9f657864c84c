//! Every event version's JSON Schema (draft-07), as data.
#![forbid(unsafe_code)]
