//! What a trial failed for, so that a smaller or an altered one can be held to the same.

use nexus_checkers::Violation;
use nexus_reports::Verdict;
use serde::{Deserialize, Serialize};

use crate::child::TrialOutput;

/// A check that broke, and in which way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub check: String,
    /// What the check said, without whatever belongs to one run only: see [`class_of`].
    pub class: String,
}

impl Reason {
    /// The first check that broke and the class of its first violation; none if nothing broke.
    pub fn of(broken: &[String], violations: &[Violation]) -> Option<Reason> {
        let check = broken.first()?.clone();
        let first = violations.iter().find(|violation| violation.checker == check);
        let class = first.map_or(String::new(), |violation| class_of(&violation.what));
        Some(Reason { check, class })
    }

    /// Whether this run failed for the same reason: the same check broke, and one of its violations is of this class.
    pub fn is_of(&self, output: &TrialOutput) -> bool {
        let record = &output.record;
        let broke = record.checks.iter().any(|check| check.name == self.check && check.outcome == Verdict::Broken);
        // What never came back from its process has no violations, only the check called `process`.
        let mut own = output.violations.iter().filter(|violation| violation.checker == self.check).peekable();
        broke
            && (own.peek().is_none() && self.class.is_empty()
                || own.any(|violation| class_of(&violation.what) == self.class))
    }
}

/// A sentence without the words that tell one run from another: each word with a digit in it (ids, versions, counts,
/// times) becomes `#`.
pub fn class_of(what: &str) -> String {
    let is_part = |one: char| one.is_alphanumeric() || "-_./".contains(one);
    let mut class = String::with_capacity(what.len());
    let mut word = String::new();
    for character in what.chars().chain([' ']) {
        if is_part(character) {
            word.push(character);
            continue;
        }
        if word.chars().any(|one| one.is_ascii_digit()) {
            let ending = word.len() - word.trim_end_matches('.').len();
            class.push('#');
            class.push_str(&".".repeat(ending));
        } else {
            class.push_str(&word);
        }
        word.clear();
        class.push(character);
    }
    class.truncate(class.len() - 1);
    class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_not_told_apart_by_ids_and_numbers() {
        for (one, other, same) in [
            ("The view of order-o-1 is behind.", "The view of order-o-22 is behind.", true),
            ("A lease's progress went from 3 back to 2.", "A lease's progress went from 9 back to 1.", true),
            ("An event is missing.", "An event is twice there.", false),
            ("3 operations had no answer", "the bus still owed something", false),
        ] {
            assert_eq!(class_of(one) == class_of(other), same, "{one} / {other}");
        }
        assert_eq!(class_of("after 12 of 13."), "after # of #.");
    }
}
