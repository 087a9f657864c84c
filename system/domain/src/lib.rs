//! Orders, payments and carts: commands, events, decide and evolve. Pure.
#![forbid(unsafe_code)]
