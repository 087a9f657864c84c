//! The hidden commands: one trial, from standard input to standard output.

use std::io::{Read, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::{RecordRequest, TrialOutput, TrialRequest, judge, play, record};

/// Reads a [`TrialRequest`], plays and judges it, writes a [`TrialOutput`].
pub fn run() -> u8 {
    answer(|request: TrialRequest| judge(&request.trial, &play(&request.trial), request.want_trace), |output| output)
}

/// Reads a [`RecordRequest`], plays, judges and records it, writes a [`crate::Recorded`].
pub fn run_recording() -> u8 {
    answer(|request: RecordRequest| record(&request), |recorded| &mut recorded.output)
}

#[allow(clippy::disallowed_methods)] // Measures its own real time for the report; nothing in the trial sees it.
fn answer<Q: DeserializeOwned, A: Serialize>(act: impl Fn(Q) -> A, output: impl Fn(&mut A) -> &mut TrialOutput) -> u8 {
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut input) {
        eprintln!("cannot read the trial: {error}");
        return nexus_commands::exit::USAGE;
    }
    let request: Q = match serde_json::from_slice(&input) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("not a trial: {error}");
            return nexus_commands::exit::USAGE;
        }
    };
    let started = std::time::Instant::now();
    let mut answer = act(request);
    let record = &mut output(&mut answer).record;
    record.wall_s = started.elapsed().as_secs_f64();
    record.peak_memory_bytes = peak_memory_bytes();
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
