//! Which leases this worker takes: free ones up to its fair share, then at most one from the most loaded worker.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use nexus_ports::Monotonic;

use crate::lease_table::{SeenLease, Standing};

/// What a plan is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PlanInput<'a> {
    pub worker_id: &'a str,
    /// Leases of shards that are unfinished and may be read.
    pub candidates: &'a [&'a SeenLease],
    /// Shards that this worker has a task for.
    pub running: &'a BTreeSet<String>,
    pub lease_duration: Duration,
    pub shards_max: usize,
    pub now: Monotonic,
    /// Different for each worker and each plan, so that workers do not all reach for the same lease.
    pub randomness: u64,
}

/// The shards whose leases are to be taken now.
///
/// The fair share is the number of candidates over the number of workers that are seen to hold one (and this one), rounded
/// up. A lease that stayed free for a whole lease duration is taken beyond it: whoever it would be fair for is not taking
/// it. Only when nothing is free a lease is taken from a living worker, the most loaded one, and only if that worker has at
/// least two more than this one, so that the exchange makes the shares more equal and cannot go back and forth.
pub(crate) fn plan_leases(input: PlanInput<'_>) -> Vec<String> {
    let mut free: Vec<(&str, Duration)> = Vec::new();
    let mut held: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for candidate in input.candidates {
        let shard = candidate.lease.shard.as_str();
        let is_running = input.running.contains(shard);
        match candidate.standing(input.worker_id, is_running, input.lease_duration, input.now) {
            // The task has not yet learnt that it lost the lease, or ends just now.
            Standing::Free { .. } if is_running => {}
            Standing::Free { free_for } => free.push((shard, free_for)),
            Standing::Held { owner } => held.entry(owner).or_default().push(shard),
        }
    }
    let room = input.shards_max.saturating_sub(input.running.len());
    let others = held.keys().filter(|owner| owner.as_str() != input.worker_id).count();
    let fair_share = input.candidates.len().div_ceil(others + 1);
    let mut shuffle = Shuffle(input.randomness);
    if free.is_empty() {
        let own_load = input.running.len();
        let most_loaded = held.iter().filter(|(owner, _)| owner.as_str() != input.worker_id);
        let most_loaded = most_loaded.max_by_key(|(_, shards)| shards.len());
        let stolen = most_loaded.filter(|(_, shards)| room > 0 && shards.len() >= own_load + 2);
        return stolen.map(|(_, shards)| shuffle.pick(shards).to_owned()).into_iter().collect();
    }
    shuffle.order(&mut free);
    let wanted = fair_share.saturating_sub(input.running.len()).min(room);
    let overdue = |(_, free_for): &(&str, Duration)| *free_for >= input.lease_duration;
    let beyond = free.iter().skip(wanted).filter(|lease| overdue(lease)).take(room - wanted);
    free.iter().take(wanted).chain(beyond).map(|(shard, _)| (*shard).to_owned()).collect()
}

/// A small generator (splitmix64), so that a plan is a function of its input.
struct Shuffle(u64);

impl Shuffle {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn order<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            items.swap(index, self.below(index + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use nexus_ports::Lease;
    use proptest::prelude::*;

    use super::*;
    use crate::lease_table::{
        LeaseTable,
        tests::{at, lease},
    };

    const TEN: Duration = Duration::from_secs(10);

    /// A plan of `me` at second 100 over leases (shard, owner, second since which it is unchanged).
    fn plan(leases: &[(&str, Option<&str>, u64)], running: &[&str], shards_max: usize) -> Vec<String> {
        let mut table = LeaseTable::default();
        for (shard, owner, since) in leases {
            table.observe_one(lease(shard, *owner, 1), at(*since));
        }
        let running = running.iter().map(|shard| (*shard).to_owned()).collect();
        let candidates: Vec<_> = table.iter().collect();
        let mut plan = plan_leases(PlanInput {
            worker_id: "me",
            candidates: &candidates,
            running: &running,
            lease_duration: TEN,
            shards_max,
            now: at(100),
            randomness: 7,
        });
        plan.sort();
        plan
    }

    #[test]
    fn free_leases_are_taken_up_to_the_fair_share() {
        let held = |shard| (shard, Some("other"), 99);
        let free = |shard| (shard, None, 99);
        let mine = |shard| (shard, Some("me"), 99);
        for (name, leases, running, shards_max, count) in [
            ("alone: all", vec![free("a"), free("b"), free("c")], &[][..], 64, 3),
            ("alone, little room", vec![free("a"), free("b"), free("c")], &[], 2, 2),
            ("no room", vec![free("a")], &["z"], 1, 0),
            ("half of four", vec![held("a"), free("b"), free("c"), free("d")], &[], 64, 2),
            ("share is reached", vec![held("a"), mine("b"), mine("c"), free("d")], &["b", "c"], 64, 0),
            ("rounded up", vec![held("a"), mine("b"), free("c")], &["b"], 64, 1),
            ("in our name, without a task", vec![held("a"), mine("b")], &[], 64, 1),
            ("expired", vec![("a", Some("dead"), 90), ("b", Some("dead"), 91)], &[], 64, 1),
            ("nothing", vec![], &[], 64, 0),
        ] {
            assert_eq!(plan(&leases, running, shards_max).len(), count, "{name}");
        }
    }

    #[test]
    fn a_lease_that_nobody_takes_is_taken_beyond_the_share() {
        let leases =
            |since| [("a", Some("other"), 99), ("b", Some("me"), 99), ("c", None, since), ("d", Some("other"), 99)];
        assert_eq!(plan(&leases(91), &["b", "x"], 64), Vec::<String>::new());
        assert_eq!(plan(&leases(90), &["b", "x"], 64), ["c"]);
    }

    #[test]
    fn at_most_one_is_stolen_and_only_from_who_has_two_more() {
        let other = |shard| (shard, Some("other"), 99);
        assert_eq!(plan(&[other("a"), other("b"), other("c")], &[], 64).len(), 1);
        assert_eq!(plan(&[other("a"), other("b")], &[], 64).len(), 1);
        assert_eq!(plan(&[other("a")], &[], 64).len(), 0, "one more is as fair as it gets");
        assert_eq!(plan(&[other("a"), other("b"), ("m", Some("me"), 99)], &["m"], 64).len(), 0);
        assert_eq!(plan(&[other("a"), other("b"), other("c")], &[], 0).len(), 0, "no room");
        assert_eq!(
            plan(&[other("a"), other("b"), other("c"), ("f", None, 99)], &[], 64),
            ["f"],
            "free ones come first"
        );
    }

    /// Workers that plan in any order, on views of any age up to one plan, end with shares that differ by one at most.
    fn converge(shards: usize, workers: usize, seed: u64) -> (BTreeMap<String, usize>, usize) {
        let mut stored: Vec<Lease> = (0..shards).map(|shard| lease(&format!("s{shard:02}"), None, 1)).collect();
        let names: Vec<String> = (0..workers).map(|worker| format!("w{worker}")).collect();
        let mut tables = vec![LeaseTable::default(); workers];
        let mut random = Shuffle(seed);
        let mut moves_late = 0;
        for second in 0..200u64 {
            let mut order: Vec<usize> = (0..workers).collect();
            random.order(&mut order);
            let mut plans = Vec::new();
            for worker in order {
                // Every holder renews every second.
                for lease in stored.iter_mut().filter(|lease| lease.owner.as_ref() == Some(&names[worker])) {
                    lease.counter += 1;
                }
                tables[worker].observe(stored.clone(), at(second));
                let running: BTreeSet<String> = stored
                    .iter()
                    .filter(|lease| lease.owner.as_ref() == Some(&names[worker]))
                    .map(|lease| lease.shard.clone())
                    .collect();
                let candidates: Vec<_> = tables[worker].iter().collect();
                let shards = plan_leases(PlanInput {
                    worker_id: &names[worker],
                    candidates: &candidates,
                    running: &running,
                    lease_duration: TEN,
                    shards_max: 64,
                    now: at(second),
                    randomness: random.next(),
                });
                plans.push((worker, shards));
                // Half of the time several plans are made before one is carried out.
                if random.below(2) == 0 {
                    moves_late =
                        if second >= 100 { moves_late } else { 0 } + apply(&mut stored, &names, &mut plans, &tables);
                }
            }
            moves_late = if second >= 100 { moves_late } else { 0 } + apply(&mut stored, &names, &mut plans, &tables);
        }
        let mut loads: BTreeMap<String, usize> = names.iter().map(|name| (name.clone(), 0)).collect();
        for lease in &stored {
            *loads.get_mut(lease.owner.as_ref().unwrap()).unwrap() += 1;
        }
        (loads, moves_late)
    }

    fn apply(
        stored: &mut [Lease],
        names: &[String],
        plans: &mut Vec<(usize, Vec<String>)>,
        tables: &[LeaseTable],
    ) -> usize {
        let mut moves = 0;
        for (worker, shards) in plans.drain(..) {
            for shard in shards {
                let lease = stored.iter_mut().find(|lease| lease.shard == shard).unwrap();
                if lease.counter == tables[worker].get(&shard).unwrap().lease.counter {
                    lease.owner = Some(names[worker].clone());
                    lease.counter += 1;
                    moves += 1;
                }
            }
        }
        moves
    }

    proptest! {
        #[test]
        fn shares_become_even_and_stay(shards in 0usize..20, workers in 1usize..6, seed: u64) {
            let (loads, moves_late) = converge(shards, workers, seed);
            let (most, least) = (loads.values().max().unwrap(), loads.values().min().unwrap());
            prop_assert!(most - least <= 1, "{:?}", loads);
            prop_assert_eq!(moves_late, 0, "leases still moved after 100 plans");
        }
    }
}
