//! What became of every message and of every parked aggregate: nothing may vanish between queue and dead-letter queue.

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
