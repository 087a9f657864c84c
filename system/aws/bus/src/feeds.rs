//! What the two feeds have in common: the order of shards, records' numbers and times, and failures.

use std::{collections::BTreeSet, error::Error};

use aws_smithy_runtime_api::client::{orchestrator::HttpResponse, result::SdkError};
use aws_smithy_types::{DateTime, error::metadata::ProvideErrorMetadata};
use nexus_aws::failures::{Failure, classify};
use nexus_ports::{FeedFailure, FeedShard, NotSent, Rejected, SequenceNumber, Throttled, UnknownOutcome};

/// Puts parents before their children, else in the given order, and forgets parents that are not there any more.
pub(crate) fn parents_first(mut shards: Vec<FeedShard>) -> Vec<FeedShard> {
    let known: BTreeSet<String> = shards.iter().map(|shard| shard.id.clone()).collect();
    for shard in &mut shards {
        shard.parents.retain(|parent| known.contains(parent) && *parent != shard.id);
    }
    let mut ordered: Vec<FeedShard> = Vec::with_capacity(shards.len());
    let mut placed = BTreeSet::new();
    while !shards.is_empty() {
        let (ready, waiting): (Vec<_>, Vec<_>) =
            shards.into_iter().partition(|shard| shard.parents.iter().all(|parent| placed.contains(parent)));
        // Shards that descend from each other in a ring cannot be ordered. They stay as they came: whoever reads them
        // waits for their parents in vain and shows it, which is better than losing them here.
        let is_ring = ready.is_empty();
        let (next, rest) = if is_ring { (waiting, Vec::new()) } else { (ready, waiting) };
        placed.extend(next.iter().map(|shard| shard.id.clone()));
        ordered.extend(next);
        shards = rest;
    }
    ordered
}

/// A record's number; an answer with a record that has none is no answer.
pub(crate) fn sequence_number(text: Option<&str>) -> Result<SequenceNumber, FeedFailure> {
    SequenceNumber::try_from(text.unwrap_or_default().to_owned())
        .map_err(|error| FeedFailure::NoAnswer(UnknownOutcome { reason: format!("a record's {error}") }))
}

/// Milliseconds since the epoch; a time before it is none.
pub(crate) fn unix_ms(time: Option<&DateTime>) -> Option<u64> {
    u64::try_from(time?.to_millis().ok()?).ok()
}

/// How many records to ask for, within what the service takes.
pub(crate) fn page_limit(limit: usize, limit_max: i32) -> i32 {
    i32::try_from(limit).unwrap_or(i32::MAX).clamp(1, limit_max)
}

/// An answer that lacks what it must hold.
pub(crate) fn incomplete(what: &str) -> FeedFailure {
    FeedFailure::NoAnswer(UnknownOutcome { reason: format!("the answer holds no {what}") })
}

/// `what` names the stream or shard that was asked for.
pub(crate) fn feed_failure<E>(error: &SdkError<E, HttpResponse>, what: &str) -> FeedFailure
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match classify(error) {
        Failure::Rejected { code, message } => match code.as_str() {
            "ExpiredIteratorException" => FeedFailure::CursorExpired,
            "TrimmedDataAccessException" => FeedFailure::Trimmed,
            "ResourceNotFoundException" => FeedFailure::NotFound { what: what.to_owned() },
            _ => FeedFailure::Rejected(Rejected { code, message }),
        },
        Failure::Throttled { code } => FeedFailure::Throttled(Throttled { code }),
        Failure::NotSent { reason } => FeedFailure::NotSent(NotSent { reason }),
        Failure::Unknown { reason } => FeedFailure::NoAnswer(UnknownOutcome { reason }),
        Failure::Contended => FeedFailure::NoAnswer(UnknownOutcome { reason: "contention".to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(id: &str, parents: &[&str]) -> FeedShard {
        let parents = parents.iter().map(|&parent| parent.to_owned()).collect();
        FeedShard { id: id.to_owned(), parents, is_closed: false }
    }

    #[test]
    fn parents_come_first_and_lost_ones_are_forgotten() {
        let table = [
            (vec![], vec![]),
            (vec![shard("b", &["a"]), shard("a", &[])], vec![shard("a", &[]), shard("b", &["a"])]),
            (vec![shard("b", &["gone"]), shard("a", &[])], vec![shard("b", &[]), shard("a", &[])]),
            (
                vec![shard("c", &["a", "b"]), shard("d", &["c"]), shard("b", &["gone"]), shard("a", &[])],
                vec![shard("b", &[]), shard("a", &[]), shard("c", &["a", "b"]), shard("d", &["c"])],
            ),
            (
                vec![shard("x", &["y"]), shard("y", &["x"]), shard("a", &["a"])],
                vec![shard("a", &[]), shard("x", &["y"]), shard("y", &["x"])],
            ),
        ];
        for (given, wanted) in table {
            assert_eq!(parents_first(given.clone()), wanted, "{given:?}");
        }
    }

    #[test]
    fn limits_stay_within_what_the_service_takes() {
        for (limit, wanted) in [(0, 1), (1, 1), (700, 700), (5_000, 1_000), (usize::MAX, 1_000)] {
            assert_eq!(page_limit(limit, 1_000), wanted, "{limit}");
        }
    }

    #[test]
    fn times_before_the_epoch_are_none() {
        for (seconds, wanted) in [(-1, None), (0, Some(0)), (7, Some(7_000))] {
            assert_eq!(unix_ms(Some(&DateTime::from_secs(seconds))), wanted, "{seconds}");
        }
        assert_eq!(unix_ms(None), None);
    }
}
