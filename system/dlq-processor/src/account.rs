//! The books of a run.

use std::ops::AddAssign;

/// What a run did. `received = redriven + quarantined + left` always holds, so that with the accounts of the consumers
/// `sent = done + parked + quarantined` can be checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DlqAccount {
    /// Dead letters received, each counted once.
    pub received: u64,
    /// Letters that their home queue has accepted.
    pub redriven: u64,
    /// Letters that the quarantine has accepted.
    pub quarantined: u64,
    /// Letters that stay in their dead-letter queue for a later run. Where a send had no answer, the home queue may have
    /// them as well.
    pub left: u64,
    /// Parked aggregates that flow again.
    pub released: u64,
    /// Parked aggregates that this run found and left parked.
    pub still_parked: u64,
    /// Letters received again within the run, and aggregates that someone else released meanwhile.
    pub duplicates: u64,
    /// Letters that were redriven or quarantined but may still lie in their dead-letter queue: their deletion was not
    /// confirmed. They come again, and nothing is lost or doubled by it.
    pub undeleted: u64,
    /// Dead-letter queues and parking lots that did not answer: what lies there is not in this account.
    pub unreachable: u64,
}

impl DlqAccount {
    /// The run found nothing to do, anywhere.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl AddAssign for DlqAccount {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.redriven += other.redriven;
        self.quarantined += other.quarantined;
        self.left += other.left;
        self.released += other.released;
        self.still_parked += other.still_parked;
        self.duplicates += other.duplicates;
        self.undeleted += other.undeleted;
        self.unreachable += other.unreachable;
    }
}
