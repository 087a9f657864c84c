//! Naive ports in memory whose calls take time, fail, and lose their answers.
#![allow(dead_code, reason = "each test binary uses its own part")]

pub mod parking;
pub mod queue;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use nexus_ports::{BoxFuture, CallFailure, Platform, Quarantine, QuarantinedLetter, Throttled, UnknownOutcome};

/// What becomes of one call or entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Taken,
    Throttled,
    /// Not applied, and no answer.
    LostBefore,
    /// Applied, and no answer.
    LostAfter,
    /// Applied, but the answer comes only after every time-out.
    Slow,
}

/// Draws fates; after `heal` everything is taken. The same platform draws the same ones.
#[derive(Clone)]
pub struct Weather {
    pub platform: Platform,
    /// Share of calls and entries that go wrong.
    faults: Arc<Mutex<f64>>,
    /// Fates of the next calls of an operation, before any is drawn.
    script: Arc<Mutex<BTreeMap<&'static str, VecDeque<Fate>>>>,
}

impl Weather {
    pub fn new(platform: Platform, faults: f64) -> Self {
        Self { platform, faults: Arc::new(Mutex::new(faults)), script: Arc::default() }
    }

    pub fn heal(&self) {
        *self.faults.lock().unwrap() = 0.0;
    }

    pub fn draw(&self, kinds: &[Fate]) -> Fate {
        if self.platform.random_fraction("weather", "whether") >= *self.faults.lock().unwrap() {
            return Fate::Taken;
        }
        kinds[(self.platform.random_u64("weather", "which") % kinds.len() as u64) as usize]
    }

    /// Decides the next calls of one operation.
    pub fn script(&self, operation: &'static str, fates: &[Fate]) {
        self.script.lock().unwrap().insert(operation, fates.iter().copied().collect());
    }

    /// Any fate of a whole call.
    fn draw_call(&self, operation: &'static str) -> Fate {
        let scripted = self.script.lock().unwrap().get_mut(operation).and_then(VecDeque::pop_front);
        scripted.unwrap_or_else(|| self.draw_any())
    }

    fn draw_any(&self) -> Fate {
        self.draw(&[Fate::Throttled, Fate::LostBefore, Fate::LostAfter, Fate::Slow])
    }

    /// The time before a call takes effect, or after.
    pub async fn travel(&self) {
        let millis = 1 + self.platform.random_u64("weather", "travel") % 5;
        self.platform.sleep(Duration::from_millis(millis)).await;
    }

    /// Plays one call: `apply` runs unless the fate says otherwise.
    pub async fn play<T>(&self, operation: &'static str, apply: impl FnOnce() -> T) -> Result<T, CallFailure> {
        let fate = self.draw_call(operation);
        self.travel().await;
        let applied = match fate {
            Fate::Throttled => return Err(throttled().into()),
            Fate::LostBefore => return Err(unknown().into()),
            Fate::Taken | Fate::LostAfter | Fate::Slow => apply(),
        };
        self.travel().await;
        match fate {
            Fate::LostAfter => Err(unknown().into()),
            Fate::Slow => std::future::pending().await,
            _ => Ok(applied),
        }
    }
}

pub fn throttled() -> Throttled {
    Throttled { code: "ThrottlingException".to_owned() }
}

pub fn unknown() -> UnknownOutcome {
    UnknownOutcome { reason: "the answer was lost".to_owned() }
}

/// Keeps the first letter under each id.
pub struct MemoryQuarantine {
    pub weather: Weather,
    pub letters: Mutex<BTreeMap<String, QuarantinedLetter>>,
    pub writes: Mutex<u32>,
}

impl MemoryQuarantine {
    pub fn new(weather: &Weather) -> Arc<Self> {
        Arc::new(Self { weather: weather.clone(), letters: Mutex::default(), writes: Mutex::default() })
    }

    pub fn ids(&self) -> Vec<String> {
        self.letters.lock().unwrap().keys().cloned().collect()
    }
}

impl Quarantine for MemoryQuarantine {
    fn keep<'a>(&'a self, letter: &'a QuarantinedLetter) -> BoxFuture<'a, Result<(), CallFailure>> {
        Box::pin(self.weather.play("keep", || {
            *self.writes.lock().unwrap() += 1;
            self.letters.lock().unwrap().entry(letter.letter_id.clone()).or_insert_with(|| letter.clone());
        }))
    }
}
