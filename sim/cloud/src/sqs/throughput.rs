//! Calls or messages a second that a FIFO queue or topic takes of each kind.

use std::collections::BTreeMap;

use crate::interface::UnixNanos;

/// A token bucket per kind of call, one second deep.
#[derive(Debug, Default)]
pub struct Throughput {
    buckets: BTreeMap<&'static str, (UnixNanos, f64)>,
}

impl Throughput {
    /// Whether so many of this kind may pass at a rate of `per_second`.
    pub fn admits(&mut self, kind: &'static str, per_second: u32, count: u32, now: UnixNanos) -> bool {
        let (most, wanted) = (f64::from(per_second), f64::from(count));
        let (since, tokens) = self.buckets.entry(kind).or_insert((now, most));
        *tokens = (*tokens + now.since(*since).as_secs_f64() * most).min(most);
        *since = now;
        if *tokens < wanted {
            return false;
        }
        *tokens -= wanted;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_holds_so_many_calls_of_each_kind() {
        let mut throughput = Throughput::default();
        let start = UnixNanos(1);
        let admitted = (0..10).filter(|_| throughput.admits("SendMessage", 3, 1, start)).count();
        assert_eq!(admitted, 3);
        assert!(throughput.admits("ReceiveMessage", 3, 1, start));
        assert!(!throughput.admits("SendMessage", 3, 1, start.plus(Duration::from_millis(300))));
        assert!(throughput.admits("SendMessage", 3, 1, start.plus(Duration::from_millis(700))));
        assert!(!throughput.admits("Publish", 3, 4, start) && throughput.admits("Publish", 3, 3, start));
    }
}
