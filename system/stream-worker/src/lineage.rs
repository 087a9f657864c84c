//! Which shards may be read: a child only after all of its parents.

use std::collections::{BTreeMap, BTreeSet};

use nexus_ports::{FeedShard, Monotonic, ShardProgress};

use crate::lease_table::{LeaseTable, SeenLease};

/// The shards of one answer of the feed.
#[derive(Clone, Debug)]
pub(crate) struct Listing {
    /// Parents before children.
    shards: Vec<FeedShard>,
    positions: BTreeMap<String, usize>,
    /// When the call began: whatever the feed had before then, and still keeps, is in it.
    started_at: Monotonic,
}

/// Whether a shard may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    WaitsForParents,
    /// A parent has no lease and was not listed, but the listing is older than this lease: the parent may be a shard that
    /// we do not know yet.
    NeedsListing,
}

impl Listing {
    pub(crate) fn new(shards: Vec<FeedShard>, started_at: Monotonic) -> Self {
        let shards = parents_first(shards);
        let positions = shards.iter().enumerate().map(|(index, shard)| (shard.id.clone(), index)).collect();
        Self { shards, positions, started_at }
    }

    pub(crate) fn started_at(&self) -> Monotonic {
        self.started_at
    }

    pub(crate) fn contains(&self, shard: &str) -> bool {
        self.positions.contains_key(shard)
    }

    pub(crate) fn has_child_of(&self, parent: &str) -> bool {
        self.shards.iter().any(|shard| shard.parents.iter().any(|id| id == parent))
    }

    /// Shards without a lease, parents before children: a child's lease must never exist while that of a parent which is
    /// still listed does not, or another worker would take the parent for gone.
    pub(crate) fn without_lease<'a>(&'a self, table: &'a LeaseTable) -> impl Iterator<Item = &'a FeedShard> {
        self.shards.iter().filter(|shard| table.get(&shard.id).is_none())
    }

    fn parents_of(&self, shard: &str) -> &[String] {
        self.positions.get(shard).map_or(&[], |index| &self.shards[*index].parents)
    }
}

/// Whether the shard of `seen` may be read now.
///
/// A parent holds it back until the parent's lease says that it is finished. A parent that has neither a lease nor a place
/// in the listing was trimmed before this group saw it: there is nothing to wait for.
pub(crate) fn readiness(seen: &SeenLease, table: &LeaseTable, listing: &Listing) -> Readiness {
    let parents: BTreeSet<&String> = seen.lease.parents.iter().chain(listing.parents_of(&seen.lease.shard)).collect();
    let mut readiness = Readiness::Ready;
    for parent in parents {
        match table.get(parent) {
            Some(parent) if parent.lease.progress == ShardProgress::Finished => {}
            Some(_) => return Readiness::WaitsForParents,
            None if listing.contains(parent) => return Readiness::WaitsForParents,
            None if listing.started_at >= seen.discovered_at => {}
            None => readiness = Readiness::NeedsListing,
        }
    }
    readiness
}

/// Brings parents before their children, and else keeps the order. Does not trust the feed's order, nor that its lineage
/// is free of circles.
fn parents_first(shards: Vec<FeedShard>) -> Vec<FeedShard> {
    let mut waiting: BTreeSet<String> = shards.iter().map(|shard| shard.id.clone()).collect();
    let (mut ordered, mut rest) = (Vec::with_capacity(shards.len()), shards);
    while !rest.is_empty() {
        let (ready, held): (Vec<_>, Vec<_>) =
            rest.into_iter().partition(|shard| !shard.parents.iter().any(|parent| waiting.contains(parent)));
        if ready.is_empty() {
            ordered.extend(held);
            break;
        }
        for shard in &ready {
            waiting.remove(&shard.id);
        }
        ordered.extend(ready);
        rest = held;
    }
    ordered
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::lease_table::tests::{at, lease};

    fn shard(id: &str, parents: &[&str]) -> FeedShard {
        FeedShard { id: id.to_owned(), parents: parents.iter().map(|id| (*id).to_owned()).collect(), is_closed: false }
    }

    fn table(leases: &[(&str, &[&str], bool)]) -> LeaseTable {
        let leases = leases.iter().map(|(id, parents, is_finished)| {
            let mut lease = lease(id, None, 1);
            lease.parents = parents.iter().map(|id| (*id).to_owned()).collect();
            if *is_finished {
                lease.progress = ShardProgress::Finished;
            }
            lease
        });
        let mut table = LeaseTable::default();
        table.observe(leases.collect(), at(5));
        table
    }

    #[test]
    fn a_child_waits_for_all_of_its_parents() {
        let both = [shard("p", &[]), shard("q", &[]), shard("c", &["p", "q"])];
        let child_only = [shard("c", &["p", "q"])];
        let c: (&str, &[&str], bool) = ("c", &["p", "q"], false);
        for (name, listed, leases, listed_at, wanted) in [
            (
                "both open",
                &both[..],
                vec![("p", &[][..], false), ("q", &[][..], false), c],
                6,
                Readiness::WaitsForParents,
            ),
            (
                "one open",
                &both[..],
                vec![("p", &[][..], true), ("q", &[][..], false), c],
                6,
                Readiness::WaitsForParents,
            ),
            ("both finished", &both[..], vec![("p", &[][..], true), ("q", &[][..], true), c], 6, Readiness::Ready),
            (
                "finished and no longer listed",
                &child_only[..],
                vec![("p", &[][..], true), ("q", &[][..], true), c],
                6,
                Readiness::Ready,
            ),
            ("listed, lease not yet made", &both[..], vec![("p", &[][..], true), c], 6, Readiness::WaitsForParents),
            (
                "trimmed with lease: its holder must see to it",
                &child_only[..],
                vec![("p", &[][..], true), ("q", &[][..], false), c],
                6,
                Readiness::WaitsForParents,
            ),
            ("trimmed without lease", &child_only[..], vec![c], 6, Readiness::Ready),
            ("unknown, but the listing is older than the lease", &child_only[..], vec![c], 4, Readiness::NeedsListing),
        ] {
            let table = table(&leases);
            let listing = Listing::new(listed.to_vec(), at(listed_at));
            assert_eq!(readiness(table.get("c").unwrap(), &table, &listing), wanted, "{name}");
        }
    }

    #[test]
    fn parents_that_the_lease_does_not_name_are_taken_from_the_listing() {
        let table = table(&[("p", &[], false), ("c", &[], false)]);
        let listing = Listing::new(vec![shard("p", &[]), shard("c", &["p"])], at(6));
        assert_eq!(readiness(table.get("c").unwrap(), &table, &listing), Readiness::WaitsForParents);
    }

    #[test]
    fn leases_are_made_for_parents_first_even_if_the_feed_lists_them_otherwise() {
        let listing = Listing::new(
            vec![shard("c", &["p"]), shard("d", &["c"]), shard("p", &["gone"]), shard("x", &["x"])],
            at(0),
        );
        let no_leases = LeaseTable::default();
        let order: Vec<_> = listing.without_lease(&no_leases).map(|shard| shard.id.as_str()).collect();
        assert_eq!(order, ["p", "c", "d", "x"]);
        assert!(listing.has_child_of("c") && !listing.has_child_of("d"));
    }

    proptest! {
        /// Whatever order and lineage a feed gives: no shard is lost, and no parent comes after its child.
        #[test]
        fn any_lineage_is_ordered(links in proptest::collection::vec((0usize..12, 0usize..12), 0..12), rotate in 0usize..12) {
            let mut shards: Vec<FeedShard> = links
                .iter()
                .enumerate()
                .map(|(index, (one, other))| {
                    let parents: BTreeSet<usize> = [*one, *other].into_iter().filter(|parent| *parent < index).collect();
                    FeedShard { id: index.to_string(), parents: parents.iter().map(usize::to_string).collect(), is_closed: false }
                })
                .collect();
            let count = shards.len();
            if count > 0 {
                shards.rotate_left(rotate % count);
                shards.reverse();
            }
            let listing = Listing::new(shards, at(0));
            prop_assert_eq!(listing.shards.len(), count);
            for (index, shard) in listing.shards.iter().enumerate() {
                for parent in &shard.parents {
                    prop_assert!(listing.positions[parent] < index);
                }
            }
        }
    }
}
