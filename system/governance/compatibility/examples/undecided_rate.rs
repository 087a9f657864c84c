//! Prints how often verdicts stay undecided, and how they fall otherwise.
#![forbid(unsafe_code)]

#[path = "../tests/generated/mod.rs"]
mod generated;
#[path = "../tests/generated/rate.rs"]
mod rate;

use generated::pair;

/// Undecided questions that are printed for each row.
const SHOWN_MAX: usize = 5;

fn main() {
    let table = [
        ("pairs drawn at random", rate::over_generated_pairs(5_000)),
        ("changes as people make them", rate::over_evolutions()),
    ];
    for (what, rate) in table {
        println!(
            "{what}: {} questions, {} compatible, {} incompatible, {} undecided ({:.2} %)",
            rate.total(),
            rate.compatible,
            rate.incompatible,
            rate.undecided,
            100.0 * rate.undecided_share()
        );
        rate.open.iter().take(SHOWN_MAX).for_each(|name| println!("  {name}"));
    }
}
