//! What happened, as lines, and one hash over all of them: two runs are the same run if and only if their hashes agree.

use std::{
    fmt::Display,
    sync::{Arc, Mutex},
};

use sha2::{Digest, Sha256};

use crate::{
    Elapsed,
    handles::{elapsed_ns, lock},
};

/// Records a run. Clones record into the same trace.
#[derive(Clone)]
pub struct Trace {
    recorder: Arc<Mutex<Recorder>>,
}

struct Recorder {
    hash: Sha256,
    line_count: u64,
    lines: Vec<String>,
    lines_kept_max: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceRecord {
    /// SHA-256 over every line recorded, kept or not, in lower-case hexadecimal.
    pub hash_hex: String,
    /// How many lines the hash covers.
    pub line_count: u64,
    /// The first lines, as many as were to be kept.
    pub lines: Vec<String>,
}

impl TraceRecord {
    /// Whether `lines` ends before the trace does.
    pub fn is_cut(&self) -> bool {
        (self.lines.len() as u64) < self.line_count
    }

    /// Where two traces part: the number (from 0) of the first line that differs and both its versions.
    /// None if the kept lines agree as far as both go.
    pub fn first_difference<'a>(&'a self, other: &'a TraceRecord) -> Option<(usize, Option<&'a str>, Option<&'a str>)> {
        let length = self.lines.len().max(other.lines.len());
        (0..length)
            .map(|number| {
                let line = |record: &'a TraceRecord| record.lines.get(number).map(String::as_str);
                (number, line(self), line(other))
            })
            .find(|(_, ours, theirs)| match (ours, theirs) {
                (Some(ours), Some(theirs)) => ours != theirs,
                // A missing line differs only if that trace really ended there.
                (None, Some(_)) => !self.is_cut(),
                (Some(_), None) => !other.is_cut(),
                (None, None) => false,
            })
    }
}

impl Trace {
    /// Keeps the first `lines_kept_max` lines; the hash and the count go on beyond them.
    pub fn new(lines_kept_max: usize) -> Self {
        let recorder = Recorder { hash: Sha256::new(), line_count: 0, lines: Vec::new(), lines_kept_max };
        Self { recorder: Arc::new(Mutex::new(recorder)) }
    }

    /// `source` says who (a host, the director); `text` what. Neither may hold a wall-clock time, an address or
    /// anything else that the seed does not determine.
    pub fn line(&self, elapsed: Elapsed, source: &str, text: impl Display) {
        // Formatted before the lock: a Display may itself record.
        let text = text.to_string();
        lock(&self.recorder).record(elapsed, source, &text);
    }

    /// The record so far.
    pub fn finish(&self) -> TraceRecord {
        let recorder = lock(&self.recorder);
        TraceRecord {
            hash_hex: hexadecimal(&recorder.hash.clone().finalize()),
            line_count: recorder.line_count,
            lines: recorder.lines.clone(),
        }
    }
}

impl Recorder {
    fn record(&mut self, elapsed: Elapsed, source: &str, text: &str) {
        self.hash.update(elapsed_ns(elapsed).to_le_bytes());
        for part in [source, text] {
            // Length-prefixed, so that moving a letter from one part to the next changes the hash.
            self.hash.update((part.len() as u64).to_le_bytes());
            self.hash.update(part.as_bytes());
        }
        self.line_count += 1;
        if self.lines.len() < self.lines_kept_max {
            self.lines.push(format!("{}.{:09} {source} {text}", elapsed.as_secs(), elapsed.subsec_nanos()));
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn trace_of(lines_kept_max: usize, lines: &[(u64, &str, &str)]) -> TraceRecord {
        let trace = Trace::new(lines_kept_max);
        for (elapsed_ms, source, text) in lines {
            trace.line(Duration::from_millis(*elapsed_ms), source, text);
        }
        trace.finish()
    }

    #[test]
    fn the_hash_covers_time_source_text_and_lines_beyond_the_kept_ones() {
        let base = trace_of(9, &[(1, "ab", "c"), (2, "d", "e")]);
        let variants = [
            trace_of(9, &[(1, "a", "bc"), (2, "d", "e")]),
            trace_of(9, &[(3, "ab", "c"), (2, "d", "e")]),
            trace_of(9, &[(1, "ab", "c")]),
            trace_of(9, &[(2, "d", "e"), (1, "ab", "c")]),
        ];
        for variant in variants {
            assert_ne!(variant.hash_hex, base.hash_hex);
        }
        let cut = trace_of(1, &[(1, "ab", "c"), (2, "d", "e")]);
        assert_eq!(cut.hash_hex, base.hash_hex);
        assert_eq!((cut.lines.len(), cut.line_count, cut.is_cut(), base.is_cut()), (1, 2, true, false));
        assert_eq!(base.lines[0], "0.001000000 ab c");
    }

    #[test]
    fn the_empty_trace_has_the_known_hash_of_nothing() {
        assert_eq!(trace_of(1, &[]).hash_hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }

    #[test]
    fn the_first_difference_is_found_and_a_cut_is_none() {
        let base = trace_of(9, &[(1, "a", "b"), (2, "c", "d")]);
        assert_eq!(base.first_difference(&base), None);
        assert_eq!(base.first_difference(&trace_of(1, &[(1, "a", "b"), (2, "c", "d")])), None);
        let other = trace_of(9, &[(1, "a", "b"), (2, "c", "x")]);
        assert_eq!(base.first_difference(&other), Some((1, Some("0.002000000 c d"), Some("0.002000000 c x"))));
        let shorter = trace_of(9, &[(1, "a", "b")]);
        assert_eq!(base.first_difference(&shorter), Some((1, Some("0.002000000 c d"), None)));
    }
}
