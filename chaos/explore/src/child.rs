//! One process per trial: process-wide state (lazy statics, task ids) can then never leak from one trial into another.

use std::{
    env,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use nexus_checkers::Violation;
use nexus_commands::switch;
use nexus_reports::TrialRecord;
use nexus_reports_story::Story;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::trial::Trial;

/// The hidden sub-command by which the laboratory starts itself for one trial.
pub const TRIAL_COMMAND: &str = "trial";
/// The hidden sub-command that plays one trial and tells its story.
pub const STORY_COMMAND: &str = "story";
/// A trial that takes longer than this in real time, and so much more for each of its operations, is given up: its outcome is
/// unknown, not failed.
const WALL_MAX: Duration = Duration::from_secs(900);
const WALL_MAX_PER_OPERATION: Duration = Duration::from_millis(50);
/// A mutant may go round for ever, which is one of the ways to notice it; a trial takes a hundredth of this.
const WALL_MAX_OF_MUTANT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(5);

/// What the parent asks of a trial's process.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialRequest {
    pub trial: Trial,
    /// Send all lines of the trace back even if nothing broke.
    pub want_trace: bool,
}

/// What comes back.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialOutput {
    pub record: TrialRecord,
    pub violations: Vec<Violation>,
    /// What the trial showed, for an exploration to be guided by; see `features.rs`. Sorted, each once.
    #[serde(default)]
    pub features: Vec<String>,
    /// All lines, where they were asked for or something broke.
    pub trace: Option<Vec<String>>,
}

/// What the parent asks of a process that tells a story.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoryRequest {
    pub trial: Trial,
    pub revision: String,
    pub profile: String,
}

/// What comes back: as of any trial, and the story.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoryOutput {
    pub output: TrialOutput,
    pub story: Story,
}

/// A trial's process ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    #[error("cannot start a process for the trial: {0}")]
    Start(#[source] std::io::Error),
    #[error("the trial's process ended with {status}: {stderr}")]
    Died { status: String, stderr: String },
    #[error("the trial took longer than {wall_max_s} s of real time")]
    TooLong { wall_max_s: u64 },
    #[error("the trial's process answered something unreadable: {0}")]
    Unreadable(#[source] serde_json::Error),
    #[error("stopped")]
    Stopped,
}

/// Runs one trial in a process of its own. `stop` ends it early.
///
/// # Errors
/// If the process could not be started, died, took too long or was stopped.
pub fn run_in_child(request: &TrialRequest, stop: &AtomicBool) -> Result<TrialOutput, ChildError> {
    let program = own_path().map_err(ChildError::Start)?;
    run_in_child_of(&program, request, stop)
}

/// As [`run_in_child`], in a process of another laboratory: that of another revision.
///
/// # Errors
/// As [`run_in_child`].
pub fn run_in_child_of(program: &Path, request: &TrialRequest, stop: &AtomicBool) -> Result<TrialOutput, ChildError> {
    ask(program, TRIAL_COMMAND, &request.trial, request, stop)
}

/// Plays one trial in a process of its own and tells its story.
///
/// # Errors
/// As [`run_in_child`].
pub fn tell_in_child(request: &StoryRequest, stop: &AtomicBool) -> Result<StoryOutput, ChildError> {
    converse(STORY_COMMAND, &request.trial, request, stop)
}

/// Hands a request about a trial to a process of its own, and reads the answer.
///
/// # Errors
/// As [`run_in_child`].
pub(crate) fn converse<Answer: DeserializeOwned>(
    command: &str,
    trial: &Trial,
    request: &impl Serialize,
    stop: &AtomicBool,
) -> Result<Answer, ChildError> {
    let program = own_path().map_err(ChildError::Start)?;
    ask(&program, command, trial, request, stop)
}

/// Hands `request` to a process and reads its answer.
fn ask<Answer: DeserializeOwned>(
    program: &Path,
    command: &str,
    trial: &Trial,
    request: &impl Serialize,
    stop: &AtomicBool,
) -> Result<Answer, ChildError> {
    let mut child = spawn(program, command, trial).map_err(ChildError::Start)?;
    let mut stdout = child.stdout.take().expect("stdout is piped");
    let mut stderr = child.stderr.take().expect("stderr is piped");
    let input = serde_json::to_vec(request).map_err(ChildError::Unreadable)?;
    // A child that died early is reported by its status below, with what it said.
    let _ = child.stdin.take().expect("stdin is piped").write_all(&input);
    let wall_max = wall_max(trial);
    let outcome = std::thread::scope(|scope| {
        let output = scope.spawn(move || read_all(&mut stdout));
        let complaint = scope.spawn(move || read_all(&mut stderr));
        let status = wait(&mut child, stop, wall_max);
        (status, output.join().unwrap_or_default(), complaint.join().unwrap_or_default())
    });
    let (status, output, complaint) = outcome;
    let status = status?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&complaint).trim().to_owned();
        return Err(ChildError::Died { status: status.to_string(), stderr });
    }
    serde_json::from_slice(&output).map_err(ChildError::Unreadable)
}

fn wall_max(trial: &Trial) -> Duration {
    if trial.planted_bug.as_ref().is_some_and(|bug| bug.starts_with(switch::MUTANT)) {
        return WALL_MAX_OF_MUTANT;
    }
    let operations = u32::try_from(trial.workload.operations.len()).unwrap_or(u32::MAX);
    WALL_MAX + WALL_MAX_PER_OPERATION * operations
}

fn spawn(program: &Path, task: &str, trial: &Trial) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    // A bare environment: nothing of the caller's may decide what a trial does.
    command.arg(task).env_clear();
    if let Some(bug) = &trial.planted_bug {
        command.env(switch::VARIABLE, bug);
    }
    // In a process group of its own, so that Ctrl-C reaches the parent only, which then decides.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
}

fn own_path() -> std::io::Result<PathBuf> {
    env::current_exe()
}

#[allow(clippy::disallowed_methods)] // Waits for a real process: real time is the point here, and no trial sees it.
fn wait(child: &mut Child, stop: &AtomicBool, wall_max: Duration) -> Result<std::process::ExitStatus, ChildError> {
    let started = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(ChildError::Start)? {
            return Ok(status);
        }
        let too_long = started.elapsed() > wall_max;
        if too_long || stop.load(Ordering::Relaxed) {
            // Already gone is as good as killed.
            let _ = child.kill();
            let _ = child.wait();
            return Err(if too_long {
                ChildError::TooLong { wall_max_s: wall_max.as_secs() }
            } else {
                ChildError::Stopped
            });
        }
        std::thread::sleep(POLL);
    }
}

fn read_all(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What was read before an error is still worth showing.
    let _ = stream.read_to_end(&mut bytes);
    bytes
}
