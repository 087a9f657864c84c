//! Who can reach whom: the hosts' names, which directions are blocked, which hosts are down, how slow each link is.
//! Both engines keep it, so that the end of a crash never ends a partition of the plan and the other way round.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{Direction, EngineConfig};

/// A host's number, in the order of registration.
pub(crate) type HostId = usize;

/// Latencies below it count as it: a packet that arrived in no time would let an effect precede its cause.
const LATENCY_FLOOR: Duration = Duration::from_micros(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) min: Duration,
    pub(crate) max: Duration,
}

impl Latency {
    /// Panics if `max` is below `min`.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        assert!(min <= max, "a latency of at least {min:?} cannot be at most {max:?}");
        Self { min: min.max(LATENCY_FLOOR), max: max.max(LATENCY_FLOOR) }
    }
}

pub(crate) struct Links {
    names: Vec<String>,
    ids: BTreeMap<String, HostId>,
    /// Directions (from, to) that a partition blocks. Crashes are not in here.
    blocked: BTreeSet<(HostId, HostId)>,
    down: BTreeSet<HostId>,
    latency: Latency,
    pair_latencies: BTreeMap<(HostId, HostId), Latency>,
    #[cfg(not(madsim))]
    waiting_dials: BTreeMap<(HostId, u16), usize>,
}

impl Links {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self {
            names: Vec::new(),
            ids: BTreeMap::new(),
            blocked: BTreeSet::new(),
            down: BTreeSet::new(),
            latency: Latency::new(config.link_latency_min, config.link_latency_max),
            pair_latencies: BTreeMap::new(),
            #[cfg(not(madsim))]
            waiting_dials: BTreeMap::new(),
        }
    }

    /// Panics if the name is taken.
    pub(crate) fn add_host(&mut self, name: &str) -> HostId {
        let id = self.names.len();
        self.names.push(name.to_owned());
        self.name_host(name, id);
        id
    }

    /// Panics if the alias is taken or the host unknown.
    pub(crate) fn add_alias(&mut self, alias: &str, host: &str) {
        let id = self.known(host);
        self.name_host(alias, id);
    }

    fn name_host(&mut self, name: &str, id: HostId) {
        let earlier = self.ids.insert(name.to_owned(), id);
        assert!(earlier.is_none(), "the name `{name}` is given twice");
    }

    pub(crate) fn resolve(&self, name: &str) -> Option<HostId> {
        self.ids.get(name).copied()
    }

    /// A host that the caller must know. Panics otherwise, as [`crate::Control`] says.
    pub(crate) fn known(&self, name: &str) -> HostId {
        self.resolve(name).unwrap_or_else(|| panic!("there is no host `{name}`"))
    }

    pub(crate) fn name(&self, id: HostId) -> &str {
        &self.names[id]
    }

    pub(crate) fn block(&mut self, first: HostId, second: HostId, direction: Direction) {
        assert_ne!(first, second, "a host cannot be parted from itself");
        self.blocked.insert((first, second));
        if direction == Direction::Both {
            self.blocked.insert((second, first));
        }
    }

    pub(crate) fn unblock(&mut self, first: HostId, second: HostId) {
        self.blocked.remove(&(first, second));
        self.blocked.remove(&(second, first));
    }

    pub(crate) fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        self.blocked.contains(&(from, to))
    }

    /// False if it was down already.
    pub(crate) fn take_down(&mut self, host: HostId) -> bool {
        self.down.insert(host)
    }

    /// False if it was not down.
    pub(crate) fn bring_up(&mut self, host: HostId) -> bool {
        self.down.remove(&host)
    }

    pub(crate) fn is_down(&self, host: HostId) -> bool {
        self.down.contains(&host)
    }

    pub(crate) fn set_latency(&mut self, first: HostId, second: HostId, latency: Latency) {
        assert_ne!(first, second, "a host has no link to itself");
        self.pair_latencies.insert((first.min(second), first.max(second)), latency);
    }

    pub(crate) fn latency(&self, first: HostId, second: HostId) -> Latency {
        self.pair_latencies.get(&(first.min(second), first.max(second))).copied().unwrap_or(self.latency)
    }

    /// How many dials wait to be accepted at a host's port; madsim's network keeps its own queues.
    #[cfg(not(madsim))]
    pub(crate) fn waiting_dials(&mut self, to: (HostId, u16)) -> &mut usize {
        self.waiting_dials.entry(to).or_default()
    }
}
