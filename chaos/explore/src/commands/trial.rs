//! The hidden commands: one trial, from standard input to standard output, with its story, its calls, or neither.

use std::io::{Read, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    RecordRequest, StoryOutput, StoryRequest, Trial, TrialOutput, TrialRequest, judge, play, play::Played, record,
    story,
};

/// Reads a [`TrialRequest`], plays and judges it, writes a [`TrialOutput`].
pub fn run() -> u8 {
    answer(|request: TrialRequest| play_and_judge(&request.trial, request.want_trace).1)
}

/// Reads a [`RecordRequest`], plays, judges and records it, writes a [`crate::Recorded`].
pub fn run_recording() -> u8 {
    answer(|request: RecordRequest| {
        let (mut recorded, wall_s) = timed(|| record(&request));
        measure(&mut recorded.output, wall_s);
        recorded
    })
}

/// Reads a [`StoryRequest`], plays and judges its trial, writes a [`StoryOutput`].
pub fn tell() -> u8 {
    answer(|request: StoryRequest| {
        let (played, output) = play_and_judge(&request.trial, true);
        let story = story::tell(&request.trial, &played, &output, &request.revision, &request.profile);
        StoryOutput { output, story }
    })
}

fn play_and_judge(trial: &Trial, want_trace: bool) -> (Played, TrialOutput) {
    let ((played, mut output), wall_s) = timed(|| {
        let played = play(trial);
        let output = judge(trial, &played, want_trace);
        (played, output)
    });
    measure(&mut output, wall_s);
    (played, output)
}

#[allow(clippy::disallowed_methods)] // Measures its own real time for the report; nothing in the trial sees it.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let started = std::time::Instant::now();
    let result = work();
    (result, started.elapsed().as_secs_f64())
}

fn measure(output: &mut TrialOutput, wall_s: f64) {
    output.record.wall_s = wall_s;
    output.record.peak_memory_bytes = peak_memory_bytes();
}

fn answer<Request: DeserializeOwned, Answer: Serialize>(work: impl FnOnce(Request) -> Answer) -> u8 {
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut input) {
        eprintln!("cannot read the trial: {error}");
        return nexus_commands::exit::USAGE;
    }
    let request: Request = match serde_json::from_slice(&input) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("not a trial: {error}");
            return nexus_commands::exit::USAGE;
        }
    };
    let answer = work(request);
    let written =
        serde_json::to_vec(&answer).map_err(std::io::Error::from).and_then(|bytes| std::io::stdout().write_all(&bytes));
    match written {
        Ok(()) => nexus_commands::exit::HELD,
        Err(error) => {
            eprintln!("cannot hand the outcome back: {error}");
            nexus_commands::exit::BUILD_FAILED
        }
    }
}

/// The largest resident size so far, as Linux counts it; none elsewhere.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
