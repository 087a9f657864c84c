//! One small Engine trait; turmoil and madsim behind it; clocks, entropy, trace hash.
#![forbid(unsafe_code)]

mod interface;

pub use interface::*;
