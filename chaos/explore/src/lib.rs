//! Trials, exploration, shrinking, bug reports and replay.
//!
//! [`Trial`] is data; [`play`] runs one in this process; [`run_batch`] runs many, each in a process of its own; [`judge`]
//! turns what happened into a verdict. The commands of the laboratory are in [`commands`].
#![forbid(unsafe_code)]

mod backlog;
mod batch;
mod bug;
mod bus_latency;
mod cause;
mod certify;
mod child;
pub mod commands;
mod contracts;
mod convert;
mod coverage;
mod customers;
mod dead_letters;
mod director;
mod features;
mod judge;
mod measure;
mod operator;
mod play;
mod policies;
mod queue_accounts;
mod reason;
mod recording;
mod replay;
mod shrink;
mod story;
mod tampering;
mod trial {
    pub use nexus_swarm::{TRIAL_FORMAT_VERSION, Trial, seeded_runner};
}

pub use batch::{default_jobs, run_batch};
pub use bug::{BugFileError, BugReport};
pub use cause::{Altered, Cause, Inevitable, NearestPassing, Search, healed, quiet};
pub use child::{
    ChildError, STORY_COMMAND, StoryOutput, StoryRequest, TRIAL_COMMAND, TrialOutput, TrialRequest, run_in_child,
    run_in_child_of, tell_in_child,
};
pub use judge::judge;
pub use play::{EPOCH_UNIX_NS, Played, play};
pub use reason::{Reason, class_of};
pub use recording::{RECORD_COMMAND, RecordRequest, Recorded, record, record_in_child};
pub use replay::{Replayed, replay};
pub use shrink::{Shrinker, Shrunk, TrialSize};
pub use trial::{TRIAL_FORMAT_VERSION, Trial, seeded_runner};
