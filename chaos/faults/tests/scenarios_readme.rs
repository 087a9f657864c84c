//! The table of kinds that writers of scenarios read says what the code does.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use nexus_faults::FaultKind;

const README: &str = include_str!("../../../scenarios/README.md");

/// Each kind in the table with the contract written beside it. A row with several kinds gives one contract for all, or one
/// for each.
fn told() -> BTreeMap<String, String> {
    let section = README.split("## Kinds of faults").nth(1).expect("the section is there");
    let mut told = BTreeMap::new();
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let kinds: Vec<&str> = cells[0].split(", ").map(|kind| kind.trim_matches('`')).collect();
        let contracts: Vec<&str> = cells[1].split(", ").collect();
        assert!(contracts.len() == 1 || contracts.len() == kinds.len(), "{row}");
        for (index, kind) in kinds.iter().enumerate() {
            let contract = contracts[index.min(contracts.len() - 1)];
            assert_eq!(told.insert((*kind).to_owned(), contract.to_owned()), None, "{kind} has two rows");
        }
    }
    told
}

#[test]
fn every_kind_is_in_the_table_with_its_contract() {
    let wanted: BTreeMap<String, String> =
        FaultKind::ALL.iter().map(|kind| (kind.name().to_owned(), kind.contract().to_string())).collect();
    assert_eq!(told(), wanted);
}
