//! How many verdicts are the same, and how the others differ.

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{opinions::Opinions, questions::Origin};

#[derive(Clone, Copy, Default)]
struct Counts {
    asked: usize,
    same: usize,
    both_undecided: usize,
    ours_undecided: usize,
    only_we_refute: usize,
    only_we_prove: usize,
    stricter: usize,
    laxer: usize,
    refused: usize,
    only_they_decide: usize,
}

#[derive(Default)]
pub struct Tally {
    counts: BTreeMap<Origin, Counts>,
    /// Documents drawn here that every "compatible" was put to.
    pub documents: usize,
    pub with_document: usize,
    pub confirmed: usize,
}

impl Tally {
    pub fn new(documents: usize) -> Tally {
        Tally { documents, ..Tally::default() }
    }

    pub fn add(&mut self, origin: Origin, opinions: &Opinions) {
        self.with_document += usize::from(opinions.our_document.is_some());
        self.confirmed += usize::from(opinions.is_ours_confirmed);
        let counts = self.counts.entry(origin).or_default();
        counts.asked += 1;
        counts.ours_undecided += usize::from(opinions.ours == "undecided");
        let bucket = match (opinions.ours, opinions.theirs.as_str()) {
            (ours, theirs) if ours == theirs => {
                counts.both_undecided += usize::from(ours == "undecided");
                &mut counts.same
            }
            ("incompatible", "undecided") => &mut counts.only_we_refute,
            ("compatible", "undecided") => &mut counts.only_we_prove,
            ("incompatible" | "undecided", "compatible") => &mut counts.stricter,
            ("compatible", "incompatible") => &mut counts.laxer,
            ("undecided", "incompatible") => &mut counts.only_they_decide,
            _ => &mut counts.refused,
        };
        *bucket += 1;
    }

    pub fn table(&self) -> String {
        let mut table = String::from("| |");
        let columns: Vec<Counts> =
            Origin::ALL.map(|origin| self.counts.get(&origin).copied().unwrap_or_default()).into();
        Origin::ALL.iter().for_each(|origin| table.push_str(&format!(" {origin} |")));
        table.push_str("\n|---|--:|--:|--:|--:|\n");
        let rows: [(&str, fn(&Counts) -> usize); 10] = [
            ("questions", |counts| counts.asked),
            ("the same verdict", |counts| counts.same),
            ("… of these undecided by both", |counts| counts.both_undecided),
            ("we show a document, jsoncompat is undecided", |counts| counts.only_we_refute),
            ("we prove, jsoncompat is undecided", |counts| counts.only_we_prove),
            ("we are stricter", |counts| counts.stricter),
            ("we are laxer", |counts| counts.laxer),
            ("we are undecided, jsoncompat shows a document", |counts| counts.only_they_decide),
            ("jsoncompat refuses a schema", |counts| counts.refused),
            ("**undecided by us**, hence incompatible", |counts| counts.ours_undecided),
        ];
        for (label, count) in rows {
            let _ = write!(table, "| {label} |");
            columns.iter().for_each(|counts| table.push_str(&format!(" {} |", count(counts))));
            table.push('\n');
        }
        table
    }

    /// One line for the terminal.
    pub fn line(&self) -> String {
        let sum = |count: fn(&Counts) -> usize| self.counts.values().map(count).sum::<usize>();
        format!(
            "{} questions: {} the same verdict, {} only we decide, {} we are stricter, {} we are laxer, {} only jsoncompat decides, \
             {} refused by jsoncompat; {} undecided by us",
            sum(|counts| counts.asked),
            sum(|counts| counts.same),
            sum(|counts| counts.only_we_refute + counts.only_we_prove),
            sum(|counts| counts.stricter),
            sum(|counts| counts.laxer),
            sum(|counts| counts.only_they_decide),
            sum(|counts| counts.refused),
            sum(|counts| counts.ours_undecided)
        )
    }
}
