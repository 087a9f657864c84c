//! Platform: everything that a service takes from its machine, handed in as values.
//!
//! In production it is the operating system and tokio; in simulation every part is a function of the seed.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc, task, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

/// A boxed future that may move between threads; production runs on many.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A moment on a wall clock: time since the Unix epoch. It can skew and leap: never order by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixTime(pub Duration);

impl UnixTime {
    pub fn from_millis(unix_ms: u64) -> Self {
        Self(Duration::from_millis(unix_ms))
    }

    pub fn as_millis(self) -> u64 {
        u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX)
    }

    pub fn as_system_time(self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH + self.0
    }
}

/// A moment on a clock that never goes back: time since an origin private to the host's current life.
/// Leases and timeouts are measured on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    pub fn since(self, earlier: Monotonic) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

pub trait WallClock: Send + Sync {
    fn now(&self) -> UnixTime;
}

pub trait MonotonicClock: Send + Sync {
    fn now(&self) -> Monotonic;
}

/// Randomness with an address. In simulation the bytes are a function of (seed, host, purpose, logical key,
/// how often that pair was asked before), so that removing one operation does not reshuffle all others.
/// Production ignores the address and asks the operating system.
pub trait Entropy: Send + Sync {
    fn fill(&self, purpose: &'static str, logical_key: &str, bytes: &mut [u8]);
}

/// Starts tasks. A task ends with its host: a crash drops it at its next await.
pub trait Spawner: Send + Sync {
    /// `name` appears in traces, never in decisions.
    fn spawn(&self, name: &'static str, task: BoxFuture<'static, ()>) -> TaskHandle;
}

/// A started task. Dropping the handle lets the task run on; [`TaskHandle::abort`] stops it at its next await.
pub struct TaskHandle {
    abort: Box<dyn Fn() + Send + Sync>,
    finished: BoxFuture<'static, ()>,
}

impl TaskHandle {
    /// `finished` resolves when the task has ended, by itself, by abort or by panic.
    pub fn new(abort: impl Fn() + Send + Sync + 'static, finished: BoxFuture<'static, ()>) -> Self {
        Self { abort: Box::new(abort), finished }
    }

    pub fn abort(&self) {
        (self.abort)();
    }

    pub async fn join(self) {
        self.finished.await;
    }
}

pub trait Timer: Send + Sync {
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// A byte stream between two hosts: TCP, or TLS over it.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}
pub type BoxConnection = Box<dyn Connection>;

/// Where to dial. `tls` asks for a TLS session with `host` as the server's name; the simulator's network is
/// plain and carries https endpoints without it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Authority {
    pub host: String,
    pub port: u16,
    pub tls: bool,
}

impl fmt::Display for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

pub trait Dialer: Send + Sync {
    /// Resolves, connects and, where asked, completes the TLS handshake. No time-out of its own: the caller bounds it.
    fn dial(&self, to: &Authority) -> BoxFuture<'static, io::Result<BoxConnection>>;
}

pub trait Listener: Send + Sync {
    /// Binds a port on all of this host's addresses. Port 0 chooses a free one.
    fn bind(&self, port: u16) -> BoxFuture<'static, io::Result<Box<dyn Acceptor>>>;
}

pub trait Acceptor: Send + Sync {
    fn local_port(&self) -> u16;
    /// The next connection and a name for its peer (a simulated host's name, or a socket address).
    fn accept(&self) -> BoxFuture<'_, io::Result<(BoxConnection, String)>>;
}

/// Small whole files. A write is durable once it returned; a crash before that leaves the old content.
pub trait Disk: Send + Sync {
    fn read(&self, path: &str) -> BoxFuture<'static, io::Result<Vec<u8>>>;
    fn write(&self, path: &str, bytes: Vec<u8>) -> BoxFuture<'static, io::Result<()>>;
    /// Paths of the files directly inside a folder, sorted.
    fn list(&self, folder: &str) -> BoxFuture<'static, io::Result<Vec<String>>>;
}

/// The machine under a service. Cheap to clone; each host has its own.
#[derive(Clone)]
pub struct Platform {
    /// The host's name, for traces and telemetry.
    pub host: Arc<str>,
    pub wall_clock: Arc<dyn WallClock>,
    pub monotonic_clock: Arc<dyn MonotonicClock>,
    pub entropy: Arc<dyn Entropy>,
    pub spawner: Arc<dyn Spawner>,
    pub timer: Arc<dyn Timer>,
    pub dialer: Arc<dyn Dialer>,
    pub listener: Arc<dyn Listener>,
    pub disk: Arc<dyn Disk>,
}

/// The time allowed for an operation has passed; whether it took effect is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no answer within {} ms", .after.as_millis())]
pub struct TimedOut {
    pub after: Duration,
}

impl Platform {
    pub fn unix_time(&self) -> UnixTime {
        self.wall_clock.now()
    }

    pub fn monotonic(&self) -> Monotonic {
        self.monotonic_clock.now()
    }

    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> TaskHandle {
        self.spawner.spawn(name, Box::pin(task))
    }

    pub fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.timer.sleep(duration)
    }

    /// Bounds `operation` by the platform's own timer. When both are ready in one poll the operation wins.
    pub async fn timeout<T>(&self, after: Duration, operation: impl Future<Output = T> + Send) -> Result<T, TimedOut> {
        let mut operation = std::pin::pin!(operation);
        let mut timer = self.sleep(after);
        std::future::poll_fn(move |context| {
            if let task::Poll::Ready(value) = operation.as_mut().poll(context) {
                return task::Poll::Ready(Ok(value));
            }
            timer.as_mut().poll(context).map(|()| Err(TimedOut { after }))
        })
        .await
    }

    /// 64 random bits for one purpose and logical key.
    pub fn random_u64(&self, purpose: &'static str, logical_key: &str) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(purpose, logical_key, &mut bytes);
        u64::from_le_bytes(bytes)
    }

    /// A fraction in [0, 1), for jitter.
    pub fn random_fraction(&self, purpose: &'static str, logical_key: &str) -> f64 {
        // 53 bits are what an f64 holds exactly.
        (self.random_u64(purpose, logical_key) >> 11) as f64 / (1u64 << 53) as f64
    }
}
