//! The release of one parked aggregate: replay what waits, then take the entry away if nothing newer came meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use nexus_ports::{
    AggregateReplayer, ParkReason, ParkedAggregate, ParkingMoved, QuarantinedLetter, ReadFailure, ReplayFailure,
    StreamName, Version, WriteFailure,
};
use serde_json::json;

use crate::{
    attempts::{attempt, unknown},
    marks::{event_id_of, event_of},
    processor::Shared,
};

pub(crate) struct Release<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) replayer: &'a dyn AggregateReplayer,
    pub(crate) is_stopping: &'a AtomicBool,
    pub(crate) stream: StreamName,
}

pub(crate) enum ReleaseEnd {
    Released,
    /// Someone else took the entry away.
    ReleasedElsewhere,
    StillParked(ParkedAggregate),
}

/// How the removal of an entry ended.
enum Removal {
    Removed,
    /// The entry stands, changed: newer events wait behind it.
    Moved(ParkedAggregate),
    GoneElsewhere,
    NotDone,
}

/// How the attempt to make an entry this writer's own ended.
enum Claim {
    Claimed(ParkedAggregate),
    GoneElsewhere,
    NotDone(ParkedAggregate),
}

impl Release<'_> {
    pub(crate) async fn run(&self, parked: ParkedAggregate) -> ReleaseEnd {
        let mut standing = parked;
        let mut done: Option<(Version, ParkedAggregate)> = None;
        for _ in 0..self.shared.settings.release_rounds_max {
            if self.is_stopping.load(Ordering::Relaxed) {
                break;
            }
            let parked = match self.claim(standing).await {
                Claim::Claimed(claimed) => claimed,
                Claim::GoneElsewhere => return ReleaseEnd::ReleasedElsewhere,
                Claim::NotDone(parked) => return ReleaseEnd::StillParked(parked),
            };
            let reached = match self.replay(first_to_replay(done.as_ref(), &parked)).await {
                Ok(reached) => reached,
                Err(failure) => return self.stopped(parked, failure).await,
            };
            if let Some(last) = parked.last_version.filter(|last| *last > reached) {
                let detail = format!("version {last} waits, but the event store ended at {reached}");
                return self.stopped(parked, ReplayFailure::Interrupted { reached, detail }).await;
            }
            match self.remove(&parked).await {
                Removal::Removed => return ReleaseEnd::Released,
                Removal::GoneElsewhere => return ReleaseEnd::ReleasedElsewhere,
                Removal::Moved(newer) => {
                    done = Some((reached, parked));
                    standing = newer;
                }
                Removal::NotDone => return ReleaseEnd::StillParked(parked),
            }
        }
        ReleaseEnd::StillParked(standing)
    }

    /// Gives the entry a counter that it never had and never will have otherwise. An entry that is released and parked
    /// afresh counts from the start again: without the claim, a late release could take such an entry away although
    /// nobody has replayed what waits behind it.
    async fn claim(&self, parked: ParkedAggregate) -> Claim {
        let Shared { platform, settings, parking, .. } = self.shared;
        let mut standing = parked;
        for attempts_made in 0..settings.attempts_max {
            if attempts_made > 0 {
                platform.sleep(settings.pause(platform, attempts_made, &standing.key)).await;
            }
            let leap = platform.random_u64("dlq-claim", &standing.key) & u64::from(u32::MAX);
            let claimed = ParkedAggregate { counter: standing.counter + 1 + leap, ..standing.clone() };
            let call = parking.replace(standing.counter, &claimed);
            let ended = platform.timeout(settings.call_timeout, call).await;
            match ended.unwrap_or_else(|timed_out| Err(WriteFailure::Unknown(unknown(timed_out)))) {
                Ok(()) => return Claim::Claimed(claimed),
                Err(WriteFailure::Refused(ParkingMoved) | WriteFailure::Unknown(_)) => {
                    match self.read(&standing).await {
                        Ok(Some(seen)) if seen == claimed => return Claim::Claimed(claimed),
                        Ok(Some(seen)) => standing = seen,
                        Ok(None) => return Claim::GoneElsewhere,
                        Err(_) => break,
                    }
                }
                Err(WriteFailure::Rejected(_)) => break,
                Err(WriteFailure::Throttled(_) | WriteFailure::NotSent(_) | WriteFailure::Contended(_)) => {}
            }
        }
        Claim::NotDone(standing)
    }

    async fn replay(&self, first: Version) -> Result<Version, ReplayFailure> {
        let Shared { platform, settings, .. } = self.shared;
        platform.timeout(settings.replay_timeout, self.replayer.replay(&self.stream, first)).await.unwrap_or_else(
            |timed_out| {
                // What it did before is not known; replaying it again is harmless.
                let reached = Version(first.0.saturating_sub(1));
                Err(ReplayFailure::Interrupted { reached, detail: timed_out.to_string() })
            },
        )
    }

    /// Removes the entry unless it moved. Without an answer the entry is read again, since only that tells.
    async fn remove(&self, parked: &ParkedAggregate) -> Removal {
        let Shared { platform, settings, parking, .. } = self.shared;
        let mut is_in_doubt = false;
        for attempts_made in 0..settings.attempts_max {
            if attempts_made > 0 {
                platform.sleep(settings.pause(platform, attempts_made, &parked.key)).await;
            }
            let call = parking.release(&parked.consumer, &parked.key, parked.counter);
            let ended = platform.timeout(settings.call_timeout, call).await;
            match ended.unwrap_or_else(|timed_out| Err(WriteFailure::Unknown(unknown(timed_out)))) {
                Ok(()) => return Removal::Removed,
                Err(WriteFailure::Refused(ParkingMoved)) => return self.look(parked, is_in_doubt).await,
                Err(WriteFailure::Unknown(_)) => {
                    is_in_doubt = true;
                    match self.look(parked, is_in_doubt).await {
                        Removal::Moved(standing) if standing.counter == parked.counter => {}
                        Removal::NotDone => {}
                        seen => return seen,
                    }
                }
                Err(WriteFailure::Rejected(_)) => return Removal::NotDone,
                Err(WriteFailure::Throttled(_) | WriteFailure::NotSent(_) | WriteFailure::Contended(_)) => {}
            }
        }
        Removal::NotDone
    }

    /// What became of the entry. If it is gone and an attempt of ours had no answer, that attempt is taken to have
    /// removed it.
    async fn look(&self, parked: &ParkedAggregate, is_in_doubt: bool) -> Removal {
        match self.read(parked).await {
            Ok(None) if is_in_doubt => Removal::Removed,
            Ok(None) => Removal::GoneElsewhere,
            Ok(Some(standing)) => Removal::Moved(standing),
            Err(_) => Removal::NotDone,
        }
    }

    async fn read(&self, parked: &ParkedAggregate) -> Result<Option<ParkedAggregate>, ReadFailure> {
        let Shared { platform, settings, parking, .. } = self.shared;
        attempt(platform, settings, settings.call_timeout, &parked.key, || parking.read(&parked.consumer, &parked.key))
            .await
    }

    /// Writes down how far a failed replay came. If that cannot be written, the next run begins where this one began.
    async fn stopped(&self, parked: ParkedAggregate, failure: ReplayFailure) -> ReleaseEnd {
        let updated = after_failure(&parked, &failure);
        let Shared { platform, settings, parking, .. } = self.shared;
        for attempts_made in 0..settings.attempts_max {
            if attempts_made > 0 {
                platform.sleep(settings.pause(platform, attempts_made, &parked.key)).await;
            }
            match platform.timeout(settings.call_timeout, parking.replace(parked.counter, &updated)).await {
                Ok(Ok(())) => break,
                Ok(Err(WriteFailure::Throttled(_) | WriteFailure::NotSent(_) | WriteFailure::Contended(_))) => {}
                // Someone else changed the entry, or it may be written: either way this writer's part is over.
                Ok(Err(_)) | Err(_) => break,
            }
        }
        ReleaseEnd::StillParked(updated)
    }
}

/// Where a replay begins: where the entry says, or after what the round before has done for the same entry. An entry that
/// was released and parked afresh meanwhile begins anew. A record that tells no version stands before everything, since
/// the event store has the truth from the start.
fn first_to_replay(done: Option<&(Version, ParkedAggregate)>, parked: &ParkedAggregate) -> Version {
    match done {
        Some((reached, before))
            if before.parked_at_ms == parked.parked_at_ms && before.first_version == parked.first_version =>
        {
            reached.next()
        }
        _ => parked.first_version.unwrap_or(Version::START.next()),
    }
}

/// The entry after a replay that stopped.
fn after_failure(parked: &ParkedAggregate, failure: &ReplayFailure) -> ParkedAggregate {
    let mut updated = parked.clone();
    updated.counter += 1;
    updated.attempts = updated.attempts.saturating_add(1);
    let first = match failure {
        ReplayFailure::Poison { version, detail } => {
            updated.reason = ParkReason::Poison;
            updated.detail.clone_from(detail);
            *version
        }
        ReplayFailure::Interrupted { reached, detail } => {
            // What was at fault has had its effect by now; only what follows has not.
            if parked.first_version.is_some_and(|first| *reached >= first) {
                updated.reason = ParkReason::AttemptsExhausted;
            }
            updated.detail.clone_from(detail);
            reached.next()
        }
    };
    if parked.first_version.is_some_and(|before| first > before) {
        updated.first_version = Some(first);
        updated.last_version = updated.last_version.max(Some(first));
        updated.body = json!({ "stream": parked.key, "version": first.0 }).to_string();
    }
    updated
}

/// A poisoned aggregate as the quarantine keeps it. Once the entry's first version has moved on, its body only names the
/// event, which lies in the event store.
pub(crate) fn mirror(parked: &ParkedAggregate, now_ms: u64) -> QuarantinedLetter {
    let event = event_of(&parked.body).ok();
    let version = parked.first_version.map_or("unknown".to_owned(), |version| version.to_string());
    let by_place = || format!("{}:{}:{version}", parked.consumer, parked.key);
    QuarantinedLetter {
        letter_id: event_id_of(&[], event.as_ref()).unwrap_or_else(by_place),
        source: format!("parked:{}", parked.consumer),
        body: parked.body.clone(),
        attributes: vec![("stream".to_owned(), parked.key.clone()), ("version".to_owned(), version)],
        reason: parked.detail.clone(),
        receive_count: parked.attempts,
        quarantined_at_ms: now_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parked(first: Option<u64>, last: Option<u64>, reason: ParkReason) -> ParkedAggregate {
        ParkedAggregate {
            consumer: "router".to_owned(),
            key: "order-o-1".to_owned(),
            first_version: first.map(Version),
            last_version: last.map(Version),
            body: "as it came".to_owned(),
            reason,
            detail: "before".to_owned(),
            attempts: 3,
            parked_at_ms: 1,
            counter: 7,
        }
    }

    fn interrupted(reached: u64) -> ReplayFailure {
        ReplayFailure::Interrupted { reached: Version(reached), detail: "throttled".to_owned() }
    }

    fn poison(version: u64) -> ReplayFailure {
        ReplayFailure::Poison { version: Version(version), detail: "bad".to_owned() }
    }

    #[test]
    fn an_entry_remembers_how_far_its_replay_came() {
        use ParkReason::{AttemptsExhausted, Poison};
        let cases = [
            // (first, last, reason, failure) -> (first, last, reason)
            ((Some(2), Some(5), AttemptsExhausted, interrupted(1)), (Some(2), Some(5), AttemptsExhausted)),
            ((Some(2), Some(5), AttemptsExhausted, interrupted(3)), (Some(4), Some(5), AttemptsExhausted)),
            ((Some(2), Some(5), Poison, interrupted(1)), (Some(2), Some(5), Poison)),
            ((Some(2), Some(5), Poison, interrupted(2)), (Some(3), Some(5), AttemptsExhausted)),
            ((Some(2), Some(5), AttemptsExhausted, poison(4)), (Some(4), Some(5), Poison)),
            ((Some(2), None, AttemptsExhausted, poison(4)), (Some(4), Some(4), Poison)),
            ((Some(2), Some(5), Poison, poison(2)), (Some(2), Some(5), Poison)),
            ((None, None, Poison, interrupted(0)), (None, None, Poison)),
            ((None, Some(3), Poison, interrupted(2)), (None, Some(3), Poison)),
        ];
        for ((first, last, reason, failure), (first_after, last_after, reason_after)) in cases {
            let updated = after_failure(&parked(first, last, reason), &failure);
            let versions = (updated.first_version, updated.last_version);
            assert_eq!(versions, (first_after.map(Version), last_after.map(Version)), "{failure}");
            assert_eq!(updated.reason, reason_after, "{failure}");
            assert_eq!((updated.attempts, updated.counter), (4, 8));
            let is_same = first == first_after;
            assert_eq!(updated.body == "as it came", is_same, "a body belongs to the version that it came with");
        }
    }

    #[test]
    fn a_later_round_goes_on_and_a_fresh_entry_begins_anew() {
        let entry = parked(Some(2), Some(5), ParkReason::AttemptsExhausted);
        let parked_later = ParkedAggregate { parked_at_ms: 2, ..entry.clone() };
        let other_first = ParkedAggregate { first_version: Some(Version(7)), ..entry.clone() };
        let raised = ParkedAggregate { last_version: Some(Version(9)), counter: 8, ..entry.clone() };
        let unknown = parked(None, None, ParkReason::Poison);
        let done = (Version(5), entry.clone());
        let cases = [
            (None, &entry, 2),
            (None, &unknown, 1),
            (Some(&done), &raised, 6),
            (Some(&done), &parked_later, 2),
            (Some(&done), &other_first, 7),
        ];
        for (done, parked, wanted) in cases {
            assert_eq!(first_to_replay(done, parked), Version(wanted), "{parked:?}");
        }
    }

    #[test]
    fn a_mirror_has_the_id_of_its_event_or_of_its_place() {
        let entry = parked(Some(2), None, ParkReason::Poison);
        assert_eq!(mirror(&entry, 9).letter_id, "router:order-o-1:2");
        assert_eq!(mirror(&parked(None, None, ParkReason::Poison), 9).letter_id, "router:order-o-1:unknown");
    }
}
