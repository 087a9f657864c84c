//! Random schedules: workers start, stop, crash and sleep; shards split, merge, roll over and are trimmed; the feed and the
//! lease store lose, delay, throttle and hang. Safety while it burns, liveness after.

#![forbid(unsafe_code)]

mod support;

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_ports::{BoxFuture, Platform, RecordFeed, ShardProgress};
use nexus_ports::{GapListener, GapUnrepaired};
use nexus_ports_testing::{FeedFate, MemoryLeaseStore, ReadFate, WriteFate};
use proptest::prelude::*;
use support::{Behaviour, Effects, GROUP, Rules, Running, World};

/// One thing that happens. Indices are taken modulo what there is.
#[derive(Clone, Debug)]
enum Action {
    Put {
        key: u8,
        count: usize,
    },
    Split {
        shard: usize,
    },
    Merge {
        shard: usize,
    },
    RollOver {
        shard: usize,
    },
    ExpireCursors,
    /// Drops all that a shard holds, read or not.
    Trim {
        shard: usize,
    },
    /// Drops a closed shard, read or not.
    DropShard {
        shard: usize,
    },
    Start {
        behaviour: Handling,
    },
    Stop {
        worker: usize,
    },
    Crash {
        worker: usize,
    },
    /// Suspends a worker, or resumes it.
    Suspend {
        worker: usize,
    },
    FeedTrouble {
        percent: u64,
    },
    LeaseTrouble {
        worker: usize,
        percent: u64,
    },
    Calm,
}

#[derive(Clone, Debug)]
struct Handling {
    latency_ms: u64,
    keeps_back: usize,
    full_at: Option<usize>,
    panics: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Schedule {
    shards: usize,
    page: usize,
    actions: Vec<(u64, Action)>,
    seed: u64,
}

fn handling() -> impl Strategy<Value = Handling> {
    let panics = proptest::collection::vec(1usize..40, 0..4);
    (0u64..600, 0usize..4, proptest::option::of(2usize..6), panics)
        .prop_map(|(latency_ms, keeps_back, full_at, panics)| Handling { latency_ms, keeps_back, full_at, panics })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        12 => (any::<u8>(), 1usize..6).prop_map(|(key, count)| Action::Put { key, count }),
        2 => any::<usize>().prop_map(|shard| Action::Split { shard }),
        1 => any::<usize>().prop_map(|shard| Action::Merge { shard }),
        2 => any::<usize>().prop_map(|shard| Action::RollOver { shard }),
        2 => Just(Action::ExpireCursors),
        1 => any::<usize>().prop_map(|shard| Action::Trim { shard }),
        1 => any::<usize>().prop_map(|shard| Action::DropShard { shard }),
        4 => handling().prop_map(|behaviour| Action::Start { behaviour }),
        1 => any::<usize>().prop_map(|worker| Action::Stop { worker }),
        2 => any::<usize>().prop_map(|worker| Action::Crash { worker }),
        3 => any::<usize>().prop_map(|worker| Action::Suspend { worker }),
        2 => (10u64..90).prop_map(|percent| Action::FeedTrouble { percent }),
        3 => (any::<usize>(), 10u64..90).prop_map(|(worker, percent)| Action::LeaseTrouble { worker, percent }),
        2 => Just(Action::Calm),
    ]
}

fn schedule() -> impl Strategy<Value = Schedule> {
    let actions = proptest::collection::vec((0u64..4_000, action()), 5..60);
    (1usize..5, 1usize..8, actions, any::<u64>()).prop_map(|(shards, page, actions, seed)| Schedule {
        shards,
        page,
        actions,
        seed,
    })
}

/// Repairs as the router does: whatever was ever put is in the event table.
struct RepairFromTable {
    platform: Platform,
    rules: Rules,
    effects: Effects,
    draws: Draws,
}

impl GapListener for RepairFromTable {
    fn trimmed<'a>(&'a self, shard: &'a str, _: &'a ShardProgress) -> BoxFuture<'a, Result<(), GapUnrepaired>> {
        Box::pin(async move {
            let all = self.rules.expected(shard);
            self.platform.sleep(Duration::from_millis(self.draws.below(300))).await;
            if self.draws.below(100) < 40 {
                return Err(GapUnrepaired { detail: "drawn".to_owned() });
            }
            all.iter().for_each(|number| self.effects.repair(shard, number));
            Ok(())
        })
    }
}

/// A shared generator for the fates of calls.
#[derive(Clone)]
struct Draws(Arc<Mutex<u64>>);

impl Draws {
    fn below(&self, bound: u64) -> u64 {
        let mut state = self.0.lock().unwrap();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 33) % bound
    }

    fn feed_fate(&self, percent: u64) -> FeedFate {
        if self.below(100) >= percent {
            return FeedFate::Answered;
        }
        let fates = [
            FeedFate::EmptyPage,
            FeedFate::CursorExpired,
            FeedFate::NoAnswer,
            FeedFate::Throttled,
            FeedFate::NotSent,
            FeedFate::Hangs,
        ];
        fates[self.below(fates.len() as u64) as usize]
    }

    fn write_fate(&self, percent: u64) -> WriteFate {
        if self.below(100) >= percent {
            return WriteFate::Answered;
        }
        let fates = [
            WriteFate::AnswerLost,
            WriteFate::RequestLost,
            WriteFate::AppliedLate { calls: 1 + self.below(4) as u32 },
            WriteFate::Hangs,
            WriteFate::AppliedThenHangs,
            WriteFate::Contended,
            WriteFate::Throttled,
            WriteFate::NotSent,
        ];
        fates[self.below(fates.len() as u64) as usize]
    }

    fn read_fate(&self, percent: u64) -> ReadFate {
        if self.below(100) >= percent {
            return ReadFate::Answered;
        }
        [ReadFate::NoAnswer, ReadFate::Throttled, ReadFate::NotSent, ReadFate::Hangs][self.below(4) as usize]
    }
}

struct Storm {
    world: World,
    draws: Draws,
    workers: Vec<Running>,
    suspended: BTreeSet<String>,
    started: usize,
    /// (child, parent).
    parents: Vec<(String, String)>,
    trimmed: BTreeSet<String>,
}

impl Storm {
    fn new(schedule: &Schedule) -> Self {
        let mut world = World::new(schedule.shards);
        world.feed.page_by(schedule.page);
        world.feed.set_latency(Duration::from_millis(12));
        let draws = Draws(Arc::new(Mutex::new(schedule.seed)));
        let (rules, effects) = (world.rules.clone(), world.effects.clone());
        let platform = world.machine.platform.clone();
        world.listener = Some(Arc::new(RepairFromTable { platform, rules, effects, draws: draws.clone() }));
        Self {
            world,
            draws,
            workers: Vec::new(),
            suspended: BTreeSet::new(),
            started: 0,
            parents: Vec::new(),
            trimmed: BTreeSet::new(),
        }
    }

    async fn act(&mut self, action: &Action) {
        let open = self.world.feed.open_shards();
        match action {
            Action::Put { key, count } => self.world.put(&format!("order-{key}"), *count),
            Action::Split { shard } if open.len() < 6 => {
                let parent = &open[shard % open.len()];
                let children = self.world.feed.split(parent);
                self.parents.extend(children.map(|child| (child, parent.clone())));
            }
            Action::RollOver { shard } => {
                let parent = &open[shard % open.len()];
                self.parents.push((self.world.feed.roll_over(parent), parent.clone()));
            }
            Action::Merge { shard } if open.len() > 1 => {
                let (one, other) = (&open[shard % open.len()], &open[(shard + 1) % open.len()]);
                let child = self.world.feed.merge(one, other);
                self.parents.extend([(child.clone(), one.clone()), (child, other.clone())]);
            }
            Action::Split { .. } | Action::Merge { .. } => {}
            Action::ExpireCursors => self.world.feed.expire_cursors(),
            Action::Trim { shard } => self.trim(*shard),
            Action::DropShard { shard } => self.drop_shard(*shard).await,
            Action::Start { behaviour } if self.workers.len() < 3 => self.start(behaviour),
            Action::Start { .. } => {}
            Action::Calm => self.calm(),
            Action::FeedTrouble { percent } => {
                let (draws, percent) = (self.draws.clone(), *percent);
                self.world.feed.draw_fates(move || draws.feed_fate(percent));
            }
            Action::Stop { worker }
            | Action::Crash { worker }
            | Action::Suspend { worker }
            | Action::LeaseTrouble { worker, .. } => {
                if !self.workers.is_empty() {
                    self.disturb(worker % self.workers.len(), action).await;
                }
            }
        }
    }

    async fn disturb(&mut self, index: usize, action: &Action) {
        let id = self.workers[index].id.clone();
        match action {
            Action::Stop { .. } if !self.suspended.contains(&id) => self.workers.remove(index).stop().await,
            Action::Crash { .. } => {
                self.suspended.remove(&id);
                self.workers.remove(index).crash().await;
            }
            Action::Suspend { .. } if self.suspended.remove(&id) => self.workers[index].gate.open(),
            Action::Suspend { .. } => {
                self.workers[index].gate.shut();
                self.suspended.insert(id);
            }
            Action::LeaseTrouble { percent, .. } => self.trouble(&self.workers[index].leases, *percent),
            _ => {}
        }
    }

    fn trouble(&self, leases: &MemoryLeaseStore, percent: u64) {
        let (writes, reads) = (self.draws.clone(), self.draws.clone());
        leases.draw_write_fates(move || writes.write_fate(percent));
        leases.draw_read_fates(move || reads.read_fate(percent));
    }

    /// What nobody ever began to read leaves no trace when it is dropped, unless it is older than the feed's retention; so
    /// only shards with progress are trimmed, and each once.
    fn trim(&mut self, shard: usize) {
        let has_progress = |shard: &String| {
            let leases = self.world.leases.leases(GROUP);
            leases.iter().any(|lease| lease.shard == *shard && matches!(lease.progress, ShardProgress::After(_)))
        };
        let open = self.world.feed.open_shards();
        let shard = &open[shard % open.len()];
        if let Some(last) = self.world.rules.expected(shard).last()
            && has_progress(shard)
            && self.trimmed.insert(shard.clone())
        {
            self.world.feed.trim_through(shard, last);
        }
    }

    async fn drop_shard(&mut self, shard: usize) {
        self.world.feed.script([FeedFate::Answered]);
        let Ok(shards) = self.world.feed.list_shards().await else { return };
        let leases = self.world.leases.leases(GROUP);
        let has_lease = |id: &str| leases.iter().any(|lease| lease.shard == id);
        let closed: Vec<_> = shards.iter().filter(|shard| shard.is_closed && has_lease(&shard.id)).collect();
        if !closed.is_empty() {
            self.world.feed.drop_shard(&closed[shard % closed.len()].id);
        }
    }

    fn start(&mut self, handling: &Handling) {
        self.started += 1;
        let behaviour = Behaviour {
            latency: Duration::from_millis(handling.latency_ms),
            keeps_back: handling.keeps_back,
            full_at: handling.full_at,
            panics: Arc::new(Mutex::new(handling.panics.clone())),
            ..Behaviour::default()
        };
        self.workers.push(self.world.start_with(&format!("worker-{}", self.started), behaviour));
    }

    fn calm(&mut self) {
        self.world.feed.heal();
        for worker in &self.workers {
            worker.leases.heal();
            worker.gate.open();
        }
        self.suspended.clear();
    }

    async fn play(mut self, schedule: &Schedule) {
        for (pause_ms, action) in &schedule.actions {
            self.world.millis(*pause_ms).await;
            self.act(action).await;
        }
        self.calm();
        self.start(&Handling { latency_ms: 0, keeps_back: 0, full_at: None, panics: Vec::new() });
        self.settle().await;
        for worker in self.workers.drain(..) {
            worker.stop().await;
        }
        let leases = self.world.leases.leases(GROUP);
        assert!(leases.iter().all(|lease| lease.owner.is_none()), "leases are left: {leases:#?}");
        self.world.rules.check(&self.parents);
    }

    /// Everything that was put has its effect, what is closed is finished, and what is open is held by someone.
    async fn settle(&self) {
        let within = Duration::from_secs(240);
        self.world.until_all_effective(within).await;
        let is_settled = |world: &World| {
            let (leases, open) = (world.leases.leases(GROUP), world.feed.open_shards());
            let of = |shard: &String| leases.iter().find(|lease| lease.shard == *shard);
            let lives = |id: &String| self.workers.iter().any(|worker| worker.id == *id);
            let open_are_held =
                open.iter().all(|shard| of(shard).is_some_and(|lease| lease.owner.as_ref().is_some_and(lives)));
            let others_are_finished = leases
                .iter()
                .filter(|lease| !open.contains(&lease.shard))
                .all(|lease| lease.progress == ShardProgress::Finished && lease.owner.is_none());
            open_are_held && others_are_finished
        };
        self.world.until("all is settled", within, is_settled).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_overtaken(schedule in schedule()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(Storm::new(&schedule).play(&schedule));
    }
}
