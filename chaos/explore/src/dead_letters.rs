//! The account of a trial's notifications: what was sent, and where each of them ended.

use std::collections::{BTreeMap, BTreeSet};

use nexus_cloud::{JournalEntry, MessageStepKind, Service};
use nexus_reports::DeadLetterAccount;
use nexus_world::bus;

use crate::{backlog::event_id_of, play::Played};

/// Closes the account from the journal and from what the queues hold at the end. A letter is told by the event it carries,
/// or by its own id where it carries none; its copies count once.
pub fn account(played: &Played) -> DeadLetterAccount {
    let mut account = DeadLetterAccount::default();
    let mut book = Book::new(&played.journal);
    for entry in &played.journal {
        book.take(entry, &mut account);
    }
    let left = book.letters_in_queues(played);
    account.sent = book.sent.len() as u64;
    for letter in &book.sent {
        if book.done.contains(letter) {
            account.done += 1;
        } else if book.quarantined.contains(letter) {
            account.quarantined += 1;
        } else if left.contains(letter) {
            account.left += 1;
        } else if book.expired.contains(letter) {
            account.expired += 1;
        }
    }
    account
}

struct Book<'j> {
    callers: BTreeMap<u64, &'j str>,
    /// Letter of each message id.
    letters: BTreeMap<String, String>,
    sent: BTreeSet<String>,
    done: BTreeSet<String>,
    quarantined: BTreeSet<String>,
    expired: BTreeSet<String>,
}

impl<'j> Book<'j> {
    fn new(journal: &'j [JournalEntry]) -> Self {
        let callers = journal.iter().filter_map(|entry| match entry {
            JournalEntry::Call { call, .. } if call.service == Service::Sqs => Some((call.sequence, &*call.caller)),
            _ => None,
        });
        Self {
            callers: callers.collect(),
            letters: BTreeMap::new(),
            sent: BTreeSet::new(),
            done: BTreeSet::new(),
            quarantined: BTreeSet::new(),
            expired: BTreeSet::new(),
        }
    }

    fn take(&mut self, entry: &JournalEntry, account: &mut DeadLetterAccount) {
        match entry {
            JournalEntry::Message(step) if step.service == Service::Sqs => match step.step {
                MessageStepKind::Accepted => self.accepted(step, account),
                MessageStepKind::DeadLettered => account.dead_lettered += 1,
                MessageStepKind::Moved => account.redriven += 1,
                MessageStepKind::Expired | MessageStepKind::Purged => {
                    self.expired.extend(self.letters.get(&step.message_id).cloned());
                }
                _ => {}
            },
            JournalEntry::Message(step)
                if step.service == Service::Sns && step.step == MessageStepKind::DeadLettered =>
            {
                account.dead_lettered += 1;
            }
            JournalEntry::Write { table, key, old_image, new_image, .. } => {
                let id = key.split_once('/').map_or("", |(_, id)| id);
                match (table.as_str(), old_image, new_image) {
                    ("nexus-outbox", _, Some(_)) => _ = self.done.insert(id.to_owned()),
                    ("nexus-quarantine", _, Some(_)) => _ = self.quarantined.insert(id.to_owned()),
                    ("nexus-parked", None, Some(_)) => {
                        account.parked += 1;
                        account.still_parked += 1;
                    }
                    ("nexus-parked", Some(_), None) => {
                        account.released += 1;
                        account.still_parked -= 1;
                    }
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn accepted(&mut self, step: &nexus_cloud::MessageStep, account: &mut DeadLetterAccount) {
        // A message that moves between the queues keeps its letter; one without an event is its own letter.
        let before = step.note.strip_prefix("from ").and_then(|id| self.letters.get(id.trim()).cloned());
        let letter = event_id_of(&step.body).or(before).unwrap_or_else(|| step.message_id.clone());
        self.letters.insert(step.message_id.clone(), letter.clone());
        if step.place == bus::NOTIFICATION_QUEUE {
            let by_processor =
                self.callers.get(&step.call_sequence).is_some_and(|caller| caller.starts_with("dlq-processor"));
            account.redriven += u64::from(by_processor);
            self.sent.insert(letter);
        } else if step.place == bus::BACKGROUND_DEAD_LETTERS {
            // Meant for the queue, and kept here because it did not take it.
            self.sent.insert(letter);
        }
    }

    fn letters_in_queues(&self, played: &Played) -> BTreeSet<String> {
        let mut left = BTreeSet::new();
        let Some(queues) = played.holdings.get("sqs").and_then(|held| held["queues"].as_object()) else { return left };
        for message in queues.values().filter_map(|queue| queue["messages"].as_array()).flatten() {
            let id = message["id"].as_str().unwrap_or_default();
            left.extend(self.letters.get(id).cloned());
        }
        left
    }
}
