//! Which of a host's ready tasks goes on, and how late: orders that an engine's own scheduler hardly ever picks.
//!
//! An engine takes ready tasks as they come (turmoil) or each with the same chance (madsim). A bug that shows only when one
//! task is overtaken by all others several times in a row is then as good as never met. With priorities the host's most
//! urgent ready task always goes first, and now and then falls behind all others: few such changes are enough for a bug that
//! needs few. Pauses hold a task back for some simulated time after it was woken, so that timers, answers and crashes fall
//! between an await and what follows it.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use nexus_ports::{BoxFuture, Timer};
use rand_chacha::{ChaCha12Rng, rand_core::Rng};

use crate::{entropy::generator, handles::lock};

/// How a host's tasks are taken. By default as the engine takes them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Schedule {
    /// Tasks have priorities, drawn when they are spawned. One in so many steps the task that goes on falls behind all
    /// others, so that none starves. `None`: the engine's own order.
    pub changes_one_in: Option<u32>,
    pub pauses: Option<Pauses>,
}

/// One in so many steps is held back, for at most so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    pub one_in: u32,
    pub max: Duration,
}

impl Schedule {
    pub(crate) fn is_engines_own(&self) -> bool {
        self.changes_one_in.is_none() && self.pauses.is_none()
    }
}

/// The tasks of one life of a host.
pub(crate) struct Turnstile {
    schedule: Schedule,
    timer: Arc<dyn Timer>,
    state: Mutex<State>,
}

struct State {
    dice: ChaCha12Rng,
    tasks: u64,
    /// Higher goes first.
    priorities: BTreeMap<u64, i64>,
    lowest: i64,
    /// Priority and task, of all that were woken and did not go on yet.
    ready: BTreeSet<(i64, u64)>,
}

enum Admission {
    Go,
    Wait,
    Pause(Duration),
}

impl Turnstile {
    pub(crate) fn new(schedule: Schedule, timer: Arc<dyn Timer>, seed: u64, host: &str, start_count: u32) -> Arc<Self> {
        let state = State {
            dice: generator(seed, &["schedule", host], u64::from(start_count)),
            tasks: 0,
            priorities: BTreeMap::new(),
            lowest: 0,
            ready: BTreeSet::new(),
        };
        Arc::new(Self { schedule, timer, state: Mutex::new(state) })
    }

    /// The task, which from now on waits for its turn at each step.
    pub(crate) fn pass<T>(self: &Arc<Self>, task: BoxFuture<'static, T>) -> Turn<T> {
        let mut state = lock(&self.state);
        state.tasks += 1;
        let id = state.tasks;
        let priority = i64::from(state.dice.next_u32());
        state.priorities.insert(id, priority);
        state.ready.insert((priority, id));
        drop(state);
        let alarm = Arc::new(TaskWaker { turnstile: self.clone(), id, engine: Mutex::default() });
        Turn { alarm, pause: None, task }
    }

    /// Whether the task, which the engine picked, may go on.
    fn admit(&self, id: u64) -> Admission {
        let mut state = lock(&self.state);
        state.mark_ready(id);
        let is_most_urgent = state.ready.last().is_some_and(|(_, task)| *task == id);
        if self.schedule.changes_one_in.is_some() && !is_most_urgent {
            return Admission::Wait;
        }
        state.unmark(id);
        if self.schedule.changes_one_in.is_some_and(|one_in| state.happens(one_in)) {
            state.lowest -= 1;
            let lowest = state.lowest;
            state.priorities.insert(id, lowest);
        }
        match self.schedule.pauses {
            Some(Pauses { one_in, max }) if state.happens(one_in) => {
                let nanoseconds = u64::try_from(max.as_nanos()).unwrap_or(u64::MAX).max(1);
                Admission::Pause(Duration::from_nanos(state.dice.next_u64() % nanoseconds))
            }
            _ => Admission::Go,
        }
    }

    fn leave(&self, id: u64) {
        let mut state = lock(&self.state);
        state.unmark(id);
        state.priorities.remove(&id);
    }
}

impl State {
    fn mark_ready(&mut self, id: u64) {
        // A task that ended may still be woken.
        if let Some(priority) = self.priorities.get(&id) {
            self.ready.insert((*priority, id));
        }
    }

    fn unmark(&mut self, id: u64) {
        if let Some(priority) = self.priorities.get(&id) {
            self.ready.remove(&(*priority, id));
        }
    }

    fn happens(&mut self, one_in: u32) -> bool {
        self.dice.next_u32().is_multiple_of(one_in.max(1))
    }
}

/// A task's own waker: whoever wakes it tells the turnstile first.
struct TaskWaker {
    turnstile: Arc<Turnstile>,
    id: u64,
    engine: Mutex<Option<Waker>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        lock(&self.turnstile.state).mark_ready(self.id);
        let engine = lock(&self.engine).clone();
        if let Some(engine) = engine {
            engine.wake();
        }
    }
}

/// A task that waits for its turn.
pub(crate) struct Turn<T> {
    alarm: Arc<TaskWaker>,
    /// What holds it back now, although it was its turn.
    pause: Option<BoxFuture<'static, ()>>,
    task: BoxFuture<'static, T>,
}

impl<T> Turn<T> {
    /// Whether it may go on now.
    fn has_come(&mut self, context: &mut Context<'_>) -> bool {
        let (turnstile, id) = (self.alarm.turnstile.clone(), self.alarm.id);
        if self.pause.is_none() {
            match turnstile.admit(id) {
                Admission::Go => return true,
                Admission::Wait => {
                    context.waker().wake_by_ref();
                    return false;
                }
                Admission::Pause(duration) => self.pause = Some(turnstile.timer.sleep(duration)),
            }
        }
        let is_over = self.pause.as_mut().is_none_or(|pause| pause.as_mut().poll(context).is_ready());
        if is_over {
            self.pause = None;
        }
        // Whoever waits for it would wait for simulated time, which stands still while they do.
        lock(&turnstile.state).unmark(id);
        is_over
    }
}

impl<T> Future for Turn<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        *lock(&self.alarm.engine) = Some(context.waker().clone());
        if !self.has_come(context) {
            return Poll::Pending;
        }
        let waker = Waker::from(self.alarm.clone());
        self.task.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl<T> Drop for Turn<T> {
    fn drop(&mut self) {
        self.alarm.turnstile.leave(self.alarm.id);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, future::poll_fn};

    use futures_util::{FutureExt, StreamExt, stream::FuturesUnordered};

    use super::*;

    struct NoTimer;

    impl Timer for NoTimer {
        fn sleep(&self, _duration: Duration) -> BoxFuture<'static, ()> {
            let mut asked = 0;
            poll_fn(move |context| {
                asked += 1;
                context.waker().wake_by_ref();
                if asked > 3 { Poll::Ready(()) } else { Poll::Pending }
            })
            .boxed()
        }
    }

    /// Three tasks take turns four times each; the order in which they did.
    fn order(schedule: Schedule, seed: u64) -> Vec<u8> {
        let turnstile = Turnstile::new(schedule, Arc::new(NoTimer), seed, "host", 0);
        let taken: Arc<Mutex<Vec<u8>>> = Arc::default();
        let mut tasks = FuturesUnordered::new();
        for name in 0..3 {
            let taken = taken.clone();
            let mut steps = 0;
            let task = poll_fn(move |context| {
                lock(&taken).push(name);
                steps += 1;
                context.waker().wake_by_ref();
                if steps == 4 { Poll::Ready(()) } else { Poll::Pending }
            });
            tasks.push(turnstile.pass(task.boxed()));
        }
        while !tasks.is_empty() {
            let _ended = tasks.next().now_or_never();
        }
        let state = lock(&turnstile.state);
        assert!(state.ready.is_empty() && state.priorities.is_empty(), "what ended is forgotten");
        lock(&taken).clone()
    }

    #[test]
    fn the_most_urgent_task_goes_first_until_it_falls_behind() {
        let never = Schedule { changes_one_in: Some(u32::MAX), ..Schedule::default() };
        let orders: BTreeSet<Vec<u8>> = (0..40).map(|seed| order(never.clone(), seed)).collect();
        assert_eq!(orders.len(), 6, "each of the three may go first, and goes on until it ends: {orders:?}");
        assert!(orders.iter().all(|order| order.chunks(4).all(|run| run.iter().all(|name| *name == run[0]))));
        let often = Schedule { changes_one_in: Some(3), ..Schedule::default() };
        let orders: BTreeSet<Vec<u8>> = (0..200).map(|seed| order(often.clone(), seed)).collect();
        assert!(orders.len() > 60, "{}", orders.len());
    }

    #[test]
    fn a_seed_gives_one_order_and_nothing_is_lost() {
        let pauses = Some(Pauses { one_in: 2, max: Duration::from_millis(5) });
        for changes_one_in in [None, Some(2)] {
            let schedule = Schedule { changes_one_in, pauses };
            for seed in 0..50 {
                let once = order(schedule.clone(), seed);
                assert_eq!(once, order(schedule.clone(), seed));
                assert!((0..3).all(|name| once.iter().filter(|taken| **taken == name).count() == 4), "{once:?}");
            }
        }
    }

    #[test]
    fn a_task_that_is_dropped_holds_nobody_up() {
        let schedule = Schedule { changes_one_in: Some(u32::MAX), ..Schedule::default() };
        for seed in 0..20 {
            let turnstile = Turnstile::new(schedule.clone(), Arc::new(NoTimer), seed, "host", 0);
            let never_polled = turnstile.pass(std::future::pending::<()>().boxed());
            let other = turnstile.pass(std::future::ready(7).boxed());
            drop(never_polled);
            assert_eq!(other.now_or_never(), Some(7));
        }
    }
}
