//! Leases: who holds a shard, and how far it is done.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, btree_map::Entry},
};

use serde_json::Value;

use crate::{
    CheckInput, Needs, StorageWrite, Violation,
    bus::{compare_sequences, optional_text, writes_of},
    checks::Check,
    finding::Examination,
    item::{number, text},
};

pub(crate) const FENCING: Check = Check {
    name: "fencing",
    needs: Needs::GroundTruth,
    describe: "A lease's counter rises with every write and its epoch with every new owner, and of two hosts no one writes under the other's epoch: a stale owner's write takes no effect.",
    run: fencing,
};

pub(crate) const PROGRESS: Check = Check {
    name: "progress-never-regresses",
    needs: Needs::GroundTruth,
    describe: "The progress kept in a lease goes from untouched through ever higher sequence numbers to finished, and never back.",
    run: progress_never_regresses,
};

pub(crate) const PARENTS_FIRST: Check = Check {
    name: "parents-first",
    needs: Needs::GroundTruth,
    describe: "No shard is worked on while the lease of a shard that it came from is not finished: the order of an aggregate reaches across a split.",
    run: parents_first,
};

/// How far a shard is done, as its lease says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Untouched,
    After(String),
    Finished,
}

impl Progress {
    pub(crate) fn is_behind(&self, other: &Progress) -> bool {
        match (self, other) {
            (Progress::After(one), Progress::After(other)) => compare_sequences(one, other) == Ordering::Less,
            _ => self.rank() < other.rank(),
        }
    }

    /// Whether a record with this sequence number is told as done.
    pub(crate) fn includes(&self, sequence: &str) -> bool {
        match self {
            Progress::Untouched => false,
            Progress::After(last) => compare_sequences(sequence, last) != Ordering::Greater,
            Progress::Finished => true,
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Progress::Untouched => 0,
            Progress::After(_) => 1,
            Progress::Finished => 2,
        }
    }
}

/// A lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StoredLease {
    pub group: String,
    pub shard: String,
    pub owner: Option<String>,
    pub epoch: u64,
    pub counter: u64,
    pub progress: Progress,
    /// The shards that this one came from.
    pub parents: Vec<String>,
}

impl StoredLease {
    pub(crate) fn is_worked_on(&self) -> bool {
        self.progress != Progress::Untouched
    }

    pub(crate) fn read(image: &Value) -> Option<Self> {
        let told = text(image, "progress").ok()?;
        // The number stands in an attribute of its own, or behind the word.
        let progress = match (told.as_str(), optional_text(image, "sequence_number")) {
            ("untouched", _) => Progress::Untouched,
            ("finished", _) => Progress::Finished,
            ("after", Some(sequence)) => Progress::After(sequence),
            (told, _) => Progress::After(told.strip_prefix("after:")?.to_owned()),
        };
        let parents = image["parents"]["L"].as_array().into_iter().flatten();
        Some(Self {
            group: text(image, "pk").ok()?,
            shard: text(image, "sk").ok()?,
            owner: optional_text(image, "owner"),
            epoch: number(image, "epoch").ok()?,
            counter: number(image, "counter").ok()?,
            progress,
            parents: parents.filter_map(|parent| Some(parent["S"].as_str()?.to_owned())).collect(),
        })
    }
}

/// Every write of a lease that can be read, in the order in which they took effect.
pub(crate) fn lease_writes(input: &CheckInput) -> Vec<(&StorageWrite, StoredLease)> {
    let writes = writes_of(input, &input.settings.leases_table);
    writes.filter_map(|write| Some((write, StoredLease::read(write.new_image.as_ref()?)?))).collect()
}

fn fencing(input: &CheckInput, examination: &mut Examination) {
    let callers: BTreeMap<u64, &str> =
        input.truth.calls.iter().map(|call| (call.sequence, call.caller.as_str())).collect();
    let mut last: BTreeMap<&str, StoredLease> = BTreeMap::new();
    let mut holders: BTreeMap<(&str, u64), &str> = BTreeMap::new();
    for write in writes_of(input, &input.settings.leases_table) {
        let Some(image) = &write.new_image else {
            last.remove(write.key.as_str());
            continue;
        };
        let Some(lease) = StoredLease::read(image) else {
            examination.examine();
            examination.violation(Violation::new("A lease cannot be read.").key(&write.key).at(write.at_ns));
            continue;
        };
        let before = last.get(write.key.as_str());
        let caller = callers.get(&write.call_sequence).copied();
        let intruder = caller.filter(|_| lease.owner.is_some()).and_then(|caller| {
            match holders.entry((&write.key, lease.epoch)) {
                Entry::Vacant(free) => {
                    free.insert(caller);
                    None
                }
                Entry::Occupied(holder) => {
                    (*holder.get() != caller).then(|| format!("{caller} instead of {}", holder.get()))
                }
            }
        });
        let problem = before
            .and_then(|before| succession_problem(before, &lease))
            .or_else(|| intruder.map(|who| format!("was written under epoch {} by {who}", lease.epoch)));
        examination.expect(problem.is_none(), || {
            let violation = Violation::new(format!("A lease {}.", problem.unwrap_or_default()))
                .key(&write.key)
                .at(write.at_ns)
                .evidence(format!("call {} wrote {lease:?}", write.call_sequence));
            match before {
                Some(before) => violation.evidence(format!("over {before:?}")),
                None => violation,
            }
        });
        last.insert(&write.key, lease);
    }
}

fn succession_problem(before: &StoredLease, lease: &StoredLease) -> Option<String> {
    if lease.counter <= before.counter {
        return Some(format!("went from counter {} to {}", before.counter, lease.counter));
    }
    match (lease.epoch.cmp(&before.epoch), &lease.owner) {
        (Ordering::Less, _) => Some(format!("went from epoch {} back to {}", before.epoch, lease.epoch)),
        (Ordering::Equal, Some(owner)) if before.owner.as_ref() != Some(owner) => {
            Some(format!("came to {owner} without a new epoch"))
        }
        (Ordering::Greater, _) if lease.epoch != before.epoch + 1 => {
            Some(format!("leapt from epoch {} to {}", before.epoch, lease.epoch))
        }
        _ => None,
    }
}

fn progress_never_regresses(input: &CheckInput, examination: &mut Examination) {
    let mut furthest: BTreeMap<&str, Progress> = BTreeMap::new();
    for (write, lease) in lease_writes(input) {
        let before = furthest.get(write.key.as_str()).cloned().unwrap_or(Progress::Untouched);
        let is_back = lease.progress.is_behind(&before);
        examination.expect(!is_back, || {
            Violation::new(format!("A lease's progress went from {before:?} back to {:?}.", lease.progress))
                .key(&write.key)
                .at(write.at_ns)
                .evidence(format!("call {}, owner {:?}, epoch {}", write.call_sequence, lease.owner, lease.epoch))
        });
        if !is_back {
            furthest.insert(&write.key, lease.progress);
        }
    }
}

fn parents_first(input: &CheckInput, examination: &mut Examination) {
    let mut progress: BTreeMap<(String, String), Progress> = BTreeMap::new();
    for (write, lease) in lease_writes(input) {
        if lease.is_worked_on() {
            // A parent without a lease was gone before the group began.
            let unfinished = lease.parents.iter().find_map(|parent| {
                let of_parent = progress.get(&(lease.group.clone(), parent.clone()))?;
                (*of_parent != Progress::Finished).then_some((parent, of_parent))
            });
            examination.expect(unfinished.is_none(), || {
                let told = unfinished.map(|(parent, progress)| format!("{parent}, which is {progress:?}"));
                Violation::new("A shard was worked on before a shard that it came from was finished.")
                    .key(&write.key)
                    .at(write.at_ns)
                    .evidence(format!("call {}: {:?}", write.call_sequence, lease.progress))
                    .evidence(format!("it came from {}", told.unwrap_or_default()))
            });
        }
        progress.insert((lease.group, lease.shard), lease.progress);
    }
}
