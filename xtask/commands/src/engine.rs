//! The two engines, by name.

use std::{fmt, str::FromStr};

use clap::ValueEnum;

/// What runs a trial. Each is a build of its own, since madsim needs a `cfg` over the whole program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Engine {
    /// Faithful network: hosts, TCP, partitions; time passes in ticks
    Turmoil,
    /// Random task interleavings; time jumps over idleness
    Madsim,
}

impl Engine {
    pub const ALL: [Engine; 2] = [Engine::Turmoil, Engine::Madsim];

    /// The name as the command line and bug files spell it.
    pub fn name(self) -> &'static str {
        match self {
            Engine::Turmoil => "turmoil",
            Engine::Madsim => "madsim",
        }
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no engine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownEngine(pub String);

impl fmt::Display for UnknownEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no engine: there are turmoil and madsim", self.0)
    }
}

impl std::error::Error for UnknownEngine {}

impl FromStr for Engine {
    type Err = UnknownEngine;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Engine::ALL.into_iter().find(|engine| engine.name() == text).ok_or_else(|| UnknownEngine(text.to_owned()))
    }
}

/// One engine, or each in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineChoice {
    /// Faithful network: hosts, TCP, partitions; time passes in ticks
    Turmoil,
    /// Random task interleavings; time jumps over idleness
    Madsim,
    /// turmoil, then madsim; the worse exit code counts
    Both,
}

impl EngineChoice {
    pub fn engines(self) -> &'static [Engine] {
        match self {
            EngineChoice::Turmoil => &[Engine::Turmoil],
            EngineChoice::Madsim => &[Engine::Madsim],
            EngineChoice::Both => &Engine::ALL,
        }
    }

    /// The one engine chosen; none where both are.
    pub fn single(self) -> Option<Engine> {
        match self {
            EngineChoice::Turmoil => Some(Engine::Turmoil),
            EngineChoice::Madsim => Some(Engine::Madsim),
            EngineChoice::Both => None,
        }
    }
}

impl From<Engine> for EngineChoice {
    fn from(engine: Engine) -> Self {
        match engine {
            Engine::Turmoil => EngineChoice::Turmoil,
            Engine::Madsim => EngineChoice::Madsim,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        for engine in Engine::ALL {
            assert_eq!(engine.name().parse(), Ok(engine));
            assert_eq!(EngineChoice::from(engine).single(), Some(engine));
            assert_eq!(EngineChoice::from(engine).engines(), [engine]);
        }
        assert_eq!("Turmoil".parse::<Engine>(), Err(UnknownEngine("Turmoil".to_owned())));
    }
}
