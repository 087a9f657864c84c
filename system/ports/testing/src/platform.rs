//! A machine in memory.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use nexus_ports::{
    BoxFuture, Disk, Entropy, Monotonic, MonotonicClock, Platform, Spawner, TaskHandle, Timer, UnixTime, WallClock,
};
use tokio::time::Instant;

use crate::MemoryNetwork;

/// What every wall clock shows at first: 2026-01-01T00:00:00Z.
pub const EPOCH_UNIX_MS: u64 = 1_767_225_600_000;

/// A platform and the handles with which a test reaches behind it. To be made inside a tokio runtime.
#[derive(Clone)]
pub struct TestPlatform {
    pub platform: Platform,
    pub network: MemoryNetwork,
    wall_clock_offset_ms: Arc<AtomicI64>,
    running_tasks: Arc<AtomicUsize>,
}

impl TestPlatform {
    /// `seed` decides all entropy.
    pub fn new(seed: u64) -> Self {
        let network = MemoryNetwork::default();
        let clock = TokioClock { origin: Instant::now(), wall_clock_offset_ms: Arc::default() };
        let running_tasks = Arc::new(AtomicUsize::new(0));
        let platform = Platform {
            host: Arc::from("test"),
            wall_clock: Arc::new(clock.clone()),
            monotonic_clock: Arc::new(clock.clone()),
            entropy: Arc::new(SeededEntropy { seed, asked: Mutex::default() }),
            spawner: Arc::new(TokioSpawner { running: running_tasks.clone() }),
            timer: Arc::new(TokioTimer),
            dialer: Arc::new(network.clone()),
            listener: Arc::new(network.clone()),
            disk: Arc::new(MemoryDisk::default()),
        };
        Self { platform, network, wall_clock_offset_ms: clock.wall_clock_offset_ms, running_tasks }
    }

    /// Shifts the wall clock; the monotonic one stays.
    pub fn leap_wall_clock_ms(&self, offset_ms: i64) {
        self.wall_clock_offset_ms.fetch_add(offset_ms, Ordering::Relaxed);
    }

    /// Starts a task of the test's own, which [`TestPlatform::running_tasks`] leaves out.
    pub fn spawn_beside(&self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(task);
    }

    /// Tasks that were spawned and have not ended: a way to see leaks.
    pub fn running_tasks(&self) -> usize {
        self.running_tasks.load(Ordering::SeqCst)
    }
}

#[derive(Clone)]
struct TokioClock {
    origin: Instant,
    wall_clock_offset_ms: Arc<AtomicI64>,
}

impl WallClock for TokioClock {
    fn now(&self) -> UnixTime {
        let elapsed_ms = u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        let offset_ms = self.wall_clock_offset_ms.load(Ordering::Relaxed);
        UnixTime::from_millis((EPOCH_UNIX_MS + elapsed_ms).saturating_add_signed(offset_ms))
    }
}

impl MonotonicClock for TokioClock {
    fn now(&self) -> Monotonic {
        Monotonic(self.origin.elapsed())
    }
}

/// A function of the seed, the purpose, the key and how often that pair was asked.
struct SeededEntropy {
    seed: u64,
    asked: Mutex<BTreeMap<(&'static str, String), u64>>,
}

impl Entropy for SeededEntropy {
    fn fill(&self, purpose: &'static str, logical_key: &str, bytes: &mut [u8]) {
        let count = {
            let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let count = asked.entry((purpose, logical_key.to_owned())).or_default();
            *count += 1;
            *count
        };
        for (index, chunk) in bytes.chunks_mut(8).enumerate() {
            let mut hasher = DefaultHasher::new();
            (self.seed, purpose, logical_key, count, index).hash(&mut hasher);
            chunk.copy_from_slice(&hasher.finish().to_le_bytes()[..chunk.len()]);
        }
    }
}

struct TokioSpawner {
    running: Arc<AtomicUsize>,
}

/// Counts a task until it is dropped, be it by its end or by an abort.
struct RunningTask(Arc<AtomicUsize>);

impl Drop for RunningTask {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Spawner for TokioSpawner {
    fn spawn(&self, _name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle {
        self.running.fetch_add(1, Ordering::SeqCst);
        let running = RunningTask(self.running.clone());
        let handle = tokio::spawn(async move {
            let _running = running;
            task.await;
        });
        let abort = handle.abort_handle();
        TaskHandle::new(
            move || abort.abort(),
            Box::pin(async move {
                let _ = handle.await;
            }),
        )
    }
}

struct TokioTimer;

impl Timer for TokioTimer {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

#[derive(Default)]
struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl MemoryDisk {
    fn with<T>(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>) -> T) -> T {
        change(&mut self.files.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Disk for MemoryDisk {
    fn read(&self, path: &str) -> BoxFuture<'static, io::Result<Vec<u8>>> {
        let content = self.with(|files| files.get(path).cloned());
        Box::pin(async move { content.ok_or_else(|| io::ErrorKind::NotFound.into()) })
    }

    fn write(&self, path: &str, bytes: Vec<u8>) -> BoxFuture<'static, io::Result<()>> {
        self.with(|files| files.insert(path.to_owned(), bytes));
        Box::pin(async { Ok(()) })
    }

    fn list(&self, folder: &str) -> BoxFuture<'static, io::Result<Vec<String>>> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{}/", folder.trim_end_matches('/')) };
        let is_inside = |path: &&String| path.strip_prefix(&prefix).is_some_and(|name| !name.contains('/'));
        let paths = self.with(|files| files.keys().filter(is_inside).cloned().collect());
        Box::pin(async move { Ok(paths) })
    }
}
