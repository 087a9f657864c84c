//! Which versions were worked on, for the aggregates seen last.

use std::{collections::BTreeMap, fmt::Write};

use nexus_ports::{Lease, StreamName, Version};

/// First line of a memory text; a text with another first line is of another format and is not read.
const HEADING: &str = "nexus-router-memory-1";
/// Leaves the lease some room beside the memory.
const TEXT_BYTES_MAX: usize = Lease::MEMORY_BYTES_MAX - 4 * 1024;

/// Versions of one aggregate that had their durable effect, both ends included. What lies before `first` is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: Version,
    pub last: Version,
}

impl Span {
    pub fn of(version: Version) -> Self {
        Self { first: version, last: version }
    }

    pub fn holds(self, version: Version) -> bool {
        (self.first..=self.last).contains(&version)
    }

    /// With this version, if it touches the span; a version apart from it leaves the span as it is.
    pub fn with(self, version: Version) -> Self {
        if version == self.last.next() {
            Self { last: version, ..self }
        } else if version.next() == self.first {
            Self { first: version, ..self }
        } else {
            self
        }
    }

    /// Both spans as one where they overlap or touch; otherwise the later one.
    pub fn joined(self, other: Self) -> Self {
        let (low, high) = if self.first <= other.first { (self, other) } else { (other, self) };
        if high.first <= low.last.next() { Self { first: low.first, last: low.last.max(high.last) } } else { high }
    }
}

/// Spans of the aggregates that were seen last. That a version had its effect stays true for ever, so that a span may be
/// believed by whoever gets to know it: the next owner of the shard, or another shard's handler in this process.
#[derive(Debug)]
pub(crate) struct Remembered {
    aggregates_max: usize,
    spans: BTreeMap<StreamName, (Span, u64)>,
    by_age: BTreeMap<u64, StreamName>,
    next_age: u64,
    /// Of the present content.
    text: Option<String>,
}

impl Remembered {
    pub fn new(aggregates_max: usize) -> Self {
        Self { aggregates_max, spans: BTreeMap::new(), by_age: BTreeMap::new(), next_age: 0, text: None }
    }

    /// What a text made by [`Remembered::text`] holds. Anything else counts as nothing: to know less costs reads and
    /// repeated entries, never an event.
    pub fn from_text(text: &str, aggregates_max: usize) -> Self {
        let mut remembered = Self::new(aggregates_max);
        let mut lines = text.lines();
        if lines.next() == Some(HEADING) {
            for (stream, span) in lines.filter_map(read_line) {
                remembered.keep(&stream, span);
            }
        }
        remembered
    }

    pub fn get(&self, stream: &str) -> Option<Span> {
        let stream = stream.parse::<StreamName>().ok()?;
        self.spans.get(&stream).map(|(span, _)| *span)
    }

    /// Adds to what is known of the stream, and makes it the one seen last.
    pub fn keep(&mut self, stream: &StreamName, span: Span) {
        let age = self.next_age;
        self.next_age += 1;
        self.text = None;
        let entry = self.spans.entry(stream.clone()).or_insert((span, age));
        entry.0 = entry.0.joined(span);
        self.by_age.remove(&entry.1);
        entry.1 = age;
        self.by_age.insert(age, stream.clone());
        while self.spans.len() > self.aggregates_max
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.spans.remove(&oldest);
        }
    }

    /// The newest entries as text, oldest first: a heading, then per line a stream, its first and its last version.
    pub fn text(&mut self, entries_max: usize) -> String {
        if let Some(text) = &self.text {
            return text.clone();
        }
        let mut lines = Vec::new();
        let mut bytes = HEADING.len() + 1;
        for stream in self.by_age.values().rev().take(entries_max) {
            let Some((span, _)) = self.spans.get(stream) else { continue };
            let mut line = String::new();
            let _ = writeln!(line, "{stream} {} {}", span.first, span.last);
            bytes += line.len();
            if bytes > TEXT_BYTES_MAX {
                break;
            }
            lines.push(line);
        }
        lines.push(format!("{HEADING}\n"));
        lines.reverse();
        let text = lines.concat();
        self.text = Some(text.clone());
        text
    }
}

fn read_line(line: &str) -> Option<(StreamName, Span)> {
    let mut parts = line.split(' ');
    let stream = parts.next()?.parse().ok()?;
    let first = Version(parts.next()?.parse().ok()?);
    let last = Version(parts.next()?.parse().ok()?);
    let is_sound = parts.next().is_none() && Version::START < first && first <= last;
    is_sound.then_some((stream, Span { first, last }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(name: &str) -> StreamName {
        name.parse().unwrap()
    }

    fn span(first: u64, last: u64) -> Span {
        Span { first: Version(first), last: Version(last) }
    }

    #[test]
    fn spans_grow_at_their_ends_and_join_where_they_touch() {
        for (before, version, wanted) in [
            (span(3, 4), 5, span(3, 5)),
            (span(3, 4), 2, span(2, 4)),
            (span(3, 4), 4, span(3, 4)),
            (span(3, 4), 7, span(3, 4)),
        ] {
            assert_eq!(before.with(Version(version)), wanted, "{before:?} with {version}");
        }
        for (one, other, wanted) in [
            (span(1, 3), span(4, 6), span(1, 6)),
            (span(2, 9), span(3, 4), span(2, 9)),
            (span(1, 2), span(5, 6), span(5, 6)),
        ] {
            assert_eq!(one.joined(other), wanted);
            assert_eq!(other.joined(one), wanted);
        }
    }

    #[test]
    fn the_aggregates_seen_longest_ago_are_forgotten() {
        let mut remembered = Remembered::new(2);
        for (name, version) in [("a", 1), ("b", 1), ("a", 2), ("c", 7)] {
            remembered.keep(&stream(name), Span::of(Version(version)));
        }
        assert_eq!(remembered.get("a"), Some(span(1, 2)));
        assert_eq!(remembered.get("b"), None);
        assert_eq!(remembered.get("c"), Some(span(7, 7)));
    }

    #[test]
    fn the_text_carries_the_newest_entries() {
        let mut remembered = Remembered::new(10);
        for (name, version) in [("a", 1), ("b", 4), ("c", 7)] {
            remembered.keep(&stream(name), Span::of(Version(version)));
        }
        assert_eq!(remembered.text(2), "nexus-router-memory-1\nb 4 4\nc 7 7\n");
        let again = Remembered::from_text(&remembered.text(2), 10);
        assert_eq!((again.get("a"), again.get("b"), again.get("c")), (None, Some(span(4, 4)), Some(span(7, 7))));
    }

    #[test]
    fn the_text_stays_within_what_a_lease_takes() {
        let mut remembered = Remembered::new(10_000);
        for index in 0..1_000 {
            remembered.keep(&stream(&format!("{}{index}", "x".repeat(190))), Span::of(Version(1)));
        }
        let text = remembered.text(1_000);
        assert!(text.len() <= Lease::MEMORY_BYTES_MAX, "{}", text.len());
        assert!(text.ends_with("999 1 1\n"));
    }

    #[test]
    fn a_text_of_another_format_counts_as_nothing() {
        for text in
            ["", "garbage", "{\"a\":1}", "nexus-router-memory-2\na 1 1\n", "nexus-router-memory-1\na 0 1\na 3 2\na\n"]
        {
            assert_eq!(Remembered::from_text(text, 10).get("a"), None, "{text:?}");
        }
    }
}
