//! Open-loop customers with intended start times, and recorded workloads.
#![forbid(unsafe_code)]
