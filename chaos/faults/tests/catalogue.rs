//! The catalogue is whole, and the page is what the code says.
#![forbid(unsafe_code)]

#[path = "../examples/support/scenarios.rs"]
mod scenarios;

use std::collections::BTreeSet;

use nexus_faults::{
    FaultKind,
    catalogue::{How, ROWS, markdown},
};

#[test]
fn the_page_is_what_the_code_says() {
    let written = include_str!("../CATALOGUE.md");
    assert!(
        written == markdown(&scenarios::read()),
        "CATALOGUE.md is not what the code says; write it anew: cargo run --package nexus-faults --example catalogue"
    );
}

#[test]
fn every_section_and_every_hard_bug_has_its_rows() {
    let sections: BTreeSet<u32> = ROWS.iter().filter_map(|row| row.section.split(' ').next()?.parse().ok()).collect();
    assert_eq!(sections, (3..=15).collect());
    let bugs = ROWS.iter().filter(|row| row.section.starts_with("14 "));
    let numbers: Vec<u32> = bugs.filter_map(|row| row.what.split(' ').next()?.parse().ok()).collect();
    assert_eq!(numbers, (1..=24).collect::<Vec<u32>>());
    let distinct: BTreeSet<(&str, &str)> = ROWS.iter().map(|row| (row.section, row.what)).collect();
    assert_eq!(distinct.len(), ROWS.len(), "a row is there twice");
}

#[test]
fn every_kind_produces_something_and_whatever_is_not_produced_says_why() {
    let mut used = BTreeSet::new();
    for row in ROWS {
        match row.how {
            How::Kinds(kinds, _) => {
                assert!(!kinds.is_empty(), "{}", row.what);
                used.extend(kinds.iter().copied());
            }
            How::Organic(text) | How::NotProduced(text) => assert!(text.len() > 10, "{}: {text}", row.what),
        }
    }
    let idle: Vec<&FaultKind> = FaultKind::ALL.iter().filter(|kind| !used.contains(kind)).collect();
    assert!(idle.is_empty(), "no row is produced by {idle:?}");
}
