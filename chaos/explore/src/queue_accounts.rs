//! The account of each queue of a trial by itself: how its entries came, and how each of them left.

use std::collections::{BTreeMap, BTreeSet};

use nexus_cloud::{JournalEntry, MessageStep, MessageStepKind, Service};
use nexus_reports::QueueAccount;

use crate::{backlog::event_id_of, play::Played};

const QUARANTINE_TABLE: &str = "nexus-quarantine";
/// Hosts that bring dead letters back or set them aside.
const PROCESSOR_PREFIX: &str = "dlq-processor";

/// Closes the account of every queue from the journal and from what the queues hold at the end, by name.
///
/// How an entry left is read from its own steps; that it is still there is read from the queue. An entry with neither has
/// vanished, and one that the journal never saw come in appeared from nowhere: either way the account does not balance.
pub fn accounts(played: &Played) -> Vec<QueueAccount> {
    let mut ledger = Ledger::new(&played.journal);
    for entry in &played.journal {
        match entry {
            JournalEntry::Message(step) if step.service == Service::Sqs => ledger.take(step),
            JournalEntry::Write { table, key, new_image: Some(_), .. } if table == QUARANTINE_TABLE => {
                let id = key.split_once('/').map_or("", |(_, id)| id);
                ledger.quarantined.insert(id.to_owned());
            }
            _ => {}
        }
    }
    ledger.close(&remaining(played))
}

/// How an entry left its queue.
#[derive(Clone, Copy)]
enum Fate {
    Done,
    DeadLettered,
    Redriven,
    Quarantined,
    Expired,
}

struct Ledger<'j> {
    /// Who made each call to SQS.
    callers: BTreeMap<u64, &'j str>,
    accounts: BTreeMap<String, QueueAccount>,
    /// Entries by queue and message id, with the way in which they left if they did.
    entries: BTreeMap<(String, String), Option<Fate>>,
    /// The event that a message carries, or its own first id.
    letters: BTreeMap<String, String>,
    quarantined: BTreeSet<String>,
    /// Letters that the processor sent back.
    sent_back: BTreeSet<String>,
}

impl<'j> Ledger<'j> {
    fn new(journal: &'j [JournalEntry]) -> Self {
        let callers = journal.iter().filter_map(|entry| match entry {
            JournalEntry::Call { call, .. } if call.service == Service::Sqs => Some((call.sequence, &*call.caller)),
            _ => None,
        });
        Self {
            callers: callers.collect(),
            accounts: BTreeMap::new(),
            entries: BTreeMap::new(),
            letters: BTreeMap::new(),
            quarantined: BTreeSet::new(),
            sent_back: BTreeSet::new(),
        }
    }

    fn take(&mut self, step: &MessageStep) {
        match step.step {
            MessageStepKind::Accepted => self.accept(step),
            MessageStepKind::Received => self.account(&step.place).received += 1,
            MessageStepKind::Deleted => {
                let fate = self.fate_of_delete(step);
                self.leave(step, fate);
            }
            MessageStepKind::DeadLettered => self.leave(step, Fate::DeadLettered),
            MessageStepKind::Moved => self.leave(step, Fate::Redriven),
            MessageStepKind::Expired | MessageStepKind::Purged => self.leave(step, Fate::Expired),
            // A delete did not stick, or was none: the entry is there still.
            MessageStepKind::Reappeared => {
                self.entries.entry(place_and_id(step)).and_modify(|fate| *fate = None);
            }
            _ => {}
        }
    }

    fn accept(&mut self, step: &MessageStep) {
        let before = step.note.strip_prefix("from ").map(|id| id.trim().to_owned());
        let letter = event_id_of(&step.body)
            .or_else(|| self.letters.get(before.as_ref()?).cloned())
            .unwrap_or_else(|| step.message_id.clone());
        let is_sent_back = self.is_by_processor(step);
        if is_sent_back {
            self.sent_back.insert(letter.clone());
        }
        self.letters.insert(step.message_id.clone(), letter);
        let account = self.account(&step.place);
        account.moved_in += u64::from(before.is_some() || is_sent_back);
        account.sent += u64::from(before.is_none() && !is_sent_back);
        // A message that kept its id comes back as a new entry, so the one that left is booked first.
        if let Some(left) = self.entries.insert(place_and_id(step), None) {
            self.book(&step.place, left);
        }
    }

    /// A consumer deletes what it is done with; the processor of dead letters what it sent back or set aside.
    fn fate_of_delete(&self, step: &MessageStep) -> Fate {
        let letter = self.letters.get(&step.message_id);
        let is_in = |letters: &BTreeSet<String>| letter.is_some_and(|letter| letters.contains(letter));
        match self.is_by_processor(step) {
            true if is_in(&self.quarantined) => Fate::Quarantined,
            true if is_in(&self.sent_back) => Fate::Redriven,
            _ => Fate::Done,
        }
    }

    fn is_by_processor(&self, step: &MessageStep) -> bool {
        self.callers.get(&step.call_sequence).is_some_and(|caller| caller.starts_with(PROCESSOR_PREFIX))
    }

    fn leave(&mut self, step: &MessageStep, fate: Fate) {
        // Of an entry that the journal never saw come in only the leaving is booked, which breaks the balance.
        self.entries.insert(place_and_id(step), Some(fate));
    }

    fn account(&mut self, queue: &str) -> &mut QueueAccount {
        let new = || QueueAccount { queue: queue.to_owned(), ..QueueAccount::default() };
        self.accounts.entry(queue.to_owned()).or_insert_with(new)
    }

    fn book(&mut self, queue: &str, fate: Option<Fate>) {
        let account = self.account(queue);
        match fate {
            None => {}
            Some(Fate::Done) => account.done += 1,
            Some(Fate::DeadLettered) => account.dead_lettered += 1,
            Some(Fate::Redriven) => account.redriven += 1,
            Some(Fate::Quarantined) => account.quarantined += 1,
            Some(Fate::Expired) => account.expired += 1,
        }
    }

    fn close(mut self, remaining: &BTreeSet<(String, String)>) -> Vec<QueueAccount> {
        for (queue, _) in remaining {
            self.account(queue).remaining += 1;
        }
        for (entry, fate) in std::mem::take(&mut self.entries) {
            // What is there has not left, whatever a delete that did not stick said.
            if !remaining.contains(&entry) {
                self.book(&entry.0, fate);
            }
        }
        self.accounts.into_values().collect()
    }
}

fn place_and_id(step: &MessageStep) -> (String, String) {
    (step.place.clone(), step.message_id.clone())
}

/// Queue and message id of all that the queues hold at the end.
fn remaining(played: &Played) -> BTreeSet<(String, String)> {
    let mut held = BTreeSet::new();
    let Some(queues) = played.holdings.get("sqs").and_then(|held| held["queues"].as_object()) else { return held };
    for (name, queue) in queues {
        for message in queue["messages"].as_array().into_iter().flatten() {
            held.insert((name.clone(), message["id"].as_str().unwrap_or_default().to_owned()));
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use nexus_cloud::UnixNanos;

    use super::*;

    fn step(place: &str, step: MessageStepKind, id: &str, note: &str) -> MessageStep {
        MessageStep {
            at: UnixNanos(0),
            call_sequence: 0,
            service: Service::Sqs,
            place: place.to_owned(),
            step,
            message_id: id.to_owned(),
            key: String::new(),
            body: "".into(),
            receive_count: 0,
            note: note.to_owned(),
        }
    }

    fn close(steps: &[MessageStep], remaining: &[(&str, &str)]) -> Vec<QueueAccount> {
        let mut ledger = Ledger::new(&[]);
        steps.iter().for_each(|step| ledger.take(step));
        ledger.close(&remaining.iter().map(|(queue, id)| ((*queue).to_owned(), (*id).to_owned())).collect())
    }

    #[test]
    fn a_letter_that_dies_and_returns_balances_in_both_queues() {
        use MessageStepKind::{Accepted, DeadLettered, Deleted, Moved, Received};
        let steps = [
            step("q", Accepted, "m1", ""),
            step("q", Received, "m1", ""),
            step("q", DeadLettered, "m1", "dlq"),
            step("dlq", Accepted, "m1", "from m1"),
            step("dlq", Moved, "m1", "q"),
            step("q", Accepted, "m1", "from m1"),
            step("q", Received, "m1", ""),
            step("q", Deleted, "m1", ""),
        ];
        let accounts = close(&steps, &[]);
        assert!(accounts.iter().all(QueueAccount::balances), "{accounts:?}");
        let [dlq, q] = accounts.as_slice() else { panic!("two queues: {accounts:?}") };
        assert_eq!((dlq.moved_in, dlq.redriven, dlq.sent), (1, 1, 0));
        assert_eq!((q.sent, q.moved_in, q.received, q.dead_lettered, q.done), (1, 1, 2, 1, 1));
    }

    #[test]
    fn what_vanishes_or_appears_from_nowhere_does_not_balance() {
        use MessageStepKind::{Accepted, Deleted, Reappeared};
        let accepted = step("q", Accepted, "m1", "");
        assert!(!close(std::slice::from_ref(&accepted), &[])[0].balances(), "it vanished");
        assert!(close(&[accepted], &[("q", "m1")])[0].balances());
        assert!(!close(&[], &[("q", "m1")])[0].balances(), "it came from nowhere");
        let unstuck = [step("q", Accepted, "m1", ""), step("q", Deleted, "m1", ""), step("q", Reappeared, "m1", "")];
        let [account] = close(&unstuck, &[("q", "m1")]).try_into().unwrap();
        assert_eq!((account.done, account.remaining, account.balances()), (0, 1, true));
    }
}
