//! Which records of a shard are done, and up to where all of them are.

use std::collections::VecDeque;

use nexus_ports::SequenceNumber;

/// Names a record within one shard handler, in order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ordinal(u64);

/// Records in order of arrival, from the first that is not done.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    open: VecDeque<Entry>,
    /// Ordinal of the front of `open`.
    front: u64,
    durable_through: Option<SequenceNumber>,
}

#[derive(Debug)]
struct Entry {
    sequence_number: SequenceNumber,
    is_done: bool,
}

impl Ledger {
    pub(crate) fn enter(&mut self, sequence_number: SequenceNumber) -> Ordinal {
        self.open.push_back(Entry { sequence_number, is_done: false });
        Ordinal(self.front + self.open.len() as u64 - 1)
    }

    /// The record has had its durable effect, or was durably parked.
    pub(crate) fn settle(&mut self, ordinal: Ordinal) {
        let index = ordinal.0.checked_sub(self.front).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.open.get_mut(index)) {
            entry.is_done = true;
        }
        while self.open.front().is_some_and(|entry| entry.is_done) {
            self.front += 1;
            let done = self.open.pop_front().map(|entry| entry.sequence_number);
            // A feed that was read again from an earlier place must not take the position back.
            self.durable_through = self.durable_through.take().max(done);
        }
    }

    pub(crate) fn durable_through(&self) -> Option<&SequenceNumber> {
        self.durable_through.as_ref()
    }

    /// Records from the first that is not done on.
    pub(crate) fn open_records(&self) -> usize {
        self.open.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u32) -> SequenceNumber {
        SequenceNumber::try_from(value.to_string()).unwrap()
    }

    #[test]
    fn only_what_is_done_without_a_gap_is_durable() {
        let mut ledger = Ledger::default();
        let ordinals: Vec<_> = [10, 20, 30, 40].map(|value| ledger.enter(number(value))).into();
        for (settled, durable, open) in [(1, None, 4), (0, Some(20), 2), (3, Some(20), 2), (2, Some(40), 0)] {
            ledger.settle(ordinals[settled]);
            assert_eq!(ledger.durable_through(), durable.map(number).as_ref(), "after {settled}");
            assert_eq!(ledger.open_records(), open);
        }
    }

    #[test]
    fn records_read_again_do_not_take_the_position_back() {
        let mut ledger = Ledger::default();
        for value in [10, 20, 10] {
            let ordinal = ledger.enter(number(value));
            ledger.settle(ordinal);
            ledger.settle(ordinal);
        }
        assert_eq!(ledger.durable_through(), Some(&number(20)));
    }
}
