//! What this worker has seen of the group's leases, and since when by its own monotonic clock.

use std::{collections::BTreeMap, time::Duration};

use nexus_ports::{Lease, Monotonic};

/// The group's leases as last seen.
#[derive(Clone, Debug, Default)]
pub(crate) struct LeaseTable {
    seen: BTreeMap<String, SeenLease>,
}

#[derive(Clone, Debug)]
pub(crate) struct SeenLease {
    pub lease: Lease,
    /// When this counter was first seen: the holder renewed it no later than that.
    pub unchanged_since: Monotonic,
    /// When the lease was first seen at all.
    pub discovered_at: Monotonic,
}

/// Who may work on a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Someone renews it.
    Held { owner: String },
    /// Nobody does: it was never taken, was released, or was not renewed in time. `free_for` is how long it stood so.
    Free { free_for: Duration },
}

impl LeaseTable {
    /// Takes a complete list of leases. `listed_at` is the END of the call that gave it: a holder's renewal that the list
    /// shows then began earlier, and what is counted from here ends later than what the holder counts.
    pub(crate) fn observe(&mut self, leases: Vec<Lease>, listed_at: Monotonic) {
        let mut before = std::mem::take(&mut self.seen);
        for lease in leases {
            let entry = match before.remove(&lease.shard) {
                Some(known) if known.lease.counter == lease.counter => known,
                // Also a smaller counter is news: an operator may have begun the group anew.
                Some(known) => SeenLease { lease, unchanged_since: listed_at, discovered_at: known.discovered_at },
                None => SeenLease { lease, unchanged_since: listed_at, discovered_at: listed_at },
            };
            self.seen.insert(entry.lease.shard.clone(), entry);
        }
    }

    /// Takes one lease that this worker wrote or read by itself.
    pub(crate) fn observe_one(&mut self, lease: Lease, at: Monotonic) {
        let entry = self.seen.entry(lease.shard.clone()).or_insert_with(|| SeenLease {
            lease: lease.clone(),
            unchanged_since: at,
            discovered_at: at,
        });
        if entry.lease.counter != lease.counter {
            entry.lease = lease;
            entry.unchanged_since = at;
        }
    }

    pub(crate) fn get(&self, shard: &str) -> Option<&SeenLease> {
        self.seen.get(shard)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SeenLease> {
        self.seen.values()
    }
}

impl SeenLease {
    /// `is_worked_on` tells whether this worker runs a task for the lease. A lease in our name without one is free: it was
    /// taken by a write whose outcome we never learnt, or its task ended.
    pub(crate) fn standing(
        &self,
        worker_id: &str,
        is_worked_on: bool,
        lease_duration: Duration,
        now: Monotonic,
    ) -> Standing {
        let unchanged_for = now.since(self.unchanged_since);
        match &self.lease.owner {
            None => Standing::Free { free_for: unchanged_for },
            Some(owner) if owner == worker_id && !is_worked_on => Standing::Free { free_for: unchanged_for },
            Some(owner) if owner == worker_id => Standing::Held { owner: owner.clone() },
            Some(_) if unchanged_for >= lease_duration => {
                Standing::Free { free_for: unchanged_for.saturating_sub(lease_duration) }
            }
            Some(owner) => Standing::Held { owner: owner.clone() },
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use nexus_ports::ShardProgress;

    use super::*;

    pub(crate) fn lease(shard: &str, owner: Option<&str>, counter: u64) -> Lease {
        Lease {
            shard: shard.to_owned(),
            parents: Vec::new(),
            owner: owner.map(str::to_owned),
            epoch: 1,
            counter,
            progress: ShardProgress::Untouched,
            memory: String::new(),
        }
    }

    pub(crate) fn at(seconds: u64) -> Monotonic {
        Monotonic(Duration::from_secs(seconds))
    }

    const TEN: Duration = Duration::from_secs(10);

    #[test]
    fn a_lease_expires_by_our_own_clock_since_its_counter_last_moved() {
        let mut table = LeaseTable::default();
        let held = Standing::Held { owner: "other".to_owned() };
        let free = |seconds| Standing::Free { free_for: Duration::from_secs(seconds) };
        // A counter that was old when we first saw it says nothing about when it was written.
        for (counter, listed, asked, wanted) in [
            (5, 100, 109, held.clone()),
            (5, 109, 110, free(0)),
            (6, 110, 119, held.clone()),
            (7, 119, 128, held.clone()),
            (7, 140, 140, free(11)),
        ] {
            table.observe(vec![lease("a", Some("other"), counter)], at(listed));
            let standing = table.get("a").unwrap().standing("me", false, TEN, at(asked));
            assert_eq!(standing, wanted, "counter {counter} at {asked}");
        }
    }

    #[test]
    fn own_leases_are_free_unless_worked_on_and_released_ones_at_once() {
        let mut table = LeaseTable::default();
        table.observe(vec![lease("own", Some("me"), 1), lease("released", None, 1)], at(1));
        let standing = |shard: &str, is_worked_on| table.get(shard).unwrap().standing("me", is_worked_on, TEN, at(1));
        assert_eq!(standing("own", true), Standing::Held { owner: "me".to_owned() });
        assert_eq!(standing("own", false), Standing::Free { free_for: Duration::ZERO });
        assert_eq!(standing("released", false), Standing::Free { free_for: Duration::ZERO });
    }

    #[test]
    fn a_lease_that_began_anew_is_seen_as_it_is() {
        let mut table = LeaseTable::default();
        table.observe_one(lease("a", Some("me"), 9), at(3));
        table.observe(vec![lease("a", None, 1)], at(4));
        assert_eq!(table.get("a").unwrap().lease.counter, 1);
        assert_eq!(table.get("a").unwrap().unchanged_since, at(4));
        assert_eq!(table.get("a").unwrap().discovered_at, at(3));
    }

    #[test]
    fn leases_that_are_gone_are_forgotten() {
        let mut table = LeaseTable::default();
        table.observe(vec![lease("a", None, 1), lease("b", None, 1)], at(0));
        table.observe(vec![lease("b", None, 1)], at(1));
        assert!(table.get("a").is_none() && table.get("b").is_some());
    }
}
