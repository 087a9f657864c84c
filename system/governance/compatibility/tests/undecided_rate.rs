//! Undecided is honest, but of little use: it must stay rare.
#![forbid(unsafe_code)]

mod generated;
#[path = "generated/rate.rs"]
mod rate;

use generated::pair;

#[test]
fn changes_as_people_make_them_are_decided() {
    let rate = rate::over_evolutions();
    assert!(rate.total() >= 300 && rate.compatible > 50 && rate.incompatible > 50, "{rate:?}");
    assert!(rate.undecided_share() <= 0.02, "{rate:?}");
}

#[test]
fn most_generated_pairs_are_decided() {
    let rate = rate::over_generated_pairs(1_500);
    assert!(rate.total() > 2_500, "{rate:?}");
    assert!(rate.undecided_share() <= 0.03, "{rate:?}");
}
