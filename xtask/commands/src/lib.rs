//! What the command line accepts: one definition for `cargo xtask` and for the programs that it starts.
//!
//! `cargo xtask` parses first, so that a slip of the fingers is answered before anything is compiled; it then builds
//! the program that does the work and hands it the very same words, which that program parses with the same types.
//!
//! | program | parse with | sub-commands |
//! |---|---|---|
//! | `cargo xtask` | [`parse_xtask`] | all |
//! | `nexus-lab` | [`parse_lab`] | [`LabCommand`] |
//! | `nexus-schema-check` | [`parse_schema`] | [`SchemaCommand`] |
//! | `nexus-cloud-server` | [`parse_cloud_server`] | none: the options of [`CloudOptions`] |
//! | `nexus-deploy` | [`parse_deploy`] | [`DeployCommand`] |
#![forbid(unsafe_code)]

mod bench;
mod bug;
mod chaos;
mod cloud;
mod deploy;
mod engine;
pub mod exit;
mod help;
mod policy;
mod report;
mod schedule;
mod schema;
mod sim;
pub mod switch;
mod test;
mod values;

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use bench::{BenchKind, BenchOptions};
pub use bug::{CertifyOptions, ReplayOptions, ShrinkOptions};
pub use chaos::ChaosOptions;
pub use cloud::{CloudOptions, LatencyChoice};
pub use deploy::{DeployCommand, SynthOptions, ValidateOptions};
pub use engine::{Engine, EngineChoice, UnknownEngine};
pub use policy::{
    HooksCommand, HooksInstallOptions, PolicyCheckOptions, PolicyCommand, PolicyExplainOptions, PolicyGraphFormat,
    PolicyGraphOptions, PolicyTestOptions,
};
pub use report::{DiffOptions, JunitOption, MergeOptions, ReportCommand, ShowOptions};
pub use schedule::ScheduleChoice;
pub use schema::{CompatibilityMode, SchemaCheckOptions, SchemaCommand, SchemaDiffOptions, SchemaDocsOptions};
pub use sim::SimOptions;
pub use test::{Step, TestOptions};

/// What `nexus-lab` does: everything that runs or reads trials.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum LabCommand {
    Sim(SimOptions),
    Chaos(ChaosOptions),
    Replay(ReplayOptions),
    Shrink(ShrinkOptions),
    Certify(CertifyOptions),
    Bench(BenchOptions),
    #[command(subcommand, about = "Show, compare or join the records that runs leave behind")]
    Report(ReportCommand),
}

/// What `cargo xtask` does: the laboratory's commands, the simulated cloud, the deployment, the policies and schemas, and this
/// repository's checks.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum XtaskCommand {
    #[command(flatten)]
    Lab(LabCommand),
    Cloud(CloudOptions),
    #[command(subcommand, about = "Write or check the templates that deploy the system")]
    Deploy(DeployCommand),
    #[command(subcommand, about = "Check, compare or write up the event schemas")]
    Schema(SchemaCommand),
    #[command(subcommand, about = "Test, check, draw and explain the policies")]
    Policy(PolicyCommand),
    #[command(subcommand, about = "Let git check commits before they are made")]
    Hooks(HooksCommand),
    Test(TestOptions),
}

#[derive(Parser)]
#[command(
    name = "xtask",
    bin_name = "cargo xtask",
    about = "Nexus: an order system whose very code runs on AWS or in a deterministic simulation of it",
    arg_required_else_help = true,
    styles = help::STYLES,
    max_term_width = 110
)]
struct XtaskLine {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Parser)]
#[command(
    name = "nexus-lab",
    about = "The laboratory behind `cargo xtask`, which builds and starts it",
    arg_required_else_help = true,
    styles = help::STYLES,
    max_term_width = 110
)]
struct LabLine {
    #[command(subcommand)]
    command: LabCommand,
}

#[derive(Parser)]
#[command(name = "nexus-cloud-server", styles = help::STYLES, max_term_width = 110)]
struct CloudServerLine {
    #[command(flatten)]
    options: CloudOptions,
}

#[derive(Parser)]
#[command(name = "nexus-deploy", arg_required_else_help = true, styles = help::STYLES, max_term_width = 110)]
struct DeployLine {
    #[command(subcommand)]
    command: DeployCommand,
}

#[derive(Parser)]
#[command(
    name = "nexus-policy-check",
    about = "The policies at the desk, behind `cargo xtask policy`, which builds and starts it",
    arg_required_else_help = true,
    styles = help::STYLES,
    max_term_width = 110
)]
struct PolicyLine {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Parser)]
#[command(
    name = "nexus-schema-check",
    about = "The schema tool behind `cargo xtask schema`, which builds and starts it",
    arg_required_else_help = true,
    styles = help::STYLES,
    max_term_width = 110
)]
struct SchemaLine {
    #[command(subcommand)]
    command: SchemaCommand,
}

/// The command of `cargo xtask`, its help grouped by purpose.
pub fn xtask_command() -> clap::Command {
    help::group_commands(XtaskLine::command())
}

/// Reads the command line of `cargo xtask`; `arguments` begin with the program's name.
///
/// # Errors
/// A usage error, or a request for help: [`clap::Error::exit`] prints either and leaves with the right code.
pub fn parse_xtask(arguments: impl IntoIterator<Item = OsString>) -> Result<XtaskCommand, clap::Error> {
    let mut command = xtask_command();
    let mut matches = command.try_get_matches_from_mut(arguments)?;
    let line = XtaskLine::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))?;
    if let XtaskCommand::Lab(lab) = &line.command {
        check(lab, &mut command)?;
    }
    Ok(line.command)
}

/// Reads the command line of `nexus-lab`; `arguments` begin with the program's name.
///
/// # Errors
/// As [`parse_xtask`].
pub fn parse_lab(arguments: impl IntoIterator<Item = OsString>) -> Result<LabCommand, clap::Error> {
    let line = LabLine::try_parse_from(arguments)?;
    check(&line.command, &mut LabLine::command())?;
    Ok(line.command)
}

/// Reads the command line of `nexus-cloud-server`; `arguments` begin with the program's name.
///
/// # Errors
/// As [`parse_xtask`].
pub fn parse_cloud_server(arguments: impl IntoIterator<Item = OsString>) -> Result<CloudOptions, clap::Error> {
    CloudServerLine::try_parse_from(arguments).map(|line| line.options)
}

/// Reads the command line of `nexus-deploy`; `arguments` begin with the program's name.
///
/// # Errors
/// As [`parse_xtask`].
pub fn parse_deploy(arguments: impl IntoIterator<Item = OsString>) -> Result<DeployCommand, clap::Error> {
    DeployLine::try_parse_from(arguments).map(|line| line.command)
}

/// Reads the command line of `nexus-schema-check`; `arguments` begin with the program's name.
///
/// # Errors
/// As [`parse_xtask`].
pub fn parse_schema(arguments: impl IntoIterator<Item = OsString>) -> Result<SchemaCommand, clap::Error> {
    SchemaLine::try_parse_from(arguments).map(|line| line.command)
}

/// Reads the command line of `nexus-policy-check`; `arguments` begin with the program's name.
///
/// # Errors
/// As [`parse_xtask`].
pub fn parse_policy(arguments: impl IntoIterator<Item = OsString>) -> Result<PolicyCommand, clap::Error> {
    PolicyLine::try_parse_from(arguments).map(|line| line.command)
}

/// What no single value can tell: that values fit together.
fn check(command: &LabCommand, root: &mut clap::Command) -> Result<(), clap::Error> {
    let (name, problem) = match command {
        LabCommand::Sim(options) => ("sim", options.problem()),
        LabCommand::Chaos(options) => ("chaos", options.problem()),
        LabCommand::Bench(options) => ("bench", options.problem()),
        LabCommand::Replay(_) | LabCommand::Shrink(_) | LabCommand::Certify(_) | LabCommand::Report(_) => return Ok(()),
    };
    let Some(text) = problem else { return Ok(()) };
    root.build();
    let kind = clap::error::ErrorKind::ValueValidation;
    Err(match root.find_subcommand_mut(name) {
        Some(subcommand) => subcommand.error(kind, text),
        None => root.error(kind, text),
    })
}
