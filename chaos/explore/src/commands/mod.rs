//! What `nexus-lab` does, a module a command. Each returns the exit code, or an error in the input (exit code 2).

pub mod bench;
pub mod certify;
pub mod chaos;
mod context;
mod exhaust;
mod in_process;
mod mutants;
mod progress;
pub mod replay;
pub mod report;
pub mod shrink;
pub mod sim;
mod slowness;
mod speed;
pub mod trial;
mod unmutated;

pub use context::Context;

/// Refuses what this build cannot play.
fn check_engine(wanted: &str) -> Result<(), miette::Report> {
    let compiled = nexus_engine::compiled_engine().to_string();
    if wanted == compiled {
        return Ok(());
    }
    Err(miette::miette!(
        help = "start it through `cargo xtask`, which reads the engine from the file and builds for it",
        "this program was built for {compiled}, and the trial is one for {wanted}"
    ))
}
