//! What became of every message and of every parked aggregate: nothing may vanish between queue and dead-letter queue.
//!
//! Two accounts: one of the letters, whichever queue they went through, and one of each queue by itself.

use serde::{Deserialize, Serialize};

/// The messages of a trial's queues and the aggregates its consumers parked, counted at the end of the trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterAccount {
    /// Messages that a queue accepted from outside. A redrive sends none anew.
    pub sent: u64,
    /// Messages worked off with their effect, on the first way or after a redrive.
    pub done: u64,
    /// Moves of a message into a dead-letter queue; a message that fails again after a redrive is counted again.
    pub dead_lettered: u64,
    /// Moves of a message back into its queue.
    pub redriven: u64,
    /// Messages set aside for a person, since no repetition can mend them.
    pub quarantined: u64,
    /// Messages that a queue dropped at the end of their retention.
    pub expired: u64,
    /// Messages that still lay in a queue or a dead-letter queue.
    pub left: u64,
    /// Aggregates parked; one that is parked again after its release is counted again.
    pub parked: u64,
    /// Parked aggregates released after all their events had been worked on.
    pub released: u64,
    pub still_parked: u64,
}

impl DeadLetterAccount {
    /// Whether nothing was lost and nothing appeared from nowhere: every message that was sent was done, quarantined,
    /// dropped at its expiry or is left, and every aggregate that was parked was released or is parked still.
    pub fn balances(&self) -> bool {
        let sum = |parts: &[u64]| parts.iter().map(|part| u128::from(*part)).sum::<u128>();
        u128::from(self.sent) == sum(&[self.done, self.quarantined, self.expired, self.left])
            && u128::from(self.parked) == sum(&[self.released, self.still_parked])
    }

    /// Adds another account's counts to this one's. A sum may balance though its parts do not (one lost here, one too many
    /// there), so the parts are judged, never the sum.
    pub fn add(&mut self, other: &DeadLetterAccount) {
        self.sent += other.sent;
        self.done += other.done;
        self.dead_lettered += other.dead_lettered;
        self.redriven += other.redriven;
        self.quarantined += other.quarantined;
        self.expired += other.expired;
        self.left += other.left;
        self.parked += other.parked;
        self.released += other.released;
        self.still_parked += other.still_parked;
    }

    /// The counts under their names, in the order of a message's life.
    pub fn counts(&self) -> [(&'static str, u64); 10] {
        [
            ("sent", self.sent),
            ("done", self.done),
            ("dead-lettered", self.dead_lettered),
            ("redriven", self.redriven),
            ("quarantined", self.quarantined),
            ("expired", self.expired),
            ("left", self.left),
            ("parked", self.parked),
            ("released", self.released),
            ("still parked", self.still_parked),
        ]
    }
}

/// The messages of one queue, or of one dead-letter queue, counted at the end of the trial. A message that comes back is a
/// new entry, so that each entry leaves in one way only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueAccount {
    pub queue: String,
    /// Entries that senders and topics put there.
    pub sent: u64,
    /// Entries that came from another queue: into a dead-letter queue, or back out of it.
    pub moved_in: u64,
    /// Times that a message was handed to a receiver; one that was received twice counts twice.
    pub received: u64,
    /// Entries that a consumer deleted when it was done with them.
    pub done: u64,
    /// Entries that left for the dead-letter queue.
    pub dead_lettered: u64,
    /// Entries that left this dead-letter queue for the queue they came from.
    pub redriven: u64,
    /// Entries that left this dead-letter queue to be set aside for a person.
    pub quarantined: u64,
    /// Entries dropped at the end of their retention, or purged.
    pub expired: u64,
    /// Entries that still lay there.
    pub remaining: u64,
}

impl QueueAccount {
    /// Whether every entry that came left in a way that is known, or lies there still.
    pub fn balances(&self) -> bool {
        let sum = |parts: &[u64]| parts.iter().map(|part| u128::from(*part)).sum::<u128>();
        let left = [self.done, self.dead_lettered, self.redriven, self.quarantined, self.expired, self.remaining];
        sum(&[self.sent, self.moved_in]) == sum(&left)
    }

    /// Adds another account of the same queue. As with [`DeadLetterAccount::add`], the parts are judged, never the sum.
    pub fn add(&mut self, other: &QueueAccount) {
        self.sent += other.sent;
        self.moved_in += other.moved_in;
        self.received += other.received;
        self.done += other.done;
        self.dead_lettered += other.dead_lettered;
        self.redriven += other.redriven;
        self.quarantined += other.quarantined;
        self.expired += other.expired;
        self.remaining += other.remaining;
    }

    /// The counts under their names, in the order of an entry's life.
    pub fn counts(&self) -> [(&'static str, u64); 9] {
        [
            ("sent", self.sent),
            ("moved in", self.moved_in),
            ("received", self.received),
            ("done", self.done),
            ("to DLQ", self.dead_lettered),
            ("redriven", self.redriven),
            ("quarantined", self.quarantined),
            ("expired", self.expired),
            ("remain", self.remaining),
        ]
    }
}
