//! Trials as data, and where they come from.
//!
//! [`Trial`] is everything that decides what happens in one run of a world. A scenario and a seed give one
//! ([`Trial::draw`]); a swarm gives one of many shapes ([`SwarmConfig`]); [`mutate`] makes another of one that showed something
//! new; [`exhaustion`] makes one for every call of a run and every deed that may befall it. [`Explorer`] decides which are
//! played next, from what those before it showed; nothing here plays them.
#![forbid(unsafe_code)]

mod budget;
mod corpus;
mod dice;
pub mod exhaustion;
mod explorer;
mod families;
pub mod lineage;
mod mutate;
mod shard;
mod swarm;
mod trial;

pub use budget::{Budget, within};
pub use corpus::{CORPUS_FORMAT_VERSION, Corpus, CorpusEntry, CorpusError};
pub use explorer::{Candidate, ExploreSettings, Explorer, Origin, OriginTally, ProgressPoint, Seen};
pub use families::{generic_families, skeleton};
pub use mutate::{Mutation, mutate};
pub use shard::{Shard, UnusableShard};
pub use swarm::SwarmConfig;
pub use trial::{TRIAL_FORMAT_VERSION, Trial, seeded_runner};
