//! How far a shard is durable: records come in order, and become durable in any.

use std::collections::VecDeque;

use nexus_ports::SequenceNumber;

/// Names a record of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(pub u64);

/// The records that were taken and are not yet behind the durable position.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Ticket of the first entry.
    first_ticket: u64,
    entries: VecDeque<(SequenceNumber, bool)>,
    newest: Option<SequenceNumber>,
    durable_through: Option<SequenceNumber>,
}

impl Ledger {
    /// Enters a record; `None` for one that was entered before, since sequence numbers only rise within a shard.
    pub fn enter(&mut self, sequence_number: SequenceNumber) -> Option<Ticket> {
        if self.newest.as_ref().is_some_and(|newest| *newest >= sequence_number) {
            return None;
        }
        let ticket = Ticket(self.first_ticket + self.entries.len() as u64);
        self.newest = Some(sequence_number.clone());
        self.entries.push_back((sequence_number, false));
        Some(ticket)
    }

    /// The record had its durable effect.
    pub fn settle(&mut self, ticket: Ticket) {
        let index = ticket.0.checked_sub(self.first_ticket).and_then(|index| usize::try_from(index).ok());
        let Some((_, is_durable)) = index.and_then(|index| self.entries.get_mut(index)) else { return };
        *is_durable = true;
        while let Some((sequence_number, true)) = self.entries.front() {
            self.durable_through = Some(sequence_number.clone());
            self.entries.pop_front();
            self.first_ticket += 1;
        }
    }

    pub fn durable_through(&self) -> Option<&SequenceNumber> {
        self.durable_through.as_ref()
    }

    /// Records at and after the first one that is not durable.
    pub fn kept_back(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: u64) -> SequenceNumber {
        SequenceNumber::try_from(value.to_string()).unwrap()
    }

    #[test]
    fn the_position_waits_for_the_first_record_that_is_not_durable() {
        let mut ledger = Ledger::default();
        let tickets: Vec<_> = (1..=4).filter_map(|value| ledger.enter(number(value * 10))).collect();
        assert_eq!(tickets.len(), 4);
        for (settled, wanted, kept_back) in
            [(1, None, 4), (3, None, 4), (0, Some(20), 2), (0, Some(20), 2), (2, Some(40), 0)]
        {
            ledger.settle(tickets[settled]);
            assert_eq!(ledger.durable_through().cloned(), wanted.map(number), "after {settled}");
            assert_eq!(ledger.kept_back(), kept_back, "after {settled}");
        }
    }

    #[test]
    fn a_record_is_entered_once() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.enter(number(5)), Some(Ticket(0)));
        assert_eq!(ledger.enter(number(5)), None);
        assert_eq!(ledger.enter(number(4)), None);
        assert_eq!(ledger.enter(number(10)), Some(Ticket(1)));
    }
}
