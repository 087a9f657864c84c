//! One shard as a mapping reads it: where it stands, what it has read and not finished.

use std::{collections::VecDeque, sync::Arc};

use serde_json::{Value, json};

use super::{
    lane::{Lane, LaneState},
    records::StreamItem,
};
use crate::interface::UnixNanos;

/// From where a shard is read next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Position {
    Horizon,
    Latest,
    At(UnixNanos),
    After(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A parent still has records.
    Waiting,
    Reading,
    Finished,
}

#[derive(Debug)]
pub struct Shard {
    pub id: Arc<str>,
    pub parents: Vec<Arc<str>>,
    pub phase: Phase,
    /// Where reading goes on.
    pub position: Position,
    /// Where reading began, or would begin again after a restart without a checkpoint.
    pub start: Position,
    /// Everything up to this sequence number is done with.
    pub checkpoint: Option<String>,
    pub iterator: Option<String>,
    /// A call for an iterator or for records is under way.
    pub is_reading: bool,
    pub is_poll_due: bool,
    pub last_read_at: UnixNanos,
    /// The stream has given all that this shard had.
    pub has_ended: bool,
    pub lanes: Vec<Lane>,
    pub failures: u32,
    /// How often records were found to be trimmed before they were read.
    pub trims: u32,
    /// What was read and not yet passed by the checkpoint, in order: sequence number, done.
    open: VecDeque<(String, bool)>,
    /// The ordinal of the first of these.
    first_open: u64,
    /// How many of them are not done.
    unfinished: usize,
}

impl Shard {
    pub fn new(id: Arc<str>, parents: Vec<Arc<str>>, start: Position, lanes: usize) -> Self {
        Self {
            id,
            parents,
            phase: Phase::Waiting,
            position: start.clone(),
            start,
            checkpoint: None,
            iterator: None,
            is_reading: false,
            is_poll_due: false,
            last_read_at: UnixNanos(0),
            has_ended: false,
            lanes: vec![Lane::default(); lanes],
            failures: 0,
            trims: 0,
            open: VecDeque::new(),
            first_open: 0,
            unfinished: 0,
        }
    }

    /// Forgets what was read and not finished: reading goes on behind the checkpoint.
    pub fn restart(&mut self, lanes: usize) {
        self.position = self.checkpoint.clone().map_or_else(|| self.start.clone(), Position::After);
        self.iterator = None;
        (self.is_reading, self.is_poll_due, self.has_ended) = (false, false, false);
        self.lanes = vec![Lane::default(); lanes];
        self.first_open += self.open.len() as u64;
        self.open.clear();
        self.unfinished = 0;
    }

    /// Records that were read and are not done with.
    pub fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// The ordinal that the next record gets.
    pub fn next_ordinal(&self) -> u64 {
        self.first_open + self.open.len() as u64
    }

    /// Takes a record in; true if a batching window begins in its lane, whose number is given too.
    pub fn take_in(&mut self, item: StreamItem, now: UnixNanos) -> (usize, bool) {
        self.open.push_back((item.sequence.clone(), false));
        self.unfinished += 1;
        let lane = (item.order_hash % self.lanes.len() as u64) as usize;
        (lane, self.lanes[lane].push(item, now))
    }

    /// A record that no function needs to see.
    pub fn skip(&mut self, sequence: String) {
        self.open.push_back((sequence, true));
        self.advance();
    }

    pub fn done(&mut self, items: &[StreamItem]) {
        for item in items {
            let index = item.ordinal.checked_sub(self.first_open).map(|index| index as usize);
            if let Some((_, is_done)) = index.and_then(|index| self.open.get_mut(index))
                && !*is_done
            {
                *is_done = true;
                self.unfinished -= 1;
            }
        }
        self.advance();
    }

    fn advance(&mut self) {
        while self.open.front().is_some_and(|(_, is_done)| *is_done) {
            if let Some((sequence, _)) = self.open.pop_front() {
                self.first_open += 1;
                self.checkpoint = Some(sequence);
            }
        }
    }

    pub fn in_flight(&self) -> usize {
        self.lanes.iter().filter(|lane| lane.state == LaneState::Invoking).count()
    }

    pub fn is_drained(&self) -> bool {
        self.has_ended && self.unfinished == 0 && self.lanes.iter().all(Lane::is_empty)
    }

    pub fn inspect(&self) -> Value {
        json!({
            "phase": match self.phase {
                Phase::Waiting => "waiting for its parents",
                Phase::Reading => "reading",
                Phase::Finished => "finished",
            },
            "checkpoint": self.checkpoint,
            "unfinished": self.unfinished,
            "in_flight": self.in_flight(),
            "trims": self.trims,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(shard: &Shard) -> StreamItem {
        let ordinal = shard.next_ordinal();
        StreamItem {
            ordinal,
            sequence: ordinal.to_string(),
            arrived_at: UnixNanos(0),
            order_hash: ordinal,
            event: String::new(),
        }
    }

    #[test]
    fn the_checkpoint_never_passes_what_is_not_done() {
        let mut shard = Shard::new("s".into(), Vec::new(), Position::Horizon, 2);
        let mut items = Vec::new();
        for _ in 0..4 {
            let item = item(&shard);
            items.push(item.clone());
            shard.take_in(item, UnixNanos(0));
        }
        shard.skip("4".into());
        shard.done(&items[1..3]);
        assert_eq!((shard.checkpoint.as_deref(), shard.unfinished()), (None, 2));
        shard.done(&items[..1]);
        assert_eq!((shard.checkpoint.as_deref(), shard.unfinished()), (Some("2"), 1));
        shard.done(&items[..1]);
        shard.done(&items[3..]);
        assert_eq!((shard.checkpoint.as_deref(), shard.unfinished()), (Some("4"), 0));
        assert_eq!(shard.next_ordinal(), 5);
    }

    #[test]
    fn a_restart_reads_again_what_was_not_done() {
        let mut shard = Shard::new("s".into(), Vec::new(), Position::Horizon, 1);
        shard.restart(1);
        assert_eq!(shard.position, Position::Horizon);
        let items: Vec<StreamItem> = (0..2)
            .map(|_| {
                let item = item(&shard);
                shard.take_in(item.clone(), UnixNanos(0));
                item
            })
            .collect();
        shard.done(&items[..1]);
        shard.restart(3);
        assert_eq!((shard.position.clone(), shard.lanes.len()), (Position::After("0".into()), 3));
        // An answer to what was handed over before comes too late to count.
        shard.done(&items[1..]);
        assert_eq!(shard.checkpoint.as_deref(), Some("0"));
    }
}
