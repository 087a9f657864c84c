//! What the worker remembers of a position beside the handler's own memory: how fresh it was.
//!
//! Stored in the lease's memory as decimal milliseconds, a line feed, and then the handler's memory as it is.

use nexus_ports::Lease;

/// A lease's memory taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bookmark {
    /// Every record after the position arrived (about) at this Unix time or later, as far as is known.
    pub fresh_at_ms: Option<u64>,
    /// The handler's.
    pub memory: String,
}

/// The handler's memory is too large to be stored with a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MemoryTooLarge;

impl Bookmark {
    pub(crate) fn decode(stored: &str) -> Self {
        let (head, memory) = stored.split_once('\n').unwrap_or(("", stored));
        match head.parse() {
            Ok(fresh_at_ms) => Self { fresh_at_ms: Some(fresh_at_ms), memory: memory.to_owned() },
            Err(_) if head.is_empty() => Self { fresh_at_ms: None, memory: memory.to_owned() },
            // Not written by this code: all of it is the handler's.
            Err(_) => Self { fresh_at_ms: None, memory: stored.to_owned() },
        }
    }

    pub(crate) fn encode(&self) -> Result<String, MemoryTooLarge> {
        let head = self.fresh_at_ms.map(|at_ms| at_ms.to_string()).unwrap_or_default();
        let stored = format!("{head}\n{}", self.memory);
        if stored.len() > Lease::MEMORY_BYTES_MAX { Err(MemoryTooLarge) } else { Ok(stored) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (fresh_at_ms, memory) in
            [(None, ""), (Some(0), ""), (Some(1_767_225_600_000), "{\"a\":1}"), (None, "12\n34"), (Some(5), "\n\n")]
        {
            let bookmark = Bookmark { fresh_at_ms, memory: memory.to_owned() };
            assert_eq!(Bookmark::decode(&bookmark.encode().unwrap()), bookmark);
        }
    }

    #[test]
    fn a_memory_without_a_head_is_the_handlers() {
        for stored in ["", "{\"order-1\":3}", "first line\nsecond"] {
            assert_eq!(Bookmark::decode(stored), Bookmark { fresh_at_ms: None, memory: stored.to_owned() });
        }
    }

    #[test]
    fn a_memory_beyond_the_limit_is_refused() {
        let bookmark = |length| Bookmark { fresh_at_ms: Some(1), memory: "x".repeat(length) };
        assert!(bookmark(Lease::MEMORY_BYTES_MAX - 2).encode().is_ok());
        assert_eq!(bookmark(Lease::MEMORY_BYTES_MAX - 1).encode(), Err(MemoryTooLarge));
    }
}
