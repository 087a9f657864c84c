//! Writes `chaos/faults/CATALOGUE.md` anew.
#![forbid(unsafe_code)]

#[path = "support/scenarios.rs"]
mod scenarios;

fn main() -> std::io::Result<()> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/CATALOGUE.md");
    std::fs::write(path, nexus_faults::catalogue::markdown(&scenarios::read()))
}
