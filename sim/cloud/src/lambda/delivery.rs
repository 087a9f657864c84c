//! From lanes to the function and back: what is handed over, and what the answer means for the shard.

use std::{collections::BTreeMap, time::Duration};

use super::{
    desk::{Desk, MappingPurpose, ShardStep},
    destination::{self, Condition},
    lane::{AfterFailure, Batch, LaneState},
    profile::{self, Profile, Verdict},
    records,
    response::{self, Report},
    stream::StreamReader,
};
use crate::{interface::MessageStepKind, service::InternalAnswer};

const TRIES_TO_NOTIFY: u32 = 3;

impl StreamReader {
    /// Lets the lanes that are given go on.
    pub fn pump(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, lanes: &[u8]) {
        for lane in lanes {
            self.pump_lane(desk, profile, id, *lane);
        }
        self.finish_if_drained(desk, profile, id);
        self.resume(desk, profile, id);
    }

    fn pump_lane(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8) {
        let now = desk.now();
        let Some(shard) = self.shards.get_mut(id) else { return };
        let (shard_id, has_ended) = (shard.id.clone(), shard.has_ended);
        let Some(lane) = shard.lanes.get_mut(usize::from(number)) else { return };
        if lane.state != LaneState::Idle || profile.is_paused {
            return;
        }
        match lane.next_batch(&profile.settings, now, has_ended) {
            Some(batch) => {
                lane.current = Some(batch);
                self.hand_over(desk, profile, id, number);
            }
            None => {
                let left = lane.window_left(&profile.settings, now);
                if !left.is_zero() {
                    let step = ShardStep::Window { lane: number };
                    profile.wake_after(desk, left, MappingPurpose::Shard { shard: shard_id, step });
                }
            }
        }
    }

    /// Invokes the function with the current batch of a lane, but for records that are too old by now.
    fn hand_over(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8) {
        let now = desk.now();
        let retention = self.retention;
        let Some(shard) = self.shards.get_mut(id) else { return };
        let shard_id = shard.id.clone();
        let Some(lane) = shard.lanes.get_mut(usize::from(number)) else { return };
        let Some(batch) = &mut lane.current else { return };
        let limits = [
            (Some(retention), Condition::RecordExpired),
            (profile.settings.maximum_record_age, Condition::RecordAgeExceeded),
        ];
        for (limit, condition) in limits {
            let old = limit.map_or(0, |limit| batch.older_than(limit, now));
            if old > 0 {
                lane.split(old);
                return self.discard(desk, profile, id, number, condition);
            }
        }
        batch.invocations += 1;
        lane.state = LaneState::Invoking;
        let payload = records::payload(batch.items.iter().map(|item| item.event.as_str()));
        let purpose = MappingPurpose::Shard { shard: shard_id, step: ShardStep::Invoked { lane: number } };
        profile.invoke(desk, payload, &journal_key(profile, id), batch.range(), purpose);
    }

    pub fn retry(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8) {
        let lane = self.shards.get_mut(id).and_then(|shard| shard.lanes.get_mut(usize::from(number)));
        if let Some(lane) = lane.filter(|lane| lane.state == LaneState::Resting) {
            lane.state = LaneState::Idle;
            self.hand_over(desk, profile, id, number);
            self.pump(desk, profile, id, &[number]);
        }
    }

    /// The function's answer. Returns what became of it, in the words of `LastProcessingResult`.
    pub fn invoked(
        &mut self,
        desk: &mut Desk<'_, '_>,
        profile: &Profile,
        id: &str,
        number: u8,
        answer: InternalAnswer,
    ) -> Option<String> {
        let lane = self.shards.get_mut(id)?.lanes.get_mut(usize::from(number))?;
        if lane.state != LaneState::Invoking {
            return None;
        }
        lane.state = LaneState::Idle;
        let batch = lane.current.as_mut()?;
        let result = match profile::verdict(answer) {
            Verdict::Answered { payload, request_id } => {
                batch.last_request_id = request_id;
                let report = if profile.settings.reports_failures { response::read(&payload) } else { Report::Success };
                self.answered(desk, profile, id, number, report)
            }
            Verdict::FunctionError { request_id } => {
                batch.last_request_id = request_id;
                self.failed(desk, profile, id, number);
                "PROBLEM: Function call failed".to_owned()
            }
            Verdict::NotInvoked { reason } => {
                batch.failures += 1;
                self.rest(desk, profile, id, number, profile.config.throttle_backoff_ms);
                format!("PROBLEM: Function was not invoked: {reason}")
            }
            Verdict::Unknown => {
                batch.failures += 1;
                self.rest(desk, profile, id, number, profile.config.throttle_backoff_ms);
                "PROBLEM: internal Lambda error. Please contact Lambda customer support.".to_owned()
            }
        };
        self.pump(desk, profile, id, &[number]);
        Some(result)
    }

    fn answered(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8, report: Report) -> String {
        let report = self.known_failures(desk, id, number, report);
        match report {
            None => {
                self.failed(desk, profile, id, number);
                "PROBLEM: Function response is not well-formed".to_owned()
            }
            Some(count) => {
                let remains = self.complete_front(id, number, count);
                if !remains {
                    return "OK".to_owned();
                }
                if count > 0 && profile.settings.bisects {
                    // The report itself bisected the batch: what remains is tried again without spending the quota.
                    self.rest(desk, profile, id, number, profile.config.error_backoff_ms);
                } else {
                    self.failed(desk, profile, id, number);
                }
                "PROBLEM: Function reported failed records".to_owned()
            }
        }
    }

    /// How many records of the current batch stand before the first failed one; all of them after a success. `None`: the
    /// whole batch failed.
    fn known_failures(&self, desk: &Desk<'_, '_>, id: &str, number: u8, report: Report) -> Option<usize> {
        let batch = self.shards.get(id)?.lanes.get(usize::from(number))?.current.as_ref()?;
        let identifiers = match report {
            Report::Success => return Some(batch.items.len()),
            Report::TotalFailure => return None,
            Report::Partial(identifiers) => identifiers,
        };
        let by_sequence: BTreeMap<&str, usize> =
            batch.items.iter().enumerate().map(|(index, item)| (item.sequence.as_str(), index)).collect();
        let places: Vec<Option<usize>> =
            identifiers.iter().map(|identifier| by_sequence.get(identifier.as_str()).copied()).collect();
        if desk.context.assumptions.lambda_unknown_sequence_fails_batch && places.contains(&None) {
            return None;
        }
        Some(places.into_iter().flatten().min().unwrap_or(batch.items.len()))
    }

    /// The first `count` records of the current batch are done; true if others remain.
    fn complete_front(&mut self, id: &str, number: u8, count: usize) -> bool {
        let Some(shard) = self.shards.get_mut(id) else { return false };
        let Some(lane) = shard.lanes.get_mut(usize::from(number)) else { return false };
        let Some(batch) = &mut lane.current else { return false };
        let done: Vec<_> = batch.items.drain(..count.min(batch.items.len())).collect();
        let remains = !batch.items.is_empty();
        if !remains {
            lane.current = None;
        }
        shard.done(&done);
        remains
    }

    fn failed(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8) {
        let lane = self.shards.get_mut(id).and_then(|shard| shard.lanes.get_mut(usize::from(number)));
        match lane.map(|lane| lane.fail(&profile.settings)) {
            Some(AfterFailure::Retry) => self.rest(desk, profile, id, number, profile.config.error_backoff_ms),
            Some(AfterFailure::Discard) => {
                self.discard(desk, profile, id, number, Condition::RetryAttemptsExhausted);
            }
            None => {}
        }
    }

    /// Waits, longer after each failure in a row, and tries again.
    fn rest(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8, first_ms: u64) {
        let Some(shard) = self.shards.get_mut(id) else { return };
        let shard_id = shard.id.clone();
        let Some(lane) = shard.lanes.get_mut(usize::from(number)) else { return };
        lane.state = LaneState::Resting;
        let failures = lane.current.as_ref().map_or(0, |batch| batch.failures.saturating_sub(1));
        let (first, most) = (Duration::from_millis(first_ms), Duration::from_millis(profile.config.backoff_max_ms));
        let wait = desk.backoff(&journal_key(profile, id), failures, first, most);
        let step = ShardStep::Retry { lane: number };
        profile.wake_after(desk, wait, MappingPurpose::Shard { shard: shard_id, step });
    }

    /// Gives the current batch up, and tells its destination if there is one.
    fn discard(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8, condition: Condition) {
        let lane = self.shards.get_mut(id).and_then(|shard| shard.lanes.get_mut(usize::from(number)));
        let Some(lane) = lane else { return };
        let Some(batch) = &mut lane.current else { return };
        batch.failures = 0;
        let has_destination = profile.settings.failure_destination.is_some() && condition != Condition::RecordExpired;
        let target =
            profile.settings.failure_destination.as_deref().filter(|_| has_destination).unwrap_or("none").to_owned();
        desk.note(
            &profile.function,
            MessageStepKind::Discarded,
            &batch.last_request_id,
            &journal_key(profile, id),
            format!("{target} {} {}", condition.name(), batch.range()),
        );
        if has_destination {
            lane.state = LaneState::Notifying;
            let notice = destination::notice(desk, profile, id, batch, condition);
            batch.notice = Some(notice);
            self.notify(desk, profile, id, number);
        } else {
            self.give_up_current(id, number);
            self.pump_lane(desk, profile, id, number);
        }
    }

    fn notify(&mut self, desk: &mut Desk<'_, '_>, profile: &Profile, id: &str, number: u8) {
        let Some(shard) = self.shards.get(id) else { return };
        let batch = shard.lanes.get(usize::from(number)).and_then(|lane| lane.current.as_ref());
        let notice = batch.and_then(|batch: &Batch| batch.notice.as_deref());
        let (Some(notice), Some(arn)) = (notice, &profile.settings.failure_destination) else { return };
        let (service, operation, request) = destination::delivery(arn, desk.context.region, notice);
        let step = ShardStep::Notified { lane: number };
        let purpose = profile.purpose(MappingPurpose::Shard { shard: shard.id.clone(), step });
        desk.ask(service, operation, request, purpose);
    }

    /// The destination answered. After a few failures the notice is lost, as the real service drops it; the shard goes on.
    pub fn notified(
        &mut self,
        desk: &mut Desk<'_, '_>,
        profile: &Profile,
        id: &str,
        number: u8,
        answer: &InternalAnswer,
    ) -> Option<String> {
        let lane = self.shards.get_mut(id)?.lanes.get_mut(usize::from(number))?;
        let batch = lane.current.as_mut().filter(|_| lane.state == LaneState::Notifying)?;
        let is_delivered = matches!(answer, InternalAnswer::Success(_));
        batch.failures += 1;
        if !is_delivered && batch.failures < TRIES_TO_NOTIFY {
            self.notify(desk, profile, id, number);
            return None;
        }
        lane.state = LaneState::Idle;
        self.give_up_current(id, number);
        self.pump(desk, profile, id, &[number]);
        (!is_delivered).then(|| "PROBLEM: the destination of discarded records cannot be reached".to_owned())
    }

    fn give_up_current(&mut self, id: &str, number: u8) {
        self.complete_front(id, number, usize::MAX);
    }
}

/// `function/source/shard`
fn journal_key(profile: &Profile, shard: &str) -> String {
    format!("{}/{shard}", profile.key)
}
