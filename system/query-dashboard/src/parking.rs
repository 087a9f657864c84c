//! Parks aggregates, and tells parked ones that more of their events wait.

use std::{collections::BTreeSet, sync::Arc};

use nexus_ports::{
    ParkReason, ParkedAggregate, ParkingLot, ParkingMoved, Platform, ReadFailure, Version, WriteFailure,
};

use crate::{ProjectionSettings, record::cut};

/// The name under which this consumer parks.
pub(crate) const CONSUMER: &str = "projection";

/// Rounds lost against others who changed the same entry, before the lot is taken for unavailable.
const MOVES_MAX: u32 = 16;
/// What is told to people, with all notes.
const DETAIL_BYTES_MAX: usize = 2_000;

pub(crate) struct Parker {
    pub(crate) platform: Platform,
    pub(crate) lot: Arc<dyn ParkingLot>,
    pub(crate) settings: ProjectionSettings,
}

/// What is to be parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ParkRequest {
    pub(crate) key: String,
    pub(crate) first_version: Option<Version>,
    /// The newest version that waits with it.
    pub(crate) last_version: Option<Version>,
    pub(crate) body: String,
    pub(crate) reason: ParkReason,
    pub(crate) detail: String,
    pub(crate) attempts: u32,
}

/// What became of telling a parked aggregate that more waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Raised {
    /// The entry durably says so: whoever releases it has to work off these too.
    Durably,
    /// There is no entry (any more): the aggregate flows.
    Released,
}

/// The lot gave no certainty; nothing may be claimed as parked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LotUnavailable;

/// What the lot holds under a key, and what to write there.
enum Plan {
    Nothing,
    Create(ParkedAggregate),
    Replace { expected_counter: u64, with: ParkedAggregate },
}

impl Parker {
    /// Keys of all parked aggregates.
    pub(crate) async fn parked_keys(&self) -> Result<BTreeSet<String>, LotUnavailable> {
        let parked = self.attempt_read(CONSUMER, || self.lot.list(CONSUMER)).await?;
        Ok(parked.into_iter().map(|parked| parked.key).collect())
    }

    /// Parks the aggregate, or widens the entry under which it is parked already.
    pub(crate) async fn park(&self, request: &ParkRequest) -> Result<(), LotUnavailable> {
        // Nearly always nothing is there: the first round goes without a look.
        let mut plan = Plan::Create(self.entry(request));
        let (mut failures, mut moves) = (0, 0);
        loop {
            match self.carry_out(&plan).await {
                Ok(()) => return Ok(()),
                Err(failure) => self.after_failure(&failure, &mut failures, &mut moves, &request.key).await?,
            }
            plan = match self.look(&request.key).await? {
                None => Plan::Create(self.entry(request)),
                Some(standing) => widened(&standing, request).map_or(Plan::Nothing, replacing),
            };
        }
    }

    /// Tells the entry of a parked aggregate that this version waits too, and that records came that cannot be read.
    pub(crate) async fn raise(
        &self,
        key: &str,
        version: Option<Version>,
        note: Option<&str>,
    ) -> Result<Raised, LotUnavailable> {
        let (mut failures, mut moves) = (0, 0);
        loop {
            let Some(standing) = self.look(key).await? else { return Ok(Raised::Released) };
            let plan = raised(&standing, version, note).map_or(Plan::Nothing, replacing);
            match self.carry_out(&plan).await {
                Ok(()) => return Ok(Raised::Durably),
                Err(failure) => self.after_failure(&failure, &mut failures, &mut moves, key).await?,
            }
        }
    }

    async fn look(&self, key: &str) -> Result<Option<ParkedAggregate>, LotUnavailable> {
        self.attempt_read(key, || self.lot.read(CONSUMER, key)).await
    }

    async fn carry_out(&self, plan: &Plan) -> Result<(), WriteFailure<ParkingMoved>> {
        let write = match plan {
            Plan::Nothing => return Ok(()),
            Plan::Create(parked) => self.lot.park(parked),
            Plan::Replace { expected_counter, with } => self.lot.replace(*expected_counter, with),
        };
        match self.platform.timeout(self.settings.call_timeout, write).await {
            Ok(written) => written,
            Err(timed_out) => Err(WriteFailure::Unknown(nexus_ports::UnknownOutcome { reason: timed_out.to_string() })),
        }
    }

    async fn after_failure(
        &self,
        failure: &WriteFailure<ParkingMoved>,
        failures: &mut u32,
        moves: &mut u32,
        key: &str,
    ) -> Result<(), LotUnavailable> {
        match failure {
            WriteFailure::Refused(ParkingMoved) if *moves < MOVES_MAX => {
                *moves += 1;
                Ok(())
            }
            // Rejected as well: an aggregate that cannot be parked must be kept back, not lost.
            _ => {
                *failures += 1;
                self.pause_or_give_up(*failures, key).await
            }
        }
    }

    async fn attempt_read<'a, T>(
        &'a self,
        key: &str,
        read: impl Fn() -> nexus_ports::BoxFuture<'a, Result<T, ReadFailure>>,
    ) -> Result<T, LotUnavailable> {
        let mut failures = 0;
        loop {
            if let Ok(Ok(value)) = self.platform.timeout(self.settings.call_timeout, read()).await {
                return Ok(value);
            }
            failures += 1;
            self.pause_or_give_up(failures, key).await?;
        }
    }

    async fn pause_or_give_up(&self, failures: u32, key: &str) -> Result<(), LotUnavailable> {
        if failures >= self.settings.attempts_max {
            return Err(LotUnavailable);
        }
        self.platform.sleep(self.settings.backoff(&self.platform, failures, key)).await;
        Ok(())
    }

    /// A new entry. Its counter begins at random: a write on an entry that was released meanwhile may still be under way,
    /// and must not fit the next entry under the same key.
    fn entry(&self, request: &ParkRequest) -> ParkedAggregate {
        let random = self.platform.random_u64("parking-counter", &request.key);
        ParkedAggregate {
            consumer: CONSUMER.to_owned(),
            key: request.key.clone(),
            first_version: request.first_version,
            last_version: request.last_version,
            body: cut(&request.body, self.settings.parked_body_bytes_max),
            reason: request.reason,
            detail: cut(&request.detail, DETAIL_BYTES_MAX),
            attempts: request.attempts,
            parked_at_ms: self.platform.unix_time().as_millis(),
            counter: 1 + (random >> 32),
        }
    }
}

fn replacing(with: ParkedAggregate) -> Plan {
    Plan::Replace { expected_counter: with.counter - 1, with }
}

/// The entry with the request in it; `None` if it is in it already (put there by us, if an answer was lost).
fn widened(standing: &ParkedAggregate, request: &ParkRequest) -> Option<ParkedAggregate> {
    let begins_later = match (standing.first_version, request.first_version) {
        (Some(standing), Some(wanted)) => wanted < standing,
        _ => false,
    };
    let last_version = standing.last_version.max(request.last_version);
    if !begins_later && last_version == standing.last_version {
        return None;
    }
    let mut wider = ParkedAggregate { last_version, counter: standing.counter + 1, ..standing.clone() };
    if begins_later {
        wider.first_version = request.first_version;
        wider.body.clone_from(&request.body);
        wider.reason = request.reason;
        wider.detail = cut(&request.detail, DETAIL_BYTES_MAX);
    }
    Some(wider)
}

/// The entry that says that this version waits too; `None` if it says so already.
fn raised(standing: &ParkedAggregate, version: Option<Version>, note: Option<&str>) -> Option<ParkedAggregate> {
    let last_version = standing.last_version.max(version);
    let note = note.filter(|note| !standing.detail.contains(note));
    let is_full = standing.detail.len() >= DETAIL_BYTES_MAX;
    if last_version == standing.last_version && (note.is_none() || is_full) {
        return None;
    }
    let mut higher = ParkedAggregate { last_version, counter: standing.counter + 1, ..standing.clone() };
    if let Some(note) = note {
        higher.detail = cut(&format!("{}; then {note}", standing.detail), DETAIL_BYTES_MAX);
    }
    Some(higher)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(first: Option<u64>, last: Option<u64>) -> ParkedAggregate {
        ParkedAggregate {
            consumer: CONSUMER.to_owned(),
            key: "order-o-1".to_owned(),
            first_version: first.map(Version),
            last_version: last.map(Version),
            body: "old".to_owned(),
            reason: ParkReason::AttemptsExhausted,
            detail: "before".to_owned(),
            attempts: 3,
            parked_at_ms: 1,
            counter: 4,
        }
    }

    fn request(first: Option<u64>, last: Option<u64>) -> ParkRequest {
        ParkRequest {
            key: "order-o-1".to_owned(),
            first_version: first.map(Version),
            last_version: last.map(Version),
            body: "new".to_owned(),
            reason: ParkReason::Poison,
            detail: "now".to_owned(),
            attempts: 1,
        }
    }

    #[test]
    fn an_entry_is_widened_only_by_what_it_does_not_cover() {
        for (has, wants, expected) in [
            ((Some(5), Some(7)), (Some(5), Some(5)), None),
            ((Some(5), Some(7)), (Some(6), Some(7)), None),
            ((Some(5), Some(7)), (Some(6), Some(9)), Some((Some(5), Some(9), "old"))),
            ((Some(5), Some(7)), (Some(4), Some(4)), Some((Some(4), Some(7), "new"))),
            ((None, None), (None, None), None),
            ((None, None), (Some(5), Some(5)), Some((None, Some(5), "old"))),
            ((Some(5), Some(5)), (None, None), None),
        ] {
            let found = widened(&standing(has.0, has.1), &request(wants.0, wants.1));
            let versions = found.map(|found| {
                assert_eq!(found.counter, 5);
                (found.first_version.map(|v| v.0), found.last_version.map(|v| v.0), found.body)
            });
            let expected = expected.map(|(first, last, body)| (first, last, body.to_owned()));
            assert_eq!(versions, expected, "{has:?} {wants:?}");
        }
    }

    #[test]
    fn an_entry_is_raised_once_and_its_notes_stay_short() {
        let entry = standing(Some(5), Some(7));
        assert_eq!(raised(&entry, Some(Version(7)), None), None);
        assert_eq!(raised(&entry, None, None), None);
        let higher = raised(&entry, Some(Version(8)), Some("number 9: garbage")).unwrap();
        assert_eq!((higher.last_version, higher.counter), (Some(Version(8)), 5));
        assert_eq!(higher.detail, "before; then number 9: garbage");
        assert_eq!(
            raised(&higher, Some(Version(8)), Some("number 9: garbage")),
            None,
            "our own, when an answer was lost"
        );
        let mut full = higher;
        for number in 1_000..2_000 {
            let Some(next) = raised(&full, None, Some(&format!("number {number}: garbage"))) else { break };
            full = next;
        }
        assert_eq!(full.detail.len(), DETAIL_BYTES_MAX);
    }
}
