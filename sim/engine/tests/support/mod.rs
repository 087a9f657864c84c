//! Small worlds for the engines' tests: programs from closures, a director from a list of steps.
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::{
    collections::VecDeque,
    future::Future,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_engine::{
    Control, Director, EngineConfig, EngineError, EngineHandles, Next, Program, ProgramResult, RunSummary, Trace,
    TraceRecord, new_engine, on_fresh_thread,
};
use nexus_ports::{Authority, BoxConnection, Platform};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Adds a client whose body notes what it sees.
#[allow(unused_macros, reason = "as above")]
macro_rules! client {
    ($builder:expr, $name:expr, |$platform:ident, $notes:ident| $body:block) => {{
        let notes = $builder.notes.clone();
        $builder.engine.add_host(
            $name,
            program(move |$platform, _start_count| {
                let $notes = notes.clone();
                async move {
                    $body;
                    Ok(())
                }
            }),
        );
    }};
}

pub const EPOCH_UNIX_NS: u64 = 1_700_000_000_000_000_000;
pub const PORT: u16 = 4_000;

pub fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub fn config(seed: u64) -> EngineConfig {
    EngineConfig {
        seed,
        epoch_unix_ns: EPOCH_UNIX_NS,
        tick: ms(1),
        link_latency_min: ms(1),
        link_latency_max: ms(4),
        duration_max: Duration::from_secs(3_600),
        schedule: nexus_engine::Schedule::default(),
    }
}

pub fn program<F>(body: impl Fn(Platform, u32) -> F + Send + Sync + 'static) -> Program
where
    F: Future<Output = ProgramResult> + Send + 'static,
{
    Arc::new(move |platform, start_count| Box::pin(body(platform, start_count)))
}

type Step = Box<dyn FnOnce(&mut dyn Control)>;

/// Does its steps at their times and stops at the end.
pub struct Script {
    steps: VecDeque<(Duration, Step)>,
    end: Duration,
}

impl Script {
    pub fn until(end: Duration) -> Self {
        Self { steps: VecDeque::new(), end }
    }

    /// Steps are given in the order of their times.
    pub fn at(mut self, time: Duration, step: impl FnOnce(&mut dyn Control) + 'static) -> Self {
        self.steps.push_back((time, Box::new(step)));
        self
    }
}

impl Director for Script {
    fn direct(&mut self, control: &mut dyn Control) -> Next {
        while self.steps.front().is_some_and(|(time, _)| *time <= control.elapsed()) {
            let (_, step) = self.steps.pop_front().unwrap();
            step(control);
        }
        if control.elapsed() >= self.end {
            return Next::Stop;
        }
        Next::At(self.steps.front().map_or(self.end, |(time, _)| (*time).min(self.end)))
    }
}

/// What a world is built with.
pub struct Builder {
    pub handles: EngineHandles,
    pub trace: Trace,
    pub notes: Notes,
    pub engine: Box<dyn nexus_engine::Engine>,
}

/// What programs saw, for the test to judge after the run.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

pub struct Outcome {
    pub ended: Result<RunSummary, EngineError>,
    pub trace: TraceRecord,
    pub notes: Vec<String>,
}

impl Outcome {
    pub fn expect_notes(&self, expected: &[&str]) {
        self.ended.as_ref().unwrap();
        assert_eq!(self.notes, expected);
    }
}

/// Runs a world on a fresh thread, as a trial would be.
pub fn run_world(config: EngineConfig, build: impl FnOnce(&mut Builder) -> Script + Send + 'static) -> Outcome {
    on_fresh_thread(config.seed, move || {
        let (engine, handles) = new_engine(config);
        let mut builder = Builder { handles, trace: Trace::new(100_000), notes: Notes::default(), engine };
        let script = build(&mut builder);
        let ended = builder.engine.run(Box::new(script));
        Outcome { ended, trace: builder.trace.finish(), notes: builder.notes.all() }
    })
}

pub async fn dial(platform: &Platform, host: &str) -> io::Result<BoxConnection> {
    platform.dialer.dial(&Authority { host: host.to_owned(), port: PORT, tls: false }).await
}

/// Sends one line and reads one byte less or more than none of its answer's line.
pub async fn ask(connection: &mut BoxConnection, line: &str) -> io::Result<String> {
    connection.write_all(line.as_bytes()).await?;
    connection.write_all(b"\n").await?;
    connection.flush().await?;
    read_line(connection).await
}

pub async fn read_line(connection: &mut BoxConnection) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        match connection.read_u8().await? {
            b'\n' => return String::from_utf8(line).map_err(io::Error::other),
            byte => line.push(byte),
        }
    }
}

/// Answers every line with the same line, on every connection, until the peer closes.
pub fn echo_server() -> Program {
    program(|platform, _start_count| async move {
        let acceptor = platform.listener.bind(PORT).await?;
        loop {
            let (mut connection, _peer) = acceptor.accept().await?;
            platform.spawn("echo", async move {
                while let Ok(line) = read_line(&mut connection).await {
                    if connection.write_all(format!("{line}\n").as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    })
}
