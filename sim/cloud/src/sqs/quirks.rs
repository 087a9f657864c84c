//! A call's quirks, looked up by kind.

use std::time::Duration;

use crate::interface::{EntryFailureCode, Quirk};

/// What befalls one call of a queue or a topic.
#[derive(Clone, Debug, Default)]
pub struct Quirks {
    failures: Vec<(usize, usize, EntryFailureCode, bool)>,
    /// A receive gives nothing.
    pub empty: bool,
    /// What is sent, or received, is there twice.
    pub duplicate: bool,
    /// A batch is delivered backwards.
    pub reverse: bool,
    /// What is sent is delivered this much later.
    pub delay: Duration,
    /// A delete is acknowledged and forgotten.
    pub delete_does_not_stick: bool,
    /// The subscriber cannot be reached.
    pub unreachable: bool,
    /// The subscriber refuses for good.
    pub refused: bool,
}

impl Quirks {
    pub fn of(quirks: &[Quirk]) -> Self {
        let mut found = Self::default();
        for quirk in quirks {
            match quirk {
                Quirk::FailEntries { first, count, code, applied } => {
                    found.failures.push((*first, *count, *code, *applied));
                }
                Quirk::EmptyPage => found.empty = true,
                Quirk::Duplicate => found.duplicate = true,
                Quirk::Reverse => found.reverse = true,
                Quirk::DelayDelivery { by_ms } => found.delay += Duration::from_millis(*by_ms),
                Quirk::DeleteDoesNotStick => found.delete_does_not_stick = true,
                Quirk::UnreachableTarget => found.unreachable = true,
                Quirk::RefusedDelivery => found.refused = true,
                Quirk::ExpireIterator
                | Quirk::Trim
                | Quirk::StayPending { .. }
                | Quirk::FailVersion
                | Quirk::FunctionDies => {}
            }
        }
        found
    }

    /// Whether the batch's entry at `index` fails, and whether it takes effect nevertheless.
    pub fn failure(&self, index: usize) -> Option<(EntryFailureCode, bool)> {
        self.failures
            .iter()
            .find(|(first, count, ..)| index >= *first && index - first < *count)
            .map(|(_, _, code, applied)| (*code, *applied))
    }
}
