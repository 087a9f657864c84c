//! The laboratory behind `cargo xtask`: runs, replays, shrinks and measures trials.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use nexus_commands::LabCommand;
use nexus_explore::{RECORD_COMMAND, STORY_COMMAND, TRIAL_COMMAND, commands};

/// A trial is a million small allocations: the system's allocator took a fifth of its time, and asked the kernel for more
/// with each page.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(TRIAL_COMMAND) => return ExitCode::from(commands::trial::run()),
        Some(RECORD_COMMAND) => return ExitCode::from(commands::trial::run_recording()),
        Some(STORY_COMMAND) => return ExitCode::from(commands::trial::tell()),
        _ => {}
    }
    let command = match nexus_commands::parse_lab(std::env::args_os()) {
        Ok(command) => command,
        Err(error) => error.exit(),
    };
    let outcome = match command {
        LabCommand::Sim(options) => commands::sim::run(&options),
        LabCommand::Chaos(options) => commands::chaos::run(&options),
        LabCommand::Replay(options) => commands::replay::run(&options),
        LabCommand::Shrink(options) => commands::shrink::run(&options),
        LabCommand::Certify(options) => commands::certify::run(&options),
        LabCommand::Bench(options) => commands::bench::run(&options),
        LabCommand::Report(command) => commands::report::run(&command),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(report) => {
            eprintln!("{report:?}");
            ExitCode::from(nexus_commands::exit::USAGE)
        }
    }
}
