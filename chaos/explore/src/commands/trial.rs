//! The hidden command: one trial, from standard input to standard output.

use std::io::{Read, Write};

use crate::{TrialRequest, judge, play};

/// Reads a [`TrialRequest`], plays and judges it, writes a [`crate::TrialOutput`].
#[allow(clippy::disallowed_methods)] // Measures its own real time for the report; nothing in the trial sees it.
pub fn run() -> u8 {
    let mut input = Vec::new();
    if let Err(error) = std::io::stdin().read_to_end(&mut input) {
        eprintln!("cannot read the trial: {error}");
        return nexus_commands::exit::USAGE;
    }
    let request: TrialRequest = match serde_json::from_slice(&input) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("not a trial: {error}");
            return nexus_commands::exit::USAGE;
        }
    };
    let started = std::time::Instant::now();
    let played = play(&request.trial);
    let mut output = judge(&request.trial, &played, request.want_trace);
    output.record.wall_s = started.elapsed().as_secs_f64();
    output.record.peak_memory_bytes = peak_memory_bytes();
    let written =
        serde_json::to_vec(&output).map_err(std::io::Error::from).and_then(|bytes| std::io::stdout().write_all(&bytes));
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
